/// How often a strategy was right, of so many answers about an even secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guesses {
    pub(super) right: usize,
    pub(super) count: usize,
}

/// An excess within so many deviations of a fair coin is the coin's.
const DEVIATIONS: f64 = 3.0;

impl Guesses {
    pub(super) fn of(answers: impl Iterator<Item = bool>) -> Self {
        let mut guesses = Self { right: 0, count: 0 };
        for is_right in answers {
            guesses.right += usize::from(is_right);
            guesses.count += 1;
        }
        guesses
    }

    pub(super) fn rate(self) -> f64 {
        self.right as f64 / (self.count.max(1)) as f64
    }

    /// One standard deviation of the rate of a fair coin.
    pub(super) fn deviation(self) -> f64 {
        0.5 / (self.count.max(1) as f64).sqrt()
    }

    /// How much better, or reliably worse, than a coin: 0 to 1.
    pub(super) fn advantage(self) -> f64 {
        (2.0 * self.rate() - 1.0).abs()
    }

    /// Right more often than `rate_max`, and not by chance.
    pub(super) fn exceeds(self, rate_max: f64) -> bool {
        let rate = 0.5 + self.advantage() / 2.0;
        rate > rate_max && rate - 0.5 > DEVIATIONS * self.deviation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coin_passes_and_a_leak_does_not() {
        let guesses = |right, count| Guesses { right, count };
        assert!(!guesses(5_000, 10_000).exceeds(0.505));
        assert!(!guesses(5_100, 10_000).exceeds(0.505), "within the noise");
        assert!(guesses(5_200, 10_000).exceeds(0.505));
        assert!(guesses(4_800, 10_000).exceeds(0.505), "always wrong is as good");
        assert!(!guesses(504_900, 1_000_000).exceeds(0.505), "a leak below the goal");
    }
}

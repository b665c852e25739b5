//! Which of many known files lies alone in the folder? Whoever asks has stores of his own with each
//! of them, and compares every length that is seen without a key: of files, blocks and batches.

use std::collections::HashMap;
use std::time::Instant;

use crypt::{EpochKeys, EpochSecret};
use model::{Chunker, EpochId, ScopeId};

use super::folder::{Folder, lengths};
use super::{Material, on_threads, seed_of};
use crate::failure::Failure;
use crate::random::Random;

const CANDIDATES: u64 = 1_000;
/// Right so many times more often than by chance.
const CHANCES_MAX: f64 = 2.0;
/// Stores that the attacker makes of each candidate: cuts differ from store to store.
const REFERENCES_EACH: u64 = 3;
const FILE_LEN: usize = 400_000;
const FILE_LEN_MIN: u64 = 100_000;
const RATE_LEN: usize = 256 << 20;
const DEVIATIONS: f64 = 3.0;

/// How the candidates differ.
#[derive(Debug, Clone, Copy)]
struct Field {
    what: &'static str,
    material: Material,
    has_one_len: bool,
}

/// By lengths: of which candidate the attacker has seen them, how often.
type Seen = HashMap<Vec<usize>, HashMap<u64, u32>>;

pub(super) fn run(trials: u64, seed: u64) -> Result<(), Failure> {
    let fields = [
        Field { what: "one length, noise", material: Material::Noise, has_one_len: true },
        Field { what: "one length, text", material: Material::Text, has_one_len: true },
        Field { what: "many lengths, noise", material: Material::Noise, has_one_len: false },
    ];
    let mut missed = 0;
    for field in fields {
        let started = Instant::now();
        let (mean, deviation) = play(field, CANDIDATES, trials, seed)?;
        let is_missed = mean > CHANCES_MAX && mean - 1.0 > DEVIATIONS * deviation;
        println!(
            "fingerprint, {}: {trials} trials, {CANDIDATES} candidates, seed {seed}: {mean:.2} x \
             chance (goal {CHANCES_MAX} x; deviation {deviation:.2}){}, {:.1} s",
            field.what,
            if is_missed { " MISSED" } else { "" },
            started.elapsed().as_secs_f64()
        );
        // What is said of the others is a limit: padding bounds lengths, it does not hide them.
        let decides = field.has_one_len && field.material == Material::Noise;
        missed += usize::from(decides && is_missed);
    }
    println!("fingerprint: the chunker cuts {:.0} MB/s", chunker_rate());
    Failure::unless_none(missed, "file told by its lengths")
}

/// How many times more often than by chance the best guess is right, and the deviation of that.
fn play(field: Field, candidates: u64, trials: u64, seed: u64) -> Result<(f64, f64), Failure> {
    let shown = |number: u64, candidate: u64| -> Result<Vec<usize>, Failure> {
        let folder = Folder::new(seed_of(seed, number, 9));
        let files = vec![("file".to_owned(), field.candidate(seed, candidate))];
        folder.fill(&files, true)?;
        Ok(lengths(&folder.view()))
    };
    let references = candidates * REFERENCES_EACH;
    let references = on_threads(references, |number| shown(number, number % candidates))?;
    let mut seen = Seen::new();
    for (lengths, candidate) in references.into_iter().zip((0..candidates).cycle()) {
        *seen.entry(lengths).or_default().entry(candidate).or_insert(0) += 1;
    }
    let chances = on_threads(trials, |number| {
        let secret = Random::new(seed_of(seed, number, 10)).below(candidates);
        let lengths = shown(number + (1 << 40), secret)?;
        let [best, drawn] = success(&seen, &lengths, secret, candidates);
        Ok([best * candidates as f64, drawn * candidates as f64])
    })?;
    let (best, drawn) = (chances.iter().map(|[best, _]| *best), chances.iter().map(|[_, d]| *d));
    let (best, drawn) = (mean_of(best), mean_of(drawn));
    Ok(if best.0 > drawn.0 { best } else { drawn })
}

/// Mean, and its deviation.
fn mean_of(values: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, (variance / count).sqrt())
}

/// How likely two guesses are right: one of the candidates that were seen most often with these
/// lengths, and one drawn as often as it was seen with them.
fn success(seen: &Seen, lengths: &Vec<usize>, secret: u64, candidates: u64) -> [f64; 2] {
    let Some(fitting) = seen.get(lengths) else { return [1.0 / candidates as f64; 2] };
    let own = fitting.get(&secret).copied().unwrap_or(0);
    let best = fitting.values().max().copied().unwrap_or(0);
    let best_count = fitting.values().filter(|count| **count == best).count();
    let sum: u32 = fitting.values().sum();
    let is_best = f64::from(u8::from(own == best));
    [is_best / best_count as f64, f64::from(own) / f64::from(sum)]
}

impl Field {
    fn candidate(self, seed: u64, candidate: u64) -> Vec<u8> {
        let own = seed_of(seed, candidate, 11);
        let spread = FILE_LEN as u64 - FILE_LEN_MIN;
        let drawn = FILE_LEN_MIN + Random::new(own).below(spread);
        let len = if self.has_one_len { FILE_LEN } else { usize::try_from(drawn).unwrap_or(0) };
        self.material.content(own, len)
    }
}

/// Million bytes a second, on one thread.
fn chunker_rate() -> f64 {
    let (scope, epoch) = (ScopeId::new([1; 32]), EpochId::new([2; 32]));
    let keys = EpochKeys::new(scope, epoch, epoch, &EpochSecret::from_bytes([3; 32]));
    let chunker = Chunker::new(keys.gear_table());
    let content = Random::new(4).bytes(RATE_LEN);
    let started = Instant::now();
    let mut rest = content.as_slice();
    while !rest.is_empty() {
        rest = rest.get(chunker.cut(rest).max(1)..).unwrap_or_default();
    }
    RATE_LEN as f64 / 1e6 / started.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_noise_do_not_tell_the_file() {
        let field = Field { what: "", material: Material::Noise, has_one_len: true };
        let (mean, deviation) = play(field, 20, 60, 1).unwrap();
        assert!(mean < CHANCES_MAX || mean - 1.0 < DEVIATIONS * deviation, "seed 1: {mean}");
    }

    #[test]
    fn lengths_that_are_known_tell_the_file() {
        let seen = Seen::from([
            (vec![1], HashMap::from([(0, 3)])),
            (vec![2], HashMap::from([(1, 2), (2, 2), (3, 1)])),
        ]);
        let asked =
            [(1, 0, [1.0, 1.0]), (2, 2, [0.5, 0.4]), (2, 3, [0.0, 0.2]), (3, 3, [0.1, 0.1])];
        for (lengths, secret, right) in asked {
            let found = success(&seen, &vec![lengths], secret, 10);
            assert!(found.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        }
    }
}

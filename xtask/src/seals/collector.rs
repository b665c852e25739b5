/// The first half of a BLAKE3: enough that ten million of them meet by chance once in 2^82 runs.
pub(super) type Tag = u128;

/// One seal, as somebody sees it who holds every key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observed {
    /// The cipher's key and nonce.
    pub(super) key_nonce: Vec<u8>,
    /// What they were used for: context and payload.
    pub(super) input: Tag,
    /// Context and block nonce alone.
    pub(super) place: Tag,
    /// What the header was masked with.
    pub(super) mask: Vec<u8>,
    /// The header.
    pub(super) header: Vec<u8>,
}

/// Remembers every seal of a run: 96 bytes each.
#[derive(Debug, Default)]
pub(super) struct Collector {
    keys: Vec<(Tag, Tag)>,
    masks: Vec<(Tag, Tag)>,
    places: Vec<(Tag, Tag)>,
}

/// What a run says about reuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Seals there were.
    pub(super) seals: usize,
    /// Seals whose input, and so key and nonce, had been there before.
    pub(super) repeats: usize,
    /// Seals at a context and block nonce that had been there with another payload: each would be
    /// a reuse if the salt did not cover the payload.
    pub(super) near_misses: usize,
    /// A key and nonce that met another context or payload.
    pub(super) key_reuses: usize,
    /// A mask that met another header.
    pub(super) mask_reuses: usize,
}

impl Collector {
    pub(super) fn take(&mut self, observed: &Observed) {
        self.keys.push((tag(&[&observed.key_nonce]), observed.input));
        self.masks.push((tag(&[&observed.mask]), tag(&[&observed.header])));
        self.places.push((observed.place, observed.input));
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
        self.masks.append(&mut other.masks);
        self.places.append(&mut other.places);
    }

    pub(super) fn verdict(self) -> Verdict {
        let seals = self.len();
        let (repeats, key_reuses) = met_again(self.keys);
        let (_, mask_reuses) = met_again(self.masks);
        let (_, near_misses) = met_again(self.places);
        Verdict { seals, repeats, near_misses, key_reuses, mask_reuses }
    }
}

/// How many pairs had been there before, and how many firsts with another second.
fn met_again(mut pairs: Vec<(Tag, Tag)>) -> (usize, usize) {
    pairs.sort_unstable();
    let neighbours = || pairs.iter().zip(pairs.iter().skip(1));
    let repeats = neighbours().filter(|(a, b)| a == b).count();
    let reuses = neighbours().filter(|(a, b)| a.0 == b.0 && a.1 != b.1).count();
    (repeats, reuses)
}

/// The parts have fixed lengths wherever they are compared.
pub(super) fn tag(parts: &[&[u8]]) -> Tag {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let half = digest.as_bytes().first_chunk().expect("32 bytes hold 16");
    Tag::from_le_bytes(*half)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(key: u8, input: Tag, mask: u8, header: u8) -> Observed {
        let place = input % 10;
        Observed { key_nonce: vec![key], input, place, mask: vec![mask], header: vec![header] }
    }

    #[test]
    fn repeats_and_reuses_are_told_apart() {
        let mut first = Collector::default();
        first.take(&observed(1, 11, 1, 1));
        first.take(&observed(2, 21, 2, 2));
        let mut second = Collector::default();
        second.take(&observed(1, 11, 1, 1));
        second.take(&observed(2, 22, 3, 3));
        second.take(&observed(3, 33, 2, 4));
        first.merge(second);
        let verdict = first.verdict();
        assert_eq!(
            verdict,
            Verdict { seals: 5, repeats: 1, near_misses: 1, key_reuses: 1, mask_reuses: 1 }
        );
    }
}

use std::collections::HashMap;

use aws_lc_rs::digest;

/// Shorter ones would be found by chance.
const LEN_MIN: usize = 16;
const KEY_LEN: usize = 8;

/// What must not be found, by its first bytes.
#[derive(Debug)]
pub(crate) struct Needles {
    /// By the first two bytes: whether any needle begins so. Most places end here.
    begins: Vec<bool>,
    by_start: HashMap<[u8; KEY_LEN], Vec<(&'static str, Vec<u8>)>>,
    len_max: usize,
    count: usize,
}

impl Default for Needles {
    fn default() -> Self {
        Self { begins: vec![false; 1 << 16], by_start: HashMap::new(), len_max: 0, count: 0 }
    }
}

impl Needles {
    pub(crate) fn add(&mut self, what: &'static str, bytes: &[u8]) {
        assert!(bytes.len() >= LEN_MIN, "{what} is too short to be no accident");
        let Some(start) = bytes.first_chunk::<KEY_LEN>() else { return };
        if let Some(begins) = self.begins.get_mut(first_two(start)) {
            *begins = true;
        }
        let same_start = self.by_start.entry(*start).or_default();
        if same_start.iter().all(|(_, known)| known != bytes) {
            same_start.push((what, bytes.to_vec()));
            self.len_max = self.len_max.max(bytes.len());
            self.count += 1;
        }
    }

    /// An id as bytes and as text.
    pub(crate) fn add_id(&mut self, what: &'static str, id: &[u8]) {
        self.add(what, id);
        self.add(what, hex(id).as_bytes());
    }

    /// The hashes by which somebody who has the content would look for it.
    pub(crate) fn add_content(&mut self, content: &[u8]) {
        self.add_id("a plain BLAKE3 of content", blake3::hash(content).as_bytes());
        let algorithms = [
            ("a plain SHA-1 of content", &digest::SHA1_FOR_LEGACY_USE_ONLY),
            ("a plain SHA-256 of content", &digest::SHA256),
            ("a plain SHA-512 of content", &digest::SHA512),
        ];
        for (what, algorithm) in algorithms {
            self.add_id(what, digest::digest(algorithm, content).as_ref());
        }
    }

    /// What begins in the first `searched` bytes of `window`, and where.
    pub(crate) fn find(&self, window: &[u8], searched: usize) -> Vec<(&'static str, usize)> {
        let mut hits = Vec::new();
        for (at, start) in window.windows(KEY_LEN).take(searched).enumerate() {
            let Some(start) = start.first_chunk::<KEY_LEN>() else { break };
            if self.begins.get(first_two(start)) != Some(&true) {
                continue;
            }
            let Some(candidates) = self.by_start.get(start) else { continue };
            let rest = window.get(at..).unwrap_or_default();
            let whole = candidates.iter().filter(|(_, needle)| rest.starts_with(needle));
            hits.extend(whole.map(|(what, _)| (*what, at)));
        }
        hits
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn len_max(&self) -> usize {
        self.len_max
    }
}

fn first_two(start: &[u8; KEY_LEN]) -> usize {
    let [first, second, ..] = *start;
    usize::from(first) << 8 | usize::from(second)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_needles_are_found_where_they_begin() {
        let mut needles = Needles::default();
        needles.add("mark", b"0123456789abcdef");
        needles.add("mark", b"0123456789abcdef");
        needles.add("mark", b"0123456789abcdeX");
        assert_eq!((needles.len(), needles.len_max()), (2, 16));
        let text = b"..0123456789abcdef..0123456789abcdeX0123456789abcde";
        assert_eq!(needles.find(text, text.len()), [("mark", 2), ("mark", 20)]);
        assert_eq!(needles.find(text, 3), [("mark", 2)]);
        assert_eq!(needles.find(b"0123456789abcde", 15), []);
    }

    #[test]
    fn content_is_known_by_its_hashes() {
        let mut needles = Needles::default();
        needles.add_content(b"abc");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hits = needles.find(sha256.as_bytes(), 64);
        assert_eq!(hits, [("a plain SHA-256 of content", 0)]);
        assert_eq!(needles.len(), 8);
    }
}

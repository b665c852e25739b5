//! The miss filter of a run: a Bloom filter cut into pages in key order, so that it is written in
//! one pass with one page of memory, and a probe touches one filter page, and in it one cache line.
//!
//! Page: kind u8 = 2, zeros up to 32, then 63 blocks of 64 bytes. A key is in the block its hash
//! picks when all its 6 bits are set. A page takes 10 bits per hash.

use super::page::{FILTER, PLAIN_LEN, Page};

/// Keys longer than this are also found by this many leading bytes: a tag and an id.
pub(super) const PREFIX_LEN: usize = 33;

const BLOCKS_AT: usize = 32;
const BLOCK_LEN: usize = 64;
const BLOCKS: u64 = 63;
const BITS_PER_KEY: usize = 6;
/// Hashes of one page: 63 x 512 bits at 10 each.
const HASHES_MAX: usize = 3225;

const _: () = assert!(BLOCKS_AT + BLOCK_LEN * 63 == PLAIN_LEN);

/// Secret hash of keys, so that nobody can choose keys that pass the filter.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilterSeed(pub(super) [u64; 2]);

impl FilterSeed {
    pub(super) fn hash(self, key: &[u8]) -> u64 {
        let [a, b] = self.0;
        let mut state = a ^ (key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (words, rest) = key.as_chunks::<8>();
        for word in words {
            state = fold(state ^ u64::from_le_bytes(*word), b | 1);
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        state = fold(state ^ u64::from_le_bytes(last), b.rotate_left(32) | 1);
        fold(state ^ b, a | 1)
    }
}

/// Both halves of the 128-bit product, combined: every bit of the inputs moves every bit out.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let [low, high] = halves(product);
    low ^ high
}

fn halves(value: u128) -> [u64; 2] {
    let mut out = [0; 2];
    for (half, bytes) in out.iter_mut().zip(value.to_le_bytes().as_chunks::<8>().0) {
        *half = u64::from_le_bytes(*bytes);
    }
    out
}

fn block_at(hash: u64) -> usize {
    let block = ((hash >> 32) * BLOCKS) >> 32;
    BLOCKS_AT + BLOCK_LEN * usize::try_from(block).unwrap_or(0)
}

/// Byte and mask in the block of each of the key's bits.
fn bits(hash: u64) -> impl Iterator<Item = (usize, u8)> {
    let mixed = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
    (0..BITS_PER_KEY).map(move |i| {
        let nine = (mixed >> (10 + i * 9)) & 511;
        (usize::try_from(nine >> 3).unwrap_or(0), 1 << (nine & 7))
    })
}

impl Page {
    /// False when no key of this hash was added to the page; `None` when it is no filter page.
    pub(super) fn may_contain(&self, hash: u64) -> Option<bool> {
        if !self.is_filter() {
            return None;
        }
        let block: &[u8; BLOCK_LEN] = self.bytes.get(block_at(hash)..)?.first_chunk()?;
        Some(bits(hash).all(|(byte, mask)| block.get(byte).is_some_and(|bits| bits & mask != 0)))
    }
}

/// The filter page being filled.
#[derive(Debug)]
pub(super) struct FilterDraft {
    page: Vec<u8>,
    separator: Vec<u8>,
    hashes: usize,
    prefix: Option<u64>,
}

impl FilterDraft {
    /// A page for keys from `separator` on.
    pub(super) fn new(separator: &[u8]) -> Self {
        let mut page = vec![0; PLAIN_LEN];
        if let Some(kind) = page.first_mut() {
            *kind = FILTER;
        }
        Self { page, separator: separator.to_vec(), hashes: 0, prefix: None }
    }

    /// True when the next key belongs to a new page.
    pub(super) const fn is_full(&self) -> bool {
        self.hashes + 2 > HASHES_MAX
    }

    pub(super) fn add(&mut self, key: &[u8], seed: FilterSeed) {
        self.insert(seed.hash(key));
        if key.len() > PREFIX_LEN {
            let prefix = seed.hash(key.get(..PREFIX_LEN).unwrap_or(key));
            if self.prefix != Some(prefix) {
                self.insert(prefix);
                self.prefix = Some(prefix);
            }
        }
    }

    fn insert(&mut self, hash: u64) {
        self.hashes += 1;
        let at = block_at(hash);
        for (byte, mask) in bits(hash) {
            if let Some(bits) = self.page.get_mut(at + byte) {
                *bits |= mask;
            }
        }
    }

    /// Separator and page.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<u8>) {
        (self.separator, self.page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_page_knows_its_keys_and_few_others() {
        let seed = FilterSeed([3, 5]);
        let mut draft = FilterDraft::new(b"");
        let mut added = 0u64;
        while !draft.is_full() {
            draft.add(&added.to_be_bytes(), seed);
            added += 1;
        }
        let (_, bytes) = draft.finish();
        let page = Page::parse(bytes).unwrap();
        for key in 0..added {
            assert_eq!(page.may_contain(seed.hash(&key.to_be_bytes())), Some(true));
        }
        let strangers = 20_000;
        let wrong = (added..added + strangers)
            .filter(|key| page.may_contain(seed.hash(&key.to_be_bytes())) == Some(true))
            .count();
        assert!(wrong < 500, "{wrong} of {strangers}");
    }

    #[test]
    fn long_keys_are_found_by_their_prefix() {
        let seed = FilterSeed([3, 5]);
        let mut draft = FilterDraft::new(b"");
        draft.add(&[8; 60], seed);
        let page = Page::parse(draft.finish().1).unwrap();
        assert_eq!(page.may_contain(seed.hash(&[8; PREFIX_LEN])), Some(true));
        assert_eq!(page.may_contain(seed.hash(&[9; PREFIX_LEN])), Some(false));
    }

    #[test]
    fn lengths_are_part_of_the_hash() {
        let seed = FilterSeed([3, 5]);
        assert_ne!(seed.hash(&[0; 3]), seed.hash(&[0; 4]));
        assert_ne!(seed.hash(&[0; 8]), seed.hash(&[0; 9]));
        assert_ne!(seed.hash(b""), seed.hash(&[0]));
    }
}

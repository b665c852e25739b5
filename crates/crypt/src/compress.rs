//! Whether and how a payload is compressed. One context per [`Sealer`] and [`Opener`], reused.

use core::fmt;

use zeroize::Zeroize;

use crate::CryptError;
use crate::object::{ObjectKind, compressed_len_max};

/// The fastest standard level: putting must not wait for it.
const LEVEL: i32 = 1;
/// Cleartexts up to this length are compressed without a probe: the probe would cost as much.
const PROBED_LEN_MIN: usize = 16 * 1024;
/// Shorter cleartexts are compressed without a look.
const GLANCED_LEN_MIN: usize = 2 * 1024;
/// Pieces a probe looks at, spread evenly.
const PIECES: usize = 16;
/// Bytes of a piece that a trial compression sees.
const PIECE_LEN: usize = 1024;
/// Bytes of a piece that are counted.
const COUNTED_LEN: usize = 512;
/// Uniformly random bytes make the sum of squared counts of 512 bytes 1,534 on average with a
/// deviation of 45; no piece of random data reaches five deviations above.
const SQUARES_MAX: u32 = 1_760;

/// Whether objects are compressed at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompressionPolicy {
    /// Never: sealed lengths say nothing about content.
    Off,
    /// Where it saves at least 1/32.
    #[default]
    Auto,
}

/// The reusable buffers of one sealing thread.
pub struct Sealer {
    policy: CompressionPolicy,
    compressor: zstd::bulk::Compressor<'static>,
    scratch: Vec<u8>,
    sample: Vec<u8>,
}

impl Sealer {
    /// Buffers for `policy`.
    ///
    /// # Panics
    /// When no memory is left for a compression context.
    pub fn new(policy: CompressionPolicy) -> Self {
        let compressor = zstd::bulk::Compressor::new(LEVEL).expect("memory for a context");
        Self { policy, compressor, scratch: Vec::new(), sample: Vec::new() }
    }

    /// The compressed payload of `plain`, when it is worth having.
    pub(crate) fn compressed(&mut self, kind: ObjectKind, plain: &[u8]) -> Option<&[u8]> {
        let sealed_as_is = matches!(kind, ObjectKind::Pad | ObjectKind::KeyHistory);
        if self.policy == CompressionPolicy::Off || sealed_as_is {
            return None;
        }
        if plain.len() > PROBED_LEN_MIN && !self.promising(plain) {
            return None;
        }
        // A bundle or list can shrink by what its items share; bytes of a user cannot where every
        // piece looks random.
        let is_content = matches!(kind, ObjectKind::Chunk | ObjectKind::Vertex);
        let is_probed = (GLANCED_LEN_MIN..=PROBED_LEN_MIN).contains(&plain.len());
        if is_content && is_probed && !plain.chunks(COUNTED_LEN).any(uneven) {
            return None;
        }
        let limit = compressed_len_max(plain.len());
        let len = compress_within(&mut self.compressor, plain, limit, &mut self.scratch)?;
        self.scratch.get(..len)
    }

    /// A guess from 16 pieces: those with uneven byte counts must shrink by 1/64 of all pieces.
    /// Repeats of random-looking data farther apart than a piece are not seen.
    fn promising(&mut self, plain: &[u8]) -> bool {
        let stride = (plain.len() - PIECE_LEN) / (PIECES - 1);
        self.sample.clear();
        for start in (0..PIECES).map(|i| i * stride) {
            let piece = plain.get(start..start + PIECE_LEN).unwrap_or_default();
            if uneven(piece) {
                self.sample.extend_from_slice(piece);
            }
        }
        let Some(limit) = self.sample.len().checked_sub(PIECES * PIECE_LEN / 64) else {
            return false;
        };
        compress_within(&mut self.compressor, &self.sample, limit, &mut self.scratch).is_some()
    }
}

/// Compresses into the front of `scratch`; `None` when the result is longer than `limit`.
fn compress_within(
    compressor: &mut zstd::bulk::Compressor<'static>,
    plain: &[u8],
    limit: usize,
    scratch: &mut Vec<u8>,
) -> Option<usize> {
    if scratch.len() < limit {
        scratch.resize(limit, 0);
    }
    // The only failure is an output longer than the buffer.
    compressor.compress_to_buffer(plain, scratch.get_mut(..limit)?).ok()
}

fn uneven(piece: &[u8]) -> bool {
    // Two tables: equal neighbours would otherwise wait for one counter.
    let mut even_counts = [0u32; 256];
    let mut odd_counts = [0u32; 256];
    let count = |table: &mut [u32; 256], byte: u8| {
        if let Some(count) = table.get_mut(usize::from(byte)) {
            *count += 1;
        }
    };
    let (pairs, _) = piece.split_at(COUNTED_LEN.min(piece.len())).0.as_chunks::<2>();
    for [even, odd] in pairs {
        count(&mut even_counts, *even);
        count(&mut odd_counts, *odd);
    }
    let squares: u32 = even_counts.iter().zip(odd_counts).map(|(a, b)| (a + b) * (a + b)).sum();
    squares > SQUARES_MAX
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.scratch.zeroize();
        self.sample.zeroize();
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The reusable buffers of one unsealing thread.
pub struct Opener {
    decompressor: zstd::bulk::Decompressor<'static>,
    pub(crate) payload: Vec<u8>,
}

impl Opener {
    /// Empty buffers.
    ///
    /// # Panics
    /// When no memory is left for a decompression context.
    pub fn new() -> Self {
        let decompressor = zstd::bulk::Decompressor::new().expect("memory for a context");
        Self { decompressor, payload: Vec::new() }
    }

    /// Decompresses the held payload to exactly `plain_len` bytes.
    pub(crate) fn decompress(&mut self, plain_len: usize) -> Result<Vec<u8>, CryptError> {
        let mut plain = Vec::with_capacity(plain_len);
        let len = self
            .decompressor
            .decompress_to_buffer(&self.payload, &mut plain)
            .map_err(|_too_long_or_malformed| CryptError::Unseal)?;
        if len != plain_len {
            return Err(CryptError::Unseal);
        }
        Ok(plain)
    }
}

impl Default for Opener {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        self.payload.zeroize();
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Random, SeededRandom};

    fn random(len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        SeededRandom::new(len as u64).fill(&mut out);
        out
    }

    fn text(len: usize) -> Vec<u8> {
        let words = ["the ", "store ", "keeps ", "every ", "version ", "of ", "it.\n", "and "];
        let picks = random(len);
        picks.iter().flat_map(|b| words[usize::from(*b) % 8].bytes()).take(len).collect()
    }

    fn saved(plain: &[u8]) -> Option<usize> {
        let mut sealer = Sealer::new(CompressionPolicy::Auto);
        sealer.compressed(ObjectKind::Chunk, plain).map(|payload| plain.len() - payload.len())
    }

    #[test]
    fn text_is_compressed_at_every_length() {
        for len in [200, 5_000, 16_384, 16_385, 65_536, 262_144, 1_048_576] {
            assert!(saved(&text(len)).is_some(), "{len}");
        }
        assert!(saved(&vec![0; 1 << 20]).unwrap() > 1_000_000);
    }

    #[test]
    fn random_is_left_alone() {
        for len in [0, 1, 31, 200, 16_384, 16_385, 65_536, 262_144, 1_048_576] {
            assert_eq!(saved(&random(len)), None, "{len}");
        }
    }

    #[test]
    fn random_never_gets_past_the_first_look() {
        for seed in 0..2000 {
            let mut piece = [0; PIECE_LEN];
            SeededRandom::new(seed).fill(&mut piece);
            assert!(!uneven(&piece), "{seed}");
        }
    }

    #[test]
    fn a_tenth_of_text_anywhere_is_found() {
        for at in [0, 40_000, 111_111, 235_000] {
            let mut mixed = random(262_144);
            mixed[at..at + 27_000].copy_from_slice(&text(27_000));
            assert!(saved(&mixed).is_some(), "{at}");
        }
    }

    #[test]
    fn text_anywhere_in_a_small_content_is_found() {
        for at in [0, 3000, 6500] {
            let mut mixed = random(8192);
            mixed[at..at + 1500].copy_from_slice(&text(1500));
            assert!(saved(&mixed).is_some(), "{at}");
        }
        for len in [GLANCED_LEN_MIN - 1, GLANCED_LEN_MIN, 4300] {
            assert_eq!(saved(&random(len)), None, "{len}");
            assert!(saved(&text(len)).is_some(), "{len}");
        }
    }

    #[test]
    fn what_the_items_of_a_bundle_share_is_found() {
        let item = random(600);
        let mut sealer = Sealer::new(CompressionPolicy::Auto);
        assert!(sealer.compressed(ObjectKind::Bundle, &item.repeat(6)).is_some());
    }

    #[test]
    fn machine_words_are_compressed() {
        let words: Vec<u8> = (0..40_000u32).flat_map(|i| (i * 7 % 5000).to_le_bytes()).collect();
        assert!(saved(&words).is_some());
    }

    #[test]
    fn bytes_like_those_of_a_jpeg_are_left_alone() {
        // Entropy-coded data with a stuffed zero after each 0xff.
        let coded: Vec<u8> = random(200_000)
            .into_iter()
            .flat_map(|b| if b == 0xff { vec![0xff, 0] } else { vec![b] })
            .collect();
        assert_eq!(saved(&coded), None);
    }

    #[test]
    fn off_means_never() {
        let mut sealer = Sealer::new(CompressionPolicy::Off);
        assert_eq!(sealer.compressed(ObjectKind::Chunk, &text(100_000)), None);
    }

    #[test]
    fn pads_keep_their_length() {
        let mut sealer = Sealer::new(CompressionPolicy::Auto);
        assert_eq!(sealer.compressed(ObjectKind::Pad, &[0; 4096]), None);
    }
}

use core::fmt;

use fastcdc::v2020::cut_gear;
use zeroize::Zeroize;

use crate::limit::{CHUNK_LEN_AVERAGE, CHUNK_LEN_MAX, CHUNK_LEN_MIN};

/// Test before the average: 20 bits, one position in a million passes. Strict here and lax after
/// the average gathers lengths around it: of the pairs tried, the one that stored least after edits
/// without cutting at the maximum (random data: 290 KiB on average).
const MASK_SHORT: u64 = 0x0000_d917_4753_7000;
/// Test after the average: 16 bits, one position in 64 KiB passes.
const MASK_LONG: u64 = 0x0000_d903_0353_7000;

/// Cuts content where the content says so, chunker 1: `FastCDC` 2020 over a secret gear table.
///
/// Where it cuts is a format: it decides what deduplicates. The golden cuts under `testdata` pin
/// it.
pub struct Chunker {
    gear: Box<[u64; 256]>,
    /// The same table shifted left by one: the scan takes two bytes a step.
    gear_shifted: Box<[u64; 256]>,
}

impl Chunker {
    /// The number this chunker has in an epoch.
    pub const NUMBER: u8 = 1;

    /// Takes the table that follows from the epoch's secret.
    pub fn new(gear: Box<[u64; 256]>) -> Self {
        let mut gear_shifted = gear.clone();
        for entry in gear_shifted.iter_mut() {
            *entry <<= 1;
        }
        Self { gear, gear_shifted }
    }

    /// Bytes of the first chunk of `bytes`; 0 only for no bytes.
    ///
    /// The caller gives at least [`CHUNK_LEN_MAX`] bytes or all up to the end of the content: more
    /// than that changes nothing.
    pub fn cut(&self, bytes: &[u8]) -> usize {
        let (_, len) = cut_gear(
            bytes,
            CHUNK_LEN_MIN,
            CHUNK_LEN_AVERAGE,
            CHUNK_LEN_MAX,
            MASK_SHORT,
            MASK_LONG,
            MASK_SHORT << 1,
            MASK_LONG << 1,
            self.gear.as_slice(),
            self.gear_shifted.as_slice(),
        );
        len
    }
}

impl Drop for Chunker {
    fn drop(&mut self) {
        self.gear.zeroize();
        self.gear_shifted.zeroize();
    }
}

impl fmt::Debug for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chunker(..)")
    }
}

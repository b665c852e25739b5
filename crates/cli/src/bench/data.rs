//! Content to measure with: the same bytes for the same seed, on every machine.

use std::io::{self, Read};
use std::sync::Arc;

use store::disk::{Access, Caching, Disk, DiskFile};

use super::disk_failed;
use crate::failure::Failure;

/// Bytes written or read at a time.
pub(crate) const PIECE_LEN: usize = 4 * 1024 * 1024;

/// An endless stream of bytes that do not compress (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Noise(u64);

impl Noise {
    /// The stream of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// Fills `out`.
    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for piece in out.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            piece.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
    }

    /// `len` bytes.
    pub(crate) fn take_bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        bytes
    }
}

impl Read for Noise {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill(out);
        Ok(out.len())
    }
}

/// A file read from its beginning, as a put of a file does.
pub(crate) struct FileReader {
    file: Arc<dyn DiskFile>,
    offset: u64,
}

impl FileReader {
    /// Reads `path` of `disk`.
    pub(crate) fn open(disk: &dyn Disk, path: &str) -> Result<Self, Failure> {
        let file = disk.open(path, Access::Read, Caching::Buffered).map_err(disk_failed)?;
        Ok(Self { file, offset: 0 })
    }
}

impl Read for FileReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(self.offset, out).map_err(|error| error.source)?;
        self.offset += len as u64;
        Ok(len)
    }
}

/// Makes a file of all of `content`, durable, so that nothing is written back while others measure.
pub(crate) fn write_file(
    disk: &dyn Disk,
    path: &str,
    mut content: impl Read,
) -> Result<u64, Failure> {
    let file = disk.open(path, Access::Create, Caching::Buffered).map_err(disk_failed)?;
    let mut piece = Vec::with_capacity(PIECE_LEN);
    let mut offset = 0;
    loop {
        piece.clear();
        let read = (&mut content).take(PIECE_LEN as u64).read_to_end(&mut piece);
        if read.map_err(|error| super::io_failed("making content", &error))? == 0 {
            break;
        }
        file.write_at(offset, &piece).map_err(disk_failed)?;
        offset += piece.len() as u64;
    }
    file.sync().map_err(disk_failed)?;
    Ok(offset)
}

/// `content` with `edits` changes spread evenly: each inserts, deletes or replaces up to
/// [`EDIT_LEN_MAX`] bytes.
pub(crate) fn edited(content: &[u8], edits: usize, seed: u64) -> Vec<u8> {
    let mut noise = Noise::new(seed);
    let mut out = Vec::with_capacity(content.len() + edits * EDIT_LEN_MAX);
    let stride = content.len() / edits.max(1);
    let mut rest = content;
    for edit in 0..edits {
        if stride <= EDIT_LEN_MAX {
            break;
        }
        let (part, behind) = rest.split_at(stride);
        let (head, tail) = part.split_at(noise.below(stride - EDIT_LEN_MAX));
        let len = 1 + noise.below(EDIT_LEN_MAX);
        let removed = if edit % 3 == 0 { 0 } else { len };
        let inserted = if edit % 3 == 1 { 0 } else { len };
        out.extend_from_slice(head);
        out.extend_from_slice(&noise.take_bytes(inserted));
        out.extend_from_slice(tail.split_at(removed).1);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out
}

/// The longest edit.
const EDIT_LEN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_few_and_small() {
        let bytes = Noise::new(1).take_bytes(1_000_000);
        assert_eq!(edited(&bytes, 0, 2), bytes);
        for edits in [1, 2, 3, 9] {
            let changed = edited(&bytes, edits, 2);
            assert!(bytes.len().abs_diff(changed.len()) <= edits * EDIT_LEN_MAX);
            let equal_until = bytes.iter().zip(&changed).take_while(|(a, b)| a == b).count();
            assert!(equal_until < bytes.len() / edits, "the first part has an edit");
        }
        let one = edited(&bytes, 1, 3);
        let equal_until = bytes.iter().zip(&one).take_while(|(a, b)| a == b).count();
        let equal_from = bytes.iter().rev().zip(one.iter().rev()).take_while(|(a, b)| a == b);
        assert!(equal_until + equal_from.count() >= bytes.len() - EDIT_LEN_MAX);
    }

    #[test]
    fn noise_repeats_and_does_not_compress() {
        assert_eq!(Noise::new(1).take_bytes(1000), Noise::new(1).take_bytes(1000));
        assert_ne!(Noise::new(1).take_bytes(1000), Noise::new(2).take_bytes(1000));
        let mut counts = [0u32; 256];
        Noise::new(3)
            .take_bytes(256 * 1000)
            .iter()
            .for_each(|byte| counts[usize::from(*byte)] += 1);
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}

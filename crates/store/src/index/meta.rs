use model::codec::{Reader, Writer};
use model::{BlockNumber, FormatError};

const NOUN: &str = "index coverage";
/// Runs of block numbers and open blocks a checkpoint names at most: gaps come from crashes only.
const RANGES_MAX: usize = 100_000;

/// Totals over everything folded so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) objects: u64,
    pub(crate) vertices: u64,
    pub(crate) names: u64,
    /// Content of all versions.
    pub(crate) bytes_content: u64,
    /// Cleartext of distinct chunks, and content inside vertices.
    pub(crate) bytes_unique: u64,
    /// The same as stored: chunks after compression.
    pub(crate) bytes_payload: u64,
}

/// What a checkpoint covers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct IndexMeta {
    pub(crate) counts: Counts,
    /// Packed blocks, as inclusive ranges in ascending order.
    pub(crate) packed: Vec<(u64, u64)>,
    /// Open blocks up to an offset.
    pub(crate) open: Vec<(BlockNumber, u32)>,
}

impl IndexMeta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let counts = &self.counts;
        out.u64(counts.objects).u64(counts.vertices).u64(counts.names);
        out.u64(counts.bytes_content).u64(counts.bytes_unique).u64(counts.bytes_payload);
        out.var(self.packed.len() as u64);
        for (first, last) in &self.packed {
            out.u64(*first).u64(*last);
        }
        out.var(self.open.len() as u64);
        for (number, end) in &self.open {
            out.u64(number.0).u32(*end);
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        let counts = Counts {
            objects: reader.u64()?,
            vertices: reader.u64()?,
            names: reader.u64()?,
            bytes_content: reader.u64()?,
            bytes_unique: reader.u64()?,
            bytes_payload: reader.u64()?,
        };
        let mut meta = Self { counts, ..Self::default() };
        for _ in 0..reader.count(RANGES_MAX)? {
            meta.packed.push((reader.u64()?, reader.u64()?));
        }
        for _ in 0..reader.count(RANGES_MAX)? {
            meta.open.push((BlockNumber(reader.u64()?), reader.u32()?));
        }
        reader.end()?;
        Ok(meta)
    }

    /// Adds a packed block.
    pub(crate) fn cover(&mut self, number: BlockNumber) {
        let at = self.packed.partition_point(|(_, last)| *last < number.0);
        if let Some((first, _)) = self.packed.get(at)
            && *first <= number.0
        {
            return;
        }
        self.packed.insert(at, (number.0, number.0));
        self.packed.dedup_by(|next, range| {
            let joins = next.0 == range.1 + 1;
            if joins {
                range.1 = next.1;
            }
            joins
        });
    }

    pub(crate) fn covers(&self, number: BlockNumber) -> bool {
        let at = self.packed.partition_point(|(_, last)| *last < number.0);
        self.packed.get(at).is_some_and(|(first, _)| *first <= number.0)
    }

    /// How far an open block is covered, 0 when it is not.
    pub(crate) fn open_upto(&self, number: BlockNumber) -> u32 {
        self.open.iter().find(|(open, _)| *open == number).map_or(0, |(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_come_back() {
        let mut meta = IndexMeta::default();
        for number in [5, 1, 3, 2, 9, 4, 3] {
            meta.cover(BlockNumber(number));
        }
        assert_eq!(meta.packed, [(1, 5), (9, 9)]);
        let covered: Vec<u64> = (0..12).filter(|n| meta.covers(BlockNumber(*n))).collect();
        assert_eq!(covered, [1, 2, 3, 4, 5, 9]);
        assert_eq!(IndexMeta::decode(&meta.encode()), Ok(meta));
    }
}

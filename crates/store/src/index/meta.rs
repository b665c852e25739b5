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
    pub(crate) packed: Ranges,
    /// Packed blocks that no key opened, likewise.
    pub(crate) locked: Ranges,
    /// Hash of the epochs that were held: with others, locked blocks are looked at again.
    pub(crate) held: [u8; 32],
    /// Open blocks up to an offset.
    pub(crate) open: Vec<(BlockNumber, u32)>,
}

impl IndexMeta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let counts = &self.counts;
        out.u64(counts.objects).u64(counts.vertices).u64(counts.names);
        out.u64(counts.bytes_content).u64(counts.bytes_unique).u64(counts.bytes_payload);
        out.raw(&self.held);
        self.packed.write(&mut out);
        self.locked.write(&mut out);
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
        let mut meta = Self { counts, held: reader.array()?, ..Self::default() };
        meta.packed = Ranges::read(&mut reader)?;
        meta.locked = Ranges::read(&mut reader)?;
        for _ in 0..reader.count(RANGES_MAX)? {
            meta.open.push((BlockNumber(reader.u64()?), reader.u32()?));
        }
        reader.end()?;
        Ok(meta)
    }

    /// Whether a packed block was looked at: what it holds is in the index, or no key opens it.
    pub(crate) fn knows(&self, number: BlockNumber) -> bool {
        self.packed.contains(number) || self.locked.contains(number)
    }

    /// How far an open block is covered, 0 when it is not.
    pub(crate) fn open_upto(&self, number: BlockNumber) -> u32 {
        self.open.iter().find(|(open, _)| *open == number).map_or(0, |(_, end)| *end)
    }
}

/// A set of block numbers: inclusive ranges in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(crate) fn insert(&mut self, number: BlockNumber) {
        let at = self.0.partition_point(|(_, last)| *last < number.0);
        if let Some((first, _)) = self.0.get(at)
            && *first <= number.0
        {
            return;
        }
        self.0.insert(at, (number.0, number.0));
        self.0.dedup_by(|next, range| {
            let joins = next.0 == range.1 + 1;
            if joins {
                range.1 = next.1;
            }
            joins
        });
    }

    /// Takes a number out; ranges that held it are split.
    pub(crate) fn remove(&mut self, number: BlockNumber) {
        let at = self.0.partition_point(|(_, last)| *last < number.0);
        let Some((first, last)) = self.0.get(at).copied().filter(|(first, _)| *first <= number.0)
        else {
            return;
        };
        self.0.remove(at);
        if number.0 < last {
            self.0.insert(at, (number.0 + 1, last));
        }
        if first < number.0 {
            self.0.insert(at, (first, number.0 - 1));
        }
    }

    pub(crate) fn contains(&self, number: BlockNumber) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number.0);
        self.0.get(at).is_some_and(|(first, _)| *first <= number.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.var(self.0.len() as u64);
        for (first, last) in &self.0 {
            out.u64(*first).u64(*last);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let mut ranges = Vec::new();
        for _ in 0..reader.count(RANGES_MAX)? {
            ranges.push((reader.u64()?, reader.u64()?));
        }
        Ok(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_split_and_come_back() {
        let mut meta = IndexMeta::default();
        for number in [5, 1, 3, 2, 9, 4, 3] {
            meta.packed.insert(BlockNumber(number));
        }
        assert_eq!(meta.packed.0, [(1, 5), (9, 9)]);
        let covered: Vec<u64> =
            (0..12).filter(|number| meta.packed.contains(BlockNumber(*number))).collect();
        assert_eq!(covered, [1, 2, 3, 4, 5, 9]);
        for number in [9, 1, 3, 7] {
            meta.packed.remove(BlockNumber(number));
        }
        assert_eq!(meta.packed.0, [(2, 2), (4, 5)]);
        assert_eq!(IndexMeta::decode(&meta.encode()), Ok(meta));
    }
}

//! Numbers of blocks that were removed because all they held lies elsewhere. Every identity that opens
//! the folder has an index of its own: this tells the others not to look for them.

use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{BlockNumber, FormatError};

use crate::disk::Disk;
use crate::error::{Problem, StoreError};
use crate::folder::{is_not_found, write_whole};
use crate::index::Ranges;
use crate::scan::read_file;

const NOUN: &str = "released blocks";
const FILE: &str = "records/released";
const MAGIC: [u8; 8] = *b"OURORELS";
const CHECK_LEN: usize = 16;
const LEN_MAX: usize = 4 * 1024 * 1024;

/// The blocks that are gone for good.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Released(Ranges);

impl Released {
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, StoreError> {
        match read_file(disk, FILE, LEN_MAX) {
            Ok(bytes) => Self::decode(&bytes)
                .map_err(|error| StoreError::corrupt(FILE, 0, Problem::Format(error))),
            Err(StoreError::Disk(error)) if is_not_found(&error) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Durable on return.
    pub(crate) fn write(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        write_whole(disk, FILE, &self.encode())
    }

    pub(crate) fn insert(&mut self, number: BlockNumber) {
        self.0.insert(number);
    }

    pub(crate) fn contains(&self, number: BlockNumber) -> bool {
        self.0.contains(number)
    }

    /// Magic 8, ranges, check 16.
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.raw(&MAGIC);
        self.0.write(&mut writer);
        let check = hash(NOUN, &[writer.as_slice()]);
        writer.raw(check.first_chunk::<CHECK_LEN>().expect("32 bytes hold 16"));
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let fields =
            bytes.len().checked_sub(CHECK_LEN).ok_or(FormatError::Truncated { noun: NOUN })?;
        let (fields, check) = bytes.split_at(fields);
        let mut reader = Reader::new(NOUN, fields);
        if reader.array()? != MAGIC || hash(NOUN, &[fields]).get(..CHECK_LEN) != Some(check) {
            return Err(reader.invalid());
        }
        let ranges = Ranges::read(&mut reader)?;
        reader.end()?;
        Ok(Self(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_released_comes_back_and_damage_does_not() {
        let mut released = Released::default();
        [3, 4, 9].into_iter().for_each(|number| released.insert(BlockNumber(number)));
        let bytes = released.encode();
        assert_eq!(Released::decode(&bytes), Ok(released));
        for at in 0..bytes.len() {
            assert!(Released::decode(&bytes[..at]).is_err(), "{at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(Released::decode(&flipped).is_err(), "{at}");
        }
    }
}

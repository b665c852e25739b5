//! The public header of a batch, the unit of append (`security` line 20). Anyone verifies batches.

use model::codec::{Reader, Writer};
use model::hash::{cell, cell_parts, hash};
use model::limit::{BATCH_LEN_MAX, BLOCK_LEN_MAX};
use model::{BlockNumber, ChainId, FormatError};

const NOUN: &str = "batch header";
/// First bytes of every batch.
pub(crate) const MAGIC: [u8; 4] = *b"OURB";
const VERSION: u8 = 1;
/// Bytes of a header.
pub(crate) const HEADER_LEN: usize = 144;
const CHECK_LEN: usize = 16;

/// Where a batch stands and what it holds, in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// Chain of the block.
    pub chain: ChainId,
    /// Number of the block.
    pub block: BlockNumber,
    /// Counts the batches of the block, from 0.
    pub number: u32,
    /// Where the header begins in the file.
    pub offset: u32,
    /// Bytes of header and body, at most [`BATCH_LEN_MAX`].
    pub len: u32,
    /// Every byte of the file before this was durable when the header was made.
    pub durable_upto: u32,
    /// Hash of the header before, or of the block header.
    pub previous: [u8; 32],
    /// [`body_hash`] of the body.
    pub body: [u8; 32],
}

impl BatchHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut writer = Writer::over(Vec::with_capacity(HEADER_LEN));
        writer.raw(&MAGIC).u8(VERSION).raw(&[0; 3]).raw(self.chain.as_bytes());
        writer.u64(self.block.0).u32(self.number).u32(self.offset).u32(self.len);
        writer.u32(self.durable_upto).raw(&self.previous).raw(&self.body);
        let check = check(&writer);
        writer.raw(&check);
        let mut out = [0; HEADER_LEN];
        out.copy_from_slice(&writer.finish());
        out
    }

    /// Parses and checks one header by itself.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, FormatError> {
        let (fields, sum) = bytes.split_at(HEADER_LEN - CHECK_LEN);
        let mut reader = Reader::new(NOUN, fields);
        if reader.array()? != MAGIC {
            return Err(reader.invalid());
        }
        let version = reader.u8()?;
        if version != VERSION {
            return Err(FormatError::Unknown { noun: NOUN, value: version.into() });
        }
        if reader.array()? != [0u8; 3] {
            return Err(FormatError::NotCanonical { noun: NOUN });
        }
        let header = Self {
            chain: ChainId::new(reader.array()?),
            block: BlockNumber(reader.u64()?),
            number: reader.u32()?,
            offset: reader.u32()?,
            len: reader.u32()?,
            durable_upto: reader.u32()?,
            previous: reader.array()?,
            body: reader.array()?,
        };
        if hash("batch-check", &[fields]).first_chunk::<CHECK_LEN>().map(<[u8; 16]>::as_slice)
            != Some(sum)
        {
            return Err(reader.invalid());
        }
        let (offset, len) = (header.offset as u64, header.len as u64);
        let fits = len >= HEADER_LEN as u64
            && len <= BATCH_LEN_MAX as u64
            && offset + len <= BLOCK_LEN_MAX as u64
            && header.durable_upto <= header.offset;
        if fits { Ok(header) } else { Err(FormatError::Invalid { noun: NOUN }) }
    }

    /// `H("batch", header)`: what the next batch names as its previous.
    pub(crate) fn hash(encoded: &[u8; HEADER_LEN]) -> [u8; 32] {
        hash("batch", &[encoded])
    }

    /// Where the next batch begins.
    pub(crate) fn end(&self) -> u32 {
        self.offset.saturating_add(self.len)
    }
}

fn check(writer: &Writer) -> [u8; CHECK_LEN] {
    let sum = hash("batch-check", &[writer.as_slice()]);
    *sum.first_chunk().expect("32 bytes hold 16")
}

/// Hash of a body that begins at `offset` of its file: `H("body", H("cell", part)..)` over the parts
/// the cells cut it into, so that a cell wholly inside a body is hashed once for both.
pub(crate) fn body_hash(offset: u64, body: &[u8]) -> [u8; 32] {
    let mut hasher = model::hash::labelled("body");
    for part in cell_parts(offset, body) {
        hasher.update(&cell(part));
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BatchHeader {
        BatchHeader {
            chain: ChainId::new([1; 32]),
            block: BlockNumber(7),
            number: 3,
            offset: 8192,
            len: 1024,
            durable_upto: 4096,
            previous: [2; 32],
            body: [3; 32],
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let bytes = header().encode();
        assert_eq!(BatchHeader::decode(&bytes), Ok(header()));
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(BatchHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn limits_hold() {
        let max = u32::try_from(BATCH_LEN_MAX).unwrap();
        let ok = |len, durable_upto| {
            BatchHeader::decode(&BatchHeader { len, durable_upto, ..header() }.encode()).is_ok()
        };
        assert!(ok(max, 8192) && ok(144, 0));
        assert!(!ok(max + 1, 0) && !ok(143, 0) && !ok(144, 8193));
    }
}

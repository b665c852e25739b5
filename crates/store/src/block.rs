//! The parts of a block file that are not batches (`security` line 21): clear header, sealed index,
//! trailer, tail.

use crypt::ObjectKind;
use model::codec::{Reader, Writer};
use model::hash::hash;
use model::limit::{BLOCK_LEN_MAX, CELL_LEN, OBJECT_LEN_MAX};
use model::{BlockNonce, BlockNumber, BlockRoot, ChainId, EpochId, FormatError, ObjectId, ScopeId};

const MAGIC: [u8; 8] = *b"OUROBLK1";
const FORMAT: u16 = 1;
/// The header's page; the first batch follows it.
pub(crate) const HEADER_LEN: usize = 4096;
const HEADER_FIELDS_LEN: usize = 180;
const CHECK_LEN: usize = 16;

/// Says in the clear whose block this is and which keys open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    /// Scope of every object in the block.
    pub scope: ScopeId,
    /// Epoch that sealed them.
    pub epoch: EpochId,
    /// Epoch whose dedup key made their ids.
    pub generation: EpochId,
    /// Enters every seal made for the block.
    pub nonce: BlockNonce,
    /// The writer's chain.
    pub chain: ChainId,
    /// Its number in the data folder.
    pub number: BlockNumber,
}

impl BlockHeader {
    /// One page.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(Vec::with_capacity(HEADER_LEN));
        writer.raw(&MAGIC).u16(FORMAT).u8(crypt::SUITE).u8(0);
        writer.raw(self.scope.as_bytes()).raw(self.epoch.as_bytes());
        writer.raw(self.generation.as_bytes()).raw(self.nonce.as_bytes());
        writer.raw(self.chain.as_bytes()).u64(self.number.0);
        let sum = hash("block-check", &[writer.as_slice()]);
        writer.raw(sum.first_chunk::<CHECK_LEN>().expect("32 bytes hold 16"));
        let mut page = writer.finish();
        page.resize(HEADER_LEN, 0);
        page
    }

    pub(crate) fn decode(page: &[u8]) -> Result<Self, FormatError> {
        const NOUN: &str = "block header";
        let mut reader = Reader::new(NOUN, page);
        let mut fields = Reader::new(NOUN, reader.raw(HEADER_FIELDS_LEN - CHECK_LEN)?);
        let covered = fields.rest();
        let sum: [u8; CHECK_LEN] = reader.array()?;
        if fields.array()? != MAGIC {
            return Err(fields.invalid());
        }
        let format = fields.u16()?;
        if format != FORMAT {
            return Err(FormatError::Unknown { noun: "block format", value: format.into() });
        }
        let suite = fields.u8()?;
        if suite != crypt::SUITE || fields.u8()? != 0 {
            return Err(FormatError::Unknown { noun: "block suite", value: suite.into() });
        }
        let header = Self {
            scope: ScopeId::new(fields.array()?),
            epoch: EpochId::new(fields.array()?),
            generation: EpochId::new(fields.array()?),
            nonce: BlockNonce::new(fields.array()?),
            chain: ChainId::new(fields.array()?),
            number: BlockNumber(fields.u64()?),
        };
        let padding = reader.raw(HEADER_LEN - HEADER_FIELDS_LEN)?;
        if hash("block-check", &[covered]).first_chunk() != Some(&sum)
            || padding.iter().any(|byte| *byte != 0)
        {
            return Err(FormatError::Invalid { noun: NOUN });
        }
        Ok(header)
    }

    /// What the first batch names as its previous.
    pub(crate) fn hash(&self) -> [u8; 32] {
        hash("batch", &[&self.encode()])
    }
}

/// An object's place in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexEntry {
    /// Its id.
    pub id: ObjectId,
    /// What it is.
    pub kind: ObjectKind,
    /// Where it lies.
    pub place: Place,
    /// Ordinal in the bundle; `None` when the frame is the object.
    pub item: Option<u16>,
    /// Bytes of the object's cleartext.
    pub plain_len: u32,
}

/// Where a frame lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// First byte of the frame.
    pub offset: u32,
    /// Bytes of the frame, batch headers inside it not counted.
    pub len: u32,
    /// Bytes of the frame before the first batch header inside it; 0 when there is none. Further
    /// headers follow at distances of a full batch.
    pub gap: u32,
}

const INDEX_NOUN: &str = "block index";
const INDEX_VERSION: u8 = 1;
/// A lower bound of an entry's encoding, to bound the count before allocating.
const INDEX_ENTRY_LEN_MIN: usize = 38;
/// An upper bound of an entry's encoding, to reserve room in the block.
pub(crate) const INDEX_ENTRY_LEN_MAX: usize = 32 + 1 + 4 * 4 + 3;

/// The index: entries in log order.
pub(crate) fn encode_index(entries: &[IndexEntry]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(INDEX_VERSION).var(entries.len() as u64);
    let mut last = 0;
    for entry in entries {
        let place = entry.place;
        let step = place.offset.checked_sub(last).expect("entries are in log order");
        last = place.offset;
        out.raw(entry.id.as_bytes()).u8(entry.kind as u8).var(step.into());
        out.var(place.len.into()).var(place.gap.into());
        out.var(entry.item.map_or(0, |item| u64::from(item) + 1)).var(entry.plain_len.into());
    }
    out.finish()
}

pub(crate) fn decode_index(bytes: &[u8]) -> Result<Vec<IndexEntry>, FormatError> {
    let mut reader = Reader::new(INDEX_NOUN, bytes);
    let version = reader.u8()?;
    if version != INDEX_VERSION {
        return Err(FormatError::Unknown { noun: INDEX_NOUN, value: version.into() });
    }
    let count = reader.count(bytes.len() / INDEX_ENTRY_LEN_MIN)?;
    let mut entries = Vec::with_capacity(count);
    let mut last = 0u32;
    for _ in 0..count {
        let id = ObjectId::new(reader.array()?);
        let kind = ObjectKind::try_from(reader.u8()?)?;
        let step = reader.count(BLOCK_LEN_MAX)?;
        let len = small(reader.count(BLOCK_LEN_MAX)?);
        let gap = small(reader.count(BLOCK_LEN_MAX)?);
        let item = reader.count(usize::from(u16::MAX))?;
        let item = item.checked_sub(1).and_then(|item| u16::try_from(item).ok());
        let plain_len = small(reader.count(OBJECT_LEN_MAX)?);
        last = last.saturating_add(small(step));
        if u64::from(last) + u64::from(len) > BLOCK_LEN_MAX as u64 || gap > len {
            return Err(reader.invalid());
        }
        let place = Place { offset: last, len, gap };
        entries.push(IndexEntry { id, kind, place, item, plain_len });
    }
    reader.end()?;
    Ok(entries)
}

/// A value already bounded by [`BLOCK_LEN_MAX`].
pub(crate) fn small(value: usize) -> u32 {
    u32::try_from(value).expect("lengths inside a block fit 32 bits")
}

const TRAILER_MAGIC: [u8; 8] = *b"OUROTRLR";
/// Bytes of the trailer, the last ones that the block root covers.
pub(crate) const TRAILER_LEN: usize = 16;

/// Where the index begins and the bytes it takes with its padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// First byte of the index frame: where the batches end.
    pub offset: u32,
    /// Bytes up to the trailer.
    pub len: u32,
}

impl Trailer {
    pub(crate) fn encode(self) -> [u8; TRAILER_LEN] {
        let mut out = [0; TRAILER_LEN];
        let mut writer = Writer::new();
        writer.raw(&TRAILER_MAGIC).u32(self.offset).u32(self.len);
        out.copy_from_slice(&writer.finish());
        out
    }

    pub(crate) fn decode(bytes: &[u8; TRAILER_LEN]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("block trailer", bytes);
        if reader.array()? != TRAILER_MAGIC {
            return Err(reader.invalid());
        }
        Ok(Self { offset: reader.u32()?, len: reader.u32()? })
    }
}

const TAIL_MAGIC: [u8; 8] = *b"OUROTAIL";
/// Bytes of the tail, the last ones of the file.
pub(crate) const TAIL_LEN: usize = 72;

/// The block's identity, behind what it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Root over the cells before the tail.
    pub root: BlockRoot,
    /// Bytes it covers: whole cells, at most [`BLOCK_LEN_MAX`].
    pub len: u64,
    /// Bytes of parity between the covered bytes and the last tail; none yet.
    pub parity_len: u64,
}

impl Tail {
    pub(crate) fn encode(self) -> [u8; TAIL_LEN] {
        let mut writer = Writer::new();
        writer.raw(&TAIL_MAGIC).raw(self.root.as_bytes()).u64(self.len).u64(self.parity_len);
        let sum = hash("tail-check", &[writer.as_slice()]);
        writer.raw(sum.first_chunk::<CHECK_LEN>().expect("32 bytes hold 16"));
        let mut out = [0; TAIL_LEN];
        out.copy_from_slice(&writer.finish());
        out
    }

    pub(crate) fn decode(bytes: &[u8; TAIL_LEN]) -> Result<Self, FormatError> {
        const NOUN: &str = "block tail";
        let (fields, sum) = bytes.split_at(TAIL_LEN - CHECK_LEN);
        let mut reader = Reader::new(NOUN, fields);
        if reader.array()? != TAIL_MAGIC {
            return Err(reader.invalid());
        }
        let tail = Self {
            root: BlockRoot::new(reader.array()?),
            len: reader.u64()?,
            parity_len: reader.u64()?,
        };
        if hash("tail-check", &[fields]).get(..CHECK_LEN) != Some(sum) {
            return Err(reader.invalid());
        }
        let whole_cells = tail.len.is_multiple_of(CELL_LEN as u64) && tail.len > 0;
        if !whole_cells || tail.len > BLOCK_LEN_MAX as u64 || tail.parity_len != 0 {
            return Err(reader.invalid());
        }
        Ok(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_tails_refuse_every_flipped_bit() {
        let header = BlockHeader {
            scope: ScopeId::new([1; 32]),
            epoch: EpochId::new([2; 32]),
            generation: EpochId::new([3; 32]),
            nonce: BlockNonce::new([4; 16]),
            chain: ChainId::new([5; 32]),
            number: BlockNumber(6),
        };
        let page = header.encode();
        assert_eq!(BlockHeader::decode(&page), Ok(header));
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = page.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(BlockHeader::decode(&flipped).is_err(), "bit {bit}");
        }
        let tail = Tail { root: BlockRoot::new([7; 32]), len: CELL_LEN as u64, parity_len: 0 };
        let bytes = tail.encode();
        assert_eq!(Tail::decode(&bytes), Ok(tail));
        for bit in 0..TAIL_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Tail::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn index_round_trip_and_limits() {
        let entry = |offset, item| IndexEntry {
            id: ObjectId::new([9; 32]),
            kind: ObjectKind::Chunk,
            place: Place { offset, len: 500, gap: 20 },
            item,
            plain_len: 400,
        };
        let entries = [entry(4240, None), entry(4240, Some(0)), entry(9000, Some(65_534))];
        let bytes = encode_index(&entries);
        assert_eq!(decode_index(&bytes).unwrap(), entries);
        assert!(bytes.len() <= 4 + entries.len() * INDEX_ENTRY_LEN_MAX);
        for len in 0..bytes.len() {
            assert!(decode_index(&bytes[..len]).is_err(), "{len}");
        }
        let past = IndexEntry {
            place: Place { offset: small(BLOCK_LEN_MAX) - 499, len: 500, gap: 0 },
            ..entry(0, None)
        };
        assert!(decode_index(&encode_index(&[past])).is_err());
    }
}

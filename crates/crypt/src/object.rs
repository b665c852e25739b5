use model::codec::{Reader, Writer};
use model::limit::{BUNDLE_LEN_MAX, CHUNK_LEN_MAX, OBJECT_LEN_MAX, VERTEX_LEN_MAX};
use model::{FormatError, ObjectId};

use crate::aead::TAG_LEN;

pub(crate) const HEADER_LEN: usize = 42;
pub(crate) const SALT_LEN: usize = 16;
pub(crate) const COMMITMENT_LEN: usize = 32;

/// Bytes of a frame in front of its ciphertext: masked header, salt, commitment.
pub const FRAME_PREFIX_LEN: usize = HEADER_LEN + SALT_LEN + COMMITMENT_LEN;
/// Bytes a frame is longer than its payload.
pub const FRAME_OVERHEAD: usize = FRAME_PREFIX_LEN + TAG_LEN;

const NOUN: &str = "object header";
/// Bytes of a scope's settings at most: with their seal they fit a member record.
const SETTINGS_LEN_MAX: usize = 60 * 1024;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// A piece of content; its id is [`EpochKeys::chunk_hash`](crate::EpochKeys::chunk_hash).
    Chunk = 1,
    /// A list of chunks or lists; its id is
    /// [`EpochKeys::list_hash`](crate::EpochKeys::list_hash).
    List = 2,
    /// A version; its id is `H("vertex", bytes)`.
    Vertex = 3,
    /// Small objects of one batch; its id is block nonce and ordinal.
    Bundle = 4,
    /// The index of a packed block; its id is block nonce and ordinal.
    Index = 5,
    /// Zeros that hide a length; its id is block nonce and ordinal.
    Pad = 6,
    /// The secret of a parent epoch; its id is the parent's.
    KeyHistory = 7,
    /// A scope's settings; its id is `H("settings", bytes)`.
    Settings = 8,
}

impl ObjectKind {
    /// Bytes of cleartext an object of this kind has at most.
    pub const fn plain_len_max(self) -> usize {
        match self {
            Self::Chunk => CHUNK_LEN_MAX,
            Self::Vertex => VERTEX_LEN_MAX,
            Self::Bundle => BUNDLE_LEN_MAX,
            Self::KeyHistory => 32,
            Self::Settings => SETTINGS_LEN_MAX,
            Self::List | Self::Index | Self::Pad => OBJECT_LEN_MAX,
        }
    }
}

impl TryFrom<u8> for ObjectKind {
    type Error = FormatError;

    fn try_from(byte: u8) -> Result<Self, FormatError> {
        Ok(match byte {
            1 => Self::Chunk,
            2 => Self::List,
            3 => Self::Vertex,
            4 => Self::Bundle,
            5 => Self::Index,
            6 => Self::Pad,
            7 => Self::KeyHistory,
            8 => Self::Settings,
            _ => return Err(FormatError::Unknown { noun: "object kind", value: byte.into() }),
        })
    }
}

/// How a payload follows from the cleartext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Compression {
    /// The payload is the cleartext.
    None = 0,
    /// The payload is one Zstandard frame, shorter than the cleartext by at least 1/32.
    Zstd = 1,
}

impl TryFrom<u8> for Compression {
    type Error = FormatError;

    fn try_from(byte: u8) -> Result<Self, FormatError> {
        match byte {
            0 => Ok(Self::None),
            1 => Ok(Self::Zstd),
            _ => Err(FormatError::Unknown { noun: "compression", value: byte.into() }),
        }
    }
}

/// The longest payload for which compression is kept: it must save 1/32.
pub(crate) const fn compressed_len_max(plain_len: usize) -> usize {
    plain_len - plain_len.div_ceil(32)
}

/// What the masked header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectHeader {
    /// What the object is.
    pub kind: ObjectKind,
    /// How its payload follows from the cleartext.
    pub compression: Compression,
    /// Bytes of cleartext.
    pub plain_len: u32,
    /// Bytes of ciphertext, the tag not counted.
    pub payload_len: u32,
    /// The object's id.
    pub obj: ObjectId,
}

impl ObjectHeader {
    /// Bytes of the whole frame.
    pub fn frame_len(&self) -> usize {
        usize_of(self.payload_len).saturating_add(FRAME_OVERHEAD)
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut writer = Writer::over(Vec::with_capacity(HEADER_LEN));
        writer.u8(self.kind as u8).u8(self.compression as u8).u32(self.plain_len);
        writer.u32(self.payload_len).raw(self.obj.as_bytes());
        let mut out = [0; HEADER_LEN];
        out.copy_from_slice(&writer.finish());
        out
    }

    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        let kind = ObjectKind::try_from(reader.u8()?)?;
        let compression = Compression::try_from(reader.u8()?)?;
        let plain_len = reader.u32()?;
        let payload_len = reader.u32()?;
        let obj = ObjectId::new(reader.array()?);
        reader.end()?;
        let limit = kind.plain_len_max();
        let plain = usize_of(plain_len);
        if plain > limit {
            let (value, limit) = (u64::from(plain_len), limit as u64);
            return Err(FormatError::TooLong { noun: NOUN, value, limit });
        }
        let payload = usize_of(payload_len);
        let fits = match compression {
            Compression::None => payload == plain,
            Compression::Zstd => payload > 0 && payload <= compressed_len_max(plain),
        };
        if !fits || (kind == ObjectKind::Pad && compression != Compression::None) {
            return Err(FormatError::Invalid { noun: NOUN });
        }
        Ok(Self { kind, compression, plain_len, payload_len, obj })
    }
}

/// Saturates where `usize` is narrower than 32 bits, which every limit then refuses.
pub(crate) fn usize_of(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: ObjectKind, compression: Compression, plain: u32, payload: u32) -> bool {
        let obj = ObjectId::new([9; 32]);
        let header =
            ObjectHeader { kind, compression, plain_len: plain, payload_len: payload, obj };
        let decoded = ObjectHeader::decode(&header.encode());
        decoded.inspect(|back| assert_eq!(*back, header)).is_ok()
    }

    #[test]
    fn lengths_are_refused_one_past_the_limit() {
        use ObjectKind::*;
        for kind in [Chunk, List, Vertex, Bundle, Index, Pad, KeyHistory] {
            let max = u32::try_from(kind.plain_len_max()).unwrap();
            assert!(header(kind, Compression::None, max, max));
            assert!(header(kind, Compression::None, 0, 0));
            assert!(!header(kind, Compression::None, max + 1, max + 1));
            assert!(!header(kind, Compression::None, max, max - 1));
        }
    }

    #[test]
    fn compression_must_save_a_thirty_second() {
        assert!(header(ObjectKind::Chunk, Compression::Zstd, 3200, 3100));
        assert!(!header(ObjectKind::Chunk, Compression::Zstd, 3200, 3101));
        assert!(!header(ObjectKind::Chunk, Compression::Zstd, 3200, 0));
        assert!(!header(ObjectKind::Chunk, Compression::Zstd, 0, 0));
        assert!(!header(ObjectKind::Pad, Compression::Zstd, 3200, 3100));
    }

    #[test]
    fn unknown_kinds_and_compressions_are_refused() {
        let good = ObjectHeader {
            kind: ObjectKind::Chunk,
            compression: Compression::None,
            plain_len: 5,
            payload_len: 5,
            obj: ObjectId::new([1; 32]),
        };
        for (at, value) in [(0, 0), (0, 9), (0, 255), (1, 2), (1, 255)] {
            let mut bytes = good.encode();
            bytes[at] = value;
            assert!(ObjectHeader::decode(&bytes).is_err(), "{at} {value}");
        }
    }
}

use crate::codec::{Reader, Writer};
use crate::limit::{LIST_DEPTH_MAX, LIST_ENTRIES_MAX};
use crate::vertex::{ChunkEntry, decode_entries, encode_entries};
use crate::{FormatError, ListHash};

const NOUN: &str = "list";

/// A node of the tree of lists under a long content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// Level 0: chunks in order.
    Chunks(Vec<ChunkEntry>),
    /// Level 1 and up: lists of one level less, in order, with the content length below each.
    Lists {
        /// 1 to [`LIST_DEPTH_MAX`].
        level: u8,
        /// At most [`LIST_ENTRIES_MAX`].
        entries: Vec<(ListHash, u64)>,
    },
}

impl List {
    /// Canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Self::Chunks(entries) => {
                out.u8(0);
                encode_entries(entries, &mut out);
            }
            Self::Lists { level, entries } => {
                out.u8(*level).var(entries.len() as u64);
                for (hash, len) in entries {
                    out.raw(hash.as_bytes()).u64(*len);
                }
            }
        }
        out.finish()
    }

    /// Parses a canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        let list = match reader.u8()? {
            0 => Self::Chunks(decode_entries(&mut reader)?),
            level if level <= LIST_DEPTH_MAX => {
                let count = reader.count(LIST_ENTRIES_MAX)?;
                let mut entries = Vec::with_capacity(count.min(1024));
                for _ in 0..count {
                    entries.push((ListHash::new(reader.array()?), reader.u64()?));
                }
                Self::Lists { level, entries }
            }
            level => return Err(FormatError::Unknown { noun: "list level", value: level.into() }),
        };
        reader.end()?;
        if list.is_empty() {
            return Err(FormatError::NotCanonical { noun: NOUN });
        }
        Ok(list)
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Chunks(entries) => entries.is_empty(),
            Self::Lists { entries, .. } => entries.is_empty(),
        }
    }
}

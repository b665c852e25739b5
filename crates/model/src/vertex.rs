use crate::codec::{Reader, Writer};
use crate::hash::hash;
use crate::limit::{INLINE_LEN_MAX, LIST_ENTRIES_MAX, NAME_LEN_MAX, PARENTS_MAX, VERTEX_LEN_MAX};
use crate::meta::Meta;
use crate::{ChunkHash, EpochId, FormatError, GroupId, ListHash, Name, UserId, VertexHash};

const NOUN: &str = "vertex";
const VERSION: u8 = 1;

/// Hybrid logical clock: nanoseconds since 1970 where the wall allows, else one more than the
/// greatest parent's. Shown, never trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc(pub u64);

/// One chunk of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk.
    pub hash: ChunkHash,
    /// Its cleartext length in bytes, 1 to [`crate::limit::CHUNK_LEN_MAX`].
    pub len: u32,
}

/// Where the bytes of a version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In the vertex: at most [`INLINE_LEN_MAX`] bytes.
    Inline(Vec<u8>),
    /// A list of chunks, in order.
    Chunks {
        /// Epoch whose dedup key made the hashes.
        generation: EpochId,
        /// At most [`LIST_ENTRIES_MAX`].
        entries: Vec<ChunkEntry>,
    },
    /// A tree of lists ([`crate::List`]) for longer content.
    Lists {
        /// Epoch whose dedup key made the hashes.
        generation: EpochId,
        /// The root list.
        root: ListHash,
        /// Total cleartext length in bytes.
        len: u64,
    },
}

impl Content {
    /// No bytes.
    pub const EMPTY: Self = Self::Inline(Vec::new());

    /// Cleartext length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Chunks { entries, .. } => entries.iter().map(|entry| u64::from(entry.len)).sum(),
            Self::Lists { len, .. } => *len,
        }
    }

    /// True when there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Inline(bytes) => {
                out.u8(0).bytes(bytes);
            }
            Self::Chunks { generation, entries } => {
                out.u8(1).raw(generation.as_bytes());
                encode_entries(entries, out);
            }
            Self::Lists { generation, root, len } => {
                out.u8(2).raw(generation.as_bytes()).raw(root.as_bytes()).u64(*len);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        match reader.u8()? {
            0 => Ok(Self::Inline(reader.bytes(INLINE_LEN_MAX)?.to_vec())),
            1 => {
                let generation = EpochId::new(reader.array()?);
                let entries = decode_entries(reader)?;
                if entries.is_empty() {
                    return Err(FormatError::NotCanonical { noun: NOUN });
                }
                Ok(Self::Chunks { generation, entries })
            }
            2 => Ok(Self::Lists {
                generation: EpochId::new(reader.array()?),
                root: ListHash::new(reader.array()?),
                len: reader.u64()?,
            }),
            tag => Err(FormatError::Unknown { noun: "vertex content", value: tag.into() }),
        }
    }
}

pub(crate) fn encode_entries(entries: &[ChunkEntry], out: &mut Writer) {
    out.var(entries.len() as u64);
    for entry in entries {
        out.raw(entry.hash.as_bytes()).u32(entry.len);
    }
}

pub(crate) fn decode_entries(reader: &mut Reader<'_>) -> Result<Vec<ChunkEntry>, FormatError> {
    const ENTRY_LEN: usize = 36;
    let count = reader.count(LIST_ENTRIES_MAX)?;
    let mut fields = Reader::new(NOUN, reader.raw(count * ENTRY_LEN)?);
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = ChunkEntry { hash: ChunkHash::new(fields.array()?), len: fields.u32()? };
        if entry.len == 0 || u64::from(entry.len) > crate::limit::CHUNK_LEN_MAX as u64 {
            return Err(reader.invalid());
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// One version of something: immutable, sealed, known by the hash of its canonical encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// Makes the hash unguessable to who lacks the epoch; set by [`Vertex::blinded`].
    pub blind: [u8; 16],
    /// Versions this one follows, sorted, distinct, at most [`PARENTS_MAX`].
    pub parents: Vec<VertexHash>,
    /// One more than the greatest parent's, 0 without parents.
    pub depth: u64,
    /// The name it is a version of, if any.
    pub name: Option<Name>,
    /// When it was made, as its author says.
    pub hlc: Hlc,
    /// Who made it.
    pub author: UserId,
    /// Becomes visible with the vertex that closes this group; [`GroupId::NONE`] = at once.
    pub group: GroupId,
    /// The group that becomes visible with this vertex.
    pub closes: GroupId,
    /// The bytes.
    pub content: Content,
    /// What is known about the bytes.
    pub meta: Meta,
}

/// Most versions have so many bytes besides an inline content, or fewer.
const LEN_USUAL: usize = 256;

impl Vertex {
    /// Canonical encoding: what is hashed and sealed.
    pub fn encode(&self) -> Vec<u8> {
        let inline_len = match &self.content {
            Content::Inline(bytes) => bytes.len(),
            Content::Chunks { .. } | Content::Lists { .. } => 0,
        };
        let mut out = Writer::over(Vec::with_capacity(inline_len + LEN_USUAL));
        out.u8(VERSION).raw(&self.blind).var(self.parents.len() as u64);
        for parent in &self.parents {
            out.raw(parent.as_bytes());
        }
        out.u64(self.depth);
        out.bytes(self.name.as_ref().map_or(&[], |name| name.as_str().as_bytes()));
        out.u64(self.hlc.0).raw(self.author.as_bytes());
        encode_group(self.group, &mut out);
        encode_group(self.closes, &mut out);
        self.content.encode(&mut out);
        self.meta.encode(&mut out);
        out.finish()
    }

    /// Parses a canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        if bytes.len() > VERTEX_LEN_MAX {
            let value = bytes.len() as u64;
            return Err(FormatError::TooLong { noun: NOUN, value, limit: VERTEX_LEN_MAX as u64 });
        }
        let mut reader = Reader::new(NOUN, bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(FormatError::Unknown { noun: "vertex version", value: version.into() });
        }
        let blind = reader.array()?;
        let parents = decode_parents(&mut reader)?;
        let depth = reader.u64()?;
        if parents.is_empty() != (depth == 0) {
            return Err(reader.invalid());
        }
        let vertex = Self {
            blind,
            parents,
            depth,
            name: decode_name(&mut reader)?,
            hlc: Hlc(reader.u64()?),
            author: UserId::new(reader.array()?),
            group: decode_group(&mut reader)?,
            closes: decode_group(&mut reader)?,
            content: Content::decode(&mut reader)?,
            meta: Meta::decode(&mut reader)?,
        };
        reader.end()?;
        Ok(vertex)
    }

    /// Sets the blind to what `blind_of` makes of the encoding with a zero blind.
    #[must_use]
    pub fn blinded(mut self, blind_of: impl FnOnce(&[u8]) -> [u8; 16]) -> Self {
        self.parents.sort_unstable();
        self.parents.dedup();
        self.blind = [0; 16];
        self.blind = blind_of(&self.encode());
        self
    }

    /// `H("vertex", encoding)`.
    pub fn hash(&self) -> VertexHash {
        Self::hash_of(&self.encode())
    }

    /// The hash of an encoding.
    pub fn hash_of(encoded: &[u8]) -> VertexHash {
        VertexHash::new(hash("vertex", &[encoded]))
    }
}

/// One byte 0 for none, else 1 and the 16 bytes: most vertices have no group.
fn encode_group(group: GroupId, out: &mut Writer) {
    if group == GroupId::NONE {
        out.u8(0);
    } else {
        out.u8(1).raw(group.as_bytes());
    }
}

fn decode_group(reader: &mut Reader<'_>) -> Result<GroupId, FormatError> {
    match reader.u8()? {
        0 => Ok(GroupId::NONE),
        1 => match GroupId::new(reader.array()?) {
            GroupId::NONE => Err(FormatError::NotCanonical { noun: NOUN }),
            group => Ok(group),
        },
        tag => Err(FormatError::Unknown { noun: "vertex group", value: tag.into() }),
    }
}

fn decode_parents(reader: &mut Reader<'_>) -> Result<Vec<VertexHash>, FormatError> {
    let count = reader.count(PARENTS_MAX)?;
    let mut parents = Vec::with_capacity(count);
    for _ in 0..count {
        let parent = VertexHash::new(reader.array()?);
        if parents.last().is_some_and(|last| *last >= parent) {
            return Err(FormatError::NotCanonical { noun: NOUN });
        }
        parents.push(parent);
    }
    Ok(parents)
}

fn decode_name(reader: &mut Reader<'_>) -> Result<Option<Name>, FormatError> {
    let bytes = reader.bytes(NAME_LEN_MAX)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| FormatError::Invalid { noun: "name" })?;
    Name::new(text).map(Some)
}

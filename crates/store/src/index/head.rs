use model::codec::{Reader, Writer};
use model::{FormatError, Hlc, VertexHash};

/// Heads one name can have: what one index value holds. Further concurrent versions are refused at
/// the write, never dropped.
pub const HEADS_MAX: usize = 1000;

/// A head of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadEntry {
    /// The version.
    pub hash: VertexHash,
    /// Its depth in the graph.
    pub depth: u64,
    /// When, as its author says.
    pub hlc: Hlc,
    /// Content length in bytes.
    pub len: u64,
    /// True when it deletes.
    pub is_tombstone: bool,
}

impl HeadEntry {
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.raw(self.hash.as_bytes()).var(self.depth).u64(self.hlc.0).var(self.len);
        out.u8(self.is_tombstone.into());
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            hash: VertexHash::new(reader.array()?),
            depth: reader.var()?,
            hlc: Hlc(reader.u64()?),
            len: reader.var()?,
            is_tombstone: reader.u8()? != 0,
        })
    }
}

pub(crate) fn encode_heads(heads: &[HeadEntry]) -> Vec<u8> {
    let mut out = Writer::new();
    heads.iter().for_each(|head| head.encode(&mut out));
    out.finish()
}

pub(crate) fn decode_heads(bytes: &[u8]) -> Result<Vec<HeadEntry>, FormatError> {
    let mut reader = Reader::new("heads", bytes);
    let mut heads = Vec::new();
    while !reader.rest().is_empty() {
        heads.push(HeadEntry::decode(&mut reader)?);
    }
    Ok(heads)
}

use crypt::{ObjectHeader, ObjectKind};
use model::{ObjectId, Vertex, VertexHash};

use crate::block::{IndexEntry, Place};

/// A sealed object on its way into the log.
#[derive(Debug)]
pub struct SealedObject {
    /// What the frame's masked header says.
    pub header: ObjectHeader,
    /// The whole masked frame.
    pub frame: Vec<u8>,
    /// The items of a bundle, in order; empty for everything else.
    pub members: Vec<BundleMember>,
    /// The versions it holds: itself, or those in the bundle, in order.
    pub vertices: Vec<(VertexHash, Vertex)>,
}

/// One item of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleMember {
    /// Its id.
    pub id: ObjectId,
    /// What it is.
    pub kind: ObjectKind,
    /// Bytes of its cleartext.
    pub len: u32,
}

impl SealedObject {
    /// Index entries this object takes.
    pub(crate) fn entry_count(&self) -> usize {
        self.members.len().max(1)
    }

    /// What the index says once the frame lies at `place`.
    pub(crate) fn entries(&self, place: Place) -> impl Iterator<Item = IndexEntry> + '_ {
        let single = self.members.is_empty().then_some(IndexEntry {
            id: self.header.obj,
            kind: self.header.kind,
            place,
            item: None,
            plain_len: self.header.plain_len,
        });
        let members = (0u16..).zip(&self.members).map(move |(item, member)| IndexEntry {
            id: member.id,
            kind: member.kind,
            place,
            item: Some(item),
            plain_len: member.len,
        });
        single.into_iter().chain(members)
    }
}

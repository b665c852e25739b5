//! What follows from a version: parent edges, heads of its name, groups, the change feed. The same
//! code runs for a put, at open, and when the index is rebuilt; folding twice changes nothing.

use std::collections::BTreeMap;

use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{
    BlockNumber, Content, FormatError, GroupId, Kind, Name, ObjectId, UserId, Vertex, VertexHash,
};

use super::head::{HEADS_MAX, HeadEntry, decode_heads, encode_heads};
use super::{Counts, Entries, LocalIndex, Location, key, malformed};
use crate::block::Place;
use crate::error::StoreError;
use crate::object::SealedObject;

/// Entries collected over an index, readable before they are in it.
pub(crate) struct Changes<'a> {
    index: &'a LocalIndex,
    entries: Entries,
    counts: Counts,
}

/// A version as far as showing it needs.
struct Shown {
    hash: VertexHash,
    name: Option<Name>,
    parents: Vec<VertexHash>,
    head: HeadEntry,
}

impl<'a> Changes<'a> {
    pub(super) fn new(index: &'a LocalIndex, counts: Counts) -> Self {
        Self { index, entries: BTreeMap::new(), counts }
    }

    pub(super) fn finish(self) -> (Entries, Counts) {
        (self.entries, self.counts)
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.entries.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.index.lookup(key),
        }
    }

    fn set(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.entries.insert(key, Some(value));
    }

    /// Entries under a prefix, those collected here over those in the index.
    fn under(&self, prefix: &[u8]) -> Result<Entries, StoreError> {
        let mut found: Entries = self
            .index
            .page(prefix, prefix, usize::MAX / 2)?
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        let ours = self.entries.range(prefix.to_vec()..);
        for (key, value) in ours.take_while(|(key, _)| key.starts_with(prefix)) {
            found.insert(key.clone(), value.clone());
        }
        found.retain(|_, value| value.is_some());
        Ok(found)
    }

    /// Takes a durable object: its places, then its versions.
    pub(crate) fn object(
        &mut self,
        block: BlockNumber,
        place: Place,
        object: &SealedObject,
    ) -> Result<(), StoreError> {
        let mut new_vertices = Vec::new();
        for entry in object.entries(place) {
            let location = Location::new(block, &entry);
            let is_new = self.place(&entry.id, &location)?;
            if is_new && entry.kind == crypt::ObjectKind::Chunk {
                let payload_len = match entry.item {
                    None => object.header.payload_len,
                    Some(_) => entry.plain_len,
                };
                self.counts.bytes_unique += u64::from(entry.plain_len);
                self.counts.bytes_payload += u64::from(payload_len);
            }
            if is_new && entry.kind == crypt::ObjectKind::Vertex {
                new_vertices.push((entry.id, location));
            }
        }
        for (hash, vertex) in &object.vertices {
            let id = ObjectId::from(*hash);
            if let Some((_, location)) = new_vertices.iter().find(|(new, _)| *new == id) {
                self.vertex(*hash, vertex, location)?;
            }
        }
        Ok(())
    }

    /// Records where an object lies; false when it was known before, here or elsewhere.
    fn place(&mut self, id: &ObjectId, location: &Location) -> Result<bool, StoreError> {
        let key = key::object(id);
        let known = self.lookup(&key)?;
        let value = location.encode();
        if known.as_ref() != Some(&value) {
            self.set(key, value);
        }
        self.counts.objects += u64::from(known.is_none());
        Ok(known.is_none())
    }

    fn vertex(
        &mut self,
        hash: VertexHash,
        vertex: &Vertex,
        location: &Location,
    ) -> Result<(), StoreError> {
        self.counts.vertices += 1;
        self.counts.bytes_content += vertex.content.len();
        if let Content::Inline(bytes) = &vertex.content {
            self.counts.bytes_unique += bytes.len() as u64;
            self.counts.bytes_payload += bytes.len() as u64;
        }
        let tag = name_tag(vertex.name.as_ref());
        for parent in &vertex.parents {
            self.set(key::child(parent, &hash), tag.to_vec());
        }
        let shown = Shown::new(hash, vertex);
        let mut feed = Feed { position: location.position(), ordinal: 0 };
        if vertex.closes != GroupId::NONE {
            self.close(&vertex.closes, &vertex.author, &mut feed)?;
        }
        if vertex.group == GroupId::NONE
            || self.lookup(&key::closed_by(&vertex.group, &vertex.author))?.is_some()
        {
            return self.show(&shown, &mut feed);
        }
        self.set(key::member(&hash), vertex.group.as_bytes().to_vec());
        self.set(key::pending_member(&vertex.group, &hash), shown.encode(&vertex.author));
        Ok(())
    }

    /// Shows the members of a group that its author closed.
    fn close(
        &mut self,
        group: &GroupId,
        author: &UserId,
        feed: &mut Feed,
    ) -> Result<(), StoreError> {
        self.set(key::closed_by(group, author), Vec::new());
        for (key, value) in self.under(&key::pending(group))? {
            let value = value.unwrap_or_default();
            let (by, shown) = Shown::decode(&value).map_err(malformed)?;
            if by != *author {
                continue;
            }
            self.entries.insert(key::member(&shown.hash), None);
            self.entries.insert(key, None);
            self.show(&shown, feed)?;
        }
        Ok(())
    }

    /// Makes a version visible: in the feed, and among the heads of its name.
    fn show(&mut self, shown: &Shown, feed: &mut Feed) -> Result<(), StoreError> {
        let name_bytes = shown.name.as_ref().map_or(&[][..], |name| name.as_str().as_bytes());
        self.set(feed.next(), [shown.hash.as_bytes(), name_bytes].concat());
        let Some(name) = &shown.name else { return Ok(()) };
        let key = key::name(name);
        let known = self.lookup(&key)?;
        let mut heads = match &known {
            Some(value) => decode_heads(value).map_err(malformed)?,
            None => Vec::new(),
        };
        heads.retain(|head| !shown.parents.contains(&head.hash));
        if !self.has_visible_child(shown, name)? && heads.len() < HEADS_MAX {
            heads.push(shown.head);
        }
        self.counts.names += u64::from(known.is_none());
        self.set(key, encode_heads(&heads));
        Ok(())
    }

    /// True when a visible version of the same name lists this one as a parent: versions can become
    /// known in any order.
    fn has_visible_child(&self, shown: &Shown, name: &Name) -> Result<bool, StoreError> {
        let prefix = key::children(&shown.hash);
        let tag = name_tag(Some(name));
        for (key, value) in self.under(&prefix)? {
            if value.as_deref() != Some(&tag[..]) {
                continue;
            }
            let child = key.get(prefix.len()..).and_then(|child| child.try_into().ok());
            let child = VertexHash::new(child.ok_or_else(|| malformed(key::invalid()))?);
            if self.lookup(&key::member(&child))?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Places in the change feed: that of the version that made the change visible, then a count.
struct Feed {
    position: [u8; 14],
    ordinal: u32,
}

impl Feed {
    fn next(&mut self) -> Vec<u8> {
        let key = key::feed(&[&self.position[..], &self.ordinal.to_be_bytes()].concat());
        self.ordinal = self.ordinal.saturating_add(1);
        key
    }
}

fn name_tag(name: Option<&Name>) -> [u8; 8] {
    name.map_or([0; 8], |name| {
        let digest = hash("name-tag", &[name.as_str().as_bytes()]);
        *digest.first_chunk().expect("32 bytes hold 8")
    })
}

impl Shown {
    fn new(hash: VertexHash, vertex: &Vertex) -> Self {
        let head = HeadEntry {
            hash,
            depth: vertex.depth,
            hlc: vertex.hlc,
            len: vertex.content.len(),
            is_tombstone: vertex.meta.kind == Kind::Tombstone,
        };
        Self { hash, name: vertex.name.clone(), parents: vertex.parents.clone(), head }
    }

    fn encode(&self, author: &UserId) -> Vec<u8> {
        let mut out = Writer::new();
        out.raw(author.as_bytes());
        self.head.encode(&mut out);
        out.bytes(self.name.as_ref().map_or(&[], |name| name.as_str().as_bytes()));
        for parent in &self.parents {
            out.raw(parent.as_bytes());
        }
        out.finish()
    }

    fn decode(bytes: &[u8]) -> Result<(UserId, Self), FormatError> {
        let mut reader = Reader::new("pending version", bytes);
        let author = UserId::new(reader.array()?);
        let head = HeadEntry::decode(&mut reader)?;
        let name = match reader.bytes(model::limit::NAME_LEN_MAX)? {
            [] => None,
            name => Some(Name::new(core::str::from_utf8(name).map_err(|_| reader.invalid())?)?),
        };
        let mut parents = Vec::new();
        while !reader.rest().is_empty() {
            parents.push(VertexHash::new(reader.array()?));
        }
        Ok((author, Self { hash: head.hash, name, parents, head }))
    }
}

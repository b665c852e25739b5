//! Keys of the index: one tag byte, then fixed-width ids or a name.

use model::codec::Reader;
use model::{FormatError, GroupId, Name, ObjectId, VertexHash};

const OBJECT: u8 = b'o';
const NAME: u8 = b'n';
const CHILD: u8 = b'c';
const PENDING: u8 = b'p';
const MEMBER: u8 = b'm';
const CLOSED: u8 = b'g';
const FEED: u8 = b'f';
const CACHE: u8 = b'k';

fn key(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(tag);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// -> [`super::Location`].
pub(super) fn object(id: &ObjectId) -> Vec<u8> {
    key(OBJECT, &[id.as_bytes()])
}

pub(super) fn objects() -> Vec<u8> {
    vec![OBJECT]
}

/// -> heads.
pub(super) fn name(name: &Name) -> Vec<u8> {
    name_prefix(name.as_str())
}

pub(super) fn name_prefix(prefix: &str) -> Vec<u8> {
    key(NAME, &[prefix.as_bytes()])
}

pub(super) fn name_of(key: &[u8]) -> Result<Name, FormatError> {
    let text = key.get(1..).and_then(|bytes| core::str::from_utf8(bytes).ok());
    Name::new(text.ok_or_else(invalid)?)
}

/// -> the child's name tag: 8 bytes of a hash of its name, zero without a name.
pub(super) fn child(parent: &VertexHash, child: &VertexHash) -> Vec<u8> {
    key(CHILD, &[parent.as_bytes(), child.as_bytes()])
}

pub(super) fn children(parent: &VertexHash) -> Vec<u8> {
    key(CHILD, &[parent.as_bytes()])
}

/// -> what showing the member needs.
pub(super) fn pending_member(group: &GroupId, vertex: &VertexHash) -> Vec<u8> {
    key(PENDING, &[group.as_bytes(), vertex.as_bytes()])
}

pub(super) fn pending(group: &GroupId) -> Vec<u8> {
    key(PENDING, &[group.as_bytes()])
}

/// -> the open group the version waits in.
pub(super) fn member(vertex: &VertexHash) -> Vec<u8> {
    key(MEMBER, &[vertex.as_bytes()])
}

/// The author is part of the key: a group is closed by its own author only.
pub(super) fn closed_by(group: &GroupId, author: &model::UserId) -> Vec<u8> {
    key(CLOSED, &[group.as_bytes(), author.as_bytes()])
}

pub(super) fn closed(group: &GroupId) -> Vec<u8> {
    key(CLOSED, &[group.as_bytes()])
}

/// -> hash and name of what became visible.
pub(super) fn feed(position: &[u8]) -> Vec<u8> {
    key(FEED, &[position])
}

pub(super) fn feed_entry(
    key: &[u8],
    value: &[u8],
) -> Result<(Vec<u8>, VertexHash, Option<Name>), FormatError> {
    let cursor = key.get(1..).ok_or_else(invalid)?.to_vec();
    let mut reader = Reader::new("feed entry", value);
    let hash = VertexHash::new(reader.array()?);
    let name = match reader.rest() {
        [] => None,
        bytes => Some(Name::new(core::str::from_utf8(bytes).map_err(|_| invalid())?)?),
    };
    Ok((cursor, hash, name))
}

pub(super) fn cache(key_bytes: &[u8]) -> Vec<u8> {
    key(CACHE, &[key_bytes])
}

pub(super) const fn invalid() -> FormatError {
    FormatError::Invalid { noun: "index key" }
}

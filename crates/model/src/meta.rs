//! Metadata of a version, its limits and canonical form.

use std::collections::BTreeMap;

use crate::FormatError;
use crate::codec::{Reader, Writer};
use crate::limit::META_LEN_MAX;

const NOUN: &str = "metadata";
/// Bytes of one extended attribute's name (Linux: 255).
pub const XATTR_NAME_LEN_MAX: usize = 255;
/// Bytes of one extended attribute's value (Linux: 64 KiB).
pub const XATTR_VALUE_LEN_MAX: usize = 64 * 1024;
/// Bytes of a version's message.
pub const MESSAGE_LEN_MAX: usize = 16 * 1024;
/// Bytes of a symlink's target.
pub const TARGET_LEN_MAX: usize = 4096;
/// Holes kept of one sparse file; further ones are stored as zeros.
pub const HOLES_MAX: usize = 4096;
/// Extended attributes or user fields of one vertex.
pub const FIELDS_MAX: usize = 1024;

/// What a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Kind {
    /// Bytes put by a program or through stdin.
    #[default]
    Blob = 0,
    /// A file of a filesystem.
    File = 1,
    /// A folder of a filesystem.
    Folder = 2,
    /// A symbolic link; its target is in [`Meta::target`].
    Symlink = 3,
    /// The root of a stored folder: its content lists sorted (path, vertex hash).
    Tree = 4,
    /// Deletes what it has as parents.
    Tombstone = 5,
}

/// Seconds and nanoseconds since 1970; seconds may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileTime {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

/// Owner and group as the filesystem numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A run of zero bytes that is not on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// First byte.
    pub offset: u64,
    /// Bytes, at least 1.
    pub len: u64,
}

/// What is known about a version's bytes. Absent fields cost nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, 0 to 0o7777.
    pub mode: Option<u16>,
    /// Last change of the content.
    pub modified: Option<FileTime>,
    /// Owner and group.
    pub owner: Option<Owner>,
    /// Symlink target, any bytes without NUL.
    pub target: Option<Vec<u8>>,
    /// Sparse runs, ascending, apart from each other.
    pub holes: Vec<Hole>,
    /// The same for all hard links of one file in a tree (made of the first path); 0 = no hard link.
    pub link: u64,
    /// Extended attributes.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the author says of this version.
    pub message: Option<String>,
    /// Media type of the content.
    pub media_type: Option<String>,
    /// Fields of the user's program.
    pub fields: BTreeMap<String, Vec<u8>>,
}

const TAG_MODE: u8 = 1;
const TAG_MODIFIED: u8 = 2;
const TAG_OWNER: u8 = 3;
const TAG_TARGET: u8 = 4;
const TAG_HOLES: u8 = 5;
const TAG_LINK: u8 = 6;
const TAG_XATTRS: u8 = 7;
const TAG_MESSAGE: u8 = 8;
const TAG_MEDIA_TYPE: u8 = 9;
const TAG_FIELDS: u8 = 10;

impl Meta {
    /// Canonical: kind, then present fields in ascending tag order, ended by tag 0.
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.u8(self.kind as u8);
        if let Some(mode) = self.mode {
            out.u8(TAG_MODE).u16(mode);
        }
        if let Some(modified) = self.modified {
            out.u8(TAG_MODIFIED).raw(&modified.seconds.to_le_bytes()).u32(modified.nanos);
        }
        if let Some(owner) = self.owner {
            out.u8(TAG_OWNER).u32(owner.uid).u32(owner.gid);
        }
        if let Some(target) = &self.target {
            out.u8(TAG_TARGET).bytes(target);
        }
        if !self.holes.is_empty() {
            out.u8(TAG_HOLES).var(self.holes.len() as u64);
            for hole in &self.holes {
                out.var(hole.offset).var(hole.len);
            }
        }
        if self.link != 0 {
            out.u8(TAG_LINK).var(self.link);
        }
        if !self.xattrs.is_empty() {
            out.u8(TAG_XATTRS).var(self.xattrs.len() as u64);
            self.xattrs.iter().for_each(|(name, value)| {
                out.bytes(name).bytes(value);
            });
        }
        if let Some(message) = &self.message {
            out.u8(TAG_MESSAGE).bytes(message.as_bytes());
        }
        if let Some(media_type) = &self.media_type {
            out.u8(TAG_MEDIA_TYPE).bytes(media_type.as_bytes());
        }
        if !self.fields.is_empty() {
            out.u8(TAG_FIELDS).var(self.fields.len() as u64);
            self.fields.iter().for_each(|(name, value)| {
                out.bytes(name.as_bytes()).bytes(value);
            });
        }
        out.u8(0);
    }

    /// Encoded length in bytes; at most [`META_LEN_MAX`] may be stored.
    pub fn encoded_len(&self) -> usize {
        let mut out = Writer::new();
        self.encode(&mut out);
        out.len()
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        if reader.rest().len() > META_LEN_MAX {
            let value = reader.rest().len() as u64;
            return Err(FormatError::TooLong { noun: NOUN, value, limit: META_LEN_MAX as u64 });
        }
        let mut meta = Self { kind: decode_kind(reader.u8()?)?, ..Self::default() };
        let mut last = 0;
        loop {
            let tag = reader.u8()?;
            if tag == 0 {
                return Ok(meta);
            }
            if tag <= last {
                return Err(FormatError::NotCanonical { noun: NOUN });
            }
            last = tag;
            meta.decode_field(tag, reader)?;
        }
    }

    fn decode_field(&mut self, tag: u8, reader: &mut Reader<'_>) -> Result<(), FormatError> {
        match tag {
            TAG_MODE => self.mode = Some(decode_mode(reader)?),
            TAG_MODIFIED => self.modified = Some(decode_time(reader)?),
            TAG_OWNER => self.owner = Some(Owner { uid: reader.u32()?, gid: reader.u32()? }),
            TAG_TARGET => self.target = Some(decode_target(reader)?),
            TAG_HOLES => self.holes = decode_holes(reader)?,
            TAG_LINK => match reader.var()? {
                0 => return Err(FormatError::NotCanonical { noun: NOUN }),
                link => self.link = link,
            },
            TAG_XATTRS => {
                self.xattrs = decode_map(reader, |reader| {
                    let name = reader.bytes(XATTR_NAME_LEN_MAX)?.to_vec();
                    Ok((name, reader.bytes(XATTR_VALUE_LEN_MAX)?.to_vec()))
                })?;
            }
            TAG_MESSAGE => self.message = Some(decode_text(reader, MESSAGE_LEN_MAX)?),
            TAG_MEDIA_TYPE => self.media_type = Some(decode_text(reader, XATTR_NAME_LEN_MAX)?),
            TAG_FIELDS => {
                self.fields = decode_map(reader, |reader| {
                    let name = decode_text(reader, XATTR_NAME_LEN_MAX)?;
                    Ok((name, reader.bytes(XATTR_VALUE_LEN_MAX)?.to_vec()))
                })?;
            }
            tag => return Err(FormatError::Unknown { noun: NOUN, value: tag.into() }),
        }
        Ok(())
    }
}

fn decode_kind(value: u8) -> Result<Kind, FormatError> {
    Ok(match value {
        0 => Kind::Blob,
        1 => Kind::File,
        2 => Kind::Folder,
        3 => Kind::Symlink,
        4 => Kind::Tree,
        5 => Kind::Tombstone,
        value => return Err(FormatError::Unknown { noun: "kind", value: value.into() }),
    })
}

fn decode_mode(reader: &mut Reader<'_>) -> Result<u16, FormatError> {
    let mode = reader.u16()?;
    if mode > 0o7777 { Err(reader.invalid()) } else { Ok(mode) }
}

fn decode_time(reader: &mut Reader<'_>) -> Result<FileTime, FormatError> {
    let time = FileTime { seconds: i64::from_le_bytes(reader.array()?), nanos: reader.u32()? };
    if time.nanos > 999_999_999 { Err(reader.invalid()) } else { Ok(time) }
}

fn decode_target(reader: &mut Reader<'_>) -> Result<Vec<u8>, FormatError> {
    let target = reader.bytes(TARGET_LEN_MAX)?;
    if target.is_empty() || target.contains(&0) {
        return Err(reader.invalid());
    }
    Ok(target.to_vec())
}

fn decode_holes(reader: &mut Reader<'_>) -> Result<Vec<Hole>, FormatError> {
    let count = reader.count(HOLES_MAX)?;
    let mut holes = Vec::with_capacity(count);
    let mut end = 0;
    for i in 0..count {
        let hole = Hole { offset: reader.var()?, len: reader.var()? };
        let touches = i > 0 && hole.offset <= end;
        let Some(next) = hole.offset.checked_add(hole.len) else { return Err(reader.invalid()) };
        if touches || hole.len == 0 {
            return Err(reader.invalid());
        }
        end = next;
        holes.push(hole);
    }
    if holes.is_empty() { Err(FormatError::NotCanonical { noun: NOUN }) } else { Ok(holes) }
}

fn decode_text(reader: &mut Reader<'_>, limit: usize) -> Result<String, FormatError> {
    let bytes = reader.bytes(limit)?;
    core::str::from_utf8(bytes).map(String::from).map_err(|_| reader.invalid())
}

/// A sorted map without equal keys; empty maps are not encoded.
fn decode_map<'a, K: Ord>(
    reader: &mut Reader<'a>,
    mut entry: impl FnMut(&mut Reader<'a>) -> Result<(K, Vec<u8>), FormatError>,
) -> Result<BTreeMap<K, Vec<u8>>, FormatError> {
    let count = reader.count(FIELDS_MAX)?;
    let mut map = BTreeMap::new();
    for _ in 0..count {
        let (key, value) = entry(reader)?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(FormatError::NotCanonical { noun: NOUN });
        }
        map.insert(key, value);
    }
    if map.is_empty() { Err(FormatError::NotCanonical { noun: NOUN }) } else { Ok(map) }
}

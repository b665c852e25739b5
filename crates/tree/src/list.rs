//! The content of a tree's root: every path below it and its version.
//!
//! ```text
//! version   u8      1
//! count     var     entries
//! len       var     bytes of all files together, for progress; not trusted
//! entry*            in the order of `path::compare`, each path once
//!   shared  var     leading bytes it has in common with the path before; as many as there are
//!   rest    bytes   what follows them (var length, then bytes)
//!   hash    32      the version
//! ```
//!
//! `var` and `bytes` are those of `model::codec`. Paths are raw bytes, at most 4096 of them. An
//! entry that changes changes at most the one after it, so lists deduplicate like other content.

use std::io::{self, Read};

use model::codec::{Reader, Writer};
use model::{FormatError, VertexHash};
use ouroborosdb::Error;

use crate::path::{PATH_LEN_MAX, check, compare};

const NOUN: &str = "tree list";
const VERSION: u8 = 1;
/// Two `var` of an entry whose lengths are bounded, a path, a hash.
const ENTRY_LEN_MAX: usize = 2 * 2 + PATH_LEN_MAX + VertexHash::LEN;
const SEGMENT_LEN: usize = 256 * 1024;

/// Builds a list. About 32 bytes and the new part of the path an entry are kept in memory.
#[derive(Debug, Default)]
pub(crate) struct ListBuilder {
    segments: Vec<Vec<u8>>,
    last: Vec<u8>,
    count: u64,
    bytes_total: u64,
}

impl ListBuilder {
    /// Appends an entry; the caller keeps the order.
    pub(crate) fn push(&mut self, path: &[u8], hash: &VertexHash, len: u64) {
        let shared = shared_len(&self.last, path);
        let fits = self.segments.last().is_some_and(|one| one.len() + ENTRY_LEN_MAX <= SEGMENT_LEN);
        if !fits {
            self.segments.push(Vec::with_capacity(SEGMENT_LEN));
        }
        let mut out = Writer::over(self.segments.pop().unwrap_or_default());
        out.var(shared as u64).bytes(path.get(shared..).unwrap_or_default()).raw(hash.as_bytes());
        self.segments.push(out.finish());
        self.last.truncate(shared);
        self.last.extend_from_slice(path.get(shared..).unwrap_or_default());
        self.count += 1;
        self.bytes_total = self.bytes_total.saturating_add(len);
    }

    /// The encoding.
    pub(crate) fn content(&self) -> ListContent<'_> {
        let mut header = Writer::new();
        header.u8(VERSION).var(self.count).var(self.bytes_total);
        ListContent { header: header.finish(), segments: &self.segments, next: 0, at: 0 }
    }
}

fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// A list as content.
#[derive(Debug)]
pub(crate) struct ListContent<'a> {
    header: Vec<u8>,
    segments: &'a [Vec<u8>],
    /// Segment being read; 0 is the header.
    next: usize,
    at: usize,
}

impl Read for ListContent<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let current = match self.next.checked_sub(1) {
                None => &self.header,
                Some(n) => match self.segments.get(n) {
                    Some(segment) => segment,
                    None => return Ok(0),
                },
            };
            let mut rest = current.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                self.next += 1;
                self.at = 0;
                continue;
            }
            let len = rest.read(into)?;
            self.at += len;
            return Ok(len);
        }
    }
}

/// Why a list cannot be read on.
#[derive(Debug)]
pub(crate) enum ListError {
    /// Its bytes cannot be had.
    Stored(Error),
    /// They make no list.
    Malformed(FormatError),
}

impl From<FormatError> for ListError {
    fn from(error: FormatError) -> Self {
        Self::Malformed(error)
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListEntry {
    pub(crate) path: Vec<u8>,
    pub(crate) hash: VertexHash,
}

/// Reads a list entry by entry, refusing what [`ListBuilder`] would not make.
pub(crate) struct ListReader<R> {
    content: R,
    buffer: Vec<u8>,
    at: usize,
    is_ended: bool,
    last: Vec<u8>,
    /// Entries not yet read.
    pub(crate) left: u64,
    /// Bytes of all files, as the list says.
    pub(crate) bytes_total: u64,
}

impl<R: Read> ListReader<R> {
    /// Reads the header.
    pub(crate) fn new(content: R) -> Result<Self, ListError> {
        let mut list = Self {
            content,
            buffer: Vec::new(),
            at: 0,
            is_ended: false,
            last: Vec::new(),
            left: 0,
            bytes_total: 0,
        };
        let (count, bytes_total) = list.parse(|reader| {
            let version = reader.u8()?;
            if version != VERSION {
                return Err(FormatError::Unknown {
                    noun: "tree list version",
                    value: version.into(),
                });
            }
            Ok((reader.var()?, reader.var()?))
        })?;
        (list.left, list.bytes_total) = (count, bytes_total);
        Ok(list)
    }

    /// The next entry; `None` after the last one.
    pub(crate) fn next_entry(&mut self) -> Result<Option<ListEntry>, ListError> {
        if self.left == 0 {
            self.fill()?;
            if self.at < self.buffer.len() {
                return Err(FormatError::Trailing { noun: NOUN }.into());
            }
            return Ok(None);
        }
        let last = std::mem::take(&mut self.last);
        let entry = self.parse(|reader| read_entry(reader, &last))?;
        self.left -= 1;
        self.last.clone_from(&entry.path);
        Ok(Some(entry))
    }

    fn parse<T>(
        &mut self,
        parse: impl FnOnce(&mut Reader<'_>) -> Result<T, FormatError>,
    ) -> Result<T, ListError> {
        self.fill()?;
        let bytes = self.buffer.get(self.at..).unwrap_or_default();
        let mut reader = Reader::new(NOUN, bytes);
        let value = parse(&mut reader)?;
        self.at += bytes.len() - reader.rest().len();
        Ok(value)
    }

    /// Makes sure that a whole entry is in the buffer, or all that is left.
    fn fill(&mut self) -> Result<(), ListError> {
        while !self.is_ended && self.buffer.len() - self.at < ENTRY_LEN_MAX {
            self.buffer.drain(..self.at);
            self.at = 0;
            let start = self.buffer.len();
            self.buffer.resize(start + SEGMENT_LEN, 0);
            let into = self.buffer.get_mut(start..).unwrap_or_default();
            let read = self.content.read(into);
            self.buffer.truncate(start + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.is_ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ListError::Stored(stored(error))),
            }
        }
        Ok(())
    }
}

fn read_entry(reader: &mut Reader<'_>, last: &[u8]) -> Result<ListEntry, FormatError> {
    let shared = reader.count(PATH_LEN_MAX)?;
    let rest = reader.bytes(PATH_LEN_MAX)?;
    let start = last.get(..shared).ok_or(FormatError::NotCanonical { noun: NOUN })?;
    let path = [start, rest].concat();
    check(&path)?;
    if shared != shared_len(last, &path) || !(last.is_empty() || compare(last, &path).is_lt()) {
        return Err(FormatError::NotCanonical { noun: NOUN });
    }
    Ok(ListEntry { path, hash: VertexHash::new(reader.array()?) })
}

/// What the store meant by an I/O error of its content.
pub(crate) fn stored(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(Error::Content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(n: u8) -> VertexHash {
        VertexHash::new([n; 32])
    }

    fn encode(paths: &[&[u8]]) -> Vec<u8> {
        let mut list = ListBuilder::default();
        paths.iter().zip(0..).for_each(|(path, n)| list.push(path, &hash_of(n), 10));
        let mut bytes = Vec::new();
        list.content().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Vec<u8>>, ListError> {
        let mut list = ListReader::new(bytes)?;
        let mut paths = Vec::new();
        while let Some(entry) = list.next_entry()? {
            assert_eq!(entry.hash, hash_of(u8::try_from(paths.len() % 256).unwrap()));
            paths.push(entry.path);
        }
        Ok(paths)
    }

    #[test]
    fn a_list_reads_back() {
        let paths: [&[u8]; 5] = [b"a", b"a/b", b"a.txt", b"b\xff\n", b"c"];
        assert_eq!(decode(&encode(&paths)).unwrap(), paths);
        assert!(decode(&encode(&[])).unwrap().is_empty());
        let many: Vec<Vec<u8>> =
            (0..20_000).map(|n| format!("folder/{n:08}").into_bytes()).collect();
        let mut list = ListBuilder::default();
        many.iter().zip(0u64..).for_each(|(path, n)| {
            list.push(path, &hash_of(u8::try_from(n % 256).unwrap()), 1);
        });
        let mut bytes = Vec::new();
        list.content().read_to_end(&mut bytes).unwrap();
        assert_eq!(decode(&bytes).unwrap(), many);
        assert_eq!(ListReader::new(&bytes[..]).unwrap().bytes_total, 20_000);
    }

    #[test]
    fn a_malformed_list_is_refused() {
        let good = encode(&[b"a", b"b"]);
        for cut in 0..good.len() {
            assert!(decode(&good[..cut]).is_err(), "cut at {cut}");
        }
        let mut trailing = good.clone();
        trailing.push(0);
        assert!(decode(&trailing).is_err());
        let unsafe_paths: [&[&[u8]]; 6] =
            [&[b"../a"], &[b"/a"], &[b"a//b"], &[b"a\0b"], &[b"b", b"a"], &[b"a", b"a"]];
        for paths in unsafe_paths {
            assert!(decode(&encode(paths)).is_err(), "{paths:?}");
        }
        let mut other = good;
        other[0] = 2;
        assert!(decode(&other).is_err());
    }

    #[test]
    fn the_longest_path_is_read_and_a_longer_one_refused() {
        let longest = vec![b'x'; PATH_LEN_MAX];
        assert_eq!(decode(&encode(&[&longest])).unwrap(), [longest]);
        assert!(decode(&encode(&[&[b'x'; PATH_LEN_MAX + 1]])).is_err());
    }
}

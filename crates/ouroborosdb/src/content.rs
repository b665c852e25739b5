//! The bytes of one version on their way out.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use model::{Content, VertexHash};

use crate::chunk_map::{ChunkMap, PlacedChunk};
use crate::engine::Engine;
use crate::error::Error;
use crate::read_ahead::ReadAhead;
use crate::session::ContentReader;

/// With less than this ahead, or before that much was read in a row, reading ahead does not pay.
const AHEAD_LEN_MIN: u64 = 4 * 1024 * 1024;
/// Chunks that must have been read in a row before more are read ahead.
const ROW_MIN: u32 = 2;

/// The bytes of one version: streams, seeks, verifies as it goes. A damaged chunk is an
/// [`io::Error`] whose inner error is [`Error`]; no wrong byte is ever returned.
pub struct StoredContent {
    len: u64,
    position: u64,
    held: Held,
    chunks: Option<Chunks>,
}

/// The piece of content around the position.
struct Held {
    start: u64,
    bytes: Vec<u8>,
}

/// Where further pieces come from.
struct Chunks {
    engine: Arc<Engine>,
    needed_by: VertexHash,
    map: ChunkMap,
    /// Chunks read one after another.
    row: u32,
    ahead: Option<ReadAhead>,
}

impl StoredContent {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        hash: VertexHash,
        content: Content,
    ) -> Result<Self, Error> {
        let len = content.len();
        let engine = Arc::clone(engine);
        let map = match content {
            Content::Inline(bytes) => {
                let held = Held { start: 0, bytes };
                return Ok(Self { len, position: 0, held, chunks: None });
            }
            Content::Chunks { entries, .. } => {
                ChunkMap::of_chunks(Arc::clone(&engine), hash, entries)
            }
            Content::Lists { root, len, .. } => {
                ChunkMap::of_lists(Arc::clone(&engine), hash, root, len)?
            }
        };
        let chunks = Chunks { engine, needed_by: hash, map, row: 0, ahead: None };
        let held = Held { start: 0, bytes: Vec::new() };
        Ok(Self { len, position: 0, held, chunks: Some(chunks) })
    }

    /// Cleartext length in bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// True when there are no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `out` from `offset`; returns the bytes there were.
    pub(crate) fn read_range(&mut self, offset: u64, out: &mut [u8]) -> Result<usize, Error> {
        self.position = offset;
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read_some(rest)? {
                0 => break,
                len => filled += len,
            }
        }
        Ok(filled)
    }

    fn read_some(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        if self.position >= self.len || out.is_empty() {
            return Ok(0);
        }
        if self.held.rest(self.position).is_empty() {
            self.turn()?;
        }
        let rest = self.held.rest(self.position);
        let len = rest.len().min(out.len());
        let (out, rest) = (out.split_at_mut(len).0, rest.split_at(len).0);
        out.copy_from_slice(rest);
        self.position += len as u64;
        Ok(len)
    }

    /// Holds the piece around the position.
    fn turn(&mut self) -> Result<(), Error> {
        let end = self.held.start + self.held.bytes.len() as u64;
        let in_row = end == self.position;
        self.held.bytes = Vec::new();
        let Some(chunks) = &mut self.chunks else { return Ok(()) };
        let (start, bytes) = chunks.read_at(self.position, in_row, self.len)?;
        self.held = Held { start, bytes };
        Ok(())
    }
}

impl Held {
    fn rest(&self, position: u64) -> &[u8] {
        let skipped = position.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skipped.and_then(|skip| self.bytes.get(skip..)).unwrap_or_default()
    }
}

impl Chunks {
    /// The chunk with the byte at `offset`.
    fn read_at(&mut self, offset: u64, in_row: bool, len: u64) -> Result<(u64, Vec<u8>), Error> {
        if in_row {
            self.row = self.row.saturating_add(1);
        } else {
            self.row = 0;
            self.ahead = None;
        }
        let pays = self.row >= ROW_MIN && len - offset >= AHEAD_LEN_MIN;
        if self.ahead.is_none() && pays && self.engine.threads > 1 {
            self.ahead = ReadAhead::start(&self.engine, self.needed_by);
        }
        match &mut self.ahead {
            Some(ahead) => {
                let (chunk, bytes) = ahead.next(offset, &mut self.map)?;
                Ok((chunk.start, bytes))
            }
            None => {
                let chunk = located(&mut self.map, offset, self.needed_by)?;
                let bytes = ChunkMap::read(&self.engine, self.needed_by, &chunk.entry)?;
                Ok((chunk.start, bytes))
            }
        }
    }
}

/// The chunk with the byte at `offset`, which lies inside the content.
pub(crate) fn located(
    map: &mut ChunkMap,
    offset: u64,
    needed_by: VertexHash,
) -> Result<PlacedChunk, Error> {
    match map.chunk_at(offset)? {
        Some(chunk) if chunk.holds(offset) => Ok(chunk),
        _ => Err(crate::engine::damaged(needed_by.to_string())),
    }
}

impl Read for StoredContent {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.read_some(out).map_err(io::Error::other)
    }
}

/// Where a reader at `position` of `len` bytes stands after a seek; behind the end is allowed.
pub(crate) fn sought(to: SeekFrom, position: u64, len: u64) -> io::Result<u64> {
    let position = match to {
        SeekFrom::Start(offset) => Some(offset),
        SeekFrom::End(offset) => len.checked_add_signed(offset),
        SeekFrom::Current(offset) => position.checked_add_signed(offset),
    };
    Ok(position.ok_or(io::ErrorKind::InvalidInput)?)
}

impl Seek for StoredContent {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(to, self.position, self.len)?;
        Ok(self.position)
    }
}

impl ContentReader for StoredContent {
    fn len(&self) -> u64 {
        self.len
    }
}

impl fmt::Debug for StoredContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredContent")
            .field("len", &self.len)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

//! Which chunk holds which byte of a content.

use std::sync::Arc;

use crypt::ObjectKind;
use model::{ChunkEntry, List, ListHash, VertexHash};

use crate::engine::{Engine, damaged};
use crate::error::Error;

/// A chunk and the offset of its first byte in the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlacedChunk {
    pub(crate) start: u64,
    pub(crate) entry: ChunkEntry,
}

impl PlacedChunk {
    pub(crate) fn end(&self) -> u64 {
        self.start + u64::from(self.entry.len)
    }

    pub(crate) fn holds(&self, offset: u64) -> bool {
        (self.start..self.end()).contains(&offset)
    }
}

/// One list of the tree: what it lists and which bytes lie below.
struct Loaded {
    /// Ends of its entries, as offsets in the content.
    ends: Vec<u64>,
    start: u64,
    list: List,
}

/// The lists from the root to the chunks around the last byte asked for.
pub(crate) struct ChunkMap {
    engine: Arc<Engine>,
    needed_by: VertexHash,
    path: Vec<Loaded>,
}

impl ChunkMap {
    /// The map of a content without a tree.
    pub(crate) fn of_chunks(
        engine: Arc<Engine>,
        needed_by: VertexHash,
        entries: Vec<ChunkEntry>,
    ) -> Self {
        let path = vec![Loaded::new(0, List::Chunks(entries))];
        Self { engine, needed_by, path }
    }

    /// The map of a content under the list `root`, of `len` bytes.
    pub(crate) fn of_lists(
        engine: Arc<Engine>,
        needed_by: VertexHash,
        root: ListHash,
        len: u64,
    ) -> Result<Self, Error> {
        let mut map = Self { engine, needed_by, path: Vec::new() };
        let root = map.load(root, 0, len, None)?;
        map.path.push(root);
        Ok(map)
    }

    /// The chunk with the byte at `offset`; `None` past the end.
    pub(crate) fn chunk_at(&mut self, offset: u64) -> Result<Option<PlacedChunk>, Error> {
        while self.path.len() > 1 && self.path.last().is_some_and(|list| !list.holds(offset)) {
            self.path.pop();
        }
        loop {
            let Some(last) = self.path.last() else { return Ok(None) };
            let at = last.ends.partition_point(|end| *end <= offset);
            let start = match at.checked_sub(1) {
                Some(before) => last.ends.get(before).copied().unwrap_or(last.start),
                None => last.start,
            };
            match &last.list {
                List::Chunks(entries) => {
                    return Ok(entries.get(at).map(|&entry| PlacedChunk { start, entry }));
                }
                List::Lists { level, entries } => {
                    let Some(&(hash, len)) = entries.get(at) else { return Ok(None) };
                    let below = self.load(hash, start, len, Some(*level))?;
                    self.path.push(below);
                }
            }
        }
    }

    /// Reads a list and checks that it is of the length and level that is said of it.
    fn load(
        &self,
        hash: ListHash,
        start: u64,
        len: u64,
        above: Option<u8>,
    ) -> Result<Loaded, Error> {
        let Some(bytes) = self.engine.object(&hash.into(), ObjectKind::List)? else {
            return Err(Error::Missing { object: hash.to_string(), needed_by: self.needed_by });
        };
        let list = List::decode(&bytes).map_err(|_| damaged(hash.to_string()))?;
        let level = match &list {
            List::Chunks(_) => 0,
            List::Lists { level, .. } => *level,
        };
        let loaded = Loaded::new(start, list);
        let is_level = above.is_none_or(|above| above.checked_sub(1) == Some(level));
        let is_len = loaded.ends.last().is_some_and(|end| *end == start.saturating_add(len));
        if is_level && is_len { Ok(loaded) } else { Err(damaged(hash.to_string())) }
    }

    /// The bytes of a chunk.
    pub(crate) fn read(
        engine: &Engine,
        needed_by: VertexHash,
        entry: &ChunkEntry,
    ) -> Result<Vec<u8>, Error> {
        match engine.object(&entry.hash.into(), ObjectKind::Chunk)? {
            Some(bytes) if bytes.len() as u64 == u64::from(entry.len) => Ok(bytes),
            Some(_) => Err(damaged(entry.hash.to_string())),
            None => Err(Error::Missing { object: entry.hash.to_string(), needed_by }),
        }
    }
}

impl Loaded {
    fn new(start: u64, list: List) -> Self {
        let mut end = start;
        let mut add = |len: u64| {
            end = end.saturating_add(len);
            end
        };
        let ends = match &list {
            List::Chunks(entries) => {
                entries.iter().map(|entry| add(u64::from(entry.len))).collect()
            }
            List::Lists { entries, .. } => entries.iter().map(|(_, len)| add(*len)).collect(),
        };
        Self { ends, start, list }
    }

    fn holds(&self, offset: u64) -> bool {
        self.start <= offset && self.ends.last().is_some_and(|end| offset < *end)
    }
}

//! Content on its way in: cut, hash, look up, compress, seal, append.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::Mutex;

use crypt::{ObjectKind, Sealer};
use model::limit::{BUNDLED_LEN_MAX, CHUNK_LEN_MAX, INLINE_LEN_MAX};
use model::{ChunkEntry, Content, List, ListHash, ObjectId};
use store::SealedObject;

use crate::bundle::Item;
use crate::dry::DryObjects;
use crate::engine::{Engine, lock};
use crate::error::Error;
use crate::list_tree::ListTree;
use crate::session::Progress;

/// Content up to this length is taken in by the calling thread alone.
pub(crate) const HEAD_LEN: usize = CHUNK_LEN_MAX;

/// Bytes counted for one put.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) bytes_read: u64,
    pub(crate) bytes_new: u64,
    pub(crate) bytes_stored: u64,
}

/// A content that is in the log, up to its last small pieces.
pub(crate) struct Taken {
    pub(crate) content: Content,
    /// To be placed in front of the vertex.
    pub(crate) items: Vec<Item>,
    pub(crate) tally: Tally,
}

/// One chunk or list after the work on it.
#[expect(clippy::large_enum_variant, reason = "few exist at a time, and they are moved once")]
pub(crate) enum Made {
    /// The store has it.
    Known,
    Sealed(SealedObject),
    /// Too small for a seal of its own.
    Small(Item),
}

/// One content on its way in. Shared by the threads that work on it.
pub(crate) struct Intake<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) progress: &'a dyn Progress,
    dry: Option<DryObjects>,
    /// Being sealed, not yet to be found in the store.
    flying: Mutex<HashSet<ObjectId>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    items: Vec<Item>,
    tally: Tally,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        progress: &'a dyn Progress,
        dry: Option<DryObjects>,
    ) -> Self {
        Self { engine, progress, dry, flying: Mutex::default(), kept: Mutex::default() }
    }

    /// Takes in all of `source`.
    pub(crate) fn take_in(self, source: &mut (dyn Read + Send)) -> Result<Taken, Error> {
        let mut head = Vec::with_capacity(INLINE_LEN_MAX + 1);
        read_up_to(source, &mut head, INLINE_LEN_MAX + 1)?;
        let content = if head.len() > INLINE_LEN_MAX {
            self.take_in_behind(&head, source)?
        } else {
            self.note_read(head.len())?;
            head.shrink_to_fit();
            Content::Inline(head)
        };
        let Kept { items, tally } = std::mem::take(&mut *lock(&self.kept));
        Ok(Taken { content, items, tally })
    }

    /// Takes in `start` and what follows it in `source`.
    fn take_in_behind(
        &self,
        start: &[u8],
        source: &mut (dyn Read + Send),
    ) -> Result<Content, Error> {
        let mut head = self.engine.heads.take(Vec::new);
        head.clear();
        head.reserve_exact(HEAD_LEN + 1);
        head.extend_from_slice(start);
        let taken = self.take_in_over(&mut head, source);
        self.engine.heads.give(head);
        taken
    }

    fn take_in_over(
        &self,
        head: &mut Vec<u8>,
        source: &mut (dyn Read + Send),
    ) -> Result<Content, Error> {
        read_up_to(source, head, HEAD_LEN + 1)?;
        if head.len() > HEAD_LEN {
            return self.pipelined(head, source);
        }
        self.note_read(head.len())?;
        self.engine.with_sealer(|sealer| self.cut_here(head, sealer))
    }

    fn cut_here(&self, mut rest: &[u8], sealer: &mut Sealer) -> Result<Content, Error> {
        let mut entries = Vec::new();
        let mut made = Vec::new();
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(self.engine.chunker.cut(rest));
            let (entry, chunk) = self.chunk(chunk, sealer)?;
            entries.push(entry);
            made.push(chunk);
            rest = tail;
        }
        self.keep(made)?;
        Ok(Content::Chunks { generation: self.engine.keys.generation(), entries })
    }

    /// Counts content read and asks whether to go on.
    pub(crate) fn note_read(&self, len: usize) -> Result<(), Error> {
        let done = {
            let tally = &mut lock(&self.kept).tally;
            tally.bytes_read += len as u64;
            tally.bytes_read
        };
        if self.progress.on_progress(done, 0) { Ok(()) } else { Err(Error::Interrupted) }
    }

    /// Hashes one chunk and seals it if the store does not have it.
    pub(crate) fn chunk(
        &self,
        bytes: &[u8],
        sealer: &mut Sealer,
    ) -> Result<(ChunkEntry, Made), Error> {
        let hash = self.engine.keys.chunk_hash(bytes);
        let len = u32::try_from(bytes.len()).expect("a chunk has at most 1 MiB");
        let made = self.made(ObjectKind::Chunk, hash.into(), bytes, sealer)?;
        Ok((ChunkEntry { hash, len }, made))
    }

    fn made(
        &self,
        kind: ObjectKind,
        id: ObjectId,
        bytes: &[u8],
        sealer: &mut Sealer,
    ) -> Result<Made, Error> {
        if !self.claim(id)? {
            return Ok(Made::Known);
        }
        lock(&self.kept).tally.bytes_new += bytes.len() as u64;
        if bytes.len() < BUNDLED_LEN_MAX {
            return Ok(Made::Small(Item { kind, id, bytes: bytes.to_vec(), vertex: None }));
        }
        let nonce = self.engine.store.seal_nonce()?;
        let mut frame = Vec::new();
        let header = self.engine.keys.seal(kind, id, bytes, sealer, &nonce, &mut frame);
        Ok(Made::Sealed(SealedObject { header, frame, members: Vec::new(), vertices: Vec::new() }))
    }

    /// True when the object is new and the caller's to make.
    fn claim(&self, id: ObjectId) -> Result<bool, Error> {
        if let Some(dry) = &self.dry {
            return Ok(self.engine.store.locate(&id)?.is_none() && lock(dry).insert(id));
        }
        // First claimed, then looked up: whoever had it in flight before has appended it by now.
        if !lock(&self.flying).insert(id) {
            return Ok(false);
        }
        if self.engine.store.locate(&id)?.is_some() {
            lock(&self.flying).remove(&id);
            return Ok(false);
        }
        Ok(true)
    }

    /// Appends what was made, in order; small ones stay behind for the vertex's bundle.
    pub(crate) fn keep(&self, made: impl IntoIterator<Item = Made>) -> Result<(), Error> {
        let mut objects = Vec::new();
        for made in made {
            match made {
                Made::Known => {}
                Made::Sealed(object) => objects.push(object),
                Made::Small(item) => lock(&self.kept).items.push(item),
            }
        }
        let stored: u64 = objects.iter().map(|object| object.frame.len() as u64).sum();
        lock(&self.kept).tally.bytes_stored += stored;
        if self.dry.is_some() || objects.is_empty() {
            return Ok(());
        }
        let ids: Vec<ObjectId> = objects.iter().map(|object| object.header.obj).collect();
        self.engine.store.append(objects)?;
        let mut flying = lock(&self.flying);
        for id in ids {
            flying.remove(&id);
        }
        Ok(())
    }

    /// Stores one list of a long content.
    fn keep_list(&self, list: &List) -> Result<ListHash, Error> {
        let bytes = list.encode();
        let hash = self.engine.keys.list_hash(&bytes);
        let made = self
            .engine
            .with_sealer(|sealer| self.made(ObjectKind::List, hash.into(), &bytes, sealer))?;
        self.keep([made])?;
        Ok(hash)
    }

    pub(crate) fn push_entry(&self, tree: &mut ListTree, entry: ChunkEntry) -> Result<(), Error> {
        tree.push(entry, &mut |list| self.keep_list(&list))
    }

    pub(crate) fn finish_tree(&self, tree: ListTree) -> Result<Content, Error> {
        let generation = self.engine.keys.generation();
        tree.finish(generation, &mut |list| self.keep_list(&list))
    }
}

/// Appends to `buffer` until it holds `len` bytes or the source ends.
fn read_up_to(source: &mut dyn Read, buffer: &mut Vec<u8>, len: usize) -> Result<(), Error> {
    let wanted = len.saturating_sub(buffer.len()) as u64;
    source.take(wanted).read_to_end(buffer).map_err(content_error)?;
    Ok(())
}

/// Reads until `out` is full or the source ends; returns the bytes read.
pub(crate) fn read_full(source: &mut dyn Read, out: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(content_error(error)),
        }
    }
    Ok(filled)
}

/// Content that comes out of a database fails with our own error inside: that one is meant.
fn content_error(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Content(error),
    }
}

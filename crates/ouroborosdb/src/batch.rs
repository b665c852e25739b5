//! Many puts that become visible together, with one sync.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;
use std::sync::Arc;

use model::{Content, FormatError, GroupId, Meta, Name, VertexHash};

use crate::bundle::{Item, fit_one_object};
use crate::commit::{Draft, Parent};
use crate::engine::Engine;
use crate::error::Error;
use crate::intake::{Intake, Taken};
use crate::session::{Ack, PutRequest, Silent, Version};

/// Puts one batch takes at most.
pub const BATCH_PUTS_MAX: usize = 1 << 20;
/// Staged bytes after which the versions so far are written, invisible until the commit.
const STAGED_LEN_MAX: usize = 1024 * 1024;
/// What a staged put takes besides its content.
const STAGED_OVERHEAD: usize = 256;

/// Puts that become visible together, or not at all.
///
/// What a batch that is dropped without [`Batch::commit`] wrote stays invisible for ever. Versions
/// follow the heads at the commit.
pub struct Batch {
    engine: Arc<Engine>,
    staged: Vec<Staged>,
    staged_len: usize,
    /// Made by this batch and not visible yet, by name.
    made: HashMap<Name, Parent>,
    /// Names of all that is staged or made.
    seen: HashSet<Name>,
    /// Drawn when the first versions are written early.
    group: GroupId,
    /// Of each put, as far as they are known.
    hashes: Vec<Option<VertexHash>>,
}

struct Staged {
    /// Which put it is.
    ordinal: usize,
    name: Name,
    meta: Meta,
    taken: Taken,
}

impl Batch {
    pub(crate) fn new(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::clone(engine),
            staged: Vec::new(),
            staged_len: 0,
            made: HashMap::new(),
            seen: HashSet::new(),
            group: GroupId::NONE,
            hashes: Vec::new(),
        }
    }

    /// Adds a put of all of `content`.
    pub fn put(&mut self, name: &str, content: impl Read + Send) -> Result<(), Error> {
        self.put_with(name, Meta::default(), content)
    }

    /// Adds a put of all of `content`, of which `meta` is known. A put that equals the single head
    /// makes nothing.
    pub fn put_with(
        &mut self,
        name: &str,
        meta: Meta,
        mut content: impl Read + Send,
    ) -> Result<(), Error> {
        let name = Name::new(name)?;
        let ordinal = self.hashes.len();
        if ordinal == BATCH_PUTS_MAX {
            let limit = BATCH_PUTS_MAX as u64;
            return Err(FormatError::TooLong { noun: "batch", value: limit + 1, limit }.into());
        }
        let taken = Intake::new(&self.engine, &Silent, None).take_in(&mut content)?;
        if !self.seen.contains(&name) {
            let heads = self.engine.heads_or_none(&name)?;
            let request = PutRequest { meta: meta.clone(), ..PutRequest::default() };
            if let Some(version) = self.engine.unchanged(&request, &taken.content, &heads)? {
                self.hashes.push(Some(version.hash));
                return Ok(());
            }
            self.seen.insert(name.clone());
        }
        self.hashes.push(None);
        self.staged_len += taken.items.iter().map(|item| item.bytes.len()).sum::<usize>();
        self.staged_len += inline_len(&taken) + name.as_str().len() + STAGED_OVERHEAD;
        self.staged.push(Staged { ordinal, name, meta, taken });
        if self.staged_len > STAGED_LEN_MAX {
            self.write_early()?;
        }
        Ok(())
    }

    /// Makes all puts visible; the version of each, in their order.
    pub fn commit(mut self, ack: Ack) -> Result<Vec<VertexHash>, Error> {
        let staged = std::mem::take(&mut self.staged);
        let engine = Arc::clone(&self.engine);
        let _turns = engine.name_locks.lock_all(staged.iter().map(|put| &put.name));
        if self.group == GroupId::NONE {
            let items = self.draw_up(&staged, GroupId::NONE, GroupId::NONE)?;
            if items.is_empty() || fit_one_object(&items) {
                return self.place(items, ack);
            }
            // Two objects could be torn apart by a crash; a group cannot.
            self.made.clear();
            self.group = engine.random_group();
        }
        let group = self.group;
        let Some((last, rest)) = staged.split_last() else { return self.place(Vec::new(), ack) };
        let mut items = self.draw_up(rest, group, GroupId::NONE)?;
        items.extend(self.draw_up(std::slice::from_ref(last), GroupId::NONE, group)?);
        self.place(items, ack)
    }

    fn place(self, items: Vec<Item>, ack: Ack) -> Result<Vec<VertexHash>, Error> {
        if !items.is_empty() {
            let placed = self.engine.place(items, true)?;
            match (ack, placed.position) {
                (Ack::Local, Some(position)) => self.engine.sync(position)?,
                _ => self.made.keys().try_for_each(|name| self.engine.note_deferred(name))?,
            }
        }
        Ok(self.hashes.into_iter().flatten().collect())
    }

    /// Writes all but the last of the staged puts as members of a group; the last will close it.
    fn write_early(&mut self) -> Result<(), Error> {
        let Some(last) = self.staged.pop() else { return Ok(()) };
        let staged = std::mem::replace(&mut self.staged, vec![last]);
        self.staged_len = 0;
        if staged.is_empty() {
            return Ok(());
        }
        if self.group == GroupId::NONE {
            self.group = self.engine.random_group();
        }
        let engine = Arc::clone(&self.engine);
        let _turns = engine.name_locks.lock_all(staged.iter().map(|put| &put.name));
        let items = self.draw_up(&staged, self.group, GroupId::NONE)?;
        engine.place(items, false)?;
        Ok(())
    }

    /// Makes the versions of `staged`, in order: what has to be placed for them.
    fn draw_up(
        &mut self,
        staged: &[Staged],
        group: GroupId,
        closes: GroupId,
    ) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        for Staged { ordinal, name, meta, taken } in staged {
            let parent = match self.made.get(name) {
                Some(parent) => Some(*parent),
                None => self.engine.heads_or_none(name)?.first().map(Parent::from),
            };
            let draft = Draft {
                name: Some(name.clone()),
                parents: parent.into_iter().collect(),
                group,
                closes,
                content: taken.content.clone(),
                meta: meta.clone(),
            };
            let (Version { hash, vertex }, item) = draft.vertex(&self.engine)?;
            self.made.insert(name.clone(), Parent { hash, depth: vertex.depth, hlc: vertex.hlc });
            if let Some(made) = self.hashes.get_mut(*ordinal) {
                *made = Some(hash);
            }
            items.extend(taken.items.iter().cloned());
            items.push(item);
        }
        Ok(items)
    }
}

fn inline_len(taken: &Taken) -> usize {
    match &taken.content {
        Content::Inline(bytes) => bytes.len(),
        Content::Chunks { entries, .. } => size_of_val(entries.as_slice()),
        Content::Lists { .. } => 0,
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("puts", &self.hashes.len()).finish_non_exhaustive()
    }
}

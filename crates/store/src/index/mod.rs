//! The local index: where objects lie, and what follows from the versions (heads, children, groups,
//! change feed). Derived: every entry can be found again from blocks.
//!
//! What is appended but not yet durable is *staged*; what is durable is in memory until a checkpoint
//! makes it a run on disk. A checkpoint therefore never names anything that a crash can take back.

mod fold;
mod head;
mod key;
mod location;
mod meta;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crypt::Random;
use model::hash::HashKey;
use model::{GroupId, Name, ObjectId, VertexHash};

pub(crate) use fold::Changes;
pub use head::{HEADS_MAX, HeadEntry};
pub use location::Location;
pub(crate) use meta::{Counts, IndexMeta, Ranges};

use crate::disk::Disk;
use crate::error::StoreError;
use crate::runs::{ManifestRoot, Runs, RunsError, RunsOptions};

/// Cursor, version, name: one entry of the change feed.
pub type FeedEntry = (Vec<u8>, VertexHash, Option<Name>);

type Pair = (Vec<u8>, Vec<u8>);
type Entries = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Rough bytes an entry in memory takes besides key and value.
const ENTRY_OVERHEAD: usize = 96;

#[derive(Default)]
struct Memory {
    /// Durable, newer than every run.
    fresh: Entries,
    fresh_bytes: usize,
    /// What a running checkpoint is writing.
    freezing: Option<Arc<Entries>>,
    /// Appended, not durable yet.
    staged: HashMap<ObjectId, Location>,
}

/// The index of one identity in one scope.
pub(crate) struct LocalIndex {
    runs: Runs,
    memory: RwLock<Memory>,
    /// One fold at a time; holds the running totals.
    counts: Mutex<Counts>,
}

/// Whether a group's members are visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    /// Nothing of it is stored.
    Unknown,
    /// It has members and waits for its closing version.
    Open,
    /// Closed: members are visible, late ones at once.
    Closed,
}

fn index_error(error: RunsError) -> StoreError {
    match error {
        RunsError::Disk(error) => StoreError::Disk(error),
        error => StoreError::Index(Box::new(error)),
    }
}

fn malformed(error: model::FormatError) -> StoreError {
    StoreError::Index(Box::new(error))
}

impl LocalIndex {
    /// An index without entries in the folder `dir`; `after` is the last generation that the superblock
    /// knows.
    pub(crate) fn empty(
        (disk, dir): (Arc<dyn Disk>, &str),
        local: HashKey,
        cache_bytes: usize,
        after: u64,
    ) -> Self {
        let runs = Runs::empty_after(disk, dir, local, RunsOptions { cache_bytes }, after);
        Self { runs, memory: RwLock::default(), counts: Mutex::default() }
    }

    /// The checkpoint that the superblock names.
    pub(crate) fn open(
        (disk, dir): (Arc<dyn Disk>, &str),
        local: HashKey,
        cache_bytes: usize,
        checkpoint: (u64, ManifestRoot),
    ) -> Result<(Self, IndexMeta), StoreError> {
        let options = RunsOptions { cache_bytes };
        let (runs, meta) =
            Runs::open(disk, dir, local, options, checkpoint).map_err(index_error)?;
        let meta = IndexMeta::decode(&meta).map_err(malformed)?;
        let counts = Mutex::new(meta.counts);
        Ok((Self { runs, memory: RwLock::default(), counts }, meta))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn folding(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let freezing = {
            let memory = self.read();
            if let Some(value) = memory.fresh.get(key) {
                return Ok(value.clone());
            }
            memory.freezing.clone()
        };
        if let Some(value) = freezing.as_ref().and_then(|entries| entries.get(key)) {
            return Ok(value.clone());
        }
        self.runs.lookup(key).map_err(index_error)
    }

    /// Remembers where objects will be once they are durable; dedup sees them at once.
    pub(crate) fn stage(&self, staged: impl Iterator<Item = (ObjectId, Location)>) {
        self.write().staged.extend(staged);
    }

    /// Takes over what another index has staged.
    pub(crate) fn stage_all_of(&self, other: &Self) {
        let staged = other.read().staged.clone();
        self.write().staged.extend(staged);
    }

    /// Forgets staged places, because they are durable now or because their file is dead.
    pub(crate) fn unstage(&self, ids: impl Iterator<Item = ObjectId>) {
        let mut memory = self.write();
        for id in ids {
            memory.staged.remove(&id);
        }
    }

    pub(crate) fn locate(&self, id: &ObjectId) -> Result<Option<Location>, StoreError> {
        if let Some(location) = self.read().staged.get(id) {
            return Ok(Some(*location));
        }
        self.locate_durable(id)
    }

    pub(crate) fn locate_durable(&self, id: &ObjectId) -> Result<Option<Location>, StoreError> {
        let value = self.lookup(&key::object(id))?;
        value.map(|value| Location::decode(&value).map_err(malformed)).transpose()
    }

    /// Folds durable objects and versions in: `change` sees the index and collects entries.
    pub(crate) fn apply(
        &self,
        change: impl FnOnce(&mut Changes<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut counts = self.folding();
        let mut changes = Changes::new(self, *counts);
        change(&mut changes)?;
        let (entries, after) = changes.finish();
        *counts = after;
        self.insert(entries);
        Ok(())
    }

    fn insert(&self, entries: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>)>) {
        let mut memory = self.write();
        for (key, value) in entries {
            memory.fresh_bytes += key.len() + value.as_ref().map_or(0, Vec::len) + ENTRY_OVERHEAD;
            memory.fresh.insert(key, value);
        }
    }

    pub(crate) fn heads(&self, name: &Name) -> Result<Vec<HeadEntry>, StoreError> {
        match self.lookup(&key::name(name))? {
            None => Ok(Vec::new()),
            Some(value) => head::decode_heads(&value).map_err(malformed),
        }
    }

    /// Up to `limit` names with their heads, in order.
    pub(crate) fn names(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<(Name, Vec<HeadEntry>)>, StoreError> {
        let prefix = key::name_prefix(prefix);
        let from =
            after.map_or_else(|| prefix.clone(), |name| [&key::name(name)[..], &[0]].concat());
        let page = self.page(&from, &prefix, limit)?;
        let mut names = Vec::with_capacity(page.len());
        for (key, value) in page {
            let name = key::name_of(&key).map_err(malformed)?;
            names.push((name, head::decode_heads(&value).map_err(malformed)?));
        }
        Ok(names)
    }

    pub(crate) fn children(&self, parent: &VertexHash) -> Result<Vec<VertexHash>, StoreError> {
        let prefix = key::children(parent);
        let mut children = Vec::new();
        let mut from = prefix.clone();
        loop {
            let page = self.page(&from, &prefix, PAGE_LEN)?;
            for (key, _) in &page {
                let hash = key.get(prefix.len()..).and_then(|hash| hash.try_into().ok());
                children.push(VertexHash::new(hash.ok_or_else(|| malformed(key::invalid()))?));
            }
            let Some((last, _)) = page.last().filter(|_| page.len() == PAGE_LEN) else {
                return Ok(children);
            };
            from = [&last[..], &[0]].concat();
        }
    }

    /// Versions whose hash begins with `bytes`, and then with the high half of a byte.
    pub(crate) fn vertices_with_prefix(
        &self,
        bytes: &[u8],
        nibble: Option<u8>,
        limit: usize,
    ) -> Result<Vec<VertexHash>, StoreError> {
        let mut prefix = key::objects();
        prefix.extend_from_slice(bytes);
        let mut found = Vec::new();
        let mut from = prefix.clone();
        from.extend(nibble.map(|nibble| nibble << 4));
        loop {
            let page = self.page(&from, &prefix, PAGE_LEN)?;
            for (key, value) in &page {
                let id: [u8; 32] = key
                    .get(1..)
                    .and_then(|id| id.try_into().ok())
                    .ok_or_else(|| malformed(key::invalid()))?;
                let next = id.get(bytes.len()).map(|byte| byte >> 4);
                if nibble.is_some() && next != nibble {
                    return Ok(found);
                }
                let location = Location::decode(value).map_err(malformed)?;
                if location.kind == crypt::ObjectKind::Vertex {
                    found.push(VertexHash::new(id));
                }
                if found.len() >= limit {
                    return Ok(found);
                }
            }
            let Some((last, _)) = page.last().filter(|_| page.len() == PAGE_LEN) else {
                return Ok(found);
            };
            from = [&last[..], &[0]].concat();
        }
    }

    /// Up to `limit` changes behind the cursor `since`.
    pub(crate) fn changes(
        &self,
        since: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let prefix = key::feed(&[]);
        let from =
            since.map_or_else(|| prefix.clone(), |since| [&key::feed(since)[..], &[0]].concat());
        let page = self.page(&from, &prefix, limit)?;
        page.iter().map(|(key, value)| key::feed_entry(key, value).map_err(malformed)).collect()
    }

    pub(crate) fn group_state(&self, group: &GroupId) -> Result<GroupState, StoreError> {
        if self.page(&key::closed(group), &key::closed(group), 1)?.is_empty() {
            let pending = self.page(&key::pending(group), &key::pending(group), 1)?;
            return Ok(if pending.is_empty() { GroupState::Unknown } else { GroupState::Open });
        }
        Ok(GroupState::Closed)
    }

    /// The open group a version waits in.
    pub(crate) fn group_of(&self, vertex: &VertexHash) -> Result<Option<GroupId>, StoreError> {
        let value = self.lookup(&key::member(vertex))?;
        Ok(value.and_then(|value| value.try_into().ok()).map(GroupId::new))
    }

    /// Up to `limit` durable objects behind `after`, in the order of their ids.
    pub(crate) fn objects(
        &self,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<(ObjectId, Location)>, StoreError> {
        let prefix = key::objects();
        let from = after.map_or_else(|| prefix.clone(), |id| [&key::object(id)[..], &[0]].concat());
        let page = self.page(&from, &prefix, limit)?;
        let entry = |(key, value): &(Vec<u8>, Vec<u8>)| {
            let id = key.get(1..).and_then(|id| id.try_into().ok()).ok_or_else(key::invalid)?;
            Ok((ObjectId::new(id), Location::decode(value)?))
        };
        page.iter().map(|pair| entry(pair).map_err(malformed)).collect()
    }

    pub(crate) fn cached(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.lookup(&key::cache(key))
    }

    pub(crate) fn remember(&self, entries: &[(Vec<u8>, Vec<u8>)]) {
        self.insert(entries.iter().map(|(key, value)| (key::cache(key), Some(value.clone()))));
    }

    /// Up to `limit` entries from `from` on whose keys begin with `prefix`, memory over runs.
    pub(crate) fn page(
        &self,
        from: &[u8],
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let mut page = Vec::new();
        let mut from = from.max(prefix).to_vec();
        while page.len() < limit {
            let (memory, bound) = self.memory_page(&from, prefix, limit + PAGE_LEN);
            self.merge_page(&from, prefix, (memory, bound.as_deref()), (limit, &mut page))?;
            match bound {
                Some(bound) if page.len() < limit => from = [&bound[..], &[0]].concat(),
                _ => break,
            }
        }
        Ok(page)
    }

    /// Up to `limit` entries in memory, deletions included, and the last key when there may be more.
    fn memory_page(&self, from: &[u8], prefix: &[u8], limit: usize) -> (Entries, Option<Vec<u8>>) {
        let memory = self.read();
        let range = (Bound::Included(from.to_vec()), Bound::Unbounded);
        let take = |entries: &Entries| -> Entries {
            let inside =
                entries.range(range.clone()).take_while(|(key, _)| key.starts_with(prefix));
            inside.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        let fresh = take(&memory.fresh);
        let mut merged = memory.freezing.as_ref().map(|entries| take(entries)).unwrap_or_default();
        let bound = [&fresh, &merged]
            .into_iter()
            .filter(|entries| entries.len() == limit)
            .filter_map(|entries| entries.last_key_value().map(|(key, _)| key.clone()))
            .min();
        merged.extend(fresh);
        if let Some(bound) = &bound {
            merged.retain(|key, _| key <= bound);
        }
        (merged, bound)
    }

    fn merge_page(
        &self,
        from: &[u8],
        prefix: &[u8],
        (memory, bound): (Entries, Option<&[u8]>),
        (limit, page): (usize, &mut Vec<Pair>),
    ) -> Result<(), StoreError> {
        let mut runs = self.runs.scan_raw(from, prefix).map_err(index_error)?.peekable();
        let mut memory = memory.into_iter().peekable();
        while page.len() < limit {
            let order = match (memory.peek(), runs.peek()) {
                (None, None) => break,
                (Some(_), None | Some(Err(_))) => core::cmp::Ordering::Less,
                (None, Some(_)) => core::cmp::Ordering::Greater,
                (Some((ours, _)), Some(Ok((theirs, _)))) => ours.cmp(theirs),
            };
            let run_entry = if order.is_ge() { runs.next().transpose() } else { Ok(None) };
            let run_entry = run_entry.map_err(index_error)?;
            let entry = if order.is_le() { memory.next() } else { run_entry };
            match entry {
                Some((key, _)) if bound.is_some_and(|bound| key.as_slice() > bound) => break,
                Some((key, Some(value))) => page.push((key, value)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Bytes in memory that a checkpoint would write.
    pub(crate) fn fresh_bytes(&self) -> usize {
        self.read().fresh_bytes
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.folding()
    }

    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.runs.bytes_on_disk()
    }

    /// Writes what is in memory as a run. `meta` is asked while no fold is running, so that what it
    /// says is covered and what is written agree. The caller writes the superblock, then calls
    /// [`Self::retire`].
    pub(crate) fn checkpoint(
        &self,
        meta: impl FnOnce(Counts) -> IndexMeta,
        random: &dyn Random,
    ) -> Result<(u64, ManifestRoot), StoreError> {
        let (frozen, meta) = {
            let counts = self.folding();
            let meta = meta(*counts);
            let mut memory = self.write();
            // A checkpoint that failed left its entries; they are older than the fresh ones.
            let mut entries = memory.freezing.take().map(|old| (*old).clone()).unwrap_or_default();
            entries.append(&mut memory.fresh);
            memory.fresh_bytes = 0;
            let frozen = Arc::new(entries);
            memory.freezing = Some(Arc::clone(&frozen));
            (frozen, meta)
        };
        let sorted = frozen.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        let published =
            self.runs.checkpoint(sorted, &meta.encode(), random).map_err(index_error)?;
        self.write().freezing = None;
        Ok(published)
    }

    /// Merges runs if that is due; the caller writes the superblock, then calls [`Self::retire`].
    pub(crate) fn merge(
        &self,
        random: &dyn Random,
    ) -> Result<Option<(u64, ManifestRoot)>, StoreError> {
        if !self.runs.merge_due() {
            return Ok(None);
        }
        self.runs.merge(random).map_err(index_error)
    }

    /// Removes files that only generations before this one name.
    pub(crate) fn retire(&self, generation: u64) -> Result<(), StoreError> {
        self.runs.retire(generation).map_err(index_error)
    }

    /// Reads and verifies every page on disk; returns the entries read.
    pub(crate) fn verify(&self) -> Result<u64, StoreError> {
        self.runs.check().map_err(index_error)
    }
}

/// Entries fetched at a time by scans inside the store.
const PAGE_LEN: usize = 1024;

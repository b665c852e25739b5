//! Writes one run, bottom-up and in one pass: a leaf goes to the file when it is full, a branch when
//! its last child is known. Memory: one draft per level and one buffer.
//!
//! File: slot 0 holds magic 8, version u16, nonce 16, zeros; every other slot holds sealed pages whose
//! number is their first slot. A child lies before its parent. Roots stand in the manifest.

use std::sync::Arc;

use crypt::PageKeys;

use super::RunsError;
use super::filter::{FilterDraft, FilterSeed};
use super::manifest::{FileNonce, Root, RunFacts, run_header};
use super::page::{Address, Draft, KEY_LEN_MAX, SEAL_LEN, SLOT_LEN, VALUE_LEN_MAX, separator};
use crate::disk::DiskFile;

const WRITE_LEN: usize = 256 * 1024;
/// A branch has at least two children, so more levels would need more pages than there are slots.
pub(super) const LEVELS_MAX: usize = 33;

/// Appends sealed pages to a file.
struct PageSink {
    file: Arc<dyn DiskFile>,
    keys: PageKeys,
    buffer: Vec<u8>,
    offset: u64,
    next_slot: u32,
    plain: Vec<u8>,
}

impl PageSink {
    fn new(file: Arc<dyn DiskFile>, keys: PageKeys, nonce: FileNonce) -> Self {
        let mut buffer = run_header(nonce);
        buffer.resize(SLOT_LEN, 0);
        Self { file, keys, buffer, offset: 0, next_slot: 1, plain: Vec::new() }
    }

    /// Seals what lies in `plain`.
    fn put(&mut self) -> Result<Address, RunsError> {
        let slots = (self.plain.len() + SEAL_LEN).div_ceil(SLOT_LEN);
        self.plain.resize(slots * SLOT_LEN - SEAL_LEN, 0);
        let address = Address::new(self.next_slot.into(), slots as u64).ok_or_else(too_large)?;
        self.keys.seal(address.slot.into(), &self.plain, &mut self.buffer);
        self.plain.clear();
        self.next_slot = address.slot.checked_add(address.slots).ok_or_else(too_large)?;
        if self.buffer.len() >= WRITE_LEN {
            self.flush()?;
        }
        Ok(address)
    }

    fn put_draft(&mut self, draft: &mut Draft, level: usize) -> Result<Address, RunsError> {
        draft.encode(u8::try_from(level).map_err(|_| too_large())?, &mut self.plain);
        self.put()
    }

    fn flush(&mut self) -> Result<(), RunsError> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

fn too_large() -> RunsError {
    let limit = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    RunsError::TooLong { noun: "slots of an index run", len: limit, limit }
}

/// The branches above pages of level 0; the draft of level `i + 1` is at `i`.
#[derive(Default)]
struct Branches {
    drafts: Vec<Draft>,
}

impl Branches {
    /// Adds a page of level `level` that covers keys from `separator` on.
    fn add(
        &mut self,
        sink: &mut PageSink,
        level: usize,
        separator: &[u8],
        child: Address,
    ) -> Result<(), RunsError> {
        let mut carried = (separator.to_vec(), child.encode());
        for level in level..LEVELS_MAX {
            if self.drafts.len() <= level {
                self.drafts.push(Draft::default());
            }
            let Some(draft) = self.drafts.get_mut(level) else { break };
            let (key, value) = &carried;
            if draft.count() < 2 || draft.fits(key, Some(value)) {
                draft.push(key, Some(value));
                return Ok(());
            }
            let first = draft.first_key().to_vec();
            let at = sink.put_draft(draft, level + 1)?;
            draft.push(key, Some(value));
            carried = (first, at.encode());
        }
        Err(too_large())
    }

    /// Writes what is left above `last`, the last page of level 0. The root is the page that nothing
    /// lies beside.
    fn finish(mut self, sink: &mut PageSink, last: Address) -> Result<Root, RunsError> {
        let mut at = last;
        for level in 0..=LEVELS_MAX {
            let is_highest = level + 1 >= self.drafts.len();
            let Some(draft) = self.drafts.get_mut(level) else { break };
            if is_highest && draft.count() == 1 {
                let level = u8::try_from(level).map_err(|_| too_large())?;
                return Ok(Root { at, level });
            }
            let first = draft.first_key().to_vec();
            at = sink.put_draft(draft, level + 1)?;
            self.add(sink, level + 1, &first, at)?;
        }
        Err(too_large())
    }
}

/// Takes strictly ascending entries and writes a run of them.
pub(super) struct RunWriter {
    sink: PageSink,
    nonce: FileNonce,
    seed: FilterSeed,
    leaf: Draft,
    leaf_separator: Vec<u8>,
    leaves: Branches,
    filter: FilterDraft,
    filters: Branches,
    last_key: Vec<u8>,
    entries: u64,
    deletions: u64,
}

impl RunWriter {
    /// Writes into `file`, which is new and empty.
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        keys: PageKeys,
        nonce: FileNonce,
        seed: FilterSeed,
    ) -> Self {
        Self {
            sink: PageSink::new(file, keys, nonce),
            nonce,
            seed,
            leaf: Draft::default(),
            leaf_separator: Vec::new(),
            leaves: Branches::default(),
            filter: FilterDraft::new(&[]),
            filters: Branches::default(),
            last_key: Vec::new(),
            entries: 0,
            deletions: 0,
        }
    }

    /// Adds an entry; `None` hides what older runs hold under the key.
    pub(super) fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), RunsError> {
        check_len("index key", key.len(), KEY_LEN_MAX)?;
        check_len("index value", value.map_or(0, <[u8]>::len), VALUE_LEN_MAX)?;
        if self.entries > 0 && key <= self.last_key.as_slice() {
            return Err(RunsError::Unsorted);
        }
        if self.leaf.count() > 0 && !self.leaf.fits(key, value) {
            self.put_leaf()?;
            self.leaf_separator = separator(&self.last_key, key).to_vec();
        }
        if self.filter.is_full() {
            let next = FilterDraft::new(separator(&self.last_key, key));
            self.put_filter(next)?;
        }
        self.leaf.push(key, value);
        self.filter.add(key, self.seed);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.entries += 1;
        self.deletions += u64::from(value.is_none());
        Ok(())
    }

    fn put_leaf(&mut self) -> Result<Address, RunsError> {
        let at = self.sink.put_draft(&mut self.leaf, 0)?;
        self.leaves.add(&mut self.sink, 0, &self.leaf_separator, at)?;
        Ok(at)
    }

    fn put_filter(&mut self, next: FilterDraft) -> Result<Address, RunsError> {
        let (separator, page) = std::mem::replace(&mut self.filter, next).finish();
        self.sink.plain = page;
        let at = self.sink.put()?;
        self.filters.add(&mut self.sink, 0, &separator, at)?;
        Ok(at)
    }

    /// Writes the rest and makes the file durable. `None` when nothing was added: the file is void.
    pub(super) fn finish(mut self) -> Result<Option<RunFacts>, RunsError> {
        if self.entries == 0 {
            return Ok(None);
        }
        let last = self.put_leaf()?;
        let tree = self.leaves_root(last)?;
        let last = self.put_filter(FilterDraft::new(&[]))?;
        let filter = std::mem::take(&mut self.filters).finish(&mut self.sink, last)?;
        self.sink.flush()?;
        self.sink.file.sync()?;
        Ok(Some(RunFacts {
            nonce: self.nonce,
            slots: self.sink.next_slot,
            entries: self.entries,
            deletions: self.deletions,
            tree,
            filter,
        }))
    }

    fn leaves_root(&mut self, last: Address) -> Result<Root, RunsError> {
        std::mem::take(&mut self.leaves).finish(&mut self.sink, last)
    }
}

pub(super) fn check_len(noun: &'static str, len: usize, limit: usize) -> Result<(), RunsError> {
    if len <= limit {
        return Ok(());
    }
    Err(RunsError::TooLong { noun, len, limit })
}

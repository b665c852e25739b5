//! Reads one run.

use std::io;
use std::sync::Arc;

use crypt::PageKeys;
use model::hash::HashKey;

use super::RunsError;
use super::cache::{Cache, Caches, PageKey};
use super::manifest::{Root, RunFacts, run_header};
use super::page::{Address, Page, SLOT_LEN};
use crate::disk::{Access, Caching, Disk, DiskError, DiskFile};

/// An open run.
pub(super) struct Run {
    pub(super) facts: RunFacts,
    path: String,
    file: Arc<dyn DiskFile>,
    keys: PageKeys,
    serial: u32,
}

/// What a run says about a key.
pub(super) enum Answer {
    Absent,
    Deleted,
    Value(Vec<u8>),
}

impl Run {
    /// Opens the file and checks its length and header; pages are checked as they are read.
    /// `serial` tells this opening from all others in the page cache.
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &str,
        local: &HashKey,
        facts: RunFacts,
        serial: u32,
    ) -> Result<Self, RunsError> {
        let path = format!("{dir}/{}", facts.file_name());
        let file = open_file(disk, &path)?;
        let mut slot = vec![0; SLOT_LEN];
        let read = file.read_at(0, &mut slot)?;
        let mut expected = run_header(facts.nonce);
        expected.resize(SLOT_LEN, 0);
        if read != SLOT_LEN || slot != expected || file.len()? != facts.bytes() {
            return Err(RunsError::Corrupt { file: path });
        }
        let keys = PageKeys::new(local, &facts.nonce);
        Ok(Self { facts, path, file, keys, serial })
    }

    fn corrupt(&self) -> RunsError {
        RunsError::Corrupt { file: self.path.clone() }
    }

    /// `malformed` as an error.
    fn sound<T>(&self, value: Option<T>) -> Result<T, RunsError> {
        value.ok_or_else(|| self.corrupt())
    }

    /// A page, from the cache or from the file; without a cache it is not kept.
    fn page(&self, at: Root, cache: Option<&Cache>) -> Result<Arc<Page>, RunsError> {
        let key = PageKey::new(self.serial, at.at.slot);
        if let Some(page) = cache.and_then(|cache| cache.find(key)) {
            return Ok(page);
        }
        let page = Arc::new(self.read(at)?);
        if let Some(cache) = cache {
            cache.keep(key, &page);
        }
        Ok(page)
    }

    fn read(&self, at: Root) -> Result<Page, RunsError> {
        let inside = at.at.slot.checked_add(at.at.slots).is_some_and(|end| end <= self.facts.slots);
        let len = self.sound(at.at.len().filter(|_| inside))?;
        let mut sealed = vec![0; len];
        if self.file.read_at(at.at.offset(), &mut sealed)? != len {
            return Err(self.corrupt());
        }
        let plain = self.keys.open(at.at.slot.into(), &sealed).map_err(|_| self.corrupt())?;
        let page = self.sound(Page::parse(plain))?;
        if page.level != at.level {
            return Err(self.corrupt());
        }
        Ok(page)
    }

    /// The child of a branch; it lies before the branch, so no walk goes in circles.
    fn child(&self, branch: &Page, at: Address, i: usize) -> Result<Root, RunsError> {
        let child = self.sound(branch.child(i))?;
        let level = self.sound(branch.level.checked_sub(1))?;
        if child.slot >= at.slot {
            return Err(self.corrupt());
        }
        Ok(Root { at: child, level })
    }

    /// The page of level 0 that covers `key`.
    fn descend(&self, root: Root, key: &[u8], cache: &Cache) -> Result<Arc<Page>, RunsError> {
        let mut at = root;
        loop {
            let page = self.page(at, Some(cache))?;
            if at.level == 0 {
                return Ok(page);
            }
            let i = self.sound(page.child_index(key))?;
            at = self.child(&page, at.at, i)?;
        }
    }

    /// False when no entry has the key, or the prefix, whose hash this is.
    pub(super) fn may_contain(
        &self,
        key: &[u8],
        hash: u64,
        caches: &Caches,
    ) -> Result<bool, RunsError> {
        let page = self.descend(self.facts.filter, key, &caches.filter)?;
        self.sound(page.may_contain(hash))
    }

    pub(super) fn find(&self, key: &[u8], caches: &Caches) -> Result<Answer, RunsError> {
        let leaf = self.descend(self.facts.tree, key, &caches.tree)?;
        let (i, exact) = self.sound(leaf.lower_bound(key))?;
        if !exact {
            return Ok(Answer::Absent);
        }
        let (_, value) = self.sound(leaf.entry(i))?;
        Ok(value.map_or(Answer::Deleted, |value| Answer::Value(value.to_vec())))
    }

    /// Reads every page of the filter; the tree is read by a [`Cursor`]. Returns the pages read.
    pub(super) fn check_filter(&self) -> Result<u64, RunsError> {
        let mut waiting = vec![self.facts.filter];
        let mut pages = 0;
        while let Some(at) = waiting.pop() {
            let page = self.page(at, None)?;
            pages += 1;
            if at.level == 0 {
                self.sound(page.may_contain(0))?;
            }
            for i in 0..page.count() {
                waiting.push(self.child(&page, at.at, i)?);
            }
        }
        Ok(pages)
    }
}

/// Opens a file that a manifest or a superblock names.
pub(super) fn open_file(disk: &dyn Disk, path: &str) -> Result<Arc<dyn DiskFile>, RunsError> {
    disk.open(path, Access::Read, Caching::Buffered).map_err(|error| missing(path, error))
}

fn missing(path: &str, error: DiskError) -> RunsError {
    if error.source.kind() == io::ErrorKind::NotFound {
        return RunsError::Missing { file: path.to_owned() };
    }
    RunsError::Disk(error)
}

/// Walks the entries of a run in order.
pub(super) struct Cursor {
    run: Arc<Run>,
    /// `None`: pages are read past the cache, for merges.
    caches: Option<Arc<Caches>>,
    /// Branches from the root down, each with its address and the child the walk is in.
    path: Vec<(Arc<Page>, Address, usize)>,
    leaf: Option<(Arc<Page>, usize)>,
    key: Vec<u8>,
}

impl Cursor {
    /// At the first entry that is not below `from`.
    pub(super) fn seek(
        run: Arc<Run>,
        caches: Option<Arc<Caches>>,
        from: &[u8],
    ) -> Result<Self, RunsError> {
        let root = run.facts.tree;
        let mut cursor = Self { run, caches, path: Vec::new(), leaf: None, key: Vec::new() };
        cursor.descend(root, Some(from))?;
        cursor.settle()?;
        Ok(cursor)
    }

    /// Key, and value or `None` for a deletion; `None` at the end.
    pub(super) fn entry(&self) -> Option<(&[u8], Option<&[u8]>)> {
        let (leaf, i) = self.leaf.as_ref()?;
        let (_, value) = leaf.entry(*i)?;
        Some((&self.key, value))
    }

    /// The key, `None` at the end.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.leaf.as_ref().map(|_| self.key.as_slice())
    }

    pub(super) fn advance(&mut self) -> Result<(), RunsError> {
        if let Some((_, i)) = &mut self.leaf {
            *i += 1;
        }
        self.settle()
    }

    /// Goes down to a leaf: along `key`, or along the first children.
    fn descend(&mut self, from: Root, key: Option<&[u8]>) -> Result<(), RunsError> {
        let mut at = from;
        loop {
            let cache = self.caches.as_deref().map(|caches| &caches.tree);
            let page = self.run.page(at, cache)?;
            if at.level == 0 {
                let i = key.map_or(Some(0), |key| page.lower_bound(key).map(|(i, _)| i));
                self.leaf = Some((page, self.run.sound(i)?));
                return Ok(());
            }
            let i = self.run.sound(key.map_or(Some(0), |key| page.child_index(key)))?;
            let child = self.run.child(&page, at.at, i)?;
            self.path.push((page, at.at, i));
            at = child;
        }
    }

    /// Past the end of a leaf, moves to the next one; then puts the key together.
    fn settle(&mut self) -> Result<(), RunsError> {
        while let Some((leaf, i)) = &self.leaf {
            if *i < leaf.count() {
                let (suffix, _) = self.run.sound(leaf.entry(*i))?;
                self.key.clear();
                self.key.extend_from_slice(self.run.sound(leaf.prefix())?);
                self.key.extend_from_slice(suffix);
                return Ok(());
            }
            self.next_leaf()?;
        }
        Ok(())
    }

    fn next_leaf(&mut self) -> Result<(), RunsError> {
        self.leaf = None;
        while let Some((page, at, i)) = self.path.last_mut() {
            *i += 1;
            if *i < page.count() {
                let child = self.run.child(page, *at, *i)?;
                return self.descend(child, None);
            }
            self.path.pop();
        }
        Ok(())
    }
}

/// Reads every page of a run: keys ascend, counts agree. Returns the entries.
pub(super) fn check(run: &Arc<Run>) -> Result<u64, RunsError> {
    run.check_filter()?;
    let mut cursor = Cursor::seek(Arc::clone(run), None, &[])?;
    let (mut entries, mut deletions) = (0u64, 0u64);
    let mut last = Vec::new();
    while let Some((key, value)) = cursor.entry() {
        if entries > 0 && key <= last.as_slice() {
            return Err(run.corrupt());
        }
        last.clear();
        last.extend_from_slice(key);
        entries += 1;
        deletions += u64::from(value.is_none());
        cursor.advance()?;
    }
    if (entries, deletions) != (run.facts.entries, run.facts.deletions) {
        return Err(run.corrupt());
    }
    Ok(entries)
}

//! The local index on disk: immutable sorted runs and a manifest that names them.
//!
//! A checkpoint writes one run (a static B+tree, every page sealed) and one manifest; the caller keeps
//! the manifest's generation and hash in the superblock, which makes the swap atomic and an older copy
//! detectable. Readers take a snapshot and never wait for a checkpoint or a merge. Whatever is damaged
//! is answered with an error that names the file, never with a wrong entry.

mod cache;
mod error;
mod filter;
mod manifest;
mod merge;
mod page;
mod publish;
mod run;
#[cfg(test)]
mod tests;
mod write;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::hash::HashKey;

use crate::disk::Disk;

pub use cache::CacheFigures;
pub use error::RunsError;
pub use manifest::{META_LEN_MAX, ManifestRoot, RUNS_MAX};
pub use merge::{RawEntry, Scan, ScanRaw};
pub use page::{KEY_LEN_MAX, VALUE_LEN_MAX};

use cache::Caches;
use filter::{FilterSeed, PREFIX_LEN};
use manifest::{MANIFEST_LEN_MAX, Manifest, RunFacts, manifest_name};
use merge::Merged;
use publish::{Building, Publication};
use run::{Answer, Cursor, Run, open_file};

/// How runs are opened.
#[derive(Debug, Clone, Copy)]
pub struct RunsOptions {
    /// Memory for unsealed pages; filters take at most a quarter of it.
    pub cache_bytes: usize,
}

/// The sorted runs of one index.
pub struct Runs {
    disk: Arc<dyn Disk>,
    dir: String,
    local: HashKey,
    seed: FilterSeed,
    caches: Arc<Caches>,
    snapshot: RwLock<Arc<Snapshot>>,
    /// Held while a run is written by a checkpoint, so that checkpoints stay in order.
    checkpointing: Mutex<()>,
    /// Held while runs are merged.
    merging: Mutex<()>,
    /// Held while a manifest is written and the snapshot swapped.
    publishing: Mutex<Publication>,
    building: Building,
    serials: AtomicU32,
    bytes_written: AtomicU64,
    is_dir_made: AtomicBool,
}

/// One generation, as readers see it.
struct Snapshot {
    generation: u64,
    /// Newest first.
    runs: Vec<Arc<Run>>,
    meta: Arc<[u8]>,
}

impl Runs {
    /// An index without entries; nothing is on disk until the first checkpoint, which is generation
    /// `after + 1`. `after` is what the superblock says, 0 in a new store. `local` is a key of this
    /// store alone.
    pub fn empty_after(
        disk: Arc<dyn Disk>,
        dir: &str,
        local: HashKey,
        options: RunsOptions,
        after: u64,
    ) -> Self {
        let snapshot = Snapshot { generation: after, runs: Vec::new(), meta: Arc::new([]) };
        Self {
            disk,
            dir: dir.to_owned(),
            seed: filter_seed(&local),
            local,
            caches: Arc::new(Caches::new(options.cache_bytes)),
            snapshot: RwLock::new(Arc::new(snapshot)),
            checkpointing: Mutex::new(()),
            merging: Mutex::new(()),
            publishing: Mutex::new(Publication::default()),
            building: Building::default(),
            serials: AtomicU32::new(0),
            bytes_written: AtomicU64::new(0),
            is_dir_made: AtomicBool::new(false),
        }
    }

    /// An index without entries in a new store.
    pub fn empty(disk: Arc<dyn Disk>, dir: &str, local: HashKey, options: RunsOptions) -> Self {
        Self::empty_after(disk, dir, local, options, 0)
    }

    /// Opens the generation that the superblock names, and returns the meta blob of its checkpoint.
    /// Reads the manifest and one slot of each run.
    ///
    /// # Errors
    /// [`RunsError::Missing`] or [`RunsError::Corrupt`] when a file is not what the superblock or the
    /// manifest says; the caller rebuilds.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &str,
        local: HashKey,
        options: RunsOptions,
        (generation, root): (u64, ManifestRoot),
    ) -> Result<(Self, Vec<u8>), RunsError> {
        let runs = Self::empty_after(disk, dir, local, options, generation);
        let path = runs.path(&manifest_name(generation, root));
        let file = open_file(&*runs.disk, &path)?;
        let len = usize::try_from(file.len()?).ok().filter(|len| *len <= MANIFEST_LEN_MAX);
        let len = len.ok_or_else(|| RunsError::Corrupt { file: path.clone() })?;
        let mut bytes = vec![0; len];
        if file.read_at(0, &mut bytes)? != len {
            return Err(RunsError::Corrupt { file: path });
        }
        let manifest = Manifest::open(&path, &bytes, &runs.local, generation, root)?;
        let opened = manifest
            .runs
            .into_iter()
            .map(|facts| runs.open_run(facts))
            .collect::<Result<Vec<_>, _>>()?;
        runs.adopt(generation, root, opened, &manifest.meta);
        runs.is_dir_made.store(true, Ordering::Relaxed);
        Ok((runs, manifest.meta))
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    fn open_run(&self, facts: RunFacts) -> Result<Arc<Run>, RunsError> {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        Run::open(&*self.disk, &self.dir, &self.local, facts, serial).map(Arc::new)
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The newest value of `key`.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RunsError> {
        let snapshot = self.snapshot();
        let hash = self.seed.hash(key);
        for run in &snapshot.runs {
            if !run.may_contain(key, hash, &self.caches)? {
                continue;
            }
            match run.find(key, &self.caches)? {
                Answer::Absent => {}
                Answer::Deleted => return Ok(None),
                Answer::Value(value) => return Ok(Some(value)),
            }
        }
        Ok(None)
    }

    /// False when surely no entry, deleted or not, has a key that begins with these 33 bytes. Of a
    /// longer prefix the first 33 bytes count; a shorter one may always be there.
    pub fn may_contain_prefix33(&self, prefix: &[u8]) -> Result<bool, RunsError> {
        let snapshot = self.snapshot();
        for run in &snapshot.runs {
            if self.run_may_contain_prefix(run, prefix)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run_may_contain_prefix(&self, run: &Run, prefix: &[u8]) -> Result<bool, RunsError> {
        let Some(prefix) = prefix.get(..PREFIX_LEN) else {
            return Ok(true);
        };
        run.may_contain(prefix, self.seed.hash(prefix), &self.caches)
    }

    /// Entries from `from` on whose keys begin with `prefix`, in order. Sees the index as it is now,
    /// whatever is published later.
    pub fn scan(&self, from: &[u8], prefix: &[u8]) -> Result<Scan, RunsError> {
        self.scan_raw(from, prefix).map(Scan)
    }

    /// [`Runs::scan`] with deletions as `None`, for merging with newer entries in memory.
    pub fn scan_raw(&self, from: &[u8], prefix: &[u8]) -> Result<ScanRaw, RunsError> {
        let snapshot = self.snapshot();
        let from = from.max(prefix);
        let mut cursors = Vec::new();
        for run in &snapshot.runs {
            if self.run_may_contain_prefix(run, prefix)? {
                let caches = Some(Arc::clone(&self.caches));
                cursors.push(Cursor::seek(Arc::clone(run), caches, from)?);
            }
        }
        Ok(ScanRaw::new(Merged::new(cursors), prefix.to_vec()))
    }

    /// Reads and unseals every page and checks that keys ascend; returns the entries read.
    pub fn check(&self) -> Result<u64, RunsError> {
        let snapshot = self.snapshot();
        let mut entries = 0;
        for run in &snapshot.runs {
            entries += run::check(run)?;
        }
        Ok(entries)
    }

    /// The generation that readers see.
    pub fn generation(&self) -> u64 {
        self.snapshot().generation
    }

    /// Bytes of the run files of this generation.
    pub fn bytes_on_disk(&self) -> u64 {
        self.snapshot().runs.iter().map(|run| run.facts.bytes()).sum()
    }

    /// Entries of all runs: deletions and overwritten entries count until they are merged.
    pub fn entries(&self) -> u64 {
        self.snapshot().runs.iter().map(|run| run.facts.entries).sum()
    }

    /// Number of runs.
    pub fn run_count(&self) -> usize {
        self.snapshot().runs.len()
    }

    /// Bytes that checkpoints and merges wrote since this was opened.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    /// What the page cache did since this was opened.
    pub fn cache_figures(&self) -> CacheFigures {
        self.caches.figures()
    }
}

fn filter_seed(local: &HashKey) -> FilterSeed {
    let bytes = local.sub("index filter").keyed(&[b"seed"]);
    let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
    FilterSeed([words.next().unwrap_or(0), words.next().unwrap_or(0)])
}

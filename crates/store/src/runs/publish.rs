//! How a generation comes about and how it ends: checkpoint, merge, retire.
//!
//! Files are written under a temporary name, synced, renamed; the folder is synced last. Names are
//! random or hold a hash, so nothing is ever overwritten, and nothing is removed before `retire`: a
//! crash at any point leaves the generation of the superblock as it was.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypt::{PageKeys, Random};

use super::manifest::{
    META_LEN_MAX, Manifest, ManifestRoot, RUNS_MAX, RunFacts, draw_nonce, manifest_name, run_name,
};
use super::merge::{Merged, due};
use super::run::{Cursor, Run};
use super::write::{RunWriter, check_len};
use super::{Runs, RunsError, Snapshot};
use crate::disk::{Access, Caching, DiskFile};

const TEMPORARY: &str = ".tmp";

/// The generations whose files must stay.
#[derive(Debug, Default)]
pub(super) struct Publication {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    generation: u64,
    names: Vec<String>,
}

/// Names of runs that no manifest names yet.
#[derive(Debug, Default)]
pub(super) struct Building(Mutex<BTreeSet<String>>);

impl Building {
    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, name: String) -> BuildingName<'_> {
        self.names().insert(name.clone());
        BuildingName { building: self, name }
    }
}

/// Protects a name until it is dropped.
struct BuildingName<'a> {
    building: &'a Building,
    name: String,
}

impl Drop for BuildingName<'_> {
    fn drop(&mut self) {
        self.building.names().remove(&self.name);
    }
}

impl Snapshot {
    /// The runs to merge.
    fn due(&self) -> Option<Range<usize>> {
        let slots: Vec<u32> = self.runs.iter().map(|run| run.facts.slots).collect();
        due(&slots)
    }
}

type Written<'a> = (BuildingName<'a>, Option<Arc<Run>>);

impl Runs {
    /// Makes `sorted` (strictly ascending, `None` deletes) the newest run, and `meta` the blob that
    /// [`Runs::open`] returns. The generation is on disk when this returns; it counts once the caller
    /// has made a superblock durable that names it. Superblocks are written in the order of
    /// generations.
    ///
    /// # Errors
    /// Nothing changes on any error.
    pub fn checkpoint<'a>(
        &self,
        sorted: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        meta: &[u8],
        random: &dyn Random,
    ) -> Result<(u64, ManifestRoot), RunsError> {
        check_len("index meta", meta.len(), META_LEN_MAX)?;
        let _turn = lock(&self.checkpointing);
        let (_name, run) = self.write_run(random, |writer| {
            let mut sorted = sorted;
            sorted.try_for_each(|(key, value)| writer.add(key, value))
        })?;
        self.publish(random, |snapshot| {
            let runs = run.into_iter().chain(snapshot.runs.iter().cloned()).collect();
            (runs, Arc::from(meta))
        })
    }

    /// True when [`Runs::merge`] would merge something.
    pub fn merge_due(&self) -> bool {
        self.snapshot().due().is_some()
    }

    /// Merges the runs that are due, in bounded memory; `None` when none are. Reads and checkpoints go
    /// on meanwhile. The result counts as for [`Runs::checkpoint`], and keeps the newest meta blob.
    pub fn merge(&self, random: &dyn Random) -> Result<Option<(u64, ManifestRoot)>, RunsError> {
        let _turn = lock(&self.merging);
        let snapshot = self.snapshot();
        let Some(range) = snapshot.due() else {
            return Ok(None);
        };
        let drops_deletions = range.end == snapshot.runs.len();
        let old: Vec<Arc<Run>> = snapshot.runs.get(range).unwrap_or_default().to_vec();
        let (_name, merged) =
            self.write_run(random, |writer| merge_into(writer, &old, drops_deletions))?;
        self.publish(random, |snapshot| {
            let mut runs = Vec::with_capacity(snapshot.runs.len());
            let mut merged = merged;
            for run in &snapshot.runs {
                if old.iter().any(|old| Arc::ptr_eq(old, run)) {
                    runs.extend(merged.take());
                } else {
                    runs.push(Arc::clone(run));
                }
            }
            (runs, Arc::clone(&snapshot.meta))
        })
        .map(Some)
    }

    /// Writes, syncs and opens one run. The name is safe from [`Runs::retire`] while the guard lives.
    fn write_run(
        &self,
        random: &dyn Random,
        fill: impl FnOnce(&mut RunWriter) -> Result<(), RunsError>,
    ) -> Result<Written<'_>, RunsError> {
        self.make_dir()?;
        let nonce = draw_nonce(random);
        let name = run_name(&nonce);
        let temporary = self.path(&format!("{name}{TEMPORARY}"));
        let guard = self.building.start(name.clone());
        let facts = self.discard_unless_written(&temporary, |file| {
            let keys = PageKeys::new(&self.local, &nonce);
            let mut writer = RunWriter::new(file, keys, nonce, self.seed);
            fill(&mut writer)?;
            writer.finish()
        })?;
        let Some(facts) = facts else {
            return Ok((guard, None));
        };
        self.disk.rename(&temporary, &self.path(&name))?;
        self.bytes_written.fetch_add(facts.bytes(), Ordering::Relaxed);
        let run = self.open_run(facts)?;
        Ok((guard, Some(run)))
    }

    /// Creates `temporary` and lets `write` fill it; removes it when there is nothing to keep.
    fn discard_unless_written(
        &self,
        temporary: &str,
        write: impl FnOnce(Arc<dyn DiskFile>) -> Result<Option<RunFacts>, RunsError>,
    ) -> Result<Option<RunFacts>, RunsError> {
        let file = self.disk.open(temporary, Access::Create, Caching::Buffered)?;
        let written = write(file);
        if !matches!(written, Ok(Some(_))) {
            // What stays here is removed by the next `retire`.
            let _ = self.disk.remove(temporary);
        }
        written
    }

    fn make_dir(&self) -> Result<(), RunsError> {
        if self.is_dir_made.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.disk.make_dir(&self.dir)?;
        let mut dir = self.dir.as_str();
        while !dir.is_empty() {
            dir = dir.rsplit_once('/').map_or("", |(parent, _)| parent);
            self.disk.sync_dir(dir)?;
        }
        self.is_dir_made.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Writes the manifest of the next generation, makes the folder durable, shows it to readers.
    fn publish(
        &self,
        random: &dyn Random,
        next: impl FnOnce(&Snapshot) -> (Vec<Arc<Run>>, Arc<[u8]>),
    ) -> Result<(u64, ManifestRoot), RunsError> {
        let mut publication = lock(&self.publishing);
        let current = self.snapshot();
        let generation = current
            .generation
            .checked_add(1)
            .ok_or(RunsError::UnknownGeneration { generation: u64::MAX })?;
        let (runs, meta) = next(&current);
        check_len("index runs", runs.len(), RUNS_MAX)?;
        let facts = runs.iter().map(|run| run.facts.clone()).collect();
        let manifest = Manifest { generation, runs: facts, meta: meta.to_vec() };
        let (bytes, root) = manifest.seal(&self.local, random);
        let path = self.path(&manifest_name(generation, root));
        let temporary = format!("{path}{TEMPORARY}");
        let file = self.disk.open(&temporary, Access::Create, Caching::Buffered)?;
        file.write_at(0, &bytes)?;
        file.sync()?;
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_dir(&self.dir)?;
        self.bytes_written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        publication.kept.push(Kept::new(generation, root, &runs));
        self.show(Snapshot { generation, runs, meta });
        Ok((generation, root))
    }

    fn show(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// Starts from a generation that lies on disk.
    pub(super) fn adopt(
        &self,
        generation: u64,
        root: ManifestRoot,
        runs: Vec<Arc<Run>>,
        meta: &[u8],
    ) {
        lock(&self.publishing).kept.push(Kept::new(generation, root, &runs));
        self.show(Snapshot { generation, runs, meta: Arc::from(meta) });
    }

    /// Removes the files that no generation from `generation` on names; call it when a superblock that
    /// names `generation` is durable. Files left by a crash go too; running scans keep theirs open.
    ///
    /// # Errors
    /// [`RunsError::UnknownGeneration`] above the newest generation; nothing is removed then.
    pub fn retire(&self, generation: u64) -> Result<(), RunsError> {
        let mut publication = lock(&self.publishing);
        if generation > self.snapshot().generation {
            return Err(RunsError::UnknownGeneration { generation });
        }
        if publication.kept.is_empty() {
            return Ok(());
        }
        publication.kept.retain(|kept| kept.generation >= generation);
        // Listed before the names of unfinished runs are asked for: a run that starts later is in
        // neither, one that started earlier is protected until its manifest is kept.
        let entries = self.disk.list(&self.dir)?;
        for entry in entries {
            let name = entry.name.strip_suffix(TEMPORARY).unwrap_or(&entry.name);
            let is_ours = name.starts_with("run-") || name.starts_with("manifest-");
            if is_ours && !publication.names(&entry.name) && !self.building.names().contains(name) {
                self.disk.remove(&self.path(&entry.name))?;
            }
        }
        Ok(())
    }
}

impl Publication {
    fn names(&self, name: &str) -> bool {
        self.kept.iter().any(|kept| kept.names.iter().any(|kept| kept == name))
    }
}

impl Kept {
    fn new(generation: u64, root: ManifestRoot, runs: &[Arc<Run>]) -> Self {
        let manifest = manifest_name(generation, root);
        let names = runs.iter().map(|run| run.facts.file_name()).chain([manifest]).collect();
        Self { generation, names }
    }
}

fn merge_into(
    writer: &mut RunWriter,
    newest_first: &[Arc<Run>],
    drops_deletions: bool,
) -> Result<(), RunsError> {
    let cursors = newest_first.iter().map(|run| Cursor::seek(Arc::clone(run), None, &[]));
    let mut merged = Merged::new(cursors.collect::<Result<_, _>>()?);
    while let Some((i, cursor)) = merged.head() {
        if let Some((key, value)) = cursor.entry()
            && (value.is_some() || !drops_deletions)
        {
            writer.add(key, value)?;
        }
        merged.step(i)?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

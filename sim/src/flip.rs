//! One store of every file type, damaged in one place at a time (R8, R10): never a wrong byte, never
//! a panic, and whatever is not as it was is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Name, VertexHash};
use store::disk::{Access, Caching, Disk, DiskFile};
use store::sim_disk::{ImageKind, SimDisk};
use store::sim_random::SimRandom;
use store::{Store, StoreError};

use crate::figures::{Figures, caught};
use crate::material::{Keys, Reading, inline};
use crate::oracle::Oracle;
use crate::workload::{Clock, Plan, Size, Subject};

/// A closed store and what is in it.
pub struct Reference {
    /// Never written to.
    base: SimDisk,
    oracle: Oracle,
    heads: BTreeMap<Name, Vec<VertexHash>>,
    keys: Keys,
    /// Every file with its content.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What the files held earlier, where that is something else.
    pub older: BTreeMap<String, Vec<u8>>,
}

/// One change of one file, or two of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One bit is the other way round.
    Flip(String, usize),
    /// The file is gone.
    Remove(String),
    /// The file ends early.
    Truncate(String, usize),
    /// Two files have each other's content.
    Swap(String, String),
    /// The content is something else.
    Replace(String, Vec<u8>),
}

impl Reference {
    /// Two packed blocks, an index, an open block with several batches.
    pub fn new(seed: u64) -> Self {
        let clock = Clock::Steady;
        let (steps, size, ends_closed) = (0, Size::Small, false);
        let plan = Plan { seed, steps, size, clock, verify_every: 0, ends_closed };
        let sim = SimDisk::new(seed);
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        let mut subject = Subject::new(sim.clone(), disk, plan, inline());
        subject.run().expect("a healthy disk");
        let mut older = BTreeMap::new();
        for round in 0..3 {
            for _ in 0..8 {
                subject.put_and_sync().expect("a healthy disk");
            }
            if round < 2 {
                subject.store.as_ref().expect("open").flush().expect("a healthy disk");
            }
            if round == 1 {
                subject.put_and_sync().expect("a healthy disk");
                subject.close().expect("a healthy disk");
                older = contents(&sim);
                subject.reopen().expect("a healthy disk");
            }
        }
        let store = subject.store.as_ref().expect("open");
        let heads = heads(store).expect("a healthy disk");
        subject.close().expect("a healthy disk");
        let files = contents(&sim);
        older.retain(|path, bytes| files.get(path).is_some_and(|now| now != bytes));
        let keys = Keys::default();
        Self { base: sim, oracle: subject.oracle, heads, keys, files, older }
    }

    /// Whether the store fares as it must with this change.
    pub fn examine(&self, change: &Change) -> Result<Notice, String> {
        let image = self.base.crash(ImageKind::All, 0);
        let touched = self.apply(&image, change);
        let must_notice = touched.iter().any(|path| self.is_vital(path, change));
        let notice = self.probe(&image)?;
        if must_notice && notice == Notice::Nothing {
            return Err("not noticed, by a deep check neither".to_owned());
        }
        Ok(notice)
    }

    /// Superblocks are kept fourfold and the lock is empty; of everything else each bit counts.
    fn is_vital(&self, path: &str, change: &Change) -> bool {
        let is_same = match change {
            Change::Swap(a, b) => self.files[a] == self.files[b],
            Change::Replace(path, bytes) => self.files[path] == *bytes,
            _ => false,
        };
        !is_same && !path.starts_with("super.") && path != "lock"
    }

    fn apply(&self, image: &SimDisk, change: &Change) -> Vec<String> {
        match change {
            Change::Flip(path, bit) => {
                let byte = self.files[path][bit / 8] ^ (1 << (bit % 8));
                let file = image.open_file(path, Access::Update, Caching::Buffered).unwrap();
                file.write_at((bit / 8) as u64, &[byte]).unwrap();
                vec![path.clone()]
            }
            Change::Remove(path) => {
                image.remove(path).unwrap();
                vec![path.clone()]
            }
            Change::Truncate(path, len) => {
                let file = image.open_file(path, Access::Update, Caching::Buffered).unwrap();
                file.set_len(*len as u64).unwrap();
                vec![path.clone()]
            }
            Change::Swap(a, b) => {
                replace(image, a, &self.files[b]);
                replace(image, b, &self.files[a]);
                vec![a.clone(), b.clone()]
            }
            Change::Replace(path, bytes) => {
                replace(image, path, bytes);
                vec![path.clone()]
            }
        }
    }

    /// Opens, reads everything, and where nothing was said yet, verifies every byte.
    fn probe(&self, image: &SimDisk) -> Result<Notice, String> {
        let store = match self.keys.open_only(Arc::new(image.clone()), 3, inline()) {
            Ok(store) => store,
            Err(error) => return named(&error).map(|()| Notice::Refused),
        };
        let mut is_other = false;
        let mut reading = Reading::new(&store, &self.keys);
        for given in &self.oracle.given {
            match reading.plain(&given.id) {
                Ok(Some(plain)) if *plain == *given.plain => {}
                Ok(Some(_)) => return Err(format!("wrong bytes of {:?}", given.id)),
                Ok(None) => is_other = true,
                Err(error) => {
                    named(&error)?;
                    is_other = true;
                }
            }
        }
        is_other |= heads(&store).map_or(true, |heads| heads != self.heads);
        let is_told = !store.damage().is_empty();
        let report = match store.check(true, &mut |_, _| true) {
            Ok(report) => report,
            Err(error) => return named(&error).map(|()| Notice::Checked),
        };
        match (is_told, is_other, report.damage.is_empty()) {
            (true, ..) => Ok(Notice::Opened),
            (false, _, false) => Ok(Notice::Checked),
            (false, true, true) => Err(format!("silent: {:?}", report.affected.first())),
            (false, false, true) => Ok(Notice::Nothing),
        }
    }
}

/// Who told of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The store was not opened.
    Refused,
    /// It was, with a list of damage.
    Opened,
    /// A deep check told.
    Checked,
    /// Nobody: everything is as it was.
    Nothing,
}

/// Every error says what it is about.
fn named(error: &StoreError) -> Result<(), String> {
    match error {
        StoreError::Corrupt { file, .. } | StoreError::Missing { file } if !file.is_empty() => {
            Ok(())
        }
        StoreError::Index(_) | StoreError::NotAStore | StoreError::NewerFormat { .. } => Ok(()),
        error => Err(format!("an error that does not name the damage: {error} ({error:?})")),
    }
}

fn heads(store: &Store) -> Result<BTreeMap<Name, Vec<VertexHash>>, StoreError> {
    let names = store.names("", None, 100_000)?.into_iter();
    let sorted = names.map(|(name, heads)| {
        let mut hashes: Vec<_> = heads.iter().map(|head| head.hash).collect();
        hashes.sort_unstable();
        (name, hashes)
    });
    Ok(sorted.collect())
}

/// All files of a disk.
pub fn contents(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).unwrap() {
            let path =
                if folder.is_empty() { entry.name } else { format!("{folder}/{}", entry.name) };
            if entry.is_dir {
                folders.push(path);
                continue;
            }
            let mut bytes = vec![0; usize::try_from(entry.len).unwrap()];
            let file = disk.open_file(&path, Access::Read, Caching::Buffered).unwrap();
            file.read_at(0, &mut bytes).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

fn replace(image: &SimDisk, path: &str, bytes: &[u8]) {
    let file = image.open_file(path, Access::Update, Caching::Buffered).unwrap();
    file.set_len(0).unwrap();
    file.write_at(0, bytes).unwrap();
}

/// What a file is, for counting.
fn kind_of(path: &str) -> &str {
    match path.split_once('/') {
        Some(("index", name)) if name.contains("/run-") => "index run",
        Some(("index", _)) => "index manifest",
        Some((folder, _)) => folder,
        None => path.split_once('.').map_or(path, |(stem, _)| stem),
    }
}

fn count(reference: &Reference, kind: &str, change: &Change, figures: &mut Figures) {
    let outcome = caught(|| reference.examine(change));
    figures.add(kind, 1);
    if let Ok(notice) = &outcome {
        figures.add(&format!("{notice:?}"), 1);
    }
    figures.note(|| format!("{change:?}"), outcome.map(|_| ()));
}

/// Every `stride`-th bit of every file, beginning with the `part`-th.
pub fn flips(reference: &Reference, stride: usize, part: usize) -> Figures {
    let mut figures = Figures::default();
    for (path, bytes) in &reference.files {
        let kind = format!("flip {}", kind_of(path));
        for bit in (part..bytes.len() * 8).step_by(stride) {
            count(reference, &kind, &Change::Flip(path.clone(), bit), &mut figures);
        }
    }
    figures
}

/// Each file missing, cut at every `stride`-th sector, swapped with one of its kind, replaced by what
/// it was before.
pub fn files(reference: &Reference, stride: usize) -> Figures {
    const SECTOR_LEN: usize = 512;
    let mut figures = Figures::default();
    for (path, bytes) in &reference.files {
        count(reference, "missing", &Change::Remove(path.clone()), &mut figures);
        let ends = (0..bytes.len()).step_by(SECTOR_LEN * stride);
        for len in ends.chain(bytes.len().checked_sub(1)) {
            count(reference, "truncated", &Change::Truncate(path.clone(), len), &mut figures);
        }
        for other in reference.files.keys().filter(|other| *other > path) {
            if kind_of(other) == kind_of(path) {
                let change = Change::Swap(path.clone(), other.clone());
                count(reference, "swapped", &change, &mut figures);
            }
        }
        if let Some(old) = reference.older.get(path) {
            let change = Change::Replace(path.clone(), old.clone());
            count(reference, "older copy", &change, &mut figures);
        }
    }
    figures
}

/// Files with several random changes at once.
pub fn mutations(reference: &Reference, seed: u64, rounds: usize) -> Figures {
    let mut random = SimRandom::new(seed);
    let mut figures = Figures::default();
    let paths: Vec<_> = reference.files.keys().filter(|path| *path != "lock").collect();
    for _ in 0..rounds {
        let path = paths[random.below(paths.len())];
        let donor = &reference.files[paths[random.below(paths.len())]];
        let bytes = mutated(&reference.files[path], donor, &mut random);
        let change = Change::Replace(path.clone(), bytes);
        count(reference, "mutated", &change, &mut figures);
    }
    for finding in &mut figures.findings {
        finding.place = format!("mutation seed {seed}: {:.60}", finding.place);
    }
    figures
}

/// Flips, cuts, repeats, zeros, pieces of another file.
pub fn mutated(bytes: &[u8], donor: &[u8], random: &mut SimRandom) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let len = 1 + random.below(64).min(bytes.len().saturating_sub(at + 1));
        match random.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.iter_mut().skip(at).take(len).for_each(|byte| *byte = 0),
            2 => bytes.iter_mut().skip(at).take(len).for_each(|byte| *byte = 0xff),
            3 => {
                let from = random.below(donor.len());
                let piece: Vec<_> = donor.iter().skip(from).take(len * 64).copied().collect();
                bytes.iter_mut().skip(at).zip(piece).for_each(|(to, from)| *to = from);
            }
            4 => {
                let piece: Vec<_> = bytes.iter().skip(at).take(len).copied().collect();
                bytes.splice(at..at, piece);
            }
            5 => drop(bytes.drain(at..(at + len).min(bytes.len()))),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    bytes
}

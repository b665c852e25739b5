//! Corruption in the middle of the log (R11): it is never taken for a torn tail, and who accepts it
//! keeps all that lies outside the damaged batch.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use model::ObjectId;
use store::disk::{Access, Caching, Disk, DiskFile};
use store::sim_disk::{ImageKind, SimDisk};
use store::sim_random::SimRandom;
use store::{Location, Store, StoreError, StoreOptions};

use crate::figures::{Figures, caught};
use crate::material::{Keys, Reading, inline};
use crate::oracle::Oracle;
use crate::workload::{Plan, Subject};

/// Bytes of a batch header (`docs/format.md`).
const BATCH_HEADER_LEN: usize = 144;
const BATCH_LEN_MAX: usize = 1024 * 1024;

/// A batch as anyone can read it.
#[derive(Debug, Clone)]
struct Batch {
    range: Range<usize>,
    durable_upto: usize,
}

/// Batches of a block file, by the format's description and not by the store's code.
fn batches(bytes: &[u8]) -> Vec<Batch> {
    let field = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.first_chunk::<4>().copied()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let starts = (4096..bytes.len()).filter(|at| bytes[*at..].starts_with(b"OURB"));
    let batch = |at: usize| {
        let (offset, len, durable_upto) = (field(at + 52)?, field(at + 56)?, field(at + 60)?);
        (offset == at).then_some(Batch { range: at..at + len, durable_upto })
    };
    starts.filter_map(batch).collect()
}

/// One workload, its machine crashed, and one flipped bit after the other in acknowledged batches.
pub fn run(seed: u64, flips: usize) -> Figures {
    let mut figures = Figures::default();
    let prepared = caught(|| Case::new(seed));
    let case = match prepared {
        Ok(case) => case,
        Err(problem) => {
            figures.note(|| format!("damage seed {seed}"), Err(problem));
            return figures;
        }
    };
    for number in 0..flips {
        let outcome = caught(|| case.flip(number, &mut figures));
        figures.note(|| format!("damage seed {seed} flip {number}"), outcome);
    }
    figures
}

struct Case {
    seed: u64,
    image: SimDisk,
    oracle: Oracle,
    places: BTreeMap<ObjectId, Location>,
    path: String,
    bytes: Vec<u8>,
}

impl Case {
    fn new(seed: u64) -> Result<Self, String> {
        let plan = Plan { ends_closed: false, ..Plan::draw(seed) };
        let sim = SimDisk::new(seed);
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        let mut subject = Subject::new(sim.clone(), disk, plan, inline());
        subject.run().map_err(|error| error.to_string())?;
        for _ in 0..6 {
            subject.put_and_sync().map_err(|error| error.to_string())?;
        }
        let store = subject.store.as_ref().ok_or("the store is open")?;
        let mut places = BTreeMap::new();
        for given in &subject.oracle.given {
            let found = store.locate_any(&given.id).map_err(|error| error.to_string())?;
            places.extend(found.map(|location| (given.id, location)));
        }
        let image = sim.crash(ImageKind::All, 0);
        let (path, bytes) = crate::flip::contents(&image)
            .into_iter()
            .rfind(|(path, _)| path.starts_with("open/"))
            .ok_or("an open block")?;
        Ok(Self { seed, image, oracle: subject.oracle, places, path, bytes })
    }

    fn open(&self, image: &SimDisk, accept_damage: bool) -> Result<Store, StoreError> {
        let options = StoreOptions { accept_damage, ..inline() };
        Keys::default().open_only(Arc::new(image.clone()), self.seed, options)
    }

    fn flip(&self, number: usize, figures: &mut Figures) -> Result<(), String> {
        let mut random = SimRandom::new(self.seed.rotate_left(32) ^ number as u64);
        let batches = batches(&self.bytes);
        let durable = batches.iter().map(|batch| batch.durable_upto).max().unwrap_or(0);
        let acked: Vec<_> =
            batches.iter().filter(|batch| batch.range.end <= durable).cloned().collect();
        let Some(batch) = acked.get(random.below(acked.len())) else { return Ok(()) };
        // One in eight hits the block header, which all of the file needs.
        let damaged = if number % 8 == 7 { 0..4096 } else { batch.range.clone() };
        let bit = damaged.start * 8 + random.below(damaged.len() * 8);
        let image = self.image.crash(ImageKind::All, 0);
        let file = image.open_file(&self.path, Access::Update, Caching::Buffered).unwrap();
        file.write_at((bit / 8) as u64, &[self.bytes[bit / 8] ^ (1 << (bit % 8))]).unwrap();
        figures.add("corruptions below a watermark", 1);
        match self.open(&image, false) {
            Err(StoreError::Corrupt { file, .. }) if file == self.path => {}
            Err(error) => return Err(format!("bit {bit}: another error: {error}")),
            Ok(_) => return Err(format!("bit {bit} of {} is taken for a torn tail", self.path)),
        }
        let store = self.open(&image, true).map_err(|error| format!("accepting: {error}"))?;
        if store.damage().is_empty() {
            return Err("damage was accepted and not told".to_owned());
        }
        let damaged = if number % 8 == 7 { 0..0 } else { damaged };
        self.compare(&store, &damaged).map_err(|problem| format!("bit {bit}: {problem}"))?;
        drop(store);
        let image = image.crash(ImageKind::None, 0);
        let store = self.open(&image, false).map_err(|error| format!("the next open: {error}"))?;
        self.compare(&store, &damaged).map_err(|problem| format!("the next open: {problem}"))
    }

    /// Everything acknowledged outside `damaged` is there; nothing anywhere is wrong.
    fn compare(&self, store: &Store, damaged: &Range<usize>) -> Result<(), String> {
        let keys = Keys::default();
        let mut reading = Reading::new(store, &keys);
        for given in &self.oracle.given {
            let read = reading.plain(&given.id);
            if let Ok(Some(plain)) = &read
                && **plain != *given.plain
            {
                return Err(format!("wrong bytes of {:?}", given.id));
            }
            let is_hit = self.places.get(&given.id).is_none_or(|place| self.is_hit(place, damaged));
            if given.acked_at.is_some() && !is_hit && !matches!(read, Ok(Some(_))) {
                let place = self.places.get(&given.id);
                return Err(format!("{:?} at {place:?}, outside {damaged:?}: {read:?}", given.id));
            }
        }
        Ok(())
    }

    fn is_hit(&self, location: &Location, damaged: &Range<usize>) -> bool {
        let file = format!("open/{:010x}.block", location.block.0);
        let (start, len) = (location.place.offset as usize, location.place.len as usize);
        let inside = if location.place.gap == 0 { 0 } else { len / BATCH_LEN_MAX + 2 };
        let end = start + len + inside * BATCH_HEADER_LEN;
        file == self.path && start < damaged.end && damaged.start < end
    }
}

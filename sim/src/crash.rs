//! Power loss at any moment (R1), again while recovering (R2), and after a process died before the
//! machine did (R4).

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use model::hash::labelled;
use store::disk::{Access, Caching, Disk};
use store::sim_disk::{ImageKind, SimDisk};
use store::sim_random::SimRandom;
use store::{Store, StoreError, StoreOptions};

use crate::figures::{Figures, caught};
use crate::material::{Keys, inline};
use crate::oracle::{Oracle, Status};
use crate::planted::Plant;
use crate::verify::{check_deep, verify};
use crate::workload::{Clock, Plan, Size, Subject};

/// Crashes inside recovery before it is left to end.
pub const NESTED_MAX: usize = 5;

/// A disk between the store and the simulated one.
pub type Wrap<'a> = dyn Fn(SimDisk) -> Arc<dyn Disk> + Sync + 'a;

/// Nothing in between.
pub fn bare(sim: SimDisk) -> Arc<dyn Disk> {
    Arc::new(sim)
}

/// How one image is examined, beyond opening it and looking at everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aftermath {
    /// New writes, a clean close, a clean open.
    WriteAndClose,
    /// The machine crashes before anything new is written.
    CrashAtOnce,
    /// New writes, then the machine crashes.
    WriteAndCrash,
    /// Every byte is verified.
    Deep,
}

/// One workload and some of its images. Panics in a workload are findings of their own.
pub fn run(plan: Plan, images: usize, wrap: &Wrap<'_>) -> Figures {
    run_images((plan, inline()), 0..images, wrap)
}

fn run_images(
    (plan, options): (Plan, StoreOptions),
    images: Range<usize>,
    wrap: &Wrap<'_>,
) -> Figures {
    let mut figures = Figures::default();
    let sim = SimDisk::recording(plan.seed);
    let ran = caught(|| {
        let mut subject = Subject::new(sim.clone(), wrap(sim.clone()), plan, options);
        subject.run().map_err(|error| format!("a healthy disk: {error}"))?;
        Ok(subject.oracle)
    });
    let oracle = match ran {
        Ok(oracle) => oracle,
        Err(problem) => {
            figures.note(|| format!("{plan:?}"), Err(problem));
            return figures;
        }
    };
    let mut boundaries = sim.boundaries();
    let mut kinds: &[_] = &ImageKind::MACHINE;
    if options.background {
        boundaries.retain(|at| has_two_open(&sim, *at));
        kinds = &[ImageKind::Reorder, ImageKind::SizeWithoutData];
    }
    let case = Case { plan, sim: &sim, oracle: &oracle, kinds, wrap };
    figures.add("workloads", 1);
    figures.add("operations", sim.operations());
    let mut seen = HashSet::new();
    for number in images {
        case.image(number, &boundaries, &mut seen, &mut figures);
    }
    figures
}

/// Like [`run`] with a store that packs in a thread of its own. The images are those of one schedule
/// and differ from run to run; what must hold does not. Only moments at which one block waits for its
/// sync while the next is written are of interest here.
pub fn run_with_packer(plan: Plan, images: usize) -> Figures {
    let options = StoreOptions { background: true, ..inline() };
    run_images((plan, options), 0..images, &|sim| Plant::SlowLogSync.over(sim))
}

/// One image of [`run`] again.
pub fn replay(plan: Plan, number: usize) -> Figures {
    run_images((plan, inline()), number..number + 1, &bare)
}

struct Case<'a> {
    plan: Plan,
    sim: &'a SimDisk,
    oracle: &'a Oracle,
    /// Those that the image itself may have; later crashes have any.
    kinds: &'static [ImageKind],
    wrap: &'a Wrap<'a>,
}

impl Case<'_> {
    fn image(
        &self,
        number: usize,
        boundaries: &[u64],
        seen: &mut HashSet<u64>,
        figures: &mut Figures,
    ) {
        let mut random = SimRandom::new(self.plan.seed.rotate_left(24) ^ number as u64);
        let at = boundaries[random.below(boundaries.len())];
        // One in eight: the process dies first, the machine later.
        let kind = match number % 8 {
            7 => ImageKind::Process,
            _ => self.kinds[random.below(self.kinds.len())],
        };
        let image = self.sim.image_at(at, kind, random.bits()).unwrap();
        figures.add("images", 1);
        if !seen.insert(fingerprint(&image)) {
            figures.add("repeated", 1);
            return;
        }
        figures.add(&format!("{kind:?}"), 1);
        let expected = self.oracle.expected(at);
        let outcome = caught(|| match random.below(4) {
            0 => self.nested(image, &expected, &mut random, figures),
            _ => self.examine(image, self.oracle, &expected, &mut random),
        });
        let plan = self.plan;
        let name =
            |problem: &str| if problem.contains("half visible") { "half visible" } else { "lost" };
        if let Err(problem) = &outcome {
            figures.add(name(problem), 1);
        }
        figures.note(|| format!("{plan:?} image {number} ({kind:?} after {at})"), outcome);
    }

    /// Recovery is cut off up to [`NESTED_MAX`] times. What was acknowledged stays, however often.
    fn nested(
        &self,
        image: SimDisk,
        expected: &[Status],
        random: &mut SimRandom,
        figures: &mut Figures,
    ) -> Result<(), String> {
        let mut image = image;
        for _ in 0..=random.below(NESTED_MAX) {
            image.record();
            let opened = self.open(&image, expected, random);
            drop(opened.map_err(|error| format!("open in between: {error}"))?);
            let boundaries = image.boundaries();
            let at = boundaries[random.below(boundaries.len())];
            let kind = ImageKind::MACHINE[random.below(ImageKind::MACHINE.len())];
            image = image.image_at(at, kind, random.bits()).unwrap();
            figures.add("crashes in recovery", 1);
        }
        figures.add("nested images", 1);
        self.examine(image, self.oracle, expected, random)
    }

    fn open(
        &self,
        image: &SimDisk,
        expected: &[Status],
        random: &mut SimRandom,
    ) -> Result<Store, StoreError> {
        let disk = (self.wrap)(image.clone());
        let keys = Keys::default();
        // A half-made store may be completed only while it holds nothing.
        if expected.contains(&Status::Must) {
            keys.open_only(disk, random.bits(), inline())
        } else {
            keys.open(disk, random.bits(), inline())
        }
    }

    /// Opens without accepting damage, compares, and sees that the store still works.
    fn examine(
        &self,
        image: SimDisk,
        oracle: &Oracle,
        expected: &[Status],
        random: &mut SimRandom,
    ) -> Result<(), String> {
        let keys = Keys::default();
        let store =
            self.open(&image, expected, random).map_err(|error| format!("open: {error}"))?;
        if let Some(damage) = store.damage().first() {
            return Err(format!("a crash is taken for damage: {damage:?}"));
        }
        let present = verify(&store, &keys, oracle, expected)?;
        let settled = oracle.settled(&present);
        let aftermath = match random.below(8) {
            0 => Aftermath::WriteAndClose,
            1..5 => Aftermath::CrashAtOnce,
            5..7 => Aftermath::WriteAndCrash,
            _ => Aftermath::Deep,
        };
        let again = match aftermath {
            Aftermath::Deep => return check_deep(&store),
            Aftermath::CrashAtOnce => {
                let kind = ImageKind::MACHINE[random.below(ImageKind::MACHINE.len())];
                (image.crash(kind, random.bits()), settled)
            }
            Aftermath::WriteAndClose | Aftermath::WriteAndCrash => {
                self.go_on(&image, store, settled, (aftermath, random))?
            }
        };
        let (image, oracle) = again;
        let expected = oracle.expected(u64::MAX);
        let store = self.open(&image, &expected, random);
        let store = store.map_err(|error| format!("{aftermath:?}, open: {error}"))?;
        if let Some(damage) = store.damage().first() {
            return Err(format!("{aftermath:?} is taken for damage: {damage:?}"));
        }
        verify(&store, &keys, &oracle, &expected)
            .map_err(|problem| format!("{aftermath:?}: {problem}"))?;
        Ok(())
    }

    fn go_on(
        &self,
        image: &SimDisk,
        store: Store,
        settled: Oracle,
        (aftermath, random): (Aftermath, &mut SimRandom),
    ) -> Result<(SimDisk, Oracle), String> {
        let plan =
            Plan { seed: random.bits(), size: Size::Small, clock: Clock::Steady, ..self.plan };
        let mut subject = Subject::resumed(image.clone(), store, settled, plan);
        let went_on = subject.steps(5).and_then(|()| subject.sync());
        went_on.map_err(|error| format!("writing after recovery: {error}"))?;
        if aftermath == Aftermath::WriteAndClose {
            subject.close().map_err(|error| format!("closing after recovery: {error}"))?;
            return Ok((image.crash(ImageKind::None, 0), subject.oracle));
        }
        let kind = ImageKind::MACHINE[random.below(ImageKind::MACHINE.len())];
        Ok((image.crash(kind, random.bits()), subject.oracle))
    }
}

fn has_two_open(sim: &SimDisk, at: u64) -> bool {
    let image = sim.image_at(at, ImageKind::All, 0).unwrap();
    image.list("open").is_ok_and(|entries| entries.len() > 1)
}

/// Tells images apart: names and contents of all files.
pub fn fingerprint(disk: &SimDisk) -> u64 {
    let mut hasher = labelled("image");
    let mut folders = vec![String::new()];
    let mut bytes = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).unwrap() {
            let path =
                if folder.is_empty() { entry.name } else { format!("{folder}/{}", entry.name) };
            hasher.update(path.as_bytes());
            if entry.is_dir {
                folders.push(path);
                continue;
            }
            bytes.resize(usize::try_from(entry.len).unwrap(), 0);
            let file = disk.open_file(&path, Access::Read, Caching::Buffered).unwrap();
            store::disk::DiskFile::read_at(&file, 0, &mut bytes).unwrap();
            hasher.update(&entry.len.to_le_bytes()).update(&bytes);
        }
    }
    let digest = hasher.finalize();
    u64::from_le_bytes(*digest.as_bytes().first_chunk().unwrap())
}

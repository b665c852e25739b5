//! Power losses, crashes in recovery and failing disks, in memory: the long form of the tests of
//! `sim`.

use std::time::Instant;

use sim::crash::{bare, replay, run as images_of};
use sim::workload::{Clock, Plan, Size};
use sim::{Figures, damage, faults, in_parallel};

use crate::arguments::Arguments;
use crate::failure::Failure;

const THREADS: usize = 2;
/// Images of one workload.
const IMAGES_EACH: usize = 150;
/// One failing sync is tried for so many images, one failing operation and one corruption likewise.
const IMAGES_PER_FAULT: u64 = 20;
/// A workload in so many fills whole blocks; its images are dear.
const ROLLOVER_EVERY: u64 = 1_009;
const FINDINGS_SHOWN: usize = 5;

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let images = arguments.number("images", 20_000)?;
    let seed = arguments.number("seed", 1)?;
    let image = arguments.number("image", u64::MAX)?;
    arguments.end()?;
    // A panic is a finding and is printed with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    let started = Instant::now();
    let mut figures = Figures::default();
    if let Ok(image) = usize::try_from(image)
        && image != usize::MAX
    {
        figures.merge(replay(plan(seed), image));
        return conclude("crash", &figures, started);
    }
    let distinct = |figures: &Figures| figures.count("images") - figures.count("repeated");
    figures.merge(in_parallel(
        THREADS,
        seed,
        |seed| images_of(plan(seed), images_each(seed), &bare),
        |figures| distinct(figures) >= images,
    ));
    println!("crash: images after {:.1} s", started.elapsed().as_secs_f64());
    let faults_wanted = images / IMAGES_PER_FAULT;
    figures.merge(in_parallel(
        THREADS,
        seed,
        |seed| faults::failed_syncs(seed, 5),
        |figures| figures.count("failed syncs") >= faults_wanted,
    ));
    figures.merge(in_parallel(
        THREADS,
        seed,
        |seed| faults::failed_operations(seed, 41),
        |figures| figures.count("failed operations") >= faults_wanted,
    ));
    figures.merge(in_parallel(
        THREADS,
        seed,
        |seed| damage::run(seed, 50),
        |figures| figures.count("corruptions below a watermark") >= faults_wanted,
    ));
    conclude("crash", &figures, started)
}

fn plan(seed: u64) -> Plan {
    let plan = Plan::draw(seed);
    if seed.is_multiple_of(ROLLOVER_EVERY) {
        return Plan { size: Size::Rollover, steps: 90, clock: Clock::Steady, ..plan };
    }
    plan
}

fn images_each(seed: u64) -> usize {
    if seed.is_multiple_of(ROLLOVER_EVERY) { IMAGES_EACH / 5 } else { IMAGES_EACH }
}

/// Prints figures and findings; the verdict.
pub(crate) fn conclude(what: &str, figures: &Figures, started: Instant) -> Result<(), Failure> {
    drop(std::panic::take_hook());
    let seconds = started.elapsed().as_secs_f64();
    for (name, count) in &figures.counts {
        println!("{what} {count:>12} {name}");
    }
    let distinct = figures.count("images") - figures.count("repeated");
    if distinct > 0 {
        println!("{what}: {distinct} distinct images");
    }
    for finding in figures.findings.iter().take(FINDINGS_SHOWN) {
        println!("{what}: {finding}");
    }
    println!("{what}: {} findings, {seconds:.1} s", figures.findings.len());
    Failure::unless_none(figures.findings.len(), "broken promise")
}

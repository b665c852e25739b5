//! A store of every file type with each bit flipped, and each file missing, cut, swapped, old or
//! mutated.

use std::time::Instant;

use sim::flip::{Reference, files, flips, mutations};
use sim::{Figures, in_parallel};

use crate::arguments::Arguments;
use crate::crash::conclude;
use crate::failure::Failure;

const THREADS: usize = 2;
/// Sampled: one bit in so many, and one sector.
const STRIDE_SAMPLED: usize = 211;
/// Parts that the bits are dealt out in.
const PARTS: usize = 1_024;
const MUTATIONS_SAMPLED: u64 = 2_000;
const MUTATIONS_WHOLE: u64 = 200_000;
const MUTATIONS_EACH: u64 = 100;

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let is_whole = arguments.flag("whole");
    let _ = arguments.flag("sampled");
    let seed = arguments.number("seed", 1)?;
    arguments.end()?;
    std::panic::set_hook(Box::new(|_| ()));
    let started = Instant::now();
    let reference = Reference::new(seed);
    let mut figures = Figures::default();
    let bytes: usize = reference.files.values().map(Vec::len).sum();
    figures.add("bytes in the store", bytes as u64);
    let (stride, parts) = if is_whole { (PARTS, PARTS) } else { (STRIDE_SAMPLED * 16, 16) };
    let parts_wanted = parts as u64;
    figures.merge(in_parallel(
        THREADS,
        0,
        |part| {
            let Some(part) = usize::try_from(part).ok().filter(|part| *part < parts) else {
                return Figures::default();
            };
            let mut figures = flips(&reference, stride, part * (stride / parts));
            figures.add("parts", 1);
            figures
        },
        |figures| figures.count("parts") >= parts_wanted,
    ));
    figures.merge(files(&reference, if is_whole { 1 } else { 16 }));
    let mutations_wanted = if is_whole { MUTATIONS_WHOLE } else { MUTATIONS_SAMPLED };
    figures.merge(in_parallel(
        THREADS,
        seed,
        |seed| mutations(&reference, seed, usize::try_from(MUTATIONS_EACH).unwrap_or(1)),
        |figures| figures.count("mutated") >= mutations_wanted,
    ));
    conclude("flip", &figures, started)
}

//! `bench`: what this machine can do, stage by stage and end to end, against the goals.
//!
//! Everything is measured in one run, so that each figure has its reference beside it: processor
//! seconds and ratios hold on a noisy machine, wall times alone do not. MB is 10^6 bytes.

pub(crate) mod child;
mod clock;
mod counting_disk;
mod data;
mod durable;
mod files;
mod get;
mod ingest;
mod lab;
mod memory;
mod opening;
mod row;
mod small;
mod stages;
mod text;

use std::io;

use store::disk::DiskError;

use self::lab::Lab;
use self::row::Row;
use self::stages::Stages;
use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;

/// Passes over the stages; the median counts.
const PASSES: usize = 3;

/// What a run is asked for.
#[derive(Debug)]
pub(crate) struct Wish {
    /// Bytes of the large contents.
    pub(crate) size: u64,
    /// Also what takes long.
    pub(crate) is_long: bool,
    /// Folder that text is taken from.
    pub(crate) text: Option<std::path::PathBuf>,
    /// Ids of goals; all when empty.
    pub(crate) goals: Vec<String>,
}

/// One measurement: which goals it is about, and what it does.
struct Measurement {
    goals: &'static [&'static str],
    run: fn(&Lab<'_>) -> Result<(), Failure>,
}

const MEASUREMENTS: &[Measurement] = &[
    Measurement { goals: &["P1"], run: ingest::random },
    Measurement { goals: &["P2"], run: ingest::text },
    Measurement { goals: &["P3"], run: ingest::edited },
    Measurement { goals: &["P4"], run: get::get },
    Measurement { goals: &["P5"], run: files::many },
    Measurement { goals: &["P6"], run: durable::one_writer },
    Measurement { goals: &["P7"], run: durable::many_writers },
    Measurement { goals: &["P8"], run: small::gets },
    Measurement { goals: &["P9"], run: small::amplification },
    Measurement { goals: &["P10"], run: memory::memory },
    Measurement { goals: &["P11"], run: opening::open },
    Measurement { goals: &["P12"], run: opening::growth },
    Measurement { goals: &["P13"], run: ingest::cores },
    Measurement { goals: &["check"], run: opening::check },
];

/// Measures and prints one line each.
pub(crate) fn run(context: &Context, wish: Wish) -> Result<(), Failure> {
    let known = |goal: &String| MEASUREMENTS.iter().any(|one| one.is_about(goal));
    if let Some(unknown) = wish.goals.iter().find(|goal| !known(goal)) {
        let ids: Vec<_> = MEASUREMENTS.iter().flat_map(|one| one.goals).copied().collect();
        return Err(Failure::usage(format!("no goal {unknown}")).hint(ids.join(" ")));
    }
    let mut lab = Lab::new(context, wish.size)?;
    (lab.is_long, lab.text) = (wish.is_long, wish.text);
    if !context.output.is_json() {
        context.output.raw(format!("{}\n", Row::heading()).as_bytes())?;
    }
    lab.stages = Stages::measure(&lab, PASSES)?;
    lab.stages.rows().iter().try_for_each(|row| lab.print(row))?;
    for one in MEASUREMENTS {
        if wish.goals.is_empty() || wish.goals.iter().any(|goal| one.is_about(goal)) {
            lab.check()?;
            (one.run)(&lab)?;
        }
    }
    Ok(())
}

impl Measurement {
    fn is_about(&self, goal: &str) -> bool {
        self.goals.iter().any(|id| id.eq_ignore_ascii_case(goal))
    }
}

/// The middle of the figures, the mean of the two middle ones where their count is even.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    if figures.len() % 2 == 1 {
        at(middle)
    } else {
        (at(middle.wrapping_sub(1)) + at(middle)) / 2.0
    }
}

/// The figure below which `percent` of the others lie.
fn percentile(figures: &mut [f64], percent: usize) -> f64 {
    figures.sort_by(f64::total_cmp);
    let at = (figures.len() * percent / 100).min(figures.len().saturating_sub(1));
    figures.get(at).copied().unwrap_or(f64::NAN)
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn disk_failed(error: DiskError) -> Failure {
    let what = error.to_string();
    io_failed(&what, &error.source)
}

fn io_failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(Kind::Unavailable, format!("{what}: {error}; nothing of yours was touched"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
        let mut figures: Vec<f64> = (0..200).rev().map(f64::from).collect();
        assert_eq!((percentile(&mut figures, 50), percentile(&mut figures, 99)), (100.0, 198.0));
    }
}

//! Large contents in: random (P1), text (P2), edited (P3), on two cores (P13).

use std::io::Read;

use ouroborosdb::{Ack, Database, Options, Put, PutRequest, Session};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::clock::{Spent, timed};
use super::counting_disk::CountingDisk;
use super::data::{FileReader, Noise, edited as edit, write_file};
use super::lab::{Lab, database_on};
use super::row::Row;
use super::stages::Stages;
use super::text::{origin, text as words};
use super::{mb, median};
use crate::failure::Failure;

/// Times each measurement is made; the median counts.
const ROUNDS: usize = 3;
const SOURCE: &str = "content";
const EDITED: &str = "content-edited";
/// Edits a GiB gets.
const EDITS_PER_GIB: u64 = 200;

/// P1: random bytes from a file in the page cache.
pub(crate) fn random(lab: &Lab<'_>) -> Result<(), Failure> {
    source(lab, SOURCE, Noise::new(21).take(lab.size))?;
    let (mut rates, mut walls, mut ceilings) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let stages = Stages::measure(lab, 1)?;
        ceilings.push(stages.ingest_ceiling());
        let db = lab.database("p1", Options::default())?;
        let (put, spent) = put(lab, &db, SOURCE)?;
        rates.push(mb(put.bytes_read) / spent.cpu_s);
        walls.push(mb(put.bytes_read) / spent.wall_s);
        drop(db);
        lab.remove("p1")?;
    }
    lab.remove("sources")?;
    let row = Row::new("P1", "ingest random", median(rates), "MB/CPU-s");
    let row = row.against("MB/CPU-s, stages in a row", median(ceilings));
    lab.print(&row.at_least(400.0).ratio_at_least(0.75))?;
    lab.print(&Row::new("P1", "ingest random, by the clock", median(walls), "MB/s"))
}

/// P2: text.
pub(crate) fn text(lab: &Lab<'_>) -> Result<(), Failure> {
    let len = usize::try_from(lab.size / 4).unwrap_or(usize::MAX);
    let words = words(lab, len)?;
    source(lab, SOURCE, words.as_slice())?;
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let db = lab.database("p2", Options::default())?;
        let (put, spent) = put(lab, &db, SOURCE)?;
        rates.push(mb(put.bytes_read) / spent.cpu_s);
        ratios.push(mb(put.bytes_stored) / mb(put.bytes_read));
        drop(db);
        lab.remove("p2")?;
    }
    lab.remove("sources")?;
    let what = format!("ingest text, {:.0} MB of {}", mb(words.len() as u64), origin(lab));
    lab.print(&Row::new("P2", what, median(rates), "MB/CPU-s").at_least(200.0))?;
    lab.print(&Row::new("P2", "text stored / in", median(ratios), "").at_most(0.38))
}

/// P3: the same again after edits.
pub(crate) fn edited(lab: &Lab<'_>) -> Result<(), Failure> {
    let len = usize::try_from(lab.size).unwrap_or(usize::MAX);
    let before = Noise::new(22).take_bytes(len);
    let edits = usize::try_from((lab.size * EDITS_PER_GIB).div_ceil(1 << 30)).unwrap_or(1);
    source(lab, SOURCE, before.as_slice())?;
    source(lab, EDITED, edit(&before, edits, 23).as_slice())?;
    drop(before);
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let db = lab.database("p3", Options::default())?;
        put(lab, &db, SOURCE)?;
        let (put, spent) = put(lab, &db, EDITED)?;
        rates.push(mb(put.bytes_read) / spent.cpu_s);
        ratios.push(mb(put.bytes_stored) / mb(put.bytes_read));
        drop(db);
        lab.remove("p3")?;
    }
    lab.remove("sources")?;
    let what = format!("re-ingest random after {edits} edits");
    lab.print(&Row::new("P3", what, median(rates), "MB/CPU-s").at_least(650.0))?;
    lab.print(&Row::new("P3", "added / in", median(ratios), "").at_most(0.10))
}

/// P13: one large file on one core, and on two.
pub(crate) fn cores(lab: &Lab<'_>) -> Result<(), Failure> {
    source(lab, SOURCE, Noise::new(24).take(lab.size))?;
    let all = sched_getaffinity(None).ok();
    let measured = speed_up(lab, all.as_ref());
    if let Some(all) = &all {
        // What was allowed before is allowed again.
        let _ = sched_setaffinity(None, all);
    }
    lab.remove("sources")?;
    measured
}

fn speed_up(lab: &Lab<'_>, all: Option<&CpuSet>) -> Result<(), Failure> {
    let [first, both] = [1, 2].map(|count| all.and_then(|all| some_of(all, count)));
    for (what, drops_blocks) in
        [("ingest one large file, two cores", false), ("the same, block writes left out", true)]
    {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            one.push(on_cores(lab, first.as_ref(), 1, drops_blocks)?);
            two.push(on_cores(lab, both.as_ref(), 2, drops_blocks)?);
        }
        let row = Row::new("P13", what, median(two), "MB/s");
        let row = row.against("MB/s, one core", median(one));
        lab.print(&if drops_blocks { row } else { row.ratio_at_least(1.8) })?;
    }
    Ok(())
}

/// The first `count` of the cores; none when there are fewer.
fn some_of(all: &CpuSet, count: u32) -> Option<CpuSet> {
    let mut some = CpuSet::new();
    for core in (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)) {
        if some.count() < count {
            some.set(core);
        }
    }
    (some.count() == count).then_some(some)
}

/// MB per second by the clock, with everything the database does on these cores.
fn on_cores(
    lab: &Lab<'_>,
    cores: Option<&CpuSet>,
    threads: usize,
    drops_blocks: bool,
) -> Result<f64, Failure> {
    if let Some(cores) = cores {
        // Threads inherit it; a system that refuses gives a worse ratio, not a better one.
        let _ = sched_setaffinity(None, cores);
    }
    let disk = lab.disk("p13")?;
    let disk = if drops_blocks { CountingDisk::without_blocks(disk) } else { disk };
    let db = database_on(disk, Options { threads, ..Options::default() })?;
    let (put, spent) = put(lab, &db, SOURCE)?;
    drop(db);
    lab.remove("p13")?;
    Ok(mb(put.bytes_read) / spent.wall_s)
}

/// Makes a file that contents are put from.
pub(super) fn source(lab: &Lab<'_>, name: &str, content: impl Read) -> Result<(), Failure> {
    write_file(&*lab.disk("sources")?, name, content)?;
    Ok(())
}

/// Puts a file under its own name, durable on return.
pub(super) fn put(lab: &Lab<'_>, db: &Database, name: &str) -> Result<(Put, Spent), Failure> {
    let mut reader = FileReader::open(&*lab.disk("sources")?, name)?;
    let name = Some(model::Name::new(SOURCE).map_err(ouroborosdb::Error::from)?);
    let request = PutRequest { name, ack: Ack::Local, ..PutRequest::default() };
    let (put, spent) = timed(|| Session::put(db, &request, &mut reader, lab));
    Ok((put?, spent))
}

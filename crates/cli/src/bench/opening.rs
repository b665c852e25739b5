//! Opening after a crash and after a clean close (P11), growth (P12), a deep check.

use ouroborosdb::{CheckRequest, Database, Options};

use super::child::{Role, start};
use super::clock::timed;
use super::data::Noise;
use super::ingest::{put, source};
use super::lab::Lab;
use super::row::Row;
use super::small::fill;
use super::{mb, median};
use crate::failure::Failure;
use std::io::Read as _;

const ROUNDS: usize = 5;
/// Bytes of log a crash leaves.
const LOG_LEN: u64 = 64 * 1024 * 1024;

/// P11.
pub(crate) fn open(lab: &Lab<'_>) -> Result<(), Failure> {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        lab.check()?;
        start(&lab.path("p11"), Role::Die, LOG_LEN.min(lab.size))?;
        let (db, spent) = timed(|| lab.database("p11", Options::default()));
        drop(db?);
        walls.push(spent.wall_s * 1e3);
        cpus.push(spent.cpu_s * 1e3);
        lab.remove("p11")?;
    }
    let what = format!("open after kill -9 with {} MB of log", LOG_LEN.min(lab.size) >> 20);
    lab.print(&Row::new("P11", what, median(walls), "ms").at_most(200.0))?;
    lab.print(&Row::new("P11", "  processor time of it", median(cpus), "ms"))?;
    clean(lab)
}

fn clean(lab: &Lab<'_>) -> Result<(), Failure> {
    let objects = if lab.is_long { 2_000_000 } else { lab.count(200_000, 1000) };
    let db = lab.database("p11", Options::default())?;
    fill(lab, &db, objects, 64)?;
    db.close()?;
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (db, spent) = timed(|| lab.database("p11", Options::default()));
        walls.push(spent.wall_s * 1e3);
        cpus.push(spent.cpu_s * 1e3);
        db?.close()?;
    }
    lab.remove("p11")?;
    let what = format!("open after a clean close, {objects} objects");
    lab.print(&Row::new("P11", what, median(walls), "ms").at_most(50.0))?;
    lab.print(&Row::new("P11", "  processor time of it", median(cpus), "ms"))
}

/// P12: what a put costs when the index has grown. Long runs only: millions of versions are put.
pub(crate) fn growth(lab: &Lab<'_>) -> Result<(), Failure> {
    if !lab.is_long {
        return Ok(());
    }
    let db = lab.database("p12", Options::default())?;
    let mut at = Vec::new();
    for objects in [600_000, 6_000_000] {
        fill(lab, &db, objects, 64)?;
        db.flush()?;
        let index = db.stats()?.bytes_index;
        at.push((index, cpu_of_large(lab, &db, objects)?));
    }
    drop(db);
    lab.remove("p12")?;
    let [(small, before), (large, after)] = at.as_slice() else { return Ok(()) };
    let what = format!("put 256 KiB contents at {:.0} MB of index", mb(*large));
    let row = Row::new("P12", what, *after, "CPU-ms/MB");
    let row = row.against(format!("CPU-ms/MB at {:.0} MB", mb(*small)), *before);
    lab.print(&row.ratio_at_most(1.3))
}

/// CPU-ms per MB of contents of one chunk or two, 64 a sync.
fn cpu_of_large(lab: &Lab<'_>, db: &Database, seed: u64) -> Result<f64, Failure> {
    let mut noise = Noise::new(seed);
    let len = 256 * 1024;
    let puts = lab.count(2000, 100);
    let (done, spent) = timed(|| {
        for n in 0..puts {
            lab.check()?;
            db.put(&format!("growth/{seed}/{n}"), noise.take_bytes(len).as_slice())?;
        }
        Ok::<(), Failure>(())
    });
    done?;
    Ok(spent.cpu_s * 1e3 / mb(puts * len as u64))
}

/// Every byte of packed blocks verified.
pub(crate) fn check(lab: &Lab<'_>) -> Result<(), Failure> {
    source(lab, "content", Noise::new(91).take(lab.size))?;
    let db = lab.database("check", Options::default())?;
    put(lab, &db, "content")?;
    lab.remove("sources")?;
    db.flush()?;
    let (mut rates, mut walls) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        lab.check()?;
        let (report, spent) = timed(|| db.check(&CheckRequest { deep: true, rebuild: false }));
        let bytes = mb(report?.bytes_verified) / 1e3;
        rates.push(bytes / spent.cpu_s);
        walls.push(bytes / spent.wall_s);
    }
    drop(db);
    lab.remove("check")?;
    lab.print(&Row::new("check", "check --deep", median(rates), "GB/CPU-s").at_least(1.0))?;
    lab.print(&Row::new("check", "check --deep, by the clock", median(walls), "GB/s"))
}

//! Contents out (P4): to nowhere, and to files.

use std::io::Read;

use model::VertexHash;
use ouroborosdb::{Database, Options};
use store::disk::{Access, Caching, Disk};
use tree::{GetFile, SystemFiles, Transfer, Unwatched};

use super::clock::timed;
use super::data::Noise;
use super::ingest::{put, source};
use super::lab::Lab;
use super::row::Row;
use super::stages::{Stages, serial};
use super::{disk_failed, io_failed, mb, median};
use crate::failure::Failure;

const ROUNDS: usize = 3;
const SOURCE: &str = "content";
/// Bytes a reader asks for at a time.
const READ_LEN: usize = 1024 * 1024;

/// P4.
pub(crate) fn get(lab: &Lab<'_>) -> Result<(), Failure> {
    source(lab, SOURCE, Noise::new(31).take(lab.size))?;
    let db = lab.database("p4", Options::default())?;
    let hash = put(lab, &db, SOURCE)?.0.hash;
    let (rate, wall) = to_nowhere(lab, &db, hash)?;
    lab.print(&Row::new("P4", "get random, to nowhere", rate, "MB/CPU-s").at_least(600.0))?;
    lab.print(&Row::new("P4", "get random, to nowhere, by the clock", wall, "MB/s"))?;
    let (rate, ceiling) = to_files(lab, &db, hash)?;
    let row = Row::new("P4", "get random, to a file", rate, "MB/CPU-s");
    let row = row.against("MB/CPU-s, read + verify + write", ceiling);
    lab.print(&row.ratio_at_least(0.75))?;
    drop(db);
    lab.remove("p4")?;
    lab.remove("sources")?;
    text(lab)
}

fn text(lab: &Lab<'_>) -> Result<(), Failure> {
    let len = usize::try_from(lab.size / 4).unwrap_or(usize::MAX);
    source(lab, SOURCE, super::text::text(lab, len)?.as_slice())?;
    let db = lab.database("p4", Options::default())?;
    let hash = put(lab, &db, SOURCE)?.0.hash;
    let (rate, _) = to_nowhere(lab, &db, hash)?;
    drop(db);
    lab.remove("p4")?;
    lab.remove("sources")?;
    lab.print(&Row::new("P4", "get text, to nowhere", rate, "MB/CPU-s").at_least(400.0))
}

/// MB per CPU-s and per second.
fn to_nowhere(lab: &Lab<'_>, db: &Database, hash: VertexHash) -> Result<(f64, f64), Failure> {
    let (mut rates, mut walls) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (len, spent) = timed(|| read_all(lab, db, hash));
        let len = len?;
        rates.push(mb(len) / spent.cpu_s);
        walls.push(mb(len) / spent.wall_s);
    }
    Ok((median(rates), median(walls)))
}

fn read_all(lab: &Lab<'_>, db: &Database, hash: VertexHash) -> Result<u64, Failure> {
    let mut content = db.open_content(&hash)?;
    let mut buffer = vec![0; READ_LEN];
    let mut total = 0;
    loop {
        lab.check()?;
        match content.read(&mut buffer).map_err(|error| io_failed("reading back", &error))? {
            0 => return Ok(total),
            len => total += len as u64,
        }
    }
}

/// MB per CPU-s, and what read + verify + raw write of a file of that length would give.
fn to_files(lab: &Lab<'_>, db: &Database, hash: VertexHash) -> Result<(f64, f64), Failure> {
    let clock = || model::FileTime { seconds: 0, nanos: 0 };
    let transfer = Transfer {
        session: db,
        files: &SystemFiles,
        events: &Unwatched,
        clock: &clock,
        threads: 0,
    };
    let disk = lab.disk("restored")?;
    let piece = Noise::new(32).take_bytes(READ_LEN);
    // Memory that the page cache never used before costs several times as much: not counted.
    raw_write(lab, &*disk, &piece)?;
    let (mut rates, mut ceilings) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let write = raw_write(lab, &*disk, &piece)?;
        let stages = Stages::measure(lab, 1)?;
        ceilings.push(serial(&[stages.read, stages.unseal, write]));
        let dest = lab.path("restored").join(RESTORED);
        let request = GetFile { hash, dest, force: false, dry_run: false };
        let (summary, spent) = timed(|| transfer.get_file(&request));
        rates.push(mb(summary?.bytes_written) / spent.cpu_s);
        disk.remove(RESTORED).map_err(disk_failed)?;
    }
    lab.remove("restored")?;
    Ok((median(rates), median(ceilings)))
}

/// MB per CPU-s of writing a large file through the page cache, not synced.
fn raw_write(lab: &Lab<'_>, disk: &dyn Disk, piece: &[u8]) -> Result<f64, Failure> {
    let file = disk.open(RESTORED, Access::Create, Caching::Buffered).map_err(disk_failed)?;
    let (done, spent) = timed(|| {
        for offset in (0..lab.size).step_by(READ_LEN) {
            lab.check()?;
            file.write_at(offset, piece).map_err(disk_failed)?;
        }
        Ok::<(), Failure>(())
    });
    done?;
    disk.remove(RESTORED).map_err(disk_failed)?;
    Ok(mb(lab.size) / spent.cpu_s)
}

const RESTORED: &str = "restored";

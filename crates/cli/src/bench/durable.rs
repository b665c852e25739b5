//! Small puts, durable one by one (P6) and by many at once (P7), against the raw disk.

use std::sync::Arc;

use ouroborosdb::{Database, Options};
use store::disk::{Access, Caching, Disk, DiskFile};

use super::clock::{monotonic_s, timed};
use super::data::Noise;
use super::lab::Lab;
use super::row::Row;
use super::{disk_failed, median, percentile};
use crate::failure::Failure;

/// Bytes of a small put.
const LEN: usize = 4096;
/// Turns the raw disk and the database take.
const ROUNDS: u64 = 10;
/// Writers at once.
const WRITERS: u64 = 64;

/// P6: each put is durable before the next begins; the raw disk and the database take turns.
pub(crate) fn one_writer(lab: &Lab<'_>) -> Result<(), Failure> {
    let disk = lab.disk("raw")?;
    let db = lab.database("p6", Options::default())?;
    let growing = create(&*disk, "growing")?;
    let filled = create(&*disk, "filled")?;
    let each = lab.count(200, 10);
    filled
        .write_at(0, &vec![0; LEN * usize::try_from(each * ROUNDS).unwrap_or(0)])
        .map_err(disk_failed)?;
    filled.sync().map_err(disk_failed)?;
    let (mut raw, mut in_zeros, mut puts) = (Vec::new(), Vec::new(), Vec::new());
    let mut noise = Noise::new(41);
    for round in 0..ROUNDS {
        lab.check()?;
        for n in round * each..(round + 1) * each {
            raw.push(appended(&*growing, n, &noise.take_bytes(LEN))?);
        }
        for n in round * each..(round + 1) * each {
            in_zeros.push(appended(&*filled, n, &noise.take_bytes(LEN))?);
        }
        for n in round * each..(round + 1) * each {
            let bytes = noise.take_bytes(LEN);
            let (made, spent) = timed(|| db.put(&format!("small/{n}"), bytes.as_slice()));
            made?;
            puts.push(spent.wall_s * 1e3);
        }
    }
    drop(db);
    lab.remove("p6")?;
    lab.remove("raw")?;
    let figure = |figures: &mut [f64], percent| percentile(figures, percent);
    let row = Row::new("P6", "durable put 4 KiB, one writer, p50", figure(&mut puts, 50), "ms");
    let row = row.against("ms, raw, growing file", figure(&mut raw, 50));
    lab.print(&row.ratio_at_most(1.3))?;
    let row = Row::new("P6", "durable put 4 KiB, one writer, p99", figure(&mut puts, 99), "ms");
    let row = row.against("ms, raw, growing file", figure(&mut raw, 99));
    lab.print(&row.ratio_at_most(2.0))?;
    let row = Row::new("P6", "raw 4 KiB on zeros, p50", figure(&mut in_zeros, 50), "ms");
    lab.print(&row.against("ms, p99", figure(&mut in_zeros, 99)))
}

fn create(disk: &dyn Disk, name: &str) -> Result<Arc<dyn DiskFile>, Failure> {
    disk.open(name, Access::Create, Caching::Buffered).map_err(disk_failed)
}

/// Milliseconds of one write behind the last one and a sync.
fn appended(file: &dyn DiskFile, n: u64, bytes: &[u8]) -> Result<f64, Failure> {
    let (result, spent) = timed(|| {
        file.write_at(n * bytes.len() as u64, bytes)?;
        file.sync()
    });
    result.map_err(disk_failed)?;
    Ok(spent.wall_s * 1e3)
}

/// P7: 64 threads, each durable before its next.
pub(crate) fn many_writers(lab: &Lab<'_>) -> Result<(), Failure> {
    let disk = lab.disk("raw")?;
    let db = lab.database("p7", Options::default())?;
    let file = create(&*disk, "together")?;
    let each = lab.count(100, 2);
    let all = vec![7; LEN * usize::try_from(WRITERS).unwrap_or(0)];
    let (mut raw, mut puts, mut cpu_ms) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..5 {
        lab.check()?;
        let mut ms = 0.0;
        for n in round * each..(round + 1) * each {
            ms += appended(&*file, n, &all)?;
        }
        raw.push((WRITERS * each) as f64 / ms * 1e3);
        let begun = monotonic_s();
        let (done, spent) = timed(|| write_together(&db, round, each));
        done?;
        puts.push((WRITERS * each) as f64 / (monotonic_s() - begun));
        cpu_ms.push(spent.cpu_s * 1e3 / (WRITERS * each) as f64);
    }
    drop(db);
    lab.remove("p7")?;
    lab.remove("raw")?;
    let row = Row::new("P7", "durable puts 4 KiB, 64 writers", median(puts), "/s");
    let row = row.against("/s, raw 64 x 4 KiB a sync", median(raw));
    lab.print(&row.ratio_at_least(0.6))?;
    lab.print(&Row::new("P7", "processor time of one of these puts", median(cpu_ms), "ms"))
}

fn write_together(db: &Database, round: u64, each: u64) -> Result<(), Failure> {
    std::thread::scope(|scope| {
        let write = |writer: u64| {
            let mut noise = Noise::new(42 + round * WRITERS + writer);
            for n in 0..each {
                db.put(&format!("{writer}/{round}/{n}"), noise.take_bytes(LEN).as_slice())?;
            }
            Ok::<(), Failure>(())
        };
        let writers: Vec<_> = (0..WRITERS).map(|n| scope.spawn(move || write(n))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or(Ok(())))
    })
}

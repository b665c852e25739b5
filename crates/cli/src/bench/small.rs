//! Small objects: random gets (P8), and bytes written for bytes given (P9).

use std::io::Read;
use std::sync::Arc;

use model::VertexHash;
use ouroborosdb::{Ack, Database, Options, PutRequest, Session};

use super::clock::{monotonic_s, timed};
use super::counting_disk::CountingDisk;
use super::data::Noise;
use super::lab::{Lab, database_on};
use super::row::Row;
use super::{io_failed, mb};
use crate::failure::Failure;

const LEN: usize = 4096;
/// Readers at once.
const READERS: u64 = 2;
/// Versions of one batch.
const BATCH: u64 = 1000;

/// P8.
pub(crate) fn gets(lab: &Lab<'_>) -> Result<(), Failure> {
    let db = lab.database("p8", Options::default())?;
    let hashes = fill(lab, &db, lab.count(20_000, 500), LEN)?;
    let by_name = |n: usize| db.get(&name(n)).map_err(Failure::from);
    let by_hash = |n: usize| {
        let hash = hashes.get(n).copied().unwrap_or(VertexHash::new([0; 32]));
        db.open_content(&hash).map_err(Failure::from)
    };
    let count = hashes.len();
    let rate = readers(lab, count, |n| read_one(by_name(n)?))?;
    lab.print(&Row::new("P8", "get 4 KiB by name, 2 threads", rate, "/s").at_least(100_000.0))?;
    let rate = readers(lab, count, |n| read_one(by_hash(n)?))?;
    lab.print(&Row::new("P8", "get 4 KiB by hash, 2 threads", rate, "/s").at_least(100_000.0))?;
    db.put("large", Noise::new(62).take(lab.size / 16))?;
    let last = usize::try_from(lab.size / 16).unwrap_or(LEN) / LEN;
    let rate = readers(lab, last, |n| {
        let offset = (n * LEN) as u64;
        if db.get_range("large", offset, LEN)?.len() == LEN { Ok(()) } else { Err(short()) }
    })?;
    lab.print(&Row::new("P8", "4 KiB out of a large content, 2 threads", rate, "/s"))?;
    drop(db);
    lab.remove("p8")?;
    cold(lab)
}

/// Gets a second, by two threads for two seconds.
fn readers(
    lab: &Lab<'_>,
    count: usize,
    get: impl Fn(usize) -> Result<(), Failure> + Sync,
) -> Result<f64, Failure> {
    let time_s = 2.0 * lab.size.min(1 << 30) as f64 / f64::from(1 << 30) + 0.1;
    // Once through before, so that what can be in memory is.
    (0..count.min(2000)).try_for_each(&get)?;
    let begun = monotonic_s();
    let work = |reader: u64| {
        let mut noise = Noise::new(63 + reader);
        let mut done = 0u64;
        while monotonic_s() - begun < time_s {
            lab.check()?;
            (0..64).try_for_each(|_| get(noise.below(count)))?;
            done += 64;
        }
        Ok::<u64, Failure>(done)
    };
    let total = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|n| scope.spawn(move || work(n))).collect();
        readers.into_iter().map(|reader| reader.join().unwrap_or(Ok(0))).sum::<Result<u64, _>>()
    })?;
    Ok(total as f64 / (monotonic_s() - begun))
}

/// Disk reads of a get whose pages of the index are not in memory.
fn cold(lab: &Lab<'_>) -> Result<(), Failure> {
    let objects = lab.count(200_000, 2000);
    let db = lab.database("p8", Options::default())?;
    let hashes = fill(lab, &db, objects, LEN)?;
    db.flush()?;
    db.close()?;
    let (disk, counts) = CountingDisk::over(lab.disk("p8")?);
    let options = Options { memory_bytes: 4 * 1024 * 1024, ..Options::default() };
    let db = database_on(disk, options)?;
    let mut noise = Noise::new(64);
    let get = |n: usize| match hashes.get(n) {
        Some(hash) => read_one(db.open_content(hash)?),
        None => Ok(()),
    };
    let gets = lab.count(2000, 100);
    for _ in 0..gets {
        get(noise.below(hashes.len()))?;
    }
    let before = counts.reads();
    for _ in 0..gets {
        lab.check()?;
        get(noise.below(hashes.len()))?;
    }
    let after = counts.reads();
    drop(db);
    lab.remove("p8")?;
    let each = |reads: u64| reads as f64 / gets as f64;
    let (index, data) = (each(after.0 - before.0), each(after.1 - before.1));
    let what = format!("index reads of a get, {objects} objects, 4 MiB cache");
    lab.print(&Row::new("P8", what, index, "").at_most(1.0))?;
    // A frame that a batch header cuts in two takes two.
    lab.print(&Row::new("P8", "data reads of the same gets", data, "").at_most(1.05))
}

fn read_one(mut content: impl Read) -> Result<(), Failure> {
    let mut bytes = [0; LEN];
    content.read_exact(&mut bytes).map_err(|error| io_failed("reading back", &error))
}

fn short() -> Failure {
    Failure::new(crate::exit::Kind::Internal, "a range came back short")
}

fn name(n: usize) -> String {
    format!("small/{:03}/{:05}", n / 1000, n)
}

/// Puts `count` contents of `len` bytes, in batches.
pub(super) fn fill(
    lab: &Lab<'_>,
    db: &Database,
    count: u64,
    len: usize,
) -> Result<Vec<VertexHash>, Failure> {
    let mut noise = Noise::new(61);
    let mut hashes = Vec::new();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    while hashes.len() < count {
        lab.check()?;
        let mut batch = db.batch();
        let begin = hashes.len();
        for n in begin..count.min(begin + usize::try_from(BATCH).unwrap_or(1)) {
            batch.put(&name(n), noise.take_bytes(len).as_slice())?;
        }
        hashes.extend(batch.commit(Ack::Local)?);
    }
    Ok(hashes)
}

/// P9.
pub(crate) fn amplification(lab: &Lab<'_>) -> Result<(), Failure> {
    written(
        lab,
        "written / given, 64 KiB-1 MiB, each durable",
        1.1,
        &Load { bytes: lab.size, len_min: 64 * 1024, len_max: 1024 * 1024, sync_every: 1 },
    )?;
    let small = Load { bytes: lab.size / 4, len_min: LEN, len_max: LEN, sync_every: 64 };
    written(lab, "written / given, 4 KiB, 64 a sync", 1.5, &small)?;
    if lab.is_long {
        let small = Load { bytes: small.bytes * 10, ..small };
        written(lab, "the same, ten times as many", 1.5, &small)?;
    }
    Ok(())
}

/// What is put to count bytes.
struct Load {
    bytes: u64,
    len_min: usize,
    len_max: usize,
    /// Puts that share a sync.
    sync_every: u64,
}

fn written(lab: &Lab<'_>, what: &str, limit: f64, load: &Load) -> Result<(), Failure> {
    let (disk, counts) = CountingDisk::over(lab.disk("p9")?);
    let db = database_on(Arc::clone(&disk) as Arc<_>, Options::default())?;
    let mut noise = Noise::new(71);
    let (mut given, mut puts) = (0, 0u64);
    let before = counts.bytes_written();
    let (done, spent) = timed(|| {
        while given < load.bytes {
            let len = load.len_min + noise.below(load.len_max - load.len_min + 1);
            let name = model::Name::new(format!("amplify/{puts:08}"));
            let request = PutRequest {
                name: Some(name.map_err(ouroborosdb::Error::from)?),
                ack: Ack::Deferred,
                ..PutRequest::default()
            };
            Session::put(&db, &request, &mut noise.take_bytes(len).as_slice(), lab)?;
            puts += 1;
            given += len as u64;
            if puts.is_multiple_of(load.sync_every) {
                db.sync()?;
            }
        }
        db.flush()?;
        db.clone().close()?;
        Ok::<(), Failure>(())
    });
    done?;
    drop(db);
    lab.remove("p9")?;
    let total = counts.bytes_written() - before;
    let index = counts.bytes_written_index();
    let row = Row::new("P9", what, total as f64 / given as f64, "");
    lab.print(&row.at_most(limit))?;
    lab.print(&Row::new("P9", "  of it the index", index as f64 / given as f64, ""))?;
    lab.print(&Row::new("P9", "  the rate of these puts", mb(given) / spent.cpu_s, "MB/CPU-s"))
}

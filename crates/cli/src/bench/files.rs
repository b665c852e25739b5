//! Many small files in and out (P5), and what each takes besides its content.

use model::Name;
use ouroborosdb::{At, Database, Options, Session, Stats};
use store::disk::{Access, Caching};
use tree::{
    GetTree, PathFilter, PutOptions, PutTree, SystemFiles, Transfer, TreeSource, Unwatched,
};

use super::clock::timed;
use super::data::Noise;
use super::lab::Lab;
use super::row::Row;
use super::{disk_failed, mb, median};
use crate::failure::Failure;

const ROUNDS: usize = 3;
/// Files of one folder.
const FOLDER_FILES: u64 = 100;
const LEN_MIN: usize = 1024;
const LEN_MAX: usize = 16 * 1024;
const TREE: &str = "tree";

/// What was put, without anything around it.
#[derive(Debug, Clone, Copy, Default)]
struct Cargo {
    files: u64,
    bytes_content: u64,
    bytes_names: u64,
    /// Mode, times, owner.
    bytes_fields: u64,
}

/// P5.
pub(crate) fn many(lab: &Lab<'_>) -> Result<(), Failure> {
    let mut cargo = make_tree(lab)?;
    let clock = || model::FileTime { seconds: 0, nanos: 0 };
    lab.disk("restored")?;
    let (mut ins, mut outs) = (Vec::new(), Vec::new());
    let mut stats = Stats::default();
    for round in 0..ROUNDS {
        lab.check()?;
        let db = lab.database("p5", Options::default())?;
        let files = &SystemFiles;
        let transfer =
            Transfer { session: &db, files, events: &Unwatched, clock: &clock, threads: 0 };
        let (source, name) = (lab.path(TREE), name_of(TREE)?);
        let request = PutTree { source, name, options: PutOptions::default() };
        let (put, spent) = timed(|| transfer.put_tree(&request));
        let put = put?;
        ins.push(mb(cargo.bytes_content) / spent.cpu_s);
        let root = put.hash.ok_or_else(|| Failure::usage("a stored folder has a root"))?;
        let request = GetTree {
            source: TreeSource::Root(root),
            dest: lab.path("restored").join(round.to_string()),
            include: PathFilter::default(),
            force: false,
            dry_run: false,
        };
        let (got, spent) = timed(|| transfer.get_tree(&request));
        outs.push(mb(got?.bytes_written) / spent.cpu_s);
        cargo.bytes_fields = cargo.files * fields_len(&db)?;
        db.flush()?;
        stats = db.stats()?;
        drop(db);
        lab.remove("p5")?;
    }
    // Not before the end: ext4 is slow to make files where others were removed a moment ago.
    lab.remove("restored")?;
    lab.remove(TREE)?;
    let what = format!("ingest {} files of 1-16 KiB", cargo.files);
    lab.print(&Row::new("P5", what, median(ins), "MB/CPU-s").at_least(100.0))?;
    lab.print(&Row::new("P5", "restore them", median(outs), "MB/CPU-s").at_least(100.0))?;
    let total = overhead(lab, "a file, tree", &cargo, &stats)?;
    lab.print(&total.at_most(320.0))?;
    single_puts(lab)
}

/// Prints what a file takes besides content, name and user fields; the row of the sum.
fn overhead(lab: &Lab<'_>, of: &str, cargo: &Cargo, stats: &Stats) -> Result<Row, Failure> {
    let own = cargo.bytes_content + cargo.bytes_names + cargo.bytes_fields;
    let each = |bytes: u64| bytes as f64 / cargo.files as f64;
    let blocks = each(stats.bytes_stored.saturating_sub(own));
    let index = each(stats.bytes_index);
    lab.print(&Row::new("P5", format!("blocks' overhead of {of}"), blocks, "B"))?;
    lab.print(&Row::new("P5", format!("local index of {of}"), index, "B"))?;
    Ok(Row::new("P5", format!("stored overhead of {of}"), blocks + index, "B"))
}

/// The same sizes, each put durable by itself.
fn single_puts(lab: &Lab<'_>) -> Result<(), Failure> {
    let db = lab.database("p5", Options::default())?;
    let mut noise = Noise::new(52);
    let mut cargo = Cargo { files: lab.count(2000, 100), ..Cargo::default() };
    let before = db.stats()?.bytes_stored;
    for n in 0..cargo.files {
        lab.check()?;
        let name = path_of(n);
        let len = LEN_MIN + noise.below(LEN_MAX - LEN_MIN + 1);
        db.put(&name, noise.take_bytes(len).as_slice())?;
        cargo.bytes_content += len as u64;
        cargo.bytes_names += name.len() as u64;
    }
    let open = db.stats()?.bytes_stored - before;
    db.flush()?;
    let stats = db.stats()?;
    drop(db);
    lab.remove("p5")?;
    let total = overhead(lab, "a single put", &cargo, &stats)?;
    lab.print(&total)?;
    let own = cargo.bytes_content + cargo.bytes_names;
    let each = open.saturating_sub(own) as f64 / cargo.files as f64;
    lab.print(&Row::new("P5", "log of a single put, before packing", each, "B"))
}

fn name_of(text: &str) -> Result<Name, Failure> {
    Ok(Name::new(text).map_err(ouroborosdb::Error::from)?)
}

fn path_of(n: u64) -> String {
    format!("{:03}/{:02}", n / FOLDER_FILES, n % FOLDER_FILES)
}

/// Bytes that mode, times and owner of a file take.
fn fields_len(db: &Database) -> Result<u64, Failure> {
    let name = name_of(&format!("{TREE}/{}", path_of(0)))?;
    let heads = Session::heads(db, &name, At::Now)?;
    let Some(head) = heads.first() else { return Ok(0) };
    Ok(Session::vertex(db, &head.hash)?.meta.encoded_len() as u64)
}

fn make_tree(lab: &Lab<'_>) -> Result<Cargo, Failure> {
    let disk = lab.disk(TREE)?;
    let mut noise = Noise::new(51);
    let mut cargo = Cargo { files: lab.count(20_000, 200), ..Cargo::default() };
    for n in 0..cargo.files {
        lab.check()?;
        let path = path_of(n);
        let len = LEN_MIN + noise.below(LEN_MAX - LEN_MIN + 1);
        if n % FOLDER_FILES == 0 {
            disk.make_dir(path.split('/').next().unwrap_or_default()).map_err(disk_failed)?;
        }
        let file = disk.open(&path, Access::Create, Caching::Buffered).map_err(disk_failed)?;
        file.write_at(0, &noise.take_bytes(len)).map_err(disk_failed)?;
        cargo.bytes_content += len as u64;
        cargo.bytes_names += (TREE.len() + 1 + path.len()) as u64;
    }
    Ok(cargo)
}

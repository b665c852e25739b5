//! Does any file of a store tell what is in it? Puts marked content under marked names, then
//! searches every file, after each stage of the store's life, for the marks, for plain hashes of
//! the content and of each of its pieces, and for the ids of what was stored.

pub(crate) mod needles;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::{Content, FileTime, Kind, Meta, Name, Owner, VertexHash};
use ouroborosdb::{CheckRequest, Database, Options, PutRequest, Session, Silent};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::random::Random;
use needles::Needles;

/// Occurs in every name, content and attribute that is put.
const MARK: &str = "Ouroboros-Leak-Mark-7c1f";
const LENGTHS: &[usize] =
    &[24, 100, 1000, 4096, 4097, 30_000, 65_536, 300_000, 3_000_000, 20_000_000];
/// Files are searched in pieces of this length, overlapping by the longest needle.
const PIECE_LEN: usize = 1 << 20;

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let folder = arguments.path()?;
    arguments.end()?;
    std::fs::create_dir(&folder).map_err(Failure::at(&folder))?;
    let data = folder.join("store");
    let mut needles = Needles::default();
    needles.add("the mark", MARK.as_bytes());
    control(&folder, &needles)?;
    let mut found = 0;
    let database = open(&data)?;
    fill(session(&database), &mut needles)?;
    found += search(&data, "while open", &needles)?;
    session(&database).flush().map_err(Failure::database("flush"))?;
    found += search(&data, "after flush", &needles)?;
    drop(database);
    found += search(&data, "after closing", &needles)?;
    let database = open(&data)?;
    let rebuild = CheckRequest { deep: true, rebuild: true };
    session(&database).check(&rebuild, &Silent).map_err(Failure::database("check"))?;
    found += search(&data, "after a rebuild", &needles)?;
    drop(database);
    found += search(&data, "at the end", &needles)?;
    Failure::unless_none(found, "leak")
}

fn open(data: &Path) -> Result<Database, Failure> {
    Database::open(data, Options::default()).map_err(Failure::database("open"))
}

/// The database as every caller may see it.
fn session(database: &Database) -> &dyn Session {
    database
}

/// The search must find what is there: the mark in a plain file.
fn control(folder: &Path, needles: &Needles) -> Result<(), Failure> {
    let path = folder.join("control");
    let mut plain = vec![7; PIECE_LEN - 5];
    plain.extend_from_slice(MARK.as_bytes());
    std::fs::write(&path, plain).map_err(Failure::at(&path))?;
    let hits = search_file(&path, needles)?;
    std::fs::remove_file(&path).map_err(Failure::at(&path))?;
    if hits.len() == 1 { Ok(()) } else { Err(Failure::Found { count: 1, finding: "blind search" }) }
}

fn fill(session: &dyn Session, needles: &mut Needles) -> Result<(), Failure> {
    let mut random = Random::new(0x5ca7);
    let mut versions = Vec::new();
    for len in LENGTHS {
        for (shape, content) in contents(*len, &mut random) {
            needles.add_content(&content);
            let name = format!("{MARK}/{shape}/{len}");
            needles.add("a name", name.as_bytes());
            versions.push(put(session, &name, &content, marked_meta())?);
            versions.push(put(
                session,
                &name,
                &[MARK.as_bytes(), &content].concat(),
                marked_meta(),
            )?);
        }
    }
    group(session, needles, &mut versions)?;
    let name = Name::new(format!("{MARK}/text/1000")).expect("a good name");
    let request = PutRequest { meta: marked_meta(), ..PutRequest::default() };
    let deleted = session.delete(&name, &request).map_err(Failure::database("delete"))?;
    versions.push(deleted.hash);
    let entries: Vec<_> = (0..100)
        .map(|i| (format!("{MARK} key {i}").into_bytes(), MARK.as_bytes().to_vec()))
        .collect();
    session.remember(&entries).map_err(Failure::database("remember"))?;
    for hash in versions {
        add_version(session, &hash, needles)?;
    }
    Ok(())
}

/// Text full of the mark, bytes that do not compress, and the two in turn.
fn contents(len: usize, random: &mut Random) -> [(&'static str, Vec<u8>); 3] {
    let text: Vec<u8> = MARK.bytes().cycle().take(len).collect();
    let noise = random.bytes(len);
    let mixed = noise.chunks(100).flat_map(|piece| [piece, MARK.as_bytes()].concat()).take(len);
    [("text", text), ("noise", noise.clone()), ("mixed", mixed.collect())]
}

fn marked_meta() -> Meta {
    Meta {
        kind: Kind::File,
        mode: Some(0o640),
        modified: Some(FileTime { seconds: 1_234_567_890, nanos: 123_456_789 }),
        owner: Some(Owner { uid: 1000, gid: 1000 }),
        xattrs: BTreeMap::from([(b"user.mark".to_vec(), MARK.as_bytes().to_vec())]),
        message: Some(MARK.to_owned()),
        media_type: Some(format!("text/{MARK}")),
        fields: BTreeMap::from([(MARK.to_owned(), MARK.as_bytes().to_vec())]),
        ..Meta::default()
    }
}

fn put(
    session: &dyn Session,
    name: &str,
    content: &[u8],
    meta: Meta,
) -> Result<VertexHash, Failure> {
    let name = Some(Name::new(name).expect("a good name"));
    let request = PutRequest { name, meta, ..PutRequest::default() };
    let put = session.put(&request, &mut &*content, &Silent);
    Ok(put.map_err(Failure::database("put"))?.hash)
}

/// A symbolic link and its root, in a group.
fn group(
    session: &dyn Session,
    needles: &mut Needles,
    versions: &mut Vec<VertexHash>,
) -> Result<(), Failure> {
    let group = session.group(MARK).map_err(Failure::database("group"))?;
    let target = format!("{MARK}/target").into_bytes();
    let meta = Meta { kind: Kind::Symlink, target: Some(target), ..Meta::default() };
    let roles =
        [("link", group, model::GroupId::default()), ("root", model::GroupId::default(), group)];
    for (name, group, closes) in roles {
        let name = format!("{MARK}/group {name}");
        needles.add("a name", name.as_bytes());
        let name = Some(Name::new(name).expect("a good name"));
        let request =
            PutRequest { name, meta: meta.clone(), group, closes, ..PutRequest::default() };
        let put = session.put(&request, &mut &b""[..], &Silent);
        versions.push(put.map_err(Failure::database("put"))?.hash);
    }
    Ok(())
}

/// The ids of a version and of its chunks, and the plain hash of each piece as it was cut.
fn add_version(
    session: &dyn Session,
    hash: &VertexHash,
    needles: &mut Needles,
) -> Result<(), Failure> {
    needles.add_id("a vertex id", hash.as_bytes());
    let vertex = session.vertex(hash).map_err(Failure::database("vertex"))?;
    let Content::Chunks { entries, .. } = &vertex.content else { return Ok(()) };
    let mut reader = session.content(hash).map_err(Failure::database("content"))?;
    for entry in entries {
        needles.add_id("a chunk id", entry.hash.as_bytes());
        let mut piece = Vec::new();
        let read = reader.by_ref().take(u64::from(entry.len)).read_to_end(&mut piece);
        read.map_err(Failure::at(Path::new("content")))?;
        needles.add_content(&piece);
    }
    Ok(())
}

/// Prints and counts what is found in the files below `data`.
fn search(data: &Path, stage: &str, needles: &Needles) -> Result<usize, Failure> {
    let (mut files, mut bytes, mut found) = (0, 0, 0);
    for path in files_below(data)? {
        files += 1;
        bytes += std::fs::metadata(&path).map_err(Failure::at(&path))?.len();
        let name = path.strip_prefix(data).unwrap_or(&path).display().to_string();
        let mut hits = search_file(&path, needles)?;
        if name.contains(MARK) {
            hits.push(("the mark in the file's name", 0));
        }
        found += hits.len();
        hits.iter().take(5).for_each(|(what, at)| println!("LEAK {stage}: {name} at {at}: {what}"));
    }
    println!(
        "scan {stage}: {files} files, {bytes} bytes, {} needles: {found} found",
        needles.len()
    );
    Ok(found)
}

fn search_file(path: &Path, needles: &Needles) -> Result<Vec<(&'static str, usize)>, Failure> {
    let mut file = std::fs::File::open(path).map_err(Failure::at(path))?;
    let mut hits = Vec::new();
    let (mut window, mut base) = (Vec::new(), 0);
    loop {
        let read = file.by_ref().take(PIECE_LEN as u64).read_to_end(&mut window);
        let is_end = read.map_err(Failure::at(path))? == 0;
        // Needles that begin in the kept part are found with the next piece.
        let kept = if is_end { 0 } else { window.len().min(needles.len_max()) };
        let searched = window.len() - kept;
        hits.extend(
            needles.find(&window, searched).into_iter().map(|(what, at)| (what, base + at)),
        );
        if is_end {
            return Ok(hits);
        }
        window.drain(..searched);
        base += searched;
    }
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut files, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(path) = waiting.pop() {
        for entry in std::fs::read_dir(&path).map_err(Failure::at(&path))? {
            let path = entry.map_err(Failure::at(&path))?.path();
            if path.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

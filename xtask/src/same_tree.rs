//! Are two folders the same, as far as a restore can make them so?

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::failure::Failure;

/// A file counts as sparse when the disk holds this much less than its length.
const SPARSE_LEN_MIN: u64 = 1 << 20;
/// `st_blocks` counts these, whatever the filesystem.
const SECTOR_LEN: u64 = 512;
const PRINTED_MAX: usize = 50;
const BUFFER_LEN: usize = 1 << 20;

/// What was compared and what differs.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) entries: usize,
    pub(crate) bytes: u64,
    /// FIFOs, sockets and devices of A that B lacks, as it should.
    pub(crate) special: usize,
    /// Files of A that this process may not read.
    pub(crate) unreadable: usize,
    pub(crate) differences: Vec<String>,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let (a, b) = (arguments.path()?, arguments.path()?);
    arguments.end()?;
    let found = compare(&a, &b)?;
    found.differences.iter().take(PRINTED_MAX).for_each(|line| println!("{line}"));
    println!(
        "{} entries, {} bytes compared; {} special and {} unreadable skipped; {} differences",
        found.entries,
        found.bytes,
        found.special,
        found.unreadable,
        found.differences.len()
    );
    Failure::unless_none(found.differences.len(), "difference")
}

pub(crate) fn compare(a: &Path, b: &Path) -> Result<Comparison, Failure> {
    let (in_a, in_b) = (walk(a)?, walk(b)?);
    let (links_a, links_b) = (hard_links(&in_a), hard_links(&in_b));
    let mut found = Comparison::default();
    for (path, meta) in &in_a {
        let Some(other) = in_b.get(path) else {
            found.missing(&a.join(path), path, meta);
            continue;
        };
        found.entries += 1;
        found.attributes(path, meta, other);
        let (link_a, link_b) = (links_a.get(path.as_path()), links_b.get(path.as_path()));
        if link_a != link_b {
            found.differs(path, "hard links", &link_a, &link_b);
        }
        if meta.is_symlink() && other.is_symlink() {
            let target = |root: &Path| {
                let link = root.join(path);
                fs::read_link(&link).map_err(Failure::at(&link))
            };
            let (target_a, target_b) = (target(a)?, target(b)?);
            if target_a != target_b {
                found.differs(path, "target", &target_a, &target_b);
            }
        }
        if meta.is_file() && other.is_file() && meta.len() == other.len() {
            found.contents(&a.join(path), &b.join(path), path)?;
        }
    }
    for path in in_b.keys().filter(|path| !in_a.contains_key(*path)) {
        found.differences.push(format!("only in B: {}", path.display()));
    }
    Ok(found)
}

impl Comparison {
    fn differs(
        &mut self,
        path: &Path,
        what: &str,
        a: &dyn std::fmt::Debug,
        b: &dyn std::fmt::Debug,
    ) {
        self.differences.push(format!("{what} {a:?} {b:?}: {}", path.display()));
    }

    fn missing(&mut self, full: &Path, path: &Path, meta: &Metadata) {
        let kind = meta.file_type();
        if kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device() {
            self.special += 1;
        } else if kind.is_file() && File::open(full).is_err() {
            self.unreadable += 1;
        } else {
            self.differences.push(format!("only in A: {}", path.display()));
        }
    }

    fn attributes(&mut self, path: &Path, a: &Metadata, b: &Metadata) {
        if a.file_type() != b.file_type() {
            return self.differs(path, "type", &a.file_type(), &b.file_type());
        }
        if a.mode() != b.mode() {
            self.differs(path, "mode", &format!("{:o}", a.mode()), &format!("{:o}", b.mode()));
        }
        let time = |meta: &Metadata| (meta.mtime(), meta.mtime_nsec());
        if time(a) != time(b) {
            self.differs(path, "time", &time(a), &time(b));
        }
        if a.is_file() && a.len() != b.len() {
            self.differs(path, "length", &a.len(), &b.len());
        }
        if holes_len(a) >= SPARSE_LEN_MIN && holes_len(b) + SPARSE_LEN_MIN < holes_len(a) {
            self.differs(path, "bytes in holes", &holes_len(a), &holes_len(b));
        }
    }

    fn contents(&mut self, a: &Path, b: &Path, path: &Path) -> Result<(), Failure> {
        let Ok(file_a) = File::open(a) else {
            self.unreadable += 1;
            return Ok(());
        };
        let file_b = File::open(b).map_err(Failure::at(b))?;
        let mut reader_a = BufReader::with_capacity(BUFFER_LEN, file_a);
        let mut reader_b = BufReader::with_capacity(BUFFER_LEN, file_b);
        let same = first_difference(&mut reader_a, &mut reader_b).map_err(Failure::at(a))?;
        match same {
            Ok(len) => self.bytes += len,
            Err(at) => self.differences.push(format!("content at byte {at}: {}", path.display())),
        }
        Ok(())
    }
}

/// `Ok(length)` of equal contents, or `Err(place)` of the first byte that differs.
fn first_difference(
    a: &mut dyn BufRead,
    b: &mut dyn BufRead,
) -> io::Result<std::result::Result<u64, u64>> {
    let mut at = 0;
    loop {
        let (left, right) = (a.fill_buf()?, b.fill_buf()?);
        let count = left.len().min(right.len());
        let same = left.iter().zip(right).take_while(|(x, y)| x == y).count();
        let is_end = left.is_empty() && right.is_empty();
        at += same as u64;
        if is_end {
            return Ok(Ok(at));
        }
        if same < count || count == 0 {
            return Ok(Err(at));
        }
        a.consume(count);
        b.consume(count);
    }
}

fn holes_len(meta: &Metadata) -> u64 {
    if meta.is_file() { meta.len().saturating_sub(meta.blocks() * SECTOR_LEN) } else { 0 }
}

/// Everything below `root` and `root` itself (the empty path), without following links.
fn walk(root: &Path) -> Result<BTreeMap<PathBuf, Metadata>, Failure> {
    let mut entries = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let full = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
        let meta = fs::symlink_metadata(&full).map_err(Failure::at(&full))?;
        if meta.is_dir() {
            for entry in fs::read_dir(&full).map_err(Failure::at(&full))? {
                waiting.push(path.join(entry.map_err(Failure::at(&full))?.file_name()));
            }
        }
        entries.insert(path, meta);
    }
    Ok(entries)
}

/// Each path that shares its file with others, to the first of them.
fn hard_links(entries: &BTreeMap<PathBuf, Metadata>) -> BTreeMap<&Path, &Path> {
    let mut first: BTreeMap<(u64, u64), &Path> = BTreeMap::new();
    let mut links = BTreeMap::new();
    // Byte order, so that both sides pick the same first path.
    let mut files: Vec<_> =
        entries.iter().filter(|(_, meta)| meta.is_file() && meta.nlink() > 1).collect();
    files.sort_by_key(|(path, _)| path.as_os_str().as_bytes());
    for (path, meta) in files {
        let leader = *first.entry((meta.dev(), meta.ino())).or_insert(path);
        if leader != path.as_path() {
            links.insert(path.as_path(), leader);
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::hard_tree;

    fn two_trees() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        hard_tree::make(&a, 300).unwrap();
        hard_tree::make(&b, 300).unwrap();
        (folder, a, b)
    }

    #[test]
    fn the_hard_tree_is_the_same_each_time() {
        let (_folder, a, b) = two_trees();
        let found = compare(&a, &b).unwrap();
        assert_eq!(found.differences, Vec::<String>::new());
        assert!(found.entries > 350, "{found:?}");
        assert!(found.bytes > 100 << 20, "sparse files count whole: {found:?}");
        assert!(hard_tree::make(&a, 1).is_err(), "never into a folder with something in it");
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let (_folder, a, b) = two_trees();
        fs::write(b.join("small/000/00007.bin"), "other").unwrap();
        let same_length = b.join("names/CON");
        let modified = fs::metadata(&same_length).unwrap().modified().unwrap();
        fs::write(&same_length, "COM").unwrap();
        let file = File::options().write(true).open(&same_length).unwrap();
        file.set_modified(modified).unwrap();
        fs::set_permissions(b.join("modes/0400 file"), fs::Permissions::from_mode(0o401)).unwrap();
        let late = UNIX_EPOCH + Duration::from_nanos(1);
        File::open(b.join("names/a:b")).unwrap().set_modified(late).unwrap();
        fs::remove_file(b.join("links/hard b")).unwrap();
        fs::copy(b.join("links/target"), b.join("links/hard b")).unwrap();
        fs::remove_file(b.join("links/dangling")).unwrap();
        symlink("no/such/fire", b.join("links/dangling")).unwrap();
        fs::write(b.join("sizes/only a hole"), vec![0; 64 << 20]).unwrap();
        fs::remove_dir(b.join("empty/also empty/and this")).unwrap();
        fs::write(b.join("more"), "").unwrap();
        fs::remove_file(b.join("fifo")).unwrap();
        let found = compare(&a, &b).unwrap();
        let lines = found.differences.join("\n");
        for line in [
            "length",
            "content at byte 2: names/CON",
            "mode \"100400\" \"100401\": modes/0400 file",
            "names/a:b",
            "hard links Some(\"links/folder/hard c\") None: links/hard b",
            "target \"no/such/file\" \"no/such/fire\": links/dangling",
            "bytes in holes",
            "only in A: empty/also empty/and this",
            "only in B: more",
        ] {
            assert!(lines.contains(line), "{line} is not in\n{lines}");
        }
        assert_eq!(found.special, 1, "a FIFO is never restored");
    }
}

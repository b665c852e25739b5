//! What every disk must do, run over the real folder and the simulated one.

#![expect(clippy::unwrap_used, reason = "a failing step is a failing test")]

use std::io::ErrorKind;
use std::sync::Arc;

use ouroboros_store::aligned::AlignedBuf;
use ouroboros_store::disk::{Access, Caching, Disk, DiskError, DiskFile};
use ouroboros_store::fault_disk::FaultDisk;
use ouroboros_store::folder_disk::FolderDisk;
use ouroboros_store::sim_disk::{ImageKind, SimDisk};

/// Runs every check on an empty disk.
pub fn conformance(disk: &dyn Disk) {
    reads_see_writes(disk);
    gaps_and_growth_read_as_zeros(disk);
    access_is_kept_apart(disk);
    entries_are_listed_sorted(disk);
    renames_replace(disk);
    open_files_outlive_their_names(disk);
    paths_stay_inside(disk);
    direct_writes_are_aligned(disk);
    locks_exclude(disk);
    identities_tell_files_apart(disk);
    space_is_plausible(disk);
}

fn create(disk: &dyn Disk, path: &str) -> Arc<dyn DiskFile> {
    disk.open(path, Access::Create, Caching::Buffered).unwrap()
}

fn content(file: &dyn DiskFile) -> Vec<u8> {
    let mut out = vec![0xEE; usize::try_from(file.len().unwrap()).unwrap() + 10];
    let len = file.read_at(0, &mut out).unwrap();
    out.truncate(len);
    out
}

fn kind<T>(result: Result<T, DiskError>) -> ErrorKind {
    match result {
        Ok(_) => panic!("must fail"),
        Err(error) => error.source.kind(),
    }
}

fn names(disk: &dyn Disk, dir: &str) -> Vec<String> {
    disk.list(dir).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn reads_see_writes(disk: &dyn Disk) {
    let file = create(disk, "rw");
    assert_eq!(file.len().unwrap(), 0);
    file.write_at(0, b"hello world").unwrap();
    file.write_at(6, b"there").unwrap();
    file.write_at(11, b"").unwrap();
    assert_eq!(content(&*file), b"hello there");
    let mut out = [0; 4];
    assert_eq!(file.read_at(9, &mut out).unwrap(), 2);
    assert_eq!(&out, b"re\0\0");
    assert_eq!(file.read_at(11, &mut out).unwrap(), 0);
    assert_eq!(file.read_at(5000, &mut out).unwrap(), 0);
    assert!(!file.is_direct());
    let other = disk.open("rw", Access::Update, Caching::Buffered).unwrap();
    other.write_at(0, b"J").unwrap();
    assert_eq!(content(&*file), b"Jello there");
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    let big: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    file.write_at(3, &big).unwrap();
    assert_eq!(content(&*other).get(3..), Some(&big[..]));
}

fn gaps_and_growth_read_as_zeros(disk: &dyn Disk) {
    let file = create(disk, "gap");
    file.write_at(40_000, b"end").unwrap();
    let read = content(&*file);
    assert_eq!(read.len(), 40_003);
    assert!(read.iter().take(40_000).all(|&byte| byte == 0));
    file.write_at(0, &[7; 40_003]).unwrap();
    file.set_len(20_001).unwrap();
    assert_eq!(content(&*file), [7; 20_001]);
    file.set_len(40_000).unwrap();
    let read = content(&*file);
    assert_eq!(read.len(), 40_000);
    assert!(read.iter().skip(20_001).all(|&byte| byte == 0), "cut bytes came back");
    assert!(read.iter().take(20_001).all(|&byte| byte == 7));
}

fn access_is_kept_apart(disk: &dyn Disk) {
    let open = |path, access| disk.open(path, access, Caching::Buffered);
    assert_eq!(kind(open("access", Access::Read)), ErrorKind::NotFound);
    assert_eq!(kind(open("access", Access::Update)), ErrorKind::NotFound);
    create(disk, "access").write_at(0, b"x").unwrap();
    assert_eq!(kind(open("access", Access::Create)), ErrorKind::AlreadyExists);
    let reader = open("access", Access::Read).unwrap();
    assert!(reader.write_at(0, b"y").is_err());
    assert!(reader.set_len(0).is_err());
    assert_eq!(content(&*reader), b"x");
    assert_eq!(kind(open("nowhere/f", Access::Create)), ErrorKind::NotFound);
    disk.make_dir("folder").unwrap();
    assert!(open("folder", Access::Read).is_err());
    assert!(open("folder", Access::Create).is_err());
    assert!(open("access/below", Access::Create).is_err());
}

fn entries_are_listed_sorted(disk: &dyn Disk) {
    disk.make_dir("list/sub/deep").unwrap();
    disk.make_dir("list/sub").unwrap();
    create(disk, "list/zz").write_at(9, b"!").unwrap();
    create(disk, "list/sub.x");
    create(disk, "list/a");
    let entries = disk.list("list").unwrap();
    let seen: Vec<_> = entries.iter().map(|e| (&*e.name, e.len, e.is_dir)).collect();
    assert_eq!(seen, [("a", 0, false), ("sub", 0, true), ("sub.x", 0, false), ("zz", 10, false)]);
    assert_eq!(names(disk, "list/sub"), ["deep"]);
    assert!(names(disk, "").contains(&"list".to_owned()));
    assert_eq!(kind(disk.list("none")), ErrorKind::NotFound);
    assert_eq!(kind(disk.sync_dir("none")), ErrorKind::NotFound);
    assert!(disk.make_dir("list/a").is_err());
    disk.remove("list/a").unwrap();
    assert_eq!(names(disk, "list"), ["sub", "sub.x", "zz"]);
    assert_eq!(kind(disk.remove("list/a")), ErrorKind::NotFound);
    assert!(disk.remove("list/sub").is_err());
    disk.sync_dir("list").unwrap();
}

fn renames_replace(disk: &dyn Disk) {
    disk.make_dir("ren/other").unwrap();
    create(disk, "ren/a").write_at(0, b"a").unwrap();
    create(disk, "ren/b").write_at(0, b"bbb").unwrap();
    disk.rename("ren/a", "ren/b").unwrap();
    assert_eq!(names(disk, "ren"), ["b", "other"]);
    disk.rename("ren/b", "ren/other/c").unwrap();
    assert_eq!(names(disk, "ren"), ["other"]);
    let file = disk.open("ren/other/c", Access::Read, Caching::Buffered).unwrap();
    assert_eq!(content(&*file), b"a");
    disk.rename("ren/other/c", "ren/other/c").unwrap();
    assert_eq!(names(disk, "ren/other"), ["c"]);
    assert_eq!(kind(disk.rename("ren/gone", "ren/x")), ErrorKind::NotFound);
    assert_eq!(kind(disk.rename("ren/other/c", "ren/none/c")), ErrorKind::NotFound);
    assert!(disk.rename("ren/other/c", "ren/other").is_err());
    disk.sync_dir("ren").unwrap();
    disk.sync_dir("ren/other").unwrap();
}

fn open_files_outlive_their_names(disk: &dyn Disk) {
    let file = create(disk, "outlive");
    file.write_at(0, b"still").unwrap();
    disk.remove("outlive").unwrap();
    create(disk, "outlive").write_at(0, b"new").unwrap();
    file.write_at(5, b" here").unwrap();
    file.sync().unwrap();
    assert_eq!(content(&*file), b"still here");
    disk.rename("outlive", "outlive2").unwrap();
    let second = disk.open("outlive2", Access::Update, Caching::Buffered).unwrap();
    assert_eq!(content(&*second), b"new");
}

fn paths_stay_inside(disk: &dyn Disk) {
    disk.make_dir("in").unwrap();
    create(disk, "in/f");
    for path in ["", "/in/g", "in/../g", "..", "./g", "in//g", "g/", "g\0"] {
        let opened = disk.open(path, Access::Create, Caching::Buffered);
        assert_eq!(kind(opened), ErrorKind::InvalidInput, "{path:?}");
        assert_eq!(kind(disk.rename("in/f", path)), ErrorKind::InvalidInput, "{path:?}");
        assert_eq!(kind(disk.remove(path)), ErrorKind::InvalidInput, "{path:?}");
        assert_eq!(kind(disk.lock(path)), ErrorKind::InvalidInput, "{path:?}");
        assert_eq!(kind(disk.identity(path)), ErrorKind::InvalidInput, "{path:?}");
        if !path.is_empty() {
            assert_eq!(kind(disk.make_dir(path)), ErrorKind::InvalidInput, "{path:?}");
            assert_eq!(kind(disk.list(path)), ErrorKind::InvalidInput, "{path:?}");
        }
    }
}

fn direct_writes_are_aligned(disk: &dyn Disk) {
    let file = disk.open("direct", Access::Create, Caching::Direct).unwrap();
    let mut buf = AlignedBuf::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(12_288).collect();
    buf.extend(&bytes);
    file.write_at(0, buf.as_slice()).unwrap();
    file.write_at(4096, buf.as_slice()).unwrap();
    let whole = buf.as_slice();
    assert_eq!(content(&*file), [whole.get(..4096).unwrap(), whole].concat());
    let short = whole.get(..100).unwrap();
    assert_eq!(kind(file.write_at(0, short)), ErrorKind::InvalidInput);
    assert_eq!(kind(file.write_at(512, whole)), ErrorKind::InvalidInput);
    let shifted = whole.get(8..4104).unwrap();
    assert_eq!(kind(file.write_at(0, shifted)), ErrorKind::InvalidInput);
    file.sync().unwrap();
    drop(file);
    let again = disk.open("direct", Access::Update, Caching::Direct).unwrap();
    again.set_len(4096).unwrap();
    assert_eq!(content(&*again), whole.get(..4096).unwrap());
    let reader = disk.open("direct", Access::Read, Caching::Direct).unwrap();
    assert!(!reader.is_direct());
}

fn locks_exclude(disk: &dyn Disk) {
    let lock = disk.lock("the-lock").unwrap();
    assert!(names(disk, "").contains(&"the-lock".to_owned()));
    assert_eq!(kind(disk.lock("the-lock")), ErrorKind::WouldBlock);
    let other = disk.lock("other-lock").unwrap();
    drop(lock);
    let again = disk.lock("the-lock").unwrap();
    assert_eq!(kind(disk.lock("other-lock")), ErrorKind::WouldBlock);
    drop((again, other));
}

fn identities_tell_files_apart(disk: &dyn Disk) {
    create(disk, "id-a");
    create(disk, "id-b").write_at(0, b"b").unwrap();
    let (a, b) = (disk.identity("id-a").unwrap(), disk.identity("id-b").unwrap());
    assert_ne!(a, b);
    assert_eq!(a.machine, b.machine);
    assert_eq!(disk.identity("id-a").unwrap(), a);
    disk.rename("id-b", "id-c").unwrap();
    assert_eq!(disk.identity("id-c").unwrap(), b);
    assert_eq!(kind(disk.identity("id-b")), ErrorKind::NotFound);
}

fn space_is_plausible(disk: &dyn Disk) {
    let space = disk.space().unwrap();
    assert!(space.bytes_free > 0 && space.bytes_free <= space.bytes_total);
}

#[test]
fn folder() {
    let temp = tempfile::tempdir().unwrap();
    conformance(&FolderDisk::open(temp.path(), false).unwrap());
}

#[test]
fn simulated() {
    conformance(&SimDisk::recording(1));
}

#[test]
fn simulated_after_a_crash() {
    let disk = SimDisk::new(1);
    disk.make_dir("left/over").unwrap();
    conformance(&disk.crash(ImageKind::Process, 1));
    conformance(&disk.crash(ImageKind::All, 1));
}

#[test]
fn faulty_without_faults() {
    conformance(&FaultDisk::over_sim(SimDisk::new(1)));
    let temp = tempfile::tempdir().unwrap();
    conformance(&FaultDisk::new(Arc::new(FolderDisk::open(temp.path(), false).unwrap())));
}

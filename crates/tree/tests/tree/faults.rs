//! Files that cannot be read, vanish, change, or cannot be written: the rest goes on.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;

use model::{Content, Kind, Meta, Name};
use ouroborosdb::{PutRequest, Session, Silent};
use tree::{
    Effect, FaultyFiles, FileOperation, GetTree, Problem, PutOptions, SystemFiles, TreeError,
    TreeSource, Unwatched,
};

use crate::ground::{Ground, assert_same, noise, set_mode};

fn faulty(operation: FileOperation, path: &str, effect: Effect) -> FaultyFiles<SystemFiles> {
    FaultyFiles::new(SystemFiles).on(operation, path, 0..u64::MAX, effect)
}

#[test]
fn what_cannot_be_read_is_reported_and_the_rest_is_stored() {
    let ground = Ground::new();
    (0..100u64).for_each(|n| ground.write(&format!("f{n:03}"), noise(3000, n)));
    let broken = [
        (FileOperation::Open, ErrorKind::PermissionDenied),
        (FileOperation::Read, ErrorKind::Other),
        (FileOperation::StatAt, ErrorKind::PermissionDenied),
    ];
    for (operation, kind) in broken {
        let files = faulty(operation, "f050", Effect::Fail(kind));
        let put = ground.put_with(&files, PutOptions { force: true, ..PutOptions::default() });
        assert_eq!((put.files, put.failed.len()), (99, 1), "{operation:?}");
        assert!(matches!(put.failed[0].problem, Problem::Unreadable(_)), "{operation:?}");
        assert_eq!(put.failed[0].path.to_str(), Some("f050"));
        assert!(!put.is_complete());
        assert_eq!(put.tombstones, 0);
    }
    let got = ground.get();
    assert_eq!(got.files, 99);
}

#[test]
fn an_unreadable_file_is_reported() {
    let ground = Ground::new();
    ground.write("secret", "x");
    set_mode(&ground.src.join("secret"), 0);
    if std::fs::File::open(ground.src.join("secret")).is_ok() {
        return; // Privileged: nothing is unreadable.
    }
    assert_eq!(ground.put().failed.len(), 1);
}

#[test]
fn what_vanishes_is_reported() {
    let ground = Ground::new();
    ground.write("gone", "x");
    ground.write("stays", "x");
    let path = ground.src.join("gone");
    let vanish = Effect::Run(Box::new(move || std::fs::remove_file(&path).unwrap_or_default()));
    let put = ground.put_with(&faulty(FileOperation::Open, "gone", vanish), PutOptions::default());
    assert_eq!(put.files, 1);
    assert!(matches!(put.failed[0].problem, Problem::Vanished));
}

#[test]
fn a_file_that_changes_once_is_read_again() {
    let ground = Ground::new();
    ground.write("f", noise(20_000, 1));
    let path = ground.src.join("f");
    let change = Effect::Run(Box::new(move || std::fs::write(&path, noise(30_000, 2)).unwrap()));
    let files = FaultyFiles::new(SystemFiles).on(FileOperation::Read, "f", 1..2, change);
    let put = ground.put_with(&files, PutOptions::default());
    assert!(put.is_complete());
    ground.session.head("t/f");
    ground.get();
    assert_eq!(std::fs::read(ground.dest.join("f")).unwrap(), noise(30_000, 2));
}

#[test]
fn a_file_that_keeps_changing_is_stored_and_reported() {
    let ground = Ground::new();
    ground.write("log", noise(20_000, 1));
    let path = ground.src.join("log");
    let grow = Effect::Run(Box::new(move || {
        use std::io::Write;
        let mut log = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(b"more").unwrap();
    }));
    let put = ground.put_with(&faulty(FileOperation::Read, "log", grow), PutOptions::default());
    assert_eq!((put.files, put.failed.len()), (1, 0));
    assert_eq!(put.changed_while_read.len(), 1);
    ground.session.head("t/log");
    assert_eq!(ground.put().skipped, 0, "what was not read whole is not trusted");
}

#[test]
fn a_full_disk_stops_a_get_and_it_goes_on_later() {
    let ground = Ground::new();
    (0..50u64).for_each(|n| ground.write(&format!("f{n:03}"), noise(300_000, n)));
    ground.put();
    let full = Effect::Fail(ErrorKind::StorageFull);
    let files = FaultyFiles::new(SystemFiles).on(FileOperation::Write, "", 60..u64::MAX, full);
    let got = ground.transfer(&files, &Unwatched).get_tree(&ground.get_request());
    assert!(matches!(got, Err(TreeError::Destination { .. })), "{got:?}");
    let got = ground.get();
    assert!(got.failed.is_empty() && got.skipped > 0, "{got:?}");
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn one_file_that_cannot_be_written_is_reported() {
    let ground = Ground::new();
    ground.write("a", "x");
    ground.write("b", "x");
    ground.put();
    let files = faulty(FileOperation::Rename, "a", Effect::Fail(ErrorKind::PermissionDenied));
    let got = ground.transfer(&files, &Unwatched).get_tree(&ground.get_request()).unwrap();
    assert_eq!((got.files, got.failed.len()), (1, 1));
}

#[test]
fn links_become_copies_where_there_are_none() {
    let ground = Ground::new();
    ground.write("a", noise(9000, 1));
    std::fs::hard_link(ground.src.join("a"), ground.src.join("b")).unwrap();
    ground.put();
    let files = faulty(FileOperation::Link, "", Effect::Fail(ErrorKind::PermissionDenied));
    let got = ground.transfer(&files, &Unwatched).get_tree(&ground.get_request()).unwrap();
    assert_eq!((got.files, got.links, got.failed.len()), (2, 0, 0));
    assert_eq!(std::fs::read(ground.dest.join("b")).unwrap(), noise(9000, 1));
}

#[test]
fn what_is_there_is_not_replaced_without_force() {
    let ground = Ground::new();
    ground.write("f", "stored");
    ground.write("folder/g", "stored");
    symlink("stored", ground.src.join("link")).unwrap();
    ground.put();
    std::fs::create_dir_all(ground.dest.join("f2")).unwrap();
    std::fs::write(ground.dest.join("f"), "mine").unwrap();
    std::fs::write(ground.dest.join("folder"), "mine").unwrap();
    std::fs::write(ground.dest.join("link"), "mine").unwrap();
    let got = ground.get();
    assert!(got.failed.iter().all(|one| matches!(one.problem, Problem::Exists)), "{got:?}");
    assert_eq!(got.failed.len(), 4, "three and the file below one of them");
    for name in ["f", "folder", "link"] {
        assert_eq!(std::fs::read(ground.dest.join(name)).unwrap(), b"mine");
    }
    let forced = GetTree { force: true, ..ground.get_request() };
    let got = ground.transfer(&SystemFiles, &Unwatched).get_tree(&forced).unwrap();
    assert!(got.failed.is_empty(), "{got:?}");
    std::fs::remove_dir(ground.dest.join("f2")).unwrap();
    crate::ground::set_modified(&ground.src, 5, 5);
    crate::ground::set_modified(&ground.dest, 5, 5);
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn force_looks_into_files_that_only_look_restored() {
    let ground = Ground::new();
    ground.write("f", noise(100_000, 1));
    ground.put();
    ground.get();
    let stat = std::fs::metadata(ground.dest.join("f")).unwrap();
    std::fs::write(ground.dest.join("f"), noise(100_000, 2)).unwrap();
    use std::os::unix::fs::MetadataExt;
    crate::ground::set_modified(&ground.dest.join("f"), stat.mtime(), stat.mtime_nsec());
    let forced = GetTree { force: true, ..ground.get_request() };
    let transfer = ground.transfer(&SystemFiles, &Unwatched);
    assert_eq!(transfer.get_tree(&forced).unwrap().skipped, 0);
    assert_same(&ground.src, &ground.dest);
    assert_eq!(transfer.get_tree(&forced).unwrap().skipped, 1);
}

#[test]
fn nothing_is_written_through_a_symbolic_link() {
    let ground = Ground::new();
    ground.write("folder/f", "stored");
    ground.write("file", "stored");
    ground.put();
    let outside = ground.src.parent().unwrap().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("victim"), "mine").unwrap();
    std::fs::create_dir(&ground.dest).unwrap();
    symlink(&outside, ground.dest.join("folder")).unwrap();
    symlink(outside.join("victim"), ground.dest.join(".file.ouro-part")).unwrap();
    let got = ground.get();
    assert!(!got.failed.is_empty());
    assert!(!outside.join("f").exists());
    assert_eq!(std::fs::read(outside.join("victim")).unwrap(), b"mine");
    assert_eq!(std::fs::read(ground.dest.join("file")).unwrap(), b"stored");
    assert!(ground.dest.join("file").symlink_metadata().unwrap().is_file());
}

#[test]
fn a_part_with_another_name_is_not_written_through() {
    let ground = Ground::new();
    ground.write("file", "stored");
    ground.put();
    std::fs::create_dir(&ground.dest).unwrap();
    std::fs::write(ground.dest.join("mine"), "stormy weather").unwrap();
    std::fs::hard_link(ground.dest.join("mine"), ground.dest.join(".file.ouro-part")).unwrap();
    assert!(ground.get().failed.is_empty());
    assert_eq!(std::fs::read(ground.dest.join("mine")).unwrap(), b"stormy weather");
    assert_eq!(std::fs::read(ground.dest.join("file")).unwrap(), b"stored");
}

/// A root whose list was made by hand.
fn put_list(ground: &Ground, list: &[u8]) -> GetTree {
    let request = PutRequest {
        name: Some(Name::new("t").unwrap()),
        meta: Meta { kind: Kind::Tree, ..Meta::default() },
        ..PutRequest::default()
    };
    let put = ground.session.put(&request, &mut { list }, &Silent).unwrap();
    GetTree { source: TreeSource::Root(put.hash), ..ground.get_request() }
}

#[test]
fn a_list_that_leads_out_is_refused() {
    let ground = Ground::new();
    ground.write("f", "x");
    ground.put();
    let hash = ground.session.head("t/f").hash;
    for path in ["../evil", "/evil", "a/../../evil", "a\0b", ".."] {
        let mut list = vec![1, 1, 0, 0, u8::try_from(path.len()).unwrap()];
        list.extend_from_slice(path.as_bytes());
        list.extend_from_slice(hash.as_bytes());
        let request = put_list(&ground, &list);
        let got = ground.transfer(&SystemFiles, &Unwatched).get_tree(&request);
        assert!(matches!(got, Err(TreeError::List { .. })), "{path:?}");
        assert!(!ground.dest.join("evil").exists());
        assert!(!ground.dest.parent().unwrap().join("evil").exists());
    }
}

#[test]
fn a_version_that_is_no_tree_is_refused() {
    let ground = Ground::new();
    ground.write("f", "x");
    ground.put();
    let source = TreeSource::Root(ground.session.head("t/f").hash);
    let request = GetTree { source, ..ground.get_request() };
    let got = ground.transfer(&SystemFiles, &Unwatched).get_tree(&request);
    assert!(matches!(got, Err(TreeError::NotATree { .. })));
    assert!(!ground.dest.exists());
}

#[test]
fn a_version_the_store_lost_is_reported_and_the_rest_restored() {
    let ground = Ground::new();
    ground.write("f", "x");
    ground.put();
    let known = ground.session.head("t/f").hash;
    let mut list = vec![1, 2, 0];
    for (path, hash) in [(b'a', [9; 32]), (b'f', *known.as_bytes())] {
        list.extend_from_slice(&[0, 1, path]);
        list.extend_from_slice(&hash);
    }
    let request = put_list(&ground, &list);
    let got = ground.transfer(&SystemFiles, &Unwatched).get_tree(&request).unwrap();
    assert_eq!((got.files, got.failed.len()), (1, 1));
    assert!(matches!(got.failed[0].problem, Problem::Stored(_)));
    let vertex = ground.session.vertex(&known).unwrap();
    assert_eq!(vertex.content, Content::Inline(b"x".to_vec()));
}

//! What comes out is what went in.

use std::ffi::OsStr;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use model::Name;
use ouroborosdb::At;
use tree::{
    FileOperation, GetFile, GetTree, Problem, PutFile, PutOptions, SystemFiles, TreeError,
    TreeSource, Unwatched,
};

use crate::ground::{Ground, assert_same, noise, set_mode, set_modified};

/// Everything that was ever lost by a copy.
pub(crate) fn hard_tree(ground: &Ground) {
    let src = &ground.src;
    ground.write("plain", "hello");
    ground.write("empty", "");
    ground.write("a.txt", "sorts between a and a/b");
    ground.write("a/b", noise(70_000, 1));
    ground.write("deep/er/and/deeper/file", noise(5000, 2));
    std::fs::create_dir_all(src.join("empty folder/inner")).unwrap();
    symlink("nowhere", src.join("dangling")).unwrap();
    symlink("/etc/hostname", src.join("absolute")).unwrap();
    symlink("a", src.join("to a folder")).unwrap();
    ground.write("linked/one", noise(9000, 3));
    std::fs::hard_link(src.join("linked/one"), src.join("linked two")).unwrap();
    std::fs::hard_link(src.join("linked/one"), src.join("a/three")).unwrap();
    ground.write("other group", noise(9000, 3));
    std::fs::hard_link(src.join("other group"), src.join("a/other group")).unwrap();
    ground.write("read only", "x");
    ground.write("sticky", "y");
    ground.write("n".repeat(255).as_str(), "longest name");
    ground.write("\u{e4}\u{1f600}/\u{4e2d}", "not ASCII");
    for raw in [&b"not utf-8 \xff\xfe"[..], b"new\nline", b"%0A"] {
        std::fs::write(src.join(OsStr::from_bytes(raw)), raw).unwrap();
    }
    ground.write(".plain.ouro-part", "named like the part of plain");
    let mut sparse = std::fs::File::create(src.join("sparse")).unwrap();
    for at in [1u64 << 20, 5 << 20] {
        sparse.seek(SeekFrom::Start(at)).unwrap();
        sparse.write_all(&noise(5000, at)).unwrap();
    }
    sparse.set_len(9 << 20).unwrap();
    std::fs::File::create(src.join("all hole")).unwrap().set_len(3 << 20).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        src.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for n in 0..500u16 {
        let content = noise(100 + 16 * usize::from(n), n.into());
        ground.write(&format!("many/{n:04}"), content);
    }
    finish_hard_tree(ground);
}

fn finish_hard_tree(ground: &Ground) {
    let src = &ground.src;
    set_modified(&src.join("plain"), -86_400, 123_456_789);
    set_modified(&src.join("dangling"), -1, 999_999_999);
    set_modified(&src.join("a"), 1_000_000_000, 1);
    set_modified(&src.join("empty folder/inner"), -5, 5);
    set_mode(&src.join("read only"), 0o400);
    set_mode(&src.join("sticky"), 0o1777);
    set_mode(&src.join("plain"), 0o6755);
    set_mode(&src.join("a"), 0o1777);
    set_mode(&src.join("deep/er"), 0o555);
    set_modified(src, 77, 7);
}

#[test]
fn a_hard_tree_comes_back_as_it_was() {
    let ground = Ground::new();
    hard_tree(&ground);
    let put = ground.put();
    assert!(put.failed.is_empty(), "{:?}", put.failed);
    assert_eq!((put.special_skipped, put.symlinks, put.skipped), (1, 3, 0));
    let got = ground.get();
    assert!(got.failed.is_empty(), "{:?}", got.failed);
    assert_eq!((got.files, got.folders, got.symlinks), (put.files, put.folders, put.symlinks));
    assert_eq!(got.links, 3);
    assert_same(&ground.src, &ground.dest);
    let sparse_blocks = {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(ground.dest.join("all hole")).unwrap().blocks()
    };
    assert_eq!(sparse_blocks, 0);
}

#[test]
fn a_tree_comes_back_from_its_names_alone() {
    let ground = Ground::new();
    hard_tree(&ground);
    ground.put();
    let source = TreeSource::Names { prefix: Name::new("t").unwrap(), at: At::Now };
    let request = GetTree { source, ..ground.get_request() };
    let got = ground.transfer(&SystemFiles, &Unwatched).get_tree(&request).unwrap();
    assert!(got.failed.is_empty(), "{:?}", got.failed);
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn a_folder_inside_a_tree_comes_back_from_its_names() {
    let ground = Ground::new();
    hard_tree(&ground);
    ground.put();
    let source = TreeSource::Names { prefix: Name::new("t/deep").unwrap(), at: At::Now };
    let request = GetTree { source, ..ground.get_request() };
    ground.transfer(&SystemFiles, &Unwatched).get_tree(&request).unwrap();
    assert_same(&ground.src.join("deep"), &ground.dest);
    let source = TreeSource::Names { prefix: Name::new("nothing").unwrap(), at: At::Now };
    let request = GetTree { source, ..ground.get_request() };
    let got = ground.transfer(&SystemFiles, &Unwatched).get_tree(&request);
    assert!(matches!(got, Err(TreeError::Session(ouroborosdb::Error::NameUnknown { .. }))));
}

#[test]
fn depth_has_no_limit_but_the_name() {
    let ground = Ground::new();
    let mut folder = ground.src.clone();
    for _ in 0..300 {
        folder.push("d");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("after"), "x").unwrap();
    }
    assert!(ground.put().failed.is_empty());
    assert!(ground.get().failed.is_empty());
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn names_are_escaped_and_heads_single() {
    let ground = Ground::new();
    std::fs::write(ground.src.join(OsStr::from_bytes(b"a\n\xff")), "x").unwrap();
    ground.put();
    assert_eq!(ground.session.live(), ["t", "t/a%0A%FF"]);
    ground.session.head("t/a%0A%FF");
}

#[test]
fn one_file_goes_in_and_out_with_its_attributes() {
    let ground = Ground::new();
    ground.write("one", noise(100_000, 9));
    set_mode(&ground.src.join("one"), 0o640);
    set_modified(&ground.src.join("one"), -3, 3);
    let transfer = ground.transfer(&SystemFiles, &Unwatched);
    let put = transfer
        .put_file(&PutFile {
            source: ground.src.join("one"),
            name: Some(Name::new("x/one").unwrap()),
            options: PutOptions::default(),
        })
        .unwrap();
    std::fs::create_dir(&ground.dest).unwrap();
    let request = GetFile {
        hash: put.hash.unwrap(),
        dest: ground.dest.join("one"),
        force: false,
        dry_run: false,
    };
    let got = transfer.get_file(&request).unwrap();
    assert_eq!((got.files, got.bytes_written), (1, 100_000));
    set_modified(&ground.src, 1, 1);
    set_modified(&ground.dest, 1, 1);
    assert_same(&ground.src, &ground.dest);
    assert_eq!(transfer.get_file(&request).unwrap().skipped, 1);
    std::fs::write(ground.dest.join("one"), "mine").unwrap();
    let kept = transfer.get_file(&request);
    assert!(matches!(kept, Err(TreeError::Item { problem: Problem::Exists, .. })));
    assert_eq!(std::fs::read(ground.dest.join("one")).unwrap(), b"mine");
    transfer.get_file(&GetFile { force: true, ..request }).unwrap();
    set_modified(&ground.dest, 1, 1);
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn what_is_no_folder_or_file_is_refused() {
    let ground = Ground::new();
    ground.write("one", "x");
    let transfer = ground.transfer(&SystemFiles, &Unwatched);
    let mut request = ground.put_request(PutOptions::default());
    request.source = ground.src.join("one");
    assert!(matches!(transfer.put_tree(&request), Err(TreeError::Source { .. })));
    request.source = ground.src.join("missing");
    assert!(matches!(transfer.put_tree(&request), Err(TreeError::Source { .. })));
    let request =
        PutFile { source: ground.src.clone(), name: None, options: PutOptions::default() };
    assert!(transfer.put_file(&request).is_err());
    assert_eq!(ground.session.puts(), 0);
}

#[test]
fn without_privilege_set_id_bits_of_others_are_left_out() {
    let ground = Ground::new();
    ground.write("program", "x");
    std::os::unix::fs::chown(ground.src.join("program"), Some(4242), Some(4242)).ok();
    set_mode(&ground.src.join("program"), 0o6755);
    ground.put();
    let denied = || tree::Effect::Fail(std::io::ErrorKind::PermissionDenied);
    let files =
        tree::FaultyFiles::new(SystemFiles).on(FileOperation::SetOwner, "", 0..u64::MAX, denied());
    ground.transfer(&files, &Unwatched).get_tree(&ground.get_request()).unwrap();
    use std::os::unix::fs::MetadataExt;
    let got = std::fs::metadata(ground.dest.join("program")).unwrap();
    let is_others = std::fs::metadata(ground.src.join("program")).unwrap().uid() != got.uid();
    assert_eq!(got.mode() & 0o7777, if is_others { 0o755 } else { 0o6755 });
}

//! What is left out, and what alone comes back.

use tree::{GetTree, PathFilter, PutOptions, SystemFiles, Unwatched};

use crate::ground::{Ground, look};

fn paths(ground: &Ground) -> Vec<String> {
    let prefix = "t/";
    let live = ground.session.live();
    live.iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
}

#[test]
fn excluded_paths_are_left_out() {
    let ground = Ground::new();
    ground.write("src/a.c", "x");
    ground.write("src/a.o", "x");
    ground.write("target/deep/b", "x");
    ground.write("other/target", "x");
    let excludes = PathFilter::lines("# built\n*.o\n/target/\n").unwrap();
    let put = ground.put_with(&SystemFiles, PutOptions { excludes, ..PutOptions::default() });
    assert_eq!(put.excluded, 2);
    assert_eq!(paths(&ground), ["other", "other/target", "src", "src/a.c"]);
}

#[test]
fn caches_keep_their_tag_only() {
    let ground = Ground::new();
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# made by a test";
    ground.write("cache/CACHEDIR.TAG", tag);
    ground.write("cache/big/blob", "x");
    ground.write("fake/CACHEDIR.TAG", "Signature: none");
    ground.write("fake/kept", "x");
    let options = PutOptions { exclude_caches: true, ..PutOptions::default() };
    assert_eq!(ground.put_with(&SystemFiles, options).excluded, 1);
    let expected = ["cache", "cache/CACHEDIR.TAG", "fake", "fake/CACHEDIR.TAG", "fake/kept"];
    assert_eq!(paths(&ground), expected);
}

#[test]
fn other_filesystems_are_not_entered() {
    // A folder that is another filesystem everywhere this runs.
    let ground = Ground::new();
    let mut request = ground.put_request(PutOptions::default());
    request.source = "/dev".into();
    request.options = PutOptions { one_file_system: true, dry_run: true, ..PutOptions::default() };
    let here = ground.transfer(&SystemFiles, &Unwatched).put_tree(&request);
    let entered = here.map(|put| put.folders);
    request.options.one_file_system = false;
    let all = ground.transfer(&SystemFiles, &Unwatched).put_tree(&request).map(|put| put.folders);
    if let (Ok(entered), Ok(all)) = (entered, all) {
        assert!(entered <= all);
    }
}

#[test]
fn included_paths_come_with_their_folders_only() {
    let ground = Ground::new();
    ground.write("a/b/wanted.txt", "x");
    ground.write("a/b/other", "x");
    ground.write("a/c/other", "x");
    ground.write("whole/x/y", "x");
    ground.write("z", "x");
    std::fs::create_dir(ground.src.join("empty")).unwrap();
    ground.put();
    let include = PathFilter::new(["*.txt", "/whole", "empty/"]).unwrap();
    let request = GetTree { include, ..ground.get_request() };
    let got = ground.transfer(&SystemFiles, &Unwatched).get_tree(&request).unwrap();
    assert!(got.failed.is_empty());
    let seen: Vec<_> = look(&ground.dest).into_keys().map(|p| p.display().to_string()).collect();
    let expected = ["", "a", "a/b", "a/b/wanted.txt", "empty", "whole", "whole/x", "whole/x/y"];
    assert_eq!(seen, expected);
    assert_eq!((got.files, got.folders), (2, 6));
}

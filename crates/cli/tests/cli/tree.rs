//! `put -r` and `get -r`.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use crate::common::{Home, noise, objects};

/// A small folder of everything that is common.
fn folder(home: &Home) -> String {
    home.file("src/a.txt", "a");
    home.file("src/deep/er/b.bin", noise(200_000, 20));
    home.file("src/deep/c", "");
    home.file("src/run.sh", "#!/bin/sh\n");
    std::fs::set_permissions(home.path("src/run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::create_dir(home.path("src/empty")).unwrap();
    symlink("../nowhere", home.path("src/deep/link")).unwrap();
    home.path("src").to_str().unwrap().to_owned()
}

/// What is below a folder, with kinds, modes, times and contents.
fn listing(home: &Home, folder: &str) -> String {
    let script =
        "find . -printf '%P %y %m %T@ %l\\n' | sort; find . -type f -exec cksum {} + | sort";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(home.path(folder))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn folders_come_back_as_they_were() {
    let home = Home::new();
    let source = folder(&home);
    let line = home.ok(&["put", "-r", &source, "tree"]);
    assert_eq!(line.lines().count(), 1);
    assert!(line.ends_with(" tree\n"));
    home.ok(&["get", "-r", "tree", "out"]);
    assert_eq!(listing(&home, "out"), listing(&home, "src"));
    std::fs::create_dir(home.path("into")).unwrap();
    home.ok(&["get", "-r", line.split_whitespace().next().unwrap(), "into"]);
    assert_eq!(listing(&home, "into/tree"), listing(&home, "src"));
    assert!(part(&home).is_none());
}

#[test]
fn one_file_and_one_folder_of_a_tree_come_back() {
    let home = Home::new();
    let source = folder(&home);
    home.ok(&["put", "-r", &source, "tree"]);
    assert_eq!(home.ok(&["get", "tree/a.txt"]), "a");
    home.ok(&["get", "-r", "tree/deep", "out"]);
    assert_eq!(listing(&home, "out"), listing(&home, "src/deep"));
    home.ok(&["get", "-r", "tree", "some", "--include", "*.txt"]);
    assert!(home.path("some/a.txt").exists());
    assert!(!home.path("some/run.sh").exists());
    home.run(&["get", "tree"]).refused(2, "-r");
    home.run(&["get", "-r", "tree", "-"]).refused(2, "stdout");
}

#[test]
fn what_is_unchanged_is_not_read_again() {
    let home = Home::new();
    let source = folder(&home);
    let first = objects(&home.ok(&["put", "-r", &source, "tree", "--json"])).remove(0);
    assert_eq!(first["files"], 4);
    let again = objects(&home.ok(&["put", "-r", &source, "tree", "--json"])).remove(0);
    assert_eq!(again["hash"], first["hash"]);
    assert_eq!(again["bytes_stored"], 0);
    let forced = objects(&home.ok(&["put", "-r", &source, "tree", "--force", "--json"])).remove(0);
    assert_eq!(forced["hash"], first["hash"]);
    assert_eq!(forced["skipped"], 0);
}

#[test]
fn what_is_gone_is_deleted_unless_it_is_kept() {
    let home = Home::new();
    let source = folder(&home);
    home.ok(&["put", "-r", &source, "tree"]);
    std::fs::remove_file(home.path("src/a.txt")).unwrap();
    home.ok(&["put", "-r", &source, "tree", "--keep-missing"]);
    assert_eq!(home.ok(&["get", "tree/a.txt"]), "a");
    home.ok(&["put", "-r", &source, "tree"]);
    home.run(&["get", "tree/a.txt"]).refused(1, "deleted");
    assert!(!home.ok(&["ls", "-r"]).contains("a.txt"));
}

#[test]
fn excludes_leave_out() {
    let home = Home::new();
    let source = folder(&home);
    let list = home.file("list", "# comment\nrun.sh\n");
    home.ok(&["put", "-r", &source, "tree", "--exclude", "er", "--exclude-from", &list]);
    let names = home.ok(&["ls", "-r"]);
    assert!(names.contains("tree/a.txt") && names.contains("tree/deep/c"), "{names}");
    assert!(!names.contains("b.bin") && !names.contains("run.sh"), "{names}");
}

#[test]
fn verbose_prints_a_line_per_file_and_the_root_last() {
    let home = Home::new();
    let source = folder(&home);
    let lines = home.ok(&["put", "-r", "-v", &source, "tree"]);
    assert!(lines.lines().any(|line| line == "done deep/er/b.bin"), "{lines}");
    assert!(lines.lines().last().unwrap().ends_with(" tree"), "{lines}");
}

#[test]
fn dry_runs_change_nothing() {
    let home = Home::new();
    let source = folder(&home);
    home.put("other", b"x");
    let before = home.contents();
    home.ok(&["put", "-r", &source, "tree", "--dry-run"]);
    assert_eq!(home.contents(), before);
    home.ok(&["put", "-r", &source, "tree"]);
    home.ok(&["get", "-r", "tree", "out", "--dry-run"]);
    assert!(!home.path("out").exists());
}

#[test]
fn names_without_a_root_are_a_folder_too() {
    let home = Home::new();
    home.put("notes/one", b"1");
    home.put("notes/deep/two", b"2");
    home.run(&["get", "notes"]).refused(2, "-r");
    home.ok(&["get", "-r", "notes", "out"]);
    assert_eq!(std::fs::read(home.path("out/deep/two")).unwrap(), b"2");
}

/// The part of a folder that a stopped run left.
fn part(home: &Home) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(home.path(".")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".ouro-part"))
}

#[test]
fn an_interrupted_get_continues() {
    let home = Home::new();
    folder(&home);
    for i in 0..40 {
        home.file(&format!("src/many/{i}"), noise(1_000_000, i));
    }
    let source = home.path("src");
    home.ok(&["put", "-r", source.to_str().unwrap(), "tree"]);
    let child = home.command(&["get", "-r", "tree", "out"]).spawn().unwrap();
    for _ in 0..2000 {
        if part(&home).is_some_and(|part| part.join("many/3").exists()) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = crate::common::finish(child);
    if ran.code == 0 {
        return;
    }
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    ran.tells("run it again");
    assert!(!home.path("out").exists());
    // A part of another version does not get into it.
    home.file("src/later", "x");
    home.ok(&["put", "-r", source.to_str().unwrap(), "tree"]);
    std::fs::remove_file(home.path("src/later")).unwrap();
    home.ok(&["put", "-r", source.to_str().unwrap(), "tree"]);
    let again = objects(&home.ok(&["get", "-r", "tree", "out", "--json"])).remove(0);
    assert_eq!(again["failed"], 0, "{again}");
    assert_eq!(listing(&home, "out"), listing(&home, "src"));
}

#[test]
fn a_folder_that_exists_is_filled_and_what_differs_stays() {
    let home = Home::new();
    let source = folder(&home);
    home.ok(&["put", "-r", &source, "tree"]);
    home.ok(&["get", "-r", "tree", "out"]);
    std::fs::create_dir(home.path("into")).unwrap();
    home.file("into/tree/a.txt", "mine, and longer");
    let ran = home.run(&["get", "-r", "tree", "into"]);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    ran.tells("a.txt");
    assert_eq!(std::fs::read(home.path("into/tree/a.txt")).unwrap(), b"mine, and longer");
    home.ok(&["get", "-r", "tree", "into", "--force"]);
    assert_eq!(listing(&home, "into/tree"), listing(&home, "src"));
}

#[test]
fn the_store_does_not_store_itself() {
    let home = Home::new();
    home.file("[a]/kept", "kept");
    let data = home.path("[a]/da{t}a*");
    let data = data.to_str().unwrap();
    let source = home.path("[a]");
    let source = source.to_str().unwrap();
    for _ in 0..2 {
        home.ok(&["--data", data, "put", "-r", source, "everything"]);
        let names = home.ok(&["--data", data, "ls", "-r"]);
        assert_eq!(names, "everything\neverything/kept\n");
    }
}

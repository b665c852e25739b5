use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use crate::common::{Home, noise, objects};

#[test]
fn bytes_come_back_on_stdout_and_in_files() {
    let home = Home::new();
    let bytes = noise(3_000_000, 3);
    let file = home.file("src/big", &bytes);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    home.ok(&["put", &file]);
    assert_eq!(home.run(&["get", "big"]).stdout, bytes);
    assert_eq!(home.run(&["get", "big", "-"]).stdout, bytes);
    assert_eq!(home.ok(&["get", "big", "copy"]), "");
    assert_eq!(std::fs::read(home.path("copy")).unwrap(), bytes);
    let mode = std::fs::metadata(home.path("copy")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    std::fs::create_dir(home.path("folder")).unwrap();
    home.ok(&["get", "big", "folder"]);
    assert_eq!(std::fs::read(home.path("folder/big")).unwrap(), bytes);
}

#[test]
fn ranges_are_inclusive_clipped_and_refused_past_the_end() {
    let home = Home::new();
    home.put("n", b"0123456789");
    assert_eq!(home.ok(&["get", "n", "--range", "2-4"]), "234");
    assert_eq!(home.ok(&["get", "n", "--range", "7-"]), "789");
    assert_eq!(home.ok(&["get", "n", "--range", "-3"]), "789");
    assert_eq!(home.ok(&["get", "n", "--range=-3"]), "789");
    assert_eq!(home.ok(&["get", "n", "--range", "8-99"]), "89");
    home.run(&["get", "n", "--range", "10-"]).refused(2, "10 bytes");
    home.run(&["get", "n", "--range", "4-2"]).refused(2, "malformed range");
    home.ok(&["get", "n", "--range", "2-4", "part"]);
    assert_eq!(std::fs::read(home.path("part")).unwrap(), b"234");
}

#[test]
fn an_existing_file_is_replaced_only_with_force() {
    let home = Home::new();
    home.put("n", b"stored");
    let dest = home.file("dest", "mine");
    home.run(&["get", "n", &dest]).refused(6, "--force");
    assert_eq!(std::fs::read(&dest).unwrap(), b"mine");
    home.run(&["get", "n", &dest, "--range", "0-2"]).refused(6, "--force");
    home.ok(&["get", "n", &dest, "--force"]);
    assert_eq!(std::fs::read(&dest).unwrap(), b"stored");
}

#[test]
fn every_version_comes_back() {
    let home = Home::new();
    let hashes: Vec<String> =
        (0..5).map(|i| home.put("n", format!("version {i}").as_bytes())).collect();
    for (i, hash) in hashes.iter().enumerate() {
        let text = format!("version {i}");
        assert_eq!(home.ok(&["get", hash]), text);
        assert_eq!(home.ok(&["get", "n", "--at", hash]), text);
        assert_eq!(home.ok(&["get", "n", "--at", &hash[..8]]), text);
    }
    let log = objects(&home.ok(&["log", "n", "--json"]));
    assert_eq!(log.len(), 5);
    assert_eq!(home.ok(&["get", "n", "--at", "0s"]), "version 4");
    home.run(&["get", "n", "--at", "99d"]).refused(1, "no such name");
    let other = home.put("other", b"x");
    home.run(&["get", "n", "--at", &other]).refused(1, "not a version of n");
}

#[test]
fn several_heads_are_told() {
    let home = Home::new();
    let one = home.put("n", b"one");
    home.put("n", b"two");
    home.run_with(&["put", "-", "n", "--parent", &one], b"three").ok();
    let ran = home.run(&["get", "n"]);
    ran.tells("2 heads");
    assert!(ran.stdout == b"two" || ran.stdout == b"three");
    assert_eq!(home.run(&["get", "n"]).stdout, ran.stdout);
    assert_eq!(home.run(&["get", "-q", "n"]).stderr, "");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let home = Home::new();
    let file = home.file("big", noise(8_000_000, 4));
    home.ok(&["put", &file]);
    let mut child = home.command(&["get", "big"]).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ran = crate::common::finish(child);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_full_disk_behind_stdout_is_told() {
    let home = Home::new();
    home.put("n", b"something");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = home.command(&["get", "n"]).stdout(full).spawn().unwrap();
    crate::common::finish(child).refused(3, "no space left");
}

#[test]
fn a_dry_run_writes_nothing() {
    let home = Home::new();
    home.put("n", b"stored");
    let ran = home.run(&["get", "n", "dest", "--dry-run"]);
    ran.tells("6 bytes");
    assert_eq!(ran.code, 0);
    assert!(!home.path("dest").exists());
}

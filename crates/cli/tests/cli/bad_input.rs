//! Every line of bad input: one clear line, the exit code, and the store as it was.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::common::{Home, finish, is_root, noise, objects};

/// A store with something in it.
fn filled() -> Home {
    let home = Home::new();
    home.put("kept", b"content");
    home
}

#[test]
fn malformed_names() {
    let home = filled();
    let file = home.file("f", "x");
    let before = home.files();
    let long = "n".repeat(4097);
    let latin = OsStr::from_bytes(b"caf\xe9");
    for (name, words) in [
        (OsStr::new(""), "empty"),
        (OsStr::new(&long), "4096"),
        (OsStr::new("a/../b"), ".."),
        (OsStr::new("a\nb"), "control"),
        (latin, "UTF-8"),
    ] {
        let put: [OsString; 3] = ["put".into(), OsString::from(&file), name.into()];
        home.run(&put).refused(2, words);
        let get: [OsString; 2] = ["get".into(), name.into()];
        home.run(&get).refused(2, words);
        let log: [OsString; 2] = ["log".into(), name.into()];
        home.run(&log).refused(2, words);
    }
    assert_eq!(home.files(), before);
}

#[test]
fn malformed_and_unknown_hashes() {
    let home = filled();
    let before = home.files();
    let unknown = "0".repeat(64);
    for command in ["show", "children", "parents"] {
        home.run(&[command, "xyz"]).refused(2, "malformed hash");
        home.run(&[command, "1234567"]).refused(2, "malformed hash");
        home.run(&[command, &unknown]).refused(1, "no such version");
        home.run(&[command, "00000000"]).refused(1, "no such version");
    }
    home.run(&["get", &unknown]).refused(1, "no such version");
    home.run(&["get", "unknown"]).refused(1, "no such name: unknown");
    home.run(&["put", "-", "n", "--parent", &unknown]).refused(1, "no such version");
    assert_eq!(home.contents().lines().count(), 1);
    drop(before);
}

#[test]
fn nothing_is_made_by_reading_or_by_bad_input() {
    let home = Home::new();
    home.run(&["ls"]).refused(1, "no store");
    home.run(&["get", "n"]).refused(1, "no store");
    home.run(&["stats"]).refused(1, "no store");
    home.run(&["key", "show"]).refused(1, "no store");
    home.run(&["put", "/no/such/file"]).refused(1, "/no/such/file");
    let hash = "0".repeat(64);
    home.run(&["put", "-", "n", "--parent", &hash]).refused(1, "no store");
    home.run(&["put", "-", "n", "--expect-head", &hash]).refused(1, "no store");
    home.run(&["put", "-", "a//b"]).refused(2, "malformed name");
    home.run(&["put", "-"]).refused(2, "NAME");
    assert!(!home.data().exists());
}

#[test]
fn usage_errors_are_json_too() {
    let home = Home::new();
    let ran = home.run(&["ls", "--json", "--no-such-flag"]);
    assert_eq!(ran.code, 2);
    let error = &objects(&ran.stderr)[0]["error"];
    assert_eq!((&error["kind"], &error["code"]), (&"usage".into(), &2.into()));
    let ran = home.run(&["get", "n", "--json"]);
    let error = &objects(&ran.stderr)[0]["error"];
    assert_eq!(error["kind"], "store_missing");
    for field in ["message", "hint"] {
        assert!(error[field].is_string(), "{error}");
    }
    home.run::<&str>(&[]).refused(2, "command");
    home.run(&["rm", "n"]).refused(2, "rm");
}

#[test]
fn a_key_file_that_is_missing_truncated_or_too_open() {
    let home = filled();
    let key = home.data().join("identity.key");
    let sound = std::fs::read(&key).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    home.run(&["get", "kept"]).refused(6, "chmod 600");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    for len in [0, 1, sound.len() / 2, sound.len() - 1] {
        std::fs::write(&key, &sound[..len]).unwrap();
        home.run(&["get", "kept"]).refused(4, "");
    }
    std::fs::remove_file(&key).unwrap();
    home.run(&["get", "kept"]).refused(6, "missing");
    let file = home.file("f", "x");
    home.run(&["put", &file]).refused(6, "missing");
    assert!(!key.exists(), "a new key would lock the owner out");
    std::fs::write(&key, &sound).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(home.ok(&["get", "kept"]), "content");
}

#[test]
fn a_store_that_is_open_elsewhere() {
    let home = filled();
    let mut holder = home.command(&["put", "-", "n"]).stdin(Stdio::piped()).spawn().unwrap();
    // The holder has the store once a second run is refused.
    let mut refused = None;
    for _ in 0..200 {
        let ran = home.run(&["ls", "--wait", "0"]);
        if ran.code != 0 {
            refused = Some(ran);
            break;
        }
    }
    refused.expect("the store can be open twice").refused(3, "another process");
    let waiting = home.command(&["ls", "--wait", "30"]).spawn().unwrap();
    drop(holder.stdin.take());
    assert_eq!(finish(holder).code, 0);
    assert_eq!(finish(waiting).ok(), "kept\nn\n");
}

#[test]
fn a_folder_that_cannot_be_written() {
    if is_root() {
        return;
    }
    let home = Home::new();
    std::fs::create_dir(home.path("locked")).unwrap();
    std::fs::set_permissions(home.path("locked"), PermissionsExt::from_mode(0o500)).unwrap();
    let file = home.file("f", "x");
    home.run(&["--data", "locked/data", "put", &file]).refused(3, "permission denied");
}

#[test]
fn a_store_of_a_newer_format() {
    let home = filled();
    let format = home.data().join("format");
    let text = String::from_utf8(std::fs::read(&format).unwrap()).unwrap();
    let newer: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_ne!(newer, text);
    std::fs::write(&format, &newer).unwrap();
    home.run(&["get", "kept"]).refused(6, "format");
    std::fs::write(&format, &text).unwrap();
    assert_eq!(home.ok(&["get", "kept"]), "content");
}

#[test]
fn a_file_that_changes_while_it_is_read() {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let home = filled();
    let path = home.file("busy", noise(30_000_000, 13));
    let is_over = Arc::new(AtomicBool::new(false));
    let (flag, target) = (is_over.clone(), path.clone());
    let writer = std::thread::spawn(move || {
        let mut file = std::fs::OpenOptions::new().append(true).open(target).unwrap();
        while !flag.load(Ordering::Relaxed) {
            file.write_all(b"more").unwrap();
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
    });
    let ran = home.run(&["put", &path]);
    is_over.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    ran.tells("changed while it was read");
    assert!(home.run(&["get", "busy"]).stdout.starts_with(&noise(30_000_000, 13)));
}

#[test]
fn unreadable_files_are_told() {
    if is_root() {
        return;
    }
    let home = filled();
    let path = home.file("secret", "x");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    let before = home.contents();
    home.run(&["put", &path]).refused(6, "permission denied");
    assert_eq!(home.contents(), before);
}

#[test]
fn a_block_that_is_missing_or_truncated() {
    let home = Home::new();
    let bytes = noise(1_000_000, 14);
    home.put("n", &bytes);
    home.ok(&["flush"]);
    let (path, block) = home
        .files()
        .into_iter()
        .filter(|(path, _)| path.to_string_lossy().contains("/blocks/"))
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap();
    for damaged in [Some(&block[..block.len() / 2]), Some(&[][..]), None] {
        match damaged {
            Some(part) => std::fs::write(&path, part).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let ran = home.run(&["get", "n"]);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(bytes.starts_with(&ran.stdout));
    }
    std::fs::write(&path, &block).unwrap();
    assert_eq!(home.run(&["get", "n"]).stdout, bytes);
}

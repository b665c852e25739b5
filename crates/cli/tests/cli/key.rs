use std::os::unix::fs::PermissionsExt;

use crate::common::{Home, Ran, finish, objects};

const PASSPHRASE: &str = "OUROBOROS_KEY_PASSPHRASE";
const PASSPHRASE_FILE: &str = "OUROBOROS_KEY_PASSPHRASE_FILE";
const PASSPHRASE_NEW: &str = "OUROBOROS_KEY_NEW_PASSPHRASE";

fn run_as(home: &Home, words: &[&str], environment: &[(&str, &str)]) -> Ran {
    finish(home.command(words).envs(environment.iter().copied()).spawn().unwrap())
}

#[test]
fn show_tells_whose_key_it_is_and_no_secret() {
    let home = Home::new();
    home.put("n", b"x");
    let object = objects(&home.ok(&["key", "show", "--json"])).remove(0);
    assert_eq!(object["user"].as_str().unwrap().len(), 64);
    assert_eq!(object["protection"], "none");
    assert!(object["path"].as_str().unwrap().ends_with("identity.key"));
    let key = std::fs::read(home.data().join("identity.key")).unwrap();
    let text = home.ok(&["key", "show"]);
    for secret in key.windows(16) {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(&hex));
    }
}

#[test]
fn the_key_file_is_for_its_owner_only() {
    let home = Home::new();
    home.put("n", b"x");
    for (path, mode) in [("data/identity.key", 0o600), ("data", 0o700)] {
        let found = std::fs::metadata(home.path(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
}

#[test]
fn a_passphrase_is_set_used_and_taken_away() {
    let home = Home::new();
    home.put("n", b"content");
    run_as(&home, &["key", "passwd"], &[(PASSPHRASE_NEW, "first")]).ok();
    home.run(&["get", "n"]).refused(6, "passphrase");
    run_as(&home, &["get", "n"], &[(PASSPHRASE, "wrong")]).refused(6, "wrong passphrase");
    assert_eq!(run_as(&home, &["get", "n"], &[(PASSPHRASE, "first")]).ok(), "content");
    let file = home.file("passphrase", "first\n");
    assert_eq!(run_as(&home, &["get", "n"], &[(PASSPHRASE_FILE, &file)]).ok(), "content");
    run_as(&home, &["get", "n"], &[(PASSPHRASE, "first"), (PASSPHRASE_FILE, &file)])
        .refused(2, "both set");
    run_as(&home, &["key", "passwd"], &[(PASSPHRASE, "wrong"), (PASSPHRASE_NEW, "second")])
        .refused(6, "wrong passphrase");
    run_as(&home, &["key", "passwd"], &[(PASSPHRASE, "first"), (PASSPHRASE_NEW, "")]).ok();
    assert_eq!(home.ok(&["get", "n"]), "content");
}

#[test]
fn passwd_without_a_terminal_or_a_new_passphrase_changes_nothing() {
    let home = Home::new();
    home.put("n", b"content");
    let before = std::fs::read(home.data().join("identity.key")).unwrap();
    home.run(&["key", "passwd"]).refused(6, "OUROBOROS_KEY_NEW_PASSPHRASE_FILE");
    assert_eq!(std::fs::read(home.data().join("identity.key")).unwrap(), before);
}

#[test]
fn a_new_store_can_have_a_passphrase_from_the_start() {
    let home = Home::new();
    let file = home.file("a", "x");
    let ran = run_as(&home, &["put", &file], &[(PASSPHRASE, "first")]);
    assert!(!ran.stderr.contains("stolen"), "{}", ran.stderr);
    ran.ok();
    home.run(&["get", "a"]).refused(6, "passphrase");
    assert_eq!(run_as(&home, &["get", "a"], &[(PASSPHRASE, "first")]).ok(), "x");
}

#[test]
fn a_crash_leaves_no_core_with_keys_in_it() {
    let home = Home::new();
    let mut child =
        home.command(&["put", "-", "n"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let limits = format!("/proc/{}/limits", child.id());
    let has_none = |text: &str| {
        text.lines().any(|line| {
            line.strip_prefix("Max core file size")
                .is_some_and(|rest| rest.split_whitespace().take(2).eq(["0", "0"]))
        })
    };
    // The first thing the program does; a busy machine may take a moment to get there.
    let found = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        std::fs::read_to_string(&limits).is_ok_and(|text| has_none(&text))
    });
    drop(child.stdin.take());
    assert_eq!(finish(child).code, 0);
    assert!(found);
}

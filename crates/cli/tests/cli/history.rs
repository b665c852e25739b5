//! Signed history: `log --verify`, a store put back to an older copy, `check --accept-rollback`.

use std::path::Path;

use crate::common::{Home, objects};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { std::fs::copy(&path, &to).map(drop).unwrap() }
    }
}

#[test]
fn log_verify_tells_who_signed_what() {
    let home = Home::new();
    home.put("n", b"one");
    home.ok(&["flush"]);
    home.put("n", b"two");
    let versions = objects(&home.ok(&["log", "n", "--verify", "--json"]));
    let states: Vec<_> = versions.iter().map(|version| &version["proof"]["state"]).collect();
    assert_eq!(states, ["claimed", "signed"]);
    assert_eq!(versions[1]["proof"]["seq"], 1);
    assert_eq!(versions[1]["proof"]["writer"], versions[0]["author"]);
    let text = home.ok(&["log", "n", "--verify"]);
    let fingerprint = versions[0]["fingerprint"].as_str().unwrap();
    assert!(text.contains(&format!("claimed by {fingerprint}")), "{text}");
    assert!(text.contains(&format!("signed by {fingerprint}, commit 1 of chain")), "{text}");
    let check = objects(&home.ok(&["check", "--json"])).remove(0);
    assert_eq!((&check["findings"], &check["commits"]), (&0.into(), &1.into()));
}

#[test]
fn an_older_copy_in_the_stores_place_is_refused_until_it_is_accepted() {
    let home = Home::new();
    home.put("n", b"one");
    home.ok(&["flush"]);
    let older = home.path("older");
    copy(&home.data(), &older);
    home.put("n", b"two");
    home.ok(&["flush"]);
    std::fs::remove_dir_all(home.data()).unwrap();
    copy(&older, &home.data());
    for words in [&["get", "n", "-"][..], &["check"], &["put", "-", "m"]] {
        let ran = home.run(words);
        assert_eq!(ran.code, 4, "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("check --accept-rollback"), "{}", ran.stderr);
    }
    let accepted = home.run(&["check", "--accept-rollback"]);
    let said = String::from_utf8(accepted.stdout).unwrap();
    assert_eq!(accepted.code, 4, "{said}");
    assert!(said.contains("commit 2 is missing"), "{said}");
    assert_eq!(home.run(&["get", "n", "-"]).stdout, b"one");
    home.put("n", b"three");
    home.ok(&["flush"]);
    assert!(home.ok(&["check", "--deep"]).starts_with("0 findings"));
    // What was accepted is the new base: going back to before it is noticed too.
    std::fs::remove_dir_all(home.data()).unwrap();
    copy(&older, &home.data());
    assert_eq!(home.run(&["ls"]).code, 4);
}

#[test]
fn a_copy_at_another_path_is_met_for_the_first_time() {
    let home = Home::new();
    home.put("n", b"one");
    home.ok(&["flush"]);
    let other = home.path("other");
    copy(&home.data(), &other);
    home.put("n", b"two");
    home.ok(&["flush"]);
    let data = other.to_str().unwrap();
    assert_eq!(home.run(&["--data", data, "get", "n", "-"]).stdout, b"one");
    home.run_with(&["--data", data, "put", "-", "m"], b"more").ok();
    home.ok(&["--data", data, "flush"]);
    assert!(home.ok(&["--data", data, "check", "--deep"]).starts_with("0 findings"));
}

#[test]
fn a_damaged_frontier_is_named() {
    let home = Home::new();
    home.put("n", b"one");
    home.ok(&["flush"]);
    let state = home.path(".local/state/ouroboros");
    let frontier = std::fs::read_dir(state).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&frontier).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&frontier, bytes).unwrap();
    let ran = home.run(&["ls"]);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("frontier-"), "{}", ran.stderr);
    home.ok(&["check", "--accept-rollback"]);
    home.ok(&["ls"]);
}

//! `show`, `children`, `parents`, `log`, `heads`, `merge`.

use crate::common::{Home, hash_of, objects};

/// A name with two heads over one parent.
fn forked() -> (Home, [String; 3]) {
    let home = Home::new();
    let one = home.put("n", b"one");
    let two = home.put("n", b"two");
    let three = hash_of(&home.run_with(&["put", "-", "n", "--parent", &one], b"three").ok());
    (home, [one, two, three])
}

#[test]
fn the_graph_can_be_walked() {
    let (home, [one, two, three]) = forked();
    let children = home.ok(&["children", &one]);
    let mut children: Vec<&str> = children.lines().collect();
    children.sort_unstable();
    let mut both = [two.as_str(), three.as_str()];
    both.sort_unstable();
    assert_eq!(children, both);
    assert_eq!(home.ok(&["parents", &two[..8]]).trim(), one);
    assert_eq!(home.ok(&["parents", &one]), "");
    assert_eq!(home.ok(&["children", &three]), "");
}

#[test]
fn show_tells_the_fields() {
    let home = Home::new();
    let hash = hash_of(&home.run_with(&["put", "-", "n", "-m", "why"], b"12345").ok());
    let text = home.ok(&["show", &hash[..12]]);
    for line in [
        format!("hash           {hash}"),
        "name           n".into(),
        "bytes          5".into(),
        "message        why".into(),
        "depth          0".into(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    let object = objects(&home.ok(&["show", &hash, "--json"])).remove(0);
    assert_eq!(object["kind"], "blob");
    assert_eq!(object["parents"].as_array().unwrap().len(), 0);
}

#[test]
fn log_is_newest_first() {
    let home = Home::new();
    let hashes: Vec<String> =
        ["1", "2", "3"].iter().map(|text| home.put("n", text.as_bytes())).collect();
    let log = home.ok(&["log", "n"]);
    let order: Vec<String> = log.lines().map(hash_of).collect();
    assert_eq!(order, [hashes[2].clone(), hashes[1].clone(), hashes[0].clone()]);
    home.run(&["log", "unknown"]).refused(1, "no such name: unknown");
}

#[test]
fn heads_are_told_the_winner_first() {
    let (home, _) = forked();
    let heads = objects(&home.ok(&["heads", "n", "--json"]));
    assert_eq!(heads.len(), 2);
    assert_eq!(heads[0]["is_winner"], true);
    assert_eq!(heads[1]["is_winner"], false);
    let shown = home.run(&["get", "-q", "n", "--json"]).stdout;
    let winner = home.run(&["get", heads[0]["hash"].as_str().unwrap()]).stdout;
    assert_eq!(shown, winner);
}

#[test]
fn merge_takes_one_of_the_heads() {
    let (home, [_, two, three]) = forked();
    let merged = hash_of(&home.ok(&["merge", "n", "--take", &two]));
    assert_eq!(home.ok(&["get", "n"]), "two");
    assert_eq!(home.ok(&["heads", "n"]).lines().count(), 1);
    let parents = home.ok(&["parents", &merged]);
    assert!(parents.contains(&two) && parents.contains(&three), "{parents}");
}

#[test]
fn merge_takes_what_a_person_joined() {
    let (home, [_, two, three]) = forked();
    let file = home.file("joined", "two and three");
    let merged = hash_of(&home.ok(&["merge", "n", "--from", &file, "-m", "both"]));
    assert_eq!(home.ok(&["get", "n"]), "two and three");
    let parents = home.ok(&["parents", &merged]);
    assert!(parents.contains(&two) && parents.contains(&three), "{parents}");
    assert!(home.ok(&["log", "n"]).lines().next().unwrap().ends_with("both"));
}

#[test]
fn a_dry_merge_changes_nothing() {
    let (home, [_, two, _]) = forked();
    let before = home.contents();
    home.ok(&["merge", "n", "--take", &two, "--dry-run"]);
    assert_eq!(home.contents(), before);
}

#[test]
fn merge_refuses_versions_of_other_names() {
    let (home, _) = forked();
    let other = home.put("other", b"x");
    let before = home.contents();
    home.run(&["merge", "n", "--take", &other]).refused(1, "not a version of n");
    home.run(&["merge", "n"]).refused(2, "--take");
    assert_eq!(home.contents(), before);
}

use crate::common::{Home, hash_of, noise, objects};

#[test]
fn the_first_put_makes_a_store_and_says_so_in_one_line() {
    let home = Home::new();
    let file = home.file("notes.md", "hello\n");
    let ran = home.run(&["put", &file]);
    ran.tells("identity.key");
    assert!(ran.stderr.contains("ouroboros key passwd"), "{}", ran.stderr);
    let line = ran.ok();
    assert_eq!(hash_of(&line).len(), 64);
    assert!(line.ends_with(" notes.md\n"), "{line}");
    let again = home.run(&["put", &file, "second"]);
    assert_eq!(again.stderr, "");
}

#[test]
fn the_same_content_is_the_same_version() {
    let home = Home::new();
    let file = home.file("a", "hello\n");
    let first = home.ok(&["put", &file]);
    assert_eq!(home.ok(&["put", &file]), first);
    let object = objects(&home.ok(&["put", &file, "--json"])).remove(0);
    assert_eq!(object["bytes_stored"], 0);
    assert_eq!(object["is_new"], false);
}

#[test]
fn json_has_the_fields_of_the_contract() {
    let home = Home::new();
    let file = home.file("a", noise(100_000, 1));
    let object = objects(&home.ok(&["put", &file, "--json"])).remove(0);
    for field in [
        "hash",
        "name",
        "level",
        "files",
        "skipped",
        "failed",
        "bytes_read",
        "bytes_new",
        "bytes_stored",
    ] {
        assert!(!object[field].is_null(), "{field}: {object}");
    }
    assert_eq!(object["level"], "local");
    assert_eq!(object["bytes_read"], 100_000);
    assert!(object["bytes_stored"].as_u64().unwrap() >= 100_000);
}

#[test]
fn three_words_are_sources_and_into_puts_them_below_a_prefix() {
    let home = Home::new();
    let (a, b, c) = (home.file("a", "1"), home.file("b", "2"), home.file("c", "3"));
    let lines = home.ok(&["put", &a, &b, &c]);
    assert_eq!(lines.lines().count(), 3);
    home.ok(&["put", "--into", "p/q", &a, &b]);
    assert_eq!(home.ok(&["ls", "-r"]), "a\nb\nc\np/q/a\np/q/b\n");
}

#[test]
fn a_missing_source_of_several_is_told_and_the_rest_is_stored() {
    let home = Home::new();
    let (a, b) = (home.file("a", "1"), home.file("b", "2"));
    let ran = home.run(&["put", "-q", &a, "/no/such/file", &b]);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(ran.stderr.contains("/no/such/file"), "{}", ran.stderr);
    assert_eq!(home.ok(&["ls"]), "a\nb\n");
}

#[test]
fn messages_and_parents_make_history() {
    let home = Home::new();
    let one = home.put("n", b"one");
    let two = hash_of(&home.run_with(&["put", "-", "n", "-m", "the second"], b"two").ok());
    assert!(home.ok(&["log", "n"]).lines().next().unwrap().ends_with("the second"));
    assert_eq!(home.ok(&["parents", &two]).trim(), one);
    let third = home.run_with(&["put", "-", "n", "--parent", &one], b"three").ok();
    assert_eq!(home.ok(&["parents", &hash_of(&third)]).trim(), one);
    assert_eq!(home.ok(&["heads", "n"]).lines().count(), 2);
}

#[test]
fn with_parents_and_no_name_the_version_is_nameless() {
    let home = Home::new();
    let one = home.put("n", b"one");
    let event = home.run_with(&["put", "-", "--parent", &one[..8]], b"event").ok();
    assert_eq!(event.trim().len(), 64);
    assert_eq!(home.ok(&["children", &one]), event);
    assert_eq!(home.ok(&["ls"]), "n\n");
    assert_eq!(home.ok(&["get", event.trim()]), "event");
}

#[test]
fn expect_head_refuses_what_moved() {
    let home = Home::new();
    let one = home.put("n", b"one");
    let two = home.run_with(&["put", "-", "n", "--expect-head", &one], b"two").ok();
    let before = home.contents();
    home.run_with(&["put", "-", "n", "--expect-head", &one], b"three").refused(6, &hash_of(&two));
    assert_eq!(home.contents(), before);
}

#[test]
fn a_dry_run_tells_the_same_numbers_and_stores_nothing() {
    let home = Home::new();
    home.put("other", b"x");
    let file = home.file("a", noise(300_000, 2));
    let before = home.contents();
    let dry = objects(&home.run(&["put", &file, "--dry-run", "--json"]).ok()).remove(0);
    assert_eq!(home.contents(), before);
    let wet = objects(&home.ok(&["put", &file, "--json"])).remove(0);
    assert_eq!(dry["bytes_new"], wet["bytes_new"]);
    assert_eq!(dry["bytes_read"], wet["bytes_read"]);
}

#[test]
fn levels_of_a_cluster_are_unavailable_and_store_nothing() {
    let home = Home::new();
    let file = home.file("a", "x");
    for level in ["cluster", "settled"] {
        home.run(&["put", &file, "--ack", level]).refused(3, "single node");
    }
    assert!(!home.data().exists());
}

#[test]
fn a_fifo_is_read_as_a_stream() {
    let home = Home::new();
    let ran = home.run_with(&["put", "/dev/stdin", "n"], b"through a device").ok();
    assert!(ran.ends_with(" n\n"));
    assert_eq!(home.ok(&["get", "n"]), "through a device");
}

#[test]
fn the_default_name_is_that_of_what_a_link_leads_to() {
    let home = Home::new();
    home.file("real.txt", "content");
    std::os::unix::fs::symlink("real.txt", home.path("link")).unwrap();
    assert!(home.ok(&["put", "link"]).ends_with(" real.txt\n"));
    assert!(home.ok(&["put", "link", "named"]).ends_with(" named\n"));
}

#[test]
fn what_is_stored_of_a_folder_without_r_is_nothing() {
    let home = Home::new();
    home.file("folder/a", "x");
    home.run(&["put", "folder"]).refused(2, "-r");
    assert!(!home.data().exists());
}

#[test]
fn a_folder_of_other_files_is_not_made_a_store() {
    let home = Home::new();
    let file = home.file("mine/precious", "x");
    home.run(&["--data", "mine", "put", &file]).refused(6, "holds other files");
    assert_eq!(std::fs::read_dir(home.path("mine")).unwrap().count(), 1);
}

#[test]
fn a_dry_run_before_the_first_put_makes_nothing() {
    let home = Home::new();
    // Less than the least chunk: where longer content is cut follows from a key that is not made yet.
    let file = home.file("a", noise(60_000, 3));
    let dry = objects(&home.ok(&["put", &file, "--dry-run", "--json"])).remove(0);
    assert!(!home.data().exists());
    let wet = objects(&home.ok(&["put", &file, "--json"])).remove(0);
    assert_eq!(dry["bytes_new"], wet["bytes_new"]);
}

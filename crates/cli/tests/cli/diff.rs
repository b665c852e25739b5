use crate::common::{Home, objects};

#[test]
fn two_versions_of_a_text_differ_by_lines() {
    let home = Home::new();
    let one = home.put("n", b"one\ntwo\nthree\n");
    let two = home.put("n", b"one\n2\nthree\n");
    home.put("n", b"one\n2\nthree\nfour\n");
    let newest = home.ok(&["diff", "n"]);
    assert!(newest.contains("\n+four\n") && !newest.contains("-two"), "{newest}");
    let whole = home.ok(&["diff", "n", &one]);
    assert!(whole.contains("\n-two\n+2\n") && whole.contains("+four"), "{whole}");
    let first = home.ok(&["diff", "n", &one[..8], &two]);
    assert!(first.starts_with(&format!("--- n@{}\n", &one[..12])), "{first}");
    assert!(first.contains("+2") && !first.contains("+four"), "{first}");
    assert_eq!(home.ok(&["diff", "n", &two, &two]), "");
}

#[test]
fn the_first_version_differs_from_nothing() {
    let home = Home::new();
    home.put("n", b"line\n");
    assert!(home.ok(&["diff", "n"]).starts_with("--- /dev/null\n"));
}

#[test]
fn binary_versions_only_differ() {
    let home = Home::new();
    home.put("n", b"a\0b");
    home.put("n", b"a\0c");
    assert!(home.ok(&["diff", "n"]).starts_with("binary versions n@"));
    let object = objects(&home.ok(&["diff", "n", "--json"])).remove(0);
    assert!(object["diff"].as_str().unwrap().contains("differ"));
}

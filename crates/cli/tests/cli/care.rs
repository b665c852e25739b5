//! `flush`, `stats`, `check`.

use crate::common::{Home, noise, objects};

const FIGURES: [&str; 10] = [
    "objects",
    "vertices",
    "names",
    "blocks_open",
    "blocks_packed",
    "bytes_content",
    "bytes_unique",
    "bytes_stored",
    "bytes_overhead",
    "files_on_disk",
];

#[test]
fn stats_have_the_names_of_the_contract() {
    let home = Home::new();
    home.put("a", &noise(200_000, 5));
    home.put("b", &noise(200_000, 5));
    let stats = objects(&home.ok(&["stats", "--json"])).remove(0);
    for name in FIGURES {
        assert!(stats[name].is_u64(), "{name}: {stats}");
    }
    assert_eq!(stats["names"], 2);
    assert_eq!(stats["vertices"], 2);
    assert_eq!(stats["bytes_content"], 400_000);
    assert_eq!(stats["bytes_unique"], 200_000);
    assert!(stats["bytes_stored"].as_u64().unwrap() > 200_000);
    let text = home.ok(&["stats"]);
    assert!(text.lines().any(|line| line.split_whitespace().eq(["names", "2"])), "{text}");
}

#[test]
fn flush_packs_and_everything_is_still_there() {
    let home = Home::new();
    let bytes = noise(500_000, 6);
    home.put("n", &bytes);
    assert_eq!(home.ok(&["flush"]), "");
    let stats = objects(&home.ok(&["stats", "--json"])).remove(0);
    assert!(stats["blocks_packed"].as_u64().unwrap() >= 1, "{stats}");
    assert_eq!(home.run(&["get", "n"]).stdout, bytes);
}

#[test]
fn a_sound_store_has_no_findings() {
    let home = Home::new();
    home.put("n", &noise(500_000, 7));
    for words in [&["check", "--json"][..], &["check", "--json", "--deep"]] {
        let report = objects(&home.ok(words)).remove(0);
        assert_eq!(report["findings"], 0, "{report}");
    }
    home.ok(&["flush"]);
    assert!(home.ok(&["check", "--deep"]).starts_with("0 findings"));
}

#[test]
fn the_index_can_be_lost_and_rebuilt() {
    let home = Home::new();
    let bytes = noise(300_000, 8);
    home.put("n", &bytes);
    home.ok(&["flush"]);
    home.put("m", b"small");
    let before = home.contents();
    std::fs::remove_dir_all(home.data().join("index")).unwrap();
    home.ok(&["check", "--rebuild"]);
    assert_eq!(home.contents(), before);
    assert_eq!(home.run(&["get", "n"]).stdout, bytes);
}

#[test]
fn a_flipped_bit_is_found_and_never_read() {
    let home = Home::new();
    let bytes = noise(2_000_000, 9);
    home.put("n", &bytes);
    home.ok(&["flush"]);
    let (path, mut block) = home
        .files()
        .into_iter()
        .filter(|(path, _)| path.to_string_lossy().contains("/blocks/"))
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap();
    let middle = block.len() / 2;
    block[middle] ^= 1;
    std::fs::write(path, block).unwrap();
    let ran = home.run(&["get", "n"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(bytes.starts_with(&ran.stdout), "wrong bytes came out");
    let ran = home.run(&["check", "--deep"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
}

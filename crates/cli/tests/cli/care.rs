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

#[test]
fn a_damaged_open_block_stops_everything_until_its_loss_is_accepted() {
    let home = Home::new();
    let first = home.file("first", "the first content");
    let second = home.file("second", "the second content");
    home.ok(&["put", &first]);
    home.ok(&["put", &second]);
    let block = std::fs::read_dir(home.data().join("open")).unwrap().next().unwrap().unwrap();
    let mut bytes = std::fs::read(block.path()).unwrap();
    // The body of the first batch: its header of 144 bytes follows the block's page.
    bytes[4096 + 144 + 20] ^= 1;
    std::fs::write(block.path(), &bytes).unwrap();

    for words in [&["get", "second", "-"][..], &["ls"], &["check"], &["put", &first]] {
        let ran = home.run(words);
        assert_eq!(ran.code, 4, "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("check --rebuild"), "{}", ran.stderr);
    }
    let ran = home.run(&["check", "--rebuild"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let found = String::from_utf8(ran.stdout).unwrap();
    assert!(found.contains("acknowledged bytes are lost"), "{found}");
    assert_eq!(home.ok(&["get", "second", "-"]), "the second content");
    assert_eq!(home.run(&["get", "first", "-"]).code, 1);
    assert_eq!(home.run(&["check", "--deep"]).code, 0);
    assert_eq!(std::fs::read_dir(home.data().join("damaged")).unwrap().count(), 1);
    home.ok(&["put", &first]);
    assert_eq!(home.ok(&["get", "first", "-"]), "the first content");
}

//! Damaged bytes are never handed out: a read says which file is bad.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]
#![expect(clippy::disallowed_methods, reason = "the damage is done behind the store's back")]

mod common;

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use common::{open, random};
use ouroborosdb::{CheckRequest, Error, ErrorClass};

fn blocks(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut blocks: Vec<PathBuf> =
        fs::read_dir(folder.join("blocks")).unwrap().map(|entry| entry.unwrap().path()).collect();
    blocks.sort();
    blocks
}

#[test]
fn a_damaged_chunk_is_an_error_and_no_byte_of_it_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let bytes = random(1, 9_000_000);
    db.put("large", bytes.as_slice()).unwrap();
    db.put("small", &b"small"[..]).unwrap();
    db.flush().unwrap();
    let [block] = blocks(folder.path()).try_into().unwrap();
    let mut stored = fs::read(&block).unwrap();
    *stored.get_mut(6_000_000).unwrap() ^= 1;
    fs::write(&block, stored).unwrap();
    let mut content = db.get("large").unwrap();
    let (mut read, mut out) = (Vec::new(), vec![0; 100_000]);
    let error = loop {
        match content.read(&mut out) {
            Ok(0) => panic!("the damage was not seen"),
            Ok(len) => read.extend_from_slice(out.get(..len).unwrap()),
            Err(error) => break error,
        }
    };
    assert!(bytes.starts_with(&read), "only right bytes came out");
    assert!(read.len() > 4_000_000, "those before it came out: {}", read.len());
    let error = error.downcast::<Error>().unwrap();
    assert_eq!(error.class(), ErrorClass::Corrupt, "{error:?}");
    assert!(error.to_string().contains(".block is damaged"), "{error}");
    // The same again, and from the chunks behind it.
    assert!(content.read(&mut out).is_err());
    assert!(
        db.get_range("large", 8_500_000, 1000).unwrap() == bytes.get(8_500_000..8_501_000).unwrap()
    );
    let report = db.check(&CheckRequest { deep: true, rebuild: false }).unwrap();
    assert!(!report.findings.is_empty());
    // Putting it again heals it: what is damaged is not deduplicated against.
    db.put("again", bytes.as_slice()).unwrap();
    let mut healed = Vec::new();
    db.get("large").unwrap().read_to_end(&mut healed).unwrap();
    assert!(healed == bytes);
}

#[test]
fn a_healthy_store_checks_clean_and_rebuilds() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let bytes = random(2, 3_000_000);
    db.put("large", bytes.as_slice()).unwrap();
    let mut batch = db.batch();
    for i in 0..300 {
        batch.put(&format!("s/{i}"), random(i, 500).as_slice()).unwrap();
    }
    batch.commit(ouroborosdb::Ack::Local).unwrap();
    db.flush().unwrap();
    let before = db.stats().unwrap();
    assert_eq!((before.names, before.vertices), (301, 301));
    for rebuild in [false, true] {
        let report = db.check(&CheckRequest { deep: true, rebuild }).unwrap();
        assert_eq!(report.findings, []);
        assert!(report.objects > 300);
    }
    assert!(common::read(&db, "large") == bytes);
    assert_eq!(db.list("s/").count(), 300);
    drop(db);
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let db = open(folder.path());
    assert_eq!(db.list("s/").count(), 300);
    assert!(common::read(&db, "large") == bytes);
}

//! Any sequence of calls against a plain map, with reopening in between.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod common;

use std::collections::BTreeMap;

use common::{open, random, read};
use model::Name;
use ouroborosdb::{Ack, Database, Error, PutRequest, Session, Silent};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Call {
    Put { name: u8, content: u8, deferred: bool },
    Delete { name: u8 },
    Batch { names: Vec<(u8, u8)> },
    Fork { name: u8, content: u8 },
    Merge { name: u8 },
    Range { name: u8, offset: u32, len: u16 },
    Flush,
    Reopen,
    Rebuild,
}

fn call() -> impl Strategy<Value = Call> {
    let name = 0..6u8;
    let content = 0..12u8;
    prop_oneof![
        6 => (name.clone(), content.clone(), any::<bool>())
            .prop_map(|(name, content, deferred)| Call::Put { name, content, deferred }),
        2 => name.clone().prop_map(|name| Call::Delete { name }),
        2 => prop::collection::vec((name.clone(), content.clone()), 0..5)
            .prop_map(|names| Call::Batch { names }),
        1 => (name.clone(), content).prop_map(|(name, content)| Call::Fork { name, content }),
        1 => name.clone().prop_map(|name| Call::Merge { name }),
        3 => (name, any::<u32>(), any::<u16>())
            .prop_map(|(name, offset, len)| Call::Range { name, offset, len }),
        1 => Just(Call::Flush),
        2 => Just(Call::Reopen),
        1 => Just(Call::Rebuild),
    ]
}

fn content_of(seed: u8) -> Vec<u8> {
    let lens = [0, 1, 4095, 4096, 4097, 30_000, 65_536, 70_000, 200_000, 900_000, 1_300_000, 77];
    let len = lens.get(usize::from(seed) % lens.len()).copied().unwrap();
    random(u64::from(seed), len)
}

fn text(name: u8) -> String {
    format!("dir{}/name{name}", name % 2)
}

/// What a map says of a name: its history, `None` for a tombstone.
type Expected = BTreeMap<String, Vec<Option<Vec<u8>>>>;

fn apply(db: &Database, expected: &mut Expected, call: &Call) {
    match call {
        Call::Put { name, content, deferred } => {
            let ack = if *deferred { Ack::Deferred } else { Ack::Local };
            let name = text(*name);
            let bytes = content_of(*content);
            let request =
                PutRequest { name: Some(Name::new(&*name).unwrap()), ack, ..PutRequest::default() };
            let put = Session::put(db, &request, &mut bytes.as_slice(), &Silent).unwrap();
            let history = expected.entry(name).or_default();
            let is_new = history.last() != Some(&Some(bytes.clone()));
            assert_eq!(put.is_new, is_new);
            if is_new {
                history.push(Some(bytes));
            }
        }
        Call::Delete { name } => {
            let name = text(*name);
            match expected.get_mut(&name) {
                Some(history) if history.last().is_some_and(Option::is_some) => {
                    db.delete(&name).unwrap();
                    history.push(None);
                }
                _ => assert!(matches!(db.delete(&name), Err(Error::NameUnknown { .. }))),
            }
        }
        Call::Batch { names } => {
            let mut batch = db.batch();
            for (name, content) in names {
                let bytes = content_of(*content);
                batch.put(&text(*name), bytes.as_slice()).unwrap();
            }
            batch.commit(Ack::Local).unwrap();
            let mut begun: Vec<String> = Vec::new();
            for (name, content) in names {
                let (name, bytes) = (text(*name), content_of(*content));
                let history = expected.entry(name.clone()).or_default();
                // Within a batch only what stands before it can be unchanged.
                if begun.contains(&name) || history.last() != Some(&Some(bytes.clone())) {
                    history.push(Some(bytes));
                    begun.push(name);
                }
            }
        }
        Call::Range { name, offset, len } => {
            let name = text(*name);
            let Some(Some(Some(bytes))) = expected.get(&name).map(|history| history.last()) else {
                return;
            };
            let at = usize::try_from(*offset).unwrap() % (bytes.len() + 1);
            let end = bytes.len().min(at + usize::from(*len));
            let range = db.get_range(&name, at as u64, usize::from(*len)).unwrap();
            assert!(range == bytes.get(at..end).unwrap());
        }
        Call::Fork { name, content } => fork(db, expected, &text(*name), &content_of(*content)),
        Call::Merge { name } => {
            let name = text(*name);
            if let Ok(heads) = Database::heads(db, &name) {
                assert_eq!(heads.len(), 1);
                let hash = heads.first().unwrap().hash;
                assert_eq!(Database::merge(db, &name, &hash).unwrap().hash, hash);
            }
        }
        Call::Flush => Database::flush(db).unwrap(),
        Call::Rebuild => {
            let request = ouroborosdb::CheckRequest { deep: true, rebuild: true };
            assert_eq!(Database::check(db, &request).unwrap().findings, []);
        }
        Call::Reopen => {}
    }
}

/// Two concurrent versions over the head, then their merge: one version more on the way to it.
fn fork(db: &Database, expected: &mut Expected, name: &str, bytes: &[u8]) {
    let Ok(heads) = Database::heads(db, name) else { return };
    let parents = vec![heads.first().unwrap().hash];
    let request =
        PutRequest { name: Some(Name::new(name).unwrap()), parents, ..PutRequest::default() };
    let one = Session::put(db, &request, &mut &*bytes, &Silent).unwrap().hash;
    Session::put(db, &request, &mut &b"the other branch"[..], &Silent).unwrap();
    assert_eq!(Database::heads(db, name).unwrap().len(), 2);
    Database::merge(db, name, &one).unwrap();
    let history = expected.get_mut(name).unwrap();
    history.extend([
        Some(b"the other branch".to_vec()),
        Some(bytes.to_vec()),
        Some(bytes.to_vec()),
    ]);
}

fn compare(db: &Database, expected: &Expected) {
    for (name, history) in expected {
        let live = history.last().and_then(Option::as_ref);
        match live {
            Some(bytes) => assert!(read(db, name) == *bytes, "{name}"),
            None => assert!(matches!(db.get(name), Err(Error::NameUnknown { .. }))),
        }
        assert_eq!(Database::heads(db, name).unwrap().len(), 1);
        assert_eq!(Database::history(db, name).unwrap().len(), history.len(), "{name}");
    }
    let live: Vec<&String> = expected
        .iter()
        .filter(|(_, history)| history.last().is_some_and(Option::is_some))
        .map(|(name, _)| name)
        .collect();
    let listed: Vec<String> = db.list("").map(|entry| entry.unwrap().name.to_string()).collect();
    assert_eq!(listed.iter().collect::<Vec<_>>(), live);
    let versions: usize = expected.values().map(Vec::len).sum();
    assert_eq!(Session::changes(db, "", None, usize::MAX).unwrap().len(), versions);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_database_is_a_map_of_histories(calls in prop::collection::vec(call(), 1..25)) {
        let folder = tempfile::tempdir().unwrap();
        let mut db = open(folder.path());
        let mut expected = Expected::new();
        for call in &calls {
            if matches!(call, Call::Reopen) {
                drop(db);
                db = open(folder.path());
                compare(&db, &expected);
            }
            apply(&db, &mut expected, call);
        }
        compare(&db, &expected);
        drop(db);
        compare(&open(folder.path()), &expected);
    }
}

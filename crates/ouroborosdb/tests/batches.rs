//! Batches, the change feed, and many threads at once.

mod common;

use std::time::Duration;

use common::{open, random, read};
use model::Name;
use ouroborosdb::{Ack, Error, PutRequest, Session, Silent};

#[test]
fn a_batch_is_invisible_until_its_commit() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    // Within a bundle, beyond one, and beyond what a batch holds back.
    for (round, count, len) in [(0, 5, 100), (1, 60, 1000), (2, 900, 3000), (3, 4, 300_000)] {
        let mut batch = db.batch();
        for i in 0..count {
            batch.put(&format!("b/{round}/{i}"), random(i, len).as_slice()).unwrap();
        }
        assert_eq!(db.list(&format!("b/{round}/")).count(), 0);
        let hashes = batch.commit(Ack::Local).unwrap();
        assert_eq!(hashes.len() as u64, count);
        for (i, hash) in (0..count).zip(hashes) {
            assert!(read(&db, &format!("b/{round}/{i}")) == random(i, len));
            assert_eq!(db.heads(&format!("b/{round}/{i}")).unwrap()[0].hash, hash);
        }
    }
}

#[test]
fn a_dropped_batch_leaves_nothing_visible() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut batch = db.batch();
    for i in 0..900 {
        batch.put(&format!("b/{i}"), random(i, 3000).as_slice()).unwrap();
    }
    drop(batch);
    db.sync().unwrap();
    assert_eq!(db.list("").count(), 0);
}

#[test]
fn names_repeat_in_a_batch_and_unchanged_puts_make_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let same = db.put("same", &b"same"[..]).unwrap().hash;
    let old = db.put("it", &b"0"[..]).unwrap().hash;
    let mut batch = db.batch();
    batch.put("it", &b"1"[..]).unwrap();
    batch.put("same", &b"same"[..]).unwrap();
    batch.put("it", &b"2"[..]).unwrap();
    let hashes = batch.commit(Ack::Local).unwrap();
    assert_eq!(hashes[1], same);
    assert_eq!(db.vertex(&hashes[0]).unwrap().parents, [old]);
    assert_eq!(db.vertex(&hashes[2]).unwrap().parents, [hashes[0]]);
    assert_eq!(db.heads("it").unwrap().len(), 1);
    assert_eq!(read(&db, "it"), b"2");
    assert!(db.batch().commit(Ack::Local).unwrap().is_empty());
    let mut deferred = db.batch();
    deferred.put("it", &b"3"[..]).unwrap();
    deferred.commit(Ack::Deferred).unwrap();
    assert_eq!(read(&db, "it"), b"3");
}

#[test]
fn bad_names_are_refused_and_the_batch_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut batch = db.batch();
    assert!(matches!(batch.put("a/../b", &b""[..]), Err(Error::Argument(_))));
    batch.put("good", &b"1"[..]).unwrap();
    batch.commit(Ack::Local).unwrap();
    assert_eq!(db.list("").count(), 1);
}

#[test]
fn a_watch_sees_what_was_and_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    db.put("w/1", &b"1"[..]).unwrap();
    db.put("other", &b"1"[..]).unwrap();
    let mut watch = db.watch("w/", None).unwrap();
    let first = watch.next_within(Duration::ZERO).unwrap().unwrap();
    assert_eq!(first.name, Some(Name::new("w/1").unwrap()));
    assert_eq!(watch.next_within(Duration::ZERO).unwrap(), None);
    let writer = {
        let db = db.clone();
        std::thread::spawn(move || db.put("w/2", &b"2"[..]).unwrap().hash)
    };
    let second = watch.next().unwrap().unwrap();
    assert_eq!(second.hash, writer.join().unwrap());
    let mut later = db.watch("w/", Some(first.cursor)).unwrap();
    assert_eq!(later.next_within(Duration::ZERO).unwrap().unwrap().hash, second.hash);
    drop(db);
    assert!(watch.next().is_none(), "it ends with the last handle");
}

#[test]
fn sixty_four_threads_put_and_get() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    std::thread::scope(|scope| {
        for thread in 0..64u64 {
            let db = &db;
            scope.spawn(move || {
                for i in 0..8 {
                    let len = [10, 4096, 5000, 90_000][usize::try_from(i).unwrap() % 4];
                    let name = format!("t/{thread}/{i}");
                    let ack = if i % 2 == 0 { Ack::Local } else { Ack::Deferred };
                    let request = PutRequest {
                        name: Some(Name::new(&*name).unwrap()),
                        ack,
                        ..PutRequest::default()
                    };
                    let bytes = random(thread * 100 + i, len);
                    Session::put(db, &request, &mut bytes.as_slice(), &Silent).unwrap();
                    assert!(read(db, &name) == bytes);
                }
            });
        }
    });
    assert_eq!(db.list("t/").count(), 512);
}

#[test]
fn writers_of_one_name_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let db = &db;
            scope.spawn(move || {
                for i in 0..10u64 {
                    db.put("it", format!("{thread} {i}").as_bytes()).unwrap();
                }
            });
        }
    });
    assert_eq!(db.heads("it").unwrap().len(), 1);
    let depths: Vec<u64> = db.history("it").unwrap().iter().map(|v| v.vertex.depth).collect();
    assert_eq!(depths, (0..80).rev().collect::<Vec<u64>>());
}

#[test]
fn large_puts_of_the_same_bytes_may_meet() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let bytes = random(77, 6 << 20);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (db, bytes) = (&db, &bytes);
            scope.spawn(move || db.put(&format!("same/{thread}"), bytes.as_slice()).unwrap());
        }
    });
    for thread in 0..4 {
        assert!(read(&db, &format!("same/{thread}")) == bytes);
    }
}

//! The same over a real database.

use ouroborosdb::{Database, Options, Session};
use tree::{GetTree, PutOptions, SystemFiles, Transfer, TreeSource, Unwatched};

use crate::ground::{Ground, StopAfter, assert_same, is_interrupted, later, noise};
use crate::round_trip::hard_tree;

fn open(ground: &Ground) -> Database {
    Database::open(ground.src.parent().unwrap().join("data"), Options::default()).unwrap()
}

fn transfer<'a>(db: &'a Database, events: &'a dyn tree::Events) -> Transfer<'a, SystemFiles> {
    Transfer { session: db, files: &SystemFiles, events, clock: &later, threads: 0 }
}

fn get(ground: &Ground, db: &Database, put: &tree::PutSummary) {
    let source = TreeSource::Root(put.hash.unwrap());
    let request = GetTree {
        source,
        dest: ground.dest.clone(),
        include: tree::PathFilter::default(),
        force: false,
        dry_run: false,
    };
    let got = transfer(db, &Unwatched).get_tree(&request).unwrap();
    assert!(got.failed.is_empty(), "{:?}", got.failed);
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn a_hard_tree_goes_in_out_and_in_again() {
    let ground = Ground::new();
    hard_tree(&ground);
    ground.write("large", noise(20_000_000, 5));
    let db = open(&ground);
    let request = ground.put_request(PutOptions::default());
    let first = transfer(&db, &Unwatched).put_tree(&request).unwrap();
    assert!(first.is_complete() && first.is_new);
    drop(db);
    let db = open(&ground);
    get(&ground, &db, &first);
    let second = transfer(&db, &Unwatched).put_tree(&request).unwrap();
    assert_eq!((second.hash, second.is_new), (first.hash, false));
    assert_eq!((second.skipped, second.bytes_stored), (first.files, 0));
    let options = PutOptions { force: true, ..PutOptions::default() };
    let options = ground.put_request(options);
    // A forced put closes no group when nothing changed; what it remembers must not need one.
    for _ in 0..2 {
        let forced = transfer(&db, &Unwatched).put_tree(&options).unwrap();
        assert_eq!((forced.hash, forced.is_new, forced.bytes_stored), (first.hash, false, 0));
        let again = transfer(&db, &Unwatched).put_tree(&request).unwrap();
        assert_eq!((again.hash, again.skipped, again.bytes_stored), (first.hash, first.files, 0));
    }
    std::fs::remove_dir_all(ground.src.join("many")).unwrap();
    let third = transfer(&db, &Unwatched).put_tree(&request).unwrap();
    assert_eq!((third.tombstones, third.is_new), (501, true));
    db.check(&ouroborosdb::CheckRequest { deep: true, rebuild: false })
        .map(|report| assert!(report.findings.is_empty(), "{:?}", report.findings))
        .unwrap();
}

#[test]
fn an_interrupted_put_goes_on_in_another_process() {
    let ground = Ground::new();
    hard_tree(&ground);
    let request = ground.put_request(PutOptions::default());
    let db = open(&ground);
    let stopped = transfer(&db, &StopAfter::new(200)).put_tree(&request);
    assert!(is_interrupted(&stopped), "{stopped:?}");
    let names = |db: &Database| {
        let query = ouroborosdb::NamesQuery { limit: 1000, ..Default::default() };
        db.names(&query).unwrap()
    };
    assert!(names(&db).is_empty());
    drop(db);
    let db = open(&ground);
    let put = transfer(&db, &Unwatched).put_tree(&request).unwrap();
    assert!(put.is_complete() && put.skipped > 50, "{put:?}");
    assert!(names(&db).iter().all(|entry| entry.heads.len() == 1));
    get(&ground, &db, &put);
}

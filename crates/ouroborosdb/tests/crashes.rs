//! Power goes at every moment of a database's life: what was acknowledged is there afterwards, a
//! batch is there whole or not at all, and a half-made store is completed.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{options, random};
use crypt::SeededRandom;
use model::Name;
use ouroborosdb::{
    Ack, Clock, Database, Error, KEY_FILE, KeyPlace, Options, PutRequest, Session, Silent, World,
};
use store::sim_disk::{ImageKind, SimDisk};

/// Every look at it is a microsecond later.
struct StepClock(AtomicU64);

impl Clock for StepClock {
    fn now_ns(&self) -> u64 {
        self.0.fetch_add(1000, Ordering::Relaxed)
    }

    fn sleep(&self, _: Duration) {
        panic!("nobody else has this disk");
    }
}

fn opened(disk: &SimDisk, seed: u64) -> Result<Database, Error> {
    let disk = Arc::new(disk.clone());
    let name = KEY_FILE.to_owned();
    let key_file = KeyPlace { disk: disk.clone(), path: name.clone(), name };
    let clock = Arc::new(StepClock(AtomicU64::new(1_700_000_000_000_000_000)));
    let world =
        World { disk, key_file, random: Arc::new(SeededRandom::new(seed)), clock, frontier: None };
    let options = Options { background: false, threads: 1, ..options() };
    Database::with(world, options)
}

fn content(db: &Database, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match db.get(name) {
        Ok(mut content) => content.read_to_end(&mut bytes).map(|_| bytes).ok(),
        Err(Error::NameUnknown { .. }) => None,
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn a_crash_while_everything_is_made_is_made_good_by_the_next_opening() {
    let disk = SimDisk::recording(1);
    drop(opened(&disk, 1).unwrap());
    let boundaries = disk.boundaries();
    assert!(boundaries.len() > 20, "{}", boundaries.len());
    for (i, boundary) in (0u64..).zip(boundaries) {
        for kind in
            [ImageKind::None, ImageKind::Prefix, ImageKind::Reorder, ImageKind::LostDirEntry]
        {
            let image = disk.image_at(boundary, kind, i).unwrap();
            let db = opened(&image, 2).unwrap_or_else(|error| panic!("{i} {kind:?}: {error:?}"));
            let user = db.identity_summary().user;
            db.put("it", &b"1"[..]).unwrap();
            drop(db);
            let db = opened(&image.crash(ImageKind::None, i), 3).unwrap();
            assert_eq!(db.identity_summary().user, user, "{i} {kind:?}");
            assert_eq!(content(&db, "it").as_deref(), Some(&b"1"[..]), "{i} {kind:?}");
        }
    }
}

#[test]
fn what_was_acknowledged_survives_every_crash() {
    let disk = SimDisk::new(7);
    let db = opened(&disk, 7).unwrap();
    disk.record();
    // What was acknowledged after how many operations.
    let mut acknowledged = vec![(disk.operations(), BTreeMap::new())];
    let mut now = BTreeMap::new();
    let lens = [10, 5000, 4096, 300_000, 1, 1_500_000, 0, 70_000, 100, 2_000];
    for (i, len) in (0u64..).zip(lens) {
        let name = format!("n/{}", i % 7);
        db.put(&name, random(i, len).as_slice()).unwrap();
        now.insert(name, random(i, len));
        acknowledged.push((disk.operations(), now.clone()));
        if i == 5 {
            db.flush().unwrap();
        }
    }
    let boundaries = disk.boundaries();
    let sampled = boundaries.iter().copied().enumerate().filter(|(i, _)| i % 3 == 0);
    let mut opened_count = 0;
    for (i, boundary) in sampled {
        let kind = *ImageKind::MACHINE.iter().cycle().nth(i).unwrap();
        let Some(image) = disk.image_at(boundary, kind, i as u64) else { continue };
        let db = opened(&image, 8).unwrap_or_else(|error| panic!("{i} {kind:?}: {error:?}"));
        let known = acknowledged.iter().rev().find(|(at, _)| *at <= boundary);
        let later = acknowledged.iter().find(|(at, _)| *at > boundary);
        for (name, bytes) in &known.unwrap().1 {
            let found = content(&db, name);
            let next = later.and_then(|(_, state)| state.get(name));
            let is_right = found.as_ref() == Some(bytes) || found.as_ref() == next;
            assert!(is_right, "{i} {kind:?}: {name}");
        }
        opened_count += 1;
    }
    assert!(opened_count > 10, "{opened_count}");
}

#[test]
fn a_durable_put_takes_the_deferred_ones_before_it_along() {
    let disk = SimDisk::new(11);
    let db = opened(&disk, 11).unwrap();
    let deferred = PutRequest {
        name: Some(Name::new("deferred").unwrap()),
        ack: Ack::Deferred,
        ..PutRequest::default()
    };
    Session::put(&db, &deferred, &mut &b"1"[..], &Silent).unwrap();
    let before = opened(&disk.crash(ImageKind::None, 1), 12).unwrap();
    assert_eq!(content(&before, "deferred"), None, "it waited for company");
    db.put("durable", &b"2"[..]).unwrap();
    let after = opened(&disk.crash(ImageKind::None, 2), 13).unwrap();
    assert_eq!(content(&after, "deferred").as_deref(), Some(&b"1"[..]));
    assert_eq!(content(&after, "durable").as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_batch_survives_whole_or_not_at_all() {
    let disk = SimDisk::new(9);
    let db = opened(&disk, 9).unwrap();
    db.put("before", &b"1"[..]).unwrap();
    disk.record();
    let mut acknowledged = Vec::new();
    for (round, count, len) in [(0, 6, 100), (1, 40, 1000), (2, 700, 2000)] {
        let mut batch = db.batch();
        for i in 0..count {
            batch.put(&format!("b/{round}/{i}"), random(i, len).as_slice()).unwrap();
        }
        batch.commit(Ack::Local).unwrap();
        acknowledged.push((round, count, disk.operations()));
    }
    for (i, boundary) in disk.boundaries().into_iter().enumerate() {
        let kind = *ImageKind::MACHINE.iter().cycle().nth(i).unwrap();
        let Some(image) = disk.image_at(boundary, kind, i as u64) else { continue };
        let db = opened(&image, 10).unwrap_or_else(|error| panic!("{i} {kind:?}: {error:?}"));
        for (round, count, at) in &acknowledged {
            let found = db.list(&format!("b/{round}/")).count() as u64;
            let is_whole = found == *count || (found == 0 && *at > boundary);
            assert!(is_whole, "{i} {kind:?}: {found} of {count} in round {round}");
        }
    }
}

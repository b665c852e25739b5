//! One folder, several readers, several epochs: everyone sees what its keys open, and sealing anew
//! takes it from who does not hold the new ones.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

mod common;

use std::sync::Arc;

use common::{Keys, bundle, chunk, open, sealed, vertex, vertex_object};
use crypt::{EpochKeys, EpochSecret, ObjectKind, Opener, SeededRandom, StoreKeys};
use model::hash::HashKey;
use model::{Content, EpochId, Name, ObjectId, ScopeId, UserId};
use ouroboros_store as store;
use store::disk::{Access, Caching, Disk, DiskFile};
use store::sim_disk::{ImageKind, SimDisk};
use store::{Store, StoreOptions, Writer};

fn inline() -> StoreOptions {
    StoreOptions { background: false, ..StoreOptions::default() }
}

fn epoch(n: u8) -> Arc<EpochKeys> {
    let (id, secret) = (EpochId::new([n; 32]), EpochSecret::random(&SeededRandom::new(n.into())));
    Arc::new(EpochKeys::new(ScopeId::new([1; 32]), id, id, &secret))
}

/// What `user` holds: the first epoch is written under.
fn holding(user: u8, epochs: &[u8]) -> Keys {
    let epochs: Vec<_> = epochs.iter().map(|n| epoch(*n)).collect();
    let writer =
        Writer { user: UserId::new([user; 32]), keys: Arc::clone(&epochs[0]), signing: None };
    let epoch = Arc::clone(&epochs[0]);
    Keys { epoch, store: StoreKeys { epochs, local: HashKey::new([user; 32]) }, writer }
}

fn plain(store: &Store, id: &ObjectId) -> Option<Vec<u8>> {
    let location = store.locate(id).unwrap()?;
    let opened = store.unseal(&store.read(&location).unwrap(), &mut Opener::new()).unwrap();
    Some(match location.item {
        None => opened.plain,
        Some(item) => store::bundle::items(&opened.plain).unwrap()[usize::from(item)].1.to_vec(),
    })
}

/// A chunk, a version of `name` that refers to it, and a bundle of two: the ids and what they are of.
fn put(store: &Store, keys: &Keys, name: &str) -> Vec<(ObjectId, Vec<u8>)> {
    let bytes = name.repeat(30_000).into_bytes();
    let (entry, chunk) = chunk(store, keys, &bytes);
    let generation = keys.epoch.generation();
    let version = vertex(name, vec![], 0, Content::Chunks { generation, entries: vec![entry] });
    let (hash, object) = vertex_object(store, keys, &version);
    let pair = ["x", "y"]
        .map(|part| vertex(&format!("{name}/{part}"), vec![], 0, Content::Inline(part.into())));
    let small = bundle(store, keys, &pair);
    store.sync(store.append(vec![chunk, object, small]).unwrap()).unwrap();
    let mut stored = vec![(entry.hash.into(), bytes), (hash.into(), version.encode())];
    stored.extend(pair.map(|vertex| (vertex.hash().into(), vertex.encode())));
    stored
}

fn check(store: &Store, stored: &[(ObjectId, Vec<u8>)]) {
    for (id, bytes) in stored {
        assert_eq!(plain(store, id).as_ref(), Some(bytes), "{id}");
    }
}

fn files(disk: &SimDisk, dir: &str) -> Vec<(String, Vec<u8>)> {
    let read = |name: String| {
        let file = disk.open_file(&name, Access::Read, Caching::Buffered).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        (name, bytes)
    };
    let entries = disk.list(dir).unwrap().into_iter().filter(|entry| !entry.is_dir);
    entries.map(|entry| read(format!("{dir}/{}", entry.name))).collect()
}

#[test]
fn two_readers_take_turns_and_each_keeps_its_index() {
    let disk = SimDisk::new(1);
    let (alice, bob) = (holding(1, &[1]), holding(2, &[1]));
    let mut stored = Vec::new();
    for round in 0..3u64 {
        for (who, keys) in [("a", &alice), ("b", &bob)] {
            let store = open(Arc::new(disk.clone()), keys, round, inline()).unwrap();
            assert_eq!(store.damage(), [], "round {round} of {who}");
            check(&store, &stored);
            stored.extend(put(&store, keys, &format!("{who}{round}")));
            check(&store, &stored);
            if round == 1 {
                store.flush().unwrap();
            }
            store.close().unwrap();
        }
    }
    assert_eq!(disk.list("index").unwrap().len(), 2);
    assert_eq!(files(&disk, "open").len(), 2, "each goes on with its own block");
    let store = open(Arc::new(disk), &alice, 9, inline()).unwrap();
    store.rebuild().unwrap();
    check(&store, &stored);
    assert_eq!(store.names("", None, 99).unwrap().len(), 18);
}

#[test]
fn who_lacks_an_epoch_sees_nothing_of_it_until_it_is_given() {
    let disk = SimDisk::new(1);
    let before = holding(1, &[1]);
    let store = open(Arc::new(disk.clone()), &before, 1, inline()).unwrap();
    let old = put(&store, &before, "old");
    store.close().unwrap();
    drop(store);
    let after = holding(1, &[2, 1]);
    let store = open(Arc::new(disk.clone()), &after, 2, inline()).unwrap();
    check(&store, &old);
    let new = put(&store, &after, "new");
    store.flush().unwrap();
    store.close().unwrap();
    drop(store);
    let bob = holding(2, &[1]);
    for _ in 0..2 {
        let store = open(Arc::new(disk.clone()), &bob, 3, inline()).unwrap();
        assert_eq!(store.damage(), []);
        check(&store, &old);
        assert!(new.iter().all(|(id, _)| plain(&store, id).is_none()));
        assert_eq!(store.heads(&Name::new("new").unwrap()).unwrap(), []);
        store.flush().unwrap();
        store.close().unwrap();
    }
    let granted = holding(2, &[2, 1]);
    let store = open(Arc::new(disk), &granted, 4, inline()).unwrap();
    check(&store, &old);
    check(&store, &new);
}

#[test]
fn sealing_anew_leaves_nothing_for_the_old_keys() {
    let disk = SimDisk::new(1);
    let (before, bob) = (holding(1, &[1]), holding(2, &[1]));
    let store = open(Arc::new(disk.clone()), &before, 1, inline()).unwrap();
    let mut stored = put(&store, &before, "one");
    store.flush().unwrap();
    stored.extend(put(&store, &before, "two"));
    store.close().unwrap();
    drop(store);
    // The other reader's index knows the blocks that will go.
    let store = open(Arc::new(disk.clone()), &bob, 2, inline()).unwrap();
    check(&store, &stored);
    store.flush().unwrap();
    drop(store);
    let after = holding(1, &[2, 1]);
    let store = open(Arc::new(disk.clone()), &after, 3, inline()).unwrap();
    let report = store.reseal(&mut |_, _| true).unwrap();
    assert!(report.is_complete && report.blocks_left == 0 && report.objects == 8, "{report:?}");
    assert_eq!(report.blocks, 2);
    check(&store, &stored);
    stored.extend(put(&store, &after, "three"));
    assert_eq!(store.reseal(&mut |_, _| true).unwrap().blocks, 0, "nothing is left to do");
    store.close().unwrap();
    drop(store);
    for (path, bytes) in files(&disk, "blocks").into_iter().chain(files(&disk, "open")) {
        let epoch_at = 12 + 32;
        assert_eq!(bytes[epoch_at..epoch_at + 32], [2; 32], "{path}");
    }
    let store = open(Arc::new(disk.clone()), &bob, 4, inline()).unwrap();
    assert_eq!(store.damage(), [], "what was released is not missed");
    store.rebuild().unwrap();
    assert!(stored.iter().all(|(id, _)| plain(&store, id).is_none()));
    drop(store);
    let store = open(Arc::new(disk), &after, 5, inline()).unwrap();
    check(&store, &stored);
    store.rebuild().unwrap();
    check(&store, &stored);
    assert_eq!(store.damage(), []);
    let report = store.check(true, &mut |_, _| true).unwrap();
    assert_eq!((report.damage, report.affected), (vec![], vec![]));
}

#[test]
fn a_power_loss_while_sealing_anew_loses_nothing() {
    let disk = SimDisk::new(1);
    let before = holding(1, &[1]);
    let store = open(Arc::new(disk.clone()), &before, 1, inline()).unwrap();
    let mut stored = put(&store, &before, "one");
    store.flush().unwrap();
    stored.extend(put(&store, &before, "two"));
    store.close().unwrap();
    drop(store);
    disk.record();
    let after = holding(1, &[2, 1]);
    let store = open(Arc::new(disk.clone()), &after, 3, inline()).unwrap();
    store.reseal(&mut |_, _| true).unwrap();
    store.close().unwrap();
    drop(store);
    let boundaries = disk.boundaries();
    assert!(boundaries.len() > 20);
    for at in boundaries {
        for kind in [ImageKind::None, ImageKind::All, ImageKind::Prefix, ImageKind::Reorder] {
            let image = disk.image_at(at, kind, at).unwrap();
            let store = open(Arc::new(image.clone()), &after, 4, inline()).unwrap();
            assert_eq!(store.damage(), [], "{kind:?} at {at}");
            check(&store, &stored);
            store.reseal(&mut |_, _| true).unwrap();
            check(&store, &stored);
            store.close().unwrap();
            drop(store);
            let old = open(Arc::new(image), &holding(2, &[1]), 5, inline()).unwrap();
            assert!(stored.iter().all(|(id, _)| plain(&old, id).is_none()), "{kind:?} at {at}");
        }
    }
}

#[test]
fn a_damaged_block_is_left_and_counted_when_sealed_anew() {
    let disk = SimDisk::new(1);
    let before = holding(1, &[1]);
    let store = open(Arc::new(disk.clone()), &before, 1, inline()).unwrap();
    let (lost, kept) = (put(&store, &before, "lost"), {
        store.flush().unwrap();
        put(&store, &before, "kept")
    });
    store.flush().unwrap();
    drop(store);
    let file = disk.open_file("blocks/0000000001.block", Access::Update, Caching::Buffered);
    file.unwrap().write_at(9000, &[0xff; 64]).unwrap();
    let after = holding(1, &[2, 1]);
    let store = open(Arc::new(disk.clone()), &after, 3, inline()).unwrap();
    let report = store.reseal(&mut |_, _| true).unwrap();
    assert_eq!((report.blocks, report.blocks_left), (1, 1));
    check(&store, &kept);
    assert_eq!(files(&disk, "blocks").len(), 2, "the damaged one is kept for repair");
    assert!(lost.iter().any(|(id, _)| store.locate_any(id).unwrap().is_some()));
    assert!(files(&disk, "open").is_empty(), "what was begun is gone");
}

#[test]
fn a_frame_opens_under_the_pair_it_was_sealed_with_and_no_other() {
    let keys = holding(1, &[2, 1, 3]);
    let pair = epoch(2).of_generation(&epoch(1));
    let id = pair.chunk_hash(b"content").into();
    let mut frame = Vec::new();
    let mut sealer = crypt::Sealer::new(crypt::CompressionPolicy::Off);
    let nonce = model::BlockNonce::new([7; 16]);
    pair.seal(ObjectKind::Chunk, id, b"content", &mut sealer, &nonce, &mut frame);
    let opened = keys.store.unseal(&frame, &mut Opener::new()).unwrap();
    assert_eq!((opened.keys.epoch(), opened.keys.generation()), (pair.epoch(), pair.generation()));
    assert!(holding(1, &[2, 3]).store.unseal(&frame, &mut Opener::new()).is_err());
    assert!(holding(1, &[1, 3]).store.unseal(&frame, &mut Opener::new()).is_err());
    let disk = SimDisk::new(1);
    let store = open(Arc::new(disk), &keys, 1, inline()).unwrap();
    let own = sealed(&store, &keys, ObjectKind::Chunk, keys.epoch.chunk_hash(b"x").into(), b"x");
    assert!(keys.store.unseal(&own.frame, &mut Opener::new()).is_ok());
}

#[test]
fn a_deep_check_verifies_what_no_key_opens() {
    let disk = SimDisk::new(1);
    let other = holding(1, &[3]);
    let store = open(Arc::new(disk.clone()), &other, 1, inline()).unwrap();
    put(&store, &other, "of another epoch");
    store.flush().unwrap();
    drop(store);
    let keys = holding(2, &[1]);
    let checked = || {
        let store = open(Arc::new(disk.clone()), &keys, 2, inline()).unwrap();
        store.check(true, &mut |_, _| true).unwrap()
    };
    let report = checked();
    assert_eq!((report.damage.len(), report.objects), (0, 0));
    assert!(report.bytes_verified > 60_000);
    let file = disk.open_file("blocks/0000000001.block", Access::Update, Caching::Buffered);
    file.unwrap().write_at(9000, &[0xff; 64]).unwrap();
    assert_eq!(checked().damage[0].file, "blocks/0000000001.block");
}

#[test]
fn what_a_crash_left_of_an_older_epoch_does_not_go_on_in_a_block_of_the_new_one() {
    for kind in [ImageKind::All, ImageKind::Process] {
        let disk = SimDisk::new(1);
        let before = holding(1, &[1]);
        let store = open(Arc::new(disk.clone()), &before, 1, inline()).unwrap();
        let mut stored = put(&store, &before, "old");
        disk.record();
        let disk = disk.image_at(*disk.boundaries().last().unwrap(), kind, 1).unwrap();
        let after = holding(1, &[2, 1]);
        for round in 0..3u64 {
            let store = open(Arc::new(disk.clone()), &after, 2 + round, inline()).unwrap();
            assert_eq!(store.damage(), []);
            check(&store, &stored);
            stored.extend(put(&store, &after, &format!("new{round}")));
            store.close().unwrap();
        }
        let store = open(Arc::new(disk.clone()), &after, 9, inline()).unwrap();
        store.rebuild().unwrap();
        check(&store, &stored);
        assert_eq!(store.reseal(&mut |_, _| true).unwrap().blocks_left, 0);
        check(&store, &stored);
        drop(store);
        let bob = open(Arc::new(disk), &holding(2, &[1]), 10, inline()).unwrap();
        assert!(stored.iter().all(|(id, _)| plain(&bob, id).is_none()), "{kind:?}");
    }
}

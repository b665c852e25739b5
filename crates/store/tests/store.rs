//! What is given to a store comes back, now and after it was closed, packed, reopened, rebuilt.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod common;

use std::sync::Arc;

use common::{bundle, chunk, keys, open, read, vertex, vertex_object};
use model::{Content, Name};
use ouroboros_store as store;
use store::StoreOptions;
use store::sim_disk::SimDisk;
use store::sim_random::SimRandom;

fn inline() -> StoreOptions {
    StoreOptions { background: false, ..StoreOptions::default() }
}

fn random_bytes(random: &mut SimRandom, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

fn fill(options: StoreOptions) {
    let disk = Arc::new(SimDisk::new(1));
    let keys = keys();
    let mut random = SimRandom::new(3);
    let mut stored = Vec::new();
    let mut parent = None;
    for round in 0..4u64 {
        let store = open(disk.clone(), &keys, round, options).unwrap();
        assert_eq!(store.damage(), []);
        for n in 0..40 {
            let len = [100, 5000, 70_000, 300_000, 1_000_000][n % 5] + random.below(1000);
            let bytes = random_bytes(&mut random, len);
            let (entry, object) = chunk(&store, &keys, &bytes);
            store.append(vec![object]).unwrap();
            stored.push((entry.hash.into(), bytes));
            let content =
                Content::Chunks { generation: keys.epoch.generation(), entries: vec![entry] };
            let depth = parent.map_or(0, |(_, depth)| depth + 1);
            let version =
                vertex("a/b", parent.iter().map(|(hash, _)| *hash).collect(), depth, content);
            let (hash, object) = vertex_object(&store, &keys, &version);
            let position = store.append(vec![object]).unwrap();
            stored.push((hash.into(), version.encode()));
            parent = Some((hash, depth));
            if n % 7 == 0 {
                store.sync(position).unwrap();
                let heads = store.heads(&Name::new("a/b").unwrap()).unwrap();
                assert_eq!(heads.iter().map(|head| head.hash).collect::<Vec<_>>(), [hash]);
            }
        }
        let many: Vec<_> = (0..50)
            .map(|n| vertex(&format!("{round}/{n}"), vec![], 0, Content::Inline(vec![n; 20])))
            .collect();
        let position = store.append(vec![bundle(&store, &keys, &many)]).unwrap();
        store.sync(position).unwrap();
        stored.extend(many.iter().map(|vertex| (vertex.hash().into(), vertex.encode())));
        for (id, bytes) in &stored {
            assert!(read(&store, &keys, id).unwrap().as_ref() == Some(bytes), "{round}: {id:?}");
        }
        if round == 2 {
            store.flush().unwrap();
        }
        store.close().unwrap();
    }
    let store = open(disk.clone(), &keys, 9, options).unwrap();
    let check = |store: &store::Store| {
        for (id, bytes) in &stored {
            assert!(read(store, &keys, id).unwrap().as_ref() == Some(bytes), "{id:?}");
        }
        let heads = store.heads(&Name::new("a/b").unwrap()).unwrap();
        assert_eq!(heads.len(), 1);
        assert_eq!(Some(heads[0].hash), parent.map(|(hash, _)| hash));
        assert_eq!(store.names("", None, 1000).unwrap().len(), 201);
        let report = store.check(true, &mut |_, _| true).unwrap();
        assert_eq!((report.damage, report.affected), (vec![], vec![]));
        store.stats().unwrap()
    };
    let before = check(&store);
    assert!(before.blocks_packed >= 2 && before.blocks_open <= 1, "{before:?}");
    store.rebuild().unwrap();
    let after = check(&store);
    assert_eq!(
        (before.objects, before.vertices, before.names),
        (after.objects, after.vertices, after.names)
    );
    assert_eq!(
        (before.bytes_content, before.bytes_unique),
        (after.bytes_content, after.bytes_unique)
    );
    assert_eq!(before.bytes_overhead, after.bytes_overhead);
}

#[test]
fn everything_comes_back_inline() {
    fill(inline());
}

#[test]
fn everything_comes_back_with_a_packer() {
    fill(StoreOptions::default());
}

#[test]
fn many_threads_share_syncs() {
    let disk = Arc::new(SimDisk::new(1));
    let keys = keys();
    let store = open(disk.clone(), &keys, 1, StoreOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..16u8 {
            let (store, keys) = (&store, &keys);
            scope.spawn(move || {
                for n in 0..50u8 {
                    let name = format!("{thread}/{n}");
                    let content = Content::Inline(vec![thread; 4000]);
                    let (hash, object) =
                        vertex_object(store, keys, &vertex(&name, vec![], 0, content));
                    let position = store.append(vec![object]).unwrap();
                    store.sync(position).unwrap();
                    let heads = store.heads(&Name::new(name).unwrap()).unwrap();
                    assert_eq!(heads[0].hash, hash);
                }
            });
        }
    });
    assert_eq!(store.names("", None, 1000).unwrap().len(), 800);
    store.close().unwrap();
    drop(store);
    let store = open(disk, &keys, 2, StoreOptions::default()).unwrap();
    assert_eq!(store.names("", None, 1000).unwrap().len(), 800);
}

#[test]
fn flush_of_an_empty_store_and_twice_in_a_row() {
    let disk = Arc::new(SimDisk::new(1));
    let keys = keys();
    let store = open(disk, &keys, 1, inline()).unwrap();
    store.flush().unwrap();
    let (_, object) = chunk(&store, &keys, b"something");
    store.append(vec![object]).unwrap();
    store.flush().unwrap();
    store.flush().unwrap();
    assert_eq!(store.stats().unwrap().blocks_packed, 1);
}

#[test]
fn a_close_packs_an_open_block_of_many_objects_and_no_other() {
    for (count, packed) in [(8191, 0), (8192, 1)] {
        let disk = Arc::new(SimDisk::new(1));
        let keys = keys();
        let store = open(disk.clone(), &keys, 1, StoreOptions::default()).unwrap();
        let mut stored = Vec::new();
        let name = |n: usize| format!("{n:05}");
        while stored.len() < count {
            let ends = count.min(stored.len() + 50);
            let some: Vec<_> = (stored.len()..ends)
                .map(|n| vertex(&name(n), vec![], 0, Content::Inline(vec![7])))
                .collect();
            store.append(vec![bundle(&store, &keys, &some)]).unwrap();
            stored.extend(some);
        }
        store.close().unwrap();
        drop(store);
        for round in 0..2 {
            let store = open(disk.clone(), &keys, 2 + round, StoreOptions::default()).unwrap();
            assert_eq!(store.stats().unwrap().blocks_packed, packed, "{count} {round}");
            assert_eq!(store.names("", None, 10_000).unwrap().len(), count);
            let id = stored[count - 1].hash().into();
            assert_eq!(read(&store, &keys, &id).unwrap(), Some(stored[count - 1].encode()));
            store.close().unwrap();
        }
    }
}

#[test]
fn files_are_counted_in_every_folder() {
    let disk = Arc::new(SimDisk::new(1));
    let keys = keys();
    let store = open(disk.clone(), &keys, 1, inline()).unwrap();
    let (_, object) = chunk(&store, &keys, b"content");
    store.sync(store.append(vec![object]).unwrap()).unwrap();
    let before = store.stats().unwrap().files_on_disk;
    store.flush().unwrap();
    // The checkpoint's run and manifest lie in a folder of the index's owner.
    assert_eq!(store.stats().unwrap().files_on_disk, before + 2);
}

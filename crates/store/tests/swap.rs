//! Every stored object presented as every other: of another kind, scope, epoch, generation, id or
//! block. None is taken for what it is not; moved within its epoch it stays what it is.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

mod common;

use std::sync::Arc;

use common::{Keys, bundle, chunk, open, sealed, vertex, vertex_object};
use crypt::{EpochKeys, EpochSecret, ObjectKind, Opener, SeededRandom, StoreKeys};
use model::hash::HashKey;
use model::{BlockNumber, Content, EpochId, ObjectId, ScopeId, UserId};
use ouroboros_store as store;
use store::disk::{Access, Caching, Disk, DiskFile};
use store::sim_disk::SimDisk;
use store::{Location, Store, StoreOptions, Writer};

fn inline() -> StoreOptions {
    StoreOptions { background: false, ..StoreOptions::default() }
}

fn holding(scope: u8, user: u8, epochs: &[u8]) -> Keys {
    let epoch = |n: &u8| {
        let id = EpochId::new([*n; 32]);
        let secret = EpochSecret::random(&SeededRandom::new(u64::from(*n)));
        Arc::new(EpochKeys::new(ScopeId::new([scope; 32]), id, id, &secret))
    };
    let epochs: Vec<_> = epochs.iter().map(epoch).collect();
    let writer =
        Writer { user: UserId::new([user; 32]), keys: Arc::clone(&epochs[0]), signing: None };
    let epoch = Arc::clone(&epochs[0]);
    Keys { epoch, store: StoreKeys { epochs, local: HashKey::new([user; 32]) }, writer }
}

/// Objects of every kind that a store holds, equal in length where they can be: a wrong one then fits
/// its place exactly.
fn fill(store: &Store, keys: &Keys, salt: u8) -> Vec<ObjectId> {
    let mut ids = Vec::new();
    for n in 0..4 {
        let bytes: Vec<u8> = (0..5000u16).map(|i| i.to_le_bytes()[0] ^ salt ^ (n << 4)).collect();
        let (entry, object) = chunk(store, keys, &bytes);
        let generation = keys.epoch.generation();
        let content = Content::Chunks { generation, entries: vec![entry] };
        let version = vertex(&format!("name/{salt}/{n}"), vec![], 0, content);
        let (hash, version) = vertex_object(store, keys, &version);
        let list_bytes = [&[salt, n][..], &[0; 60]].concat();
        let list_id = keys.epoch.list_hash(&list_bytes).into();
        let list = sealed(store, keys, ObjectKind::List, list_id, &list_bytes);
        let small = ["x", "y"].map(|part| {
            vertex(&format!("{part}/{salt}/{n}"), vec![], 0, Content::Inline(vec![salt, n]))
        });
        ids.extend(small.iter().map(|vertex| ObjectId::from(vertex.hash())));
        let small = bundle(store, keys, &small);
        store.sync(store.append(vec![object, version, list, small]).unwrap()).unwrap();
        ids.extend([entry.hash.into(), hash.into(), list_id]);
    }
    ids
}

/// A stored object: where it lies and what is there.
struct Stored {
    id: ObjectId,
    location: Location,
    frame: Vec<u8>,
    plain: Vec<u8>,
}

/// What a reader of `id` gets; `None` when it is refused. As the library reads: whatever key opens the
/// frame, kind and id must be those that were asked for.
fn read(store: &Store, id: &ObjectId, location: &Location) -> Option<Vec<u8>> {
    let opened = store.unseal(&store.read(location).ok()?, &mut Opener::new()).ok()?;
    match location.item {
        None => {
            let is_it = opened.header.obj == *id && opened.header.kind == location.kind;
            is_it.then_some(opened.plain)
        }
        Some(item) => {
            let items = store::bundle::items(&opened.plain).ok()?;
            let (kind, bytes) = items.get(usize::from(item))?;
            let found = model::Vertex::hash_of(bytes);
            let is_bundle = opened.header.kind == ObjectKind::Bundle;
            (is_bundle && *kind == location.kind && ObjectId::from(found) == *id)
                .then(|| bytes.to_vec())
        }
    }
}

fn path_of(disk: &SimDisk, store: &Store, location: &Location) -> String {
    let path = store.file_of(location);
    let name = path.rsplit('/').next().unwrap();
    let packed = format!("blocks/{name}");
    let is_packed = disk.open_file(&packed, Access::Read, Caching::Buffered).is_ok();
    if is_packed { packed } else { format!("open/{name}") }
}

/// Objects of two epochs and two generations of one scope, and of another scope.
fn reference() -> (SimDisk, Keys, Vec<Stored>, Vec<Vec<u8>>) {
    let disk = SimDisk::new(1);
    let mut ids = Vec::new();
    for (round, epochs) in (0u8..).zip([&[1u8][..], &[2, 1], &[3, 2, 1]]) {
        let keys = holding(1, 1, epochs);
        let store = open(Arc::new(disk.clone()), &keys, round.into(), inline()).unwrap();
        if round == 1 {
            // What was of the first epoch is now sealed under the second.
            store.reseal(&mut |_, _| true).unwrap();
        }
        ids.extend(fill(&store, &keys, 16 * round));
        store.flush().unwrap();
        ids.extend(fill(&store, &keys, 16 * round + 3));
        store.flush().unwrap();
    }
    let foreign = holding(9, 2, &[7]);
    let store = open(Arc::new(disk.clone()), &foreign, 8, inline()).unwrap();
    let foreign_ids = fill(&store, &foreign, 99);
    store.flush().unwrap();
    let strangers = foreign_ids
        .iter()
        .map(|id| store.read(&store.locate(id).unwrap().unwrap()).unwrap())
        .chain(index_frames(&disk, &foreign))
        .collect();
    drop(store);
    let keys = holding(1, 1, &[3, 2, 1]);
    let store = open(Arc::new(disk.clone()), &keys, 9, inline()).unwrap();
    let stored = ids.iter().map(|id| {
        let location = store.locate(id).unwrap().unwrap();
        let (frame, plain) = (store.read(&location).unwrap(), read(&store, id, &location).unwrap());
        Stored { id: *id, location, frame, plain }
    });
    let stored = stored.collect();
    drop(store);
    (disk, keys, stored, strangers)
}

/// The sealed indexes of all blocks, found by their trailers.
fn index_frames(disk: &SimDisk, keys: &Keys) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for entry in disk.list("blocks").unwrap() {
        let path = format!("blocks/{}", entry.name);
        let file = disk.open_file(&path, Access::Read, Caching::Buffered).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        let trailer = bytes.len() - 72 - 16;
        let at = u32::from_le_bytes(bytes[trailer + 8..trailer + 12].try_into().unwrap()) as usize;
        for keys in &keys.store.epochs {
            let Ok(header) = keys.frame_header(bytes[at..].first_chunk().unwrap()) else {
                continue;
            };
            if header.kind == ObjectKind::Index {
                frames.push(bytes[at..at + header.frame_len()].to_vec());
            }
        }
    }
    frames
}

#[test]
fn no_object_passes_for_another() {
    let (disk, keys, stored, mut others) = reference();
    others.extend(index_frames(&disk, &keys));
    let store = open(Arc::new(disk.clone()), &keys, 9, inline()).unwrap();
    assert!(stored.len() >= 100 && others.len() >= 20, "{} {}", stored.len(), others.len());
    let (mut presented, mut equal_len) = (0, 0);
    for wanted in stored.iter() {
        let path = path_of(&disk, &store, &wanted.location);
        let file = disk.open_file(&path, Access::Update, Caching::Buffered).unwrap();
        let offset = u64::from(wanted.location.place.offset);
        let frames = stored.iter().map(|other| &other.frame).chain(&others);
        for frame in frames.filter(|frame| **frame != wanted.frame) {
            let len = frame.len().min(wanted.frame.len());
            file.write_at(offset, &frame[..len]).unwrap();
            presented += 1;
            equal_len += usize::from(frame.len() == wanted.frame.len());
            let got = read(&store, &wanted.id, &wanted.location);
            assert_eq!(got, None, "{} took another object for itself", wanted.id);
        }
        file.write_at(offset, &wanted.frame).unwrap();
        assert_eq!(read(&store, &wanted.id, &wanted.location).as_ref(), Some(&wanted.plain));
    }
    println!("{presented} presented, {equal_len} of them of the very length, 0 taken");
    assert!(equal_len > 1000, "{equal_len}");
}

#[test]
fn an_object_that_moves_within_its_epoch_stays_what_it_is() {
    let (disk, keys, stored, _) = reference();
    let store = open(Arc::new(disk.clone()), &keys, 9, inline()).unwrap();
    let mut moved = 0;
    for object in stored.iter().filter(|object| object.location.item.is_none()) {
        let block = |stored: &Stored| stored.location.block;
        let elsewhere = stored.iter().filter(|other| {
            other.frame.len() == object.frame.len() && block(other) != block(object)
        });
        for place in elsewhere {
            let path = path_of(&disk, &store, &place.location);
            let file = disk.open_file(&path, Access::Update, Caching::Buffered).unwrap();
            let offset = u64::from(place.location.place.offset);
            file.write_at(offset, &object.frame).unwrap();
            let there = Location { kind: object.location.kind, ..place.location };
            assert_eq!(read(&store, &object.id, &there).as_ref(), Some(&object.plain));
            file.write_at(offset, &place.frame).unwrap();
            moved += 1;
        }
    }
    assert!(moved > 100, "{moved}");
    assert_ne!(stored[0].location.block, BlockNumber(0));
}

//! What opening makes of the states that power losses and failing disks leave: the smallest form of
//! each mistake that the long benches found.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

mod common;

use std::sync::Arc;

use common::{chunk, keys, open, read};
use model::ObjectId;
use ouroboros_store as store;
use store::disk::{Access, Caching, Disk, DiskFile, DiskOperation};
use store::fault_disk::{Fault, FaultDisk, FaultError};
use store::sim_disk::{AfterFailedSync, ImageKind, SimDisk};
use store::{Store, StoreError, StoreOptions};

fn inline() -> StoreOptions {
    StoreOptions { background: false, ..StoreOptions::default() }
}

fn put(store: &Store, bytes: &[u8]) -> Result<ObjectId, StoreError> {
    let (entry, object) = chunk(store, &keys(), bytes);
    store.sync(store.append(vec![object])?)?;
    Ok(entry.hash.into())
}

fn is_there(disk: &SimDisk, id: &ObjectId) -> bool {
    let store = open(Arc::new(disk.clone()), &keys(), 9, inline()).unwrap();
    assert_eq!(store.damage(), []);
    read(&store, &keys(), id).unwrap().is_some()
}

#[test]
fn a_first_batch_without_its_block_header_is_a_torn_tail() {
    let disk = SimDisk::new(1);
    let store = open(Arc::new(disk.clone()), &keys(), 1, inline()).unwrap();
    let first = put(&store, b"first").unwrap();
    let lose_header = |disk: &SimDisk| {
        let file = disk.open_file("open/0000000001.block", Access::Update, Caching::Buffered);
        file.unwrap().write_at(0, &[0; 4096]).unwrap();
    };
    let image = disk.crash(ImageKind::All, 0);
    lose_header(&image);
    assert!(!is_there(&image, &first), "nothing says that it was ever durable");
    put(&store, b"second").unwrap();
    let image = disk.crash(ImageKind::All, 0);
    lose_header(&image);
    let opened = open(Arc::new(image), &keys(), 2, inline());
    assert!(matches!(opened, Err(StoreError::Corrupt { .. })), "the second batch says so");
}

#[test]
fn a_rename_that_only_a_dead_process_saw_is_made_durable() {
    for is_closed_before in [false, true] {
        let disk = SimDisk::new(1);
        let mut store = open(Arc::new(disk.clone()), &keys(), 1, inline()).unwrap();
        let id = put(&store, b"something").unwrap();
        if is_closed_before {
            // Packing what a clean close left takes the clean mark away as any write does.
            store.close().unwrap();
            drop(store);
            store = open(Arc::new(disk.clone()), &keys(), 2, inline()).unwrap();
        }
        disk.record();
        store.flush().unwrap();
        for at in disk.boundaries() {
            let image = disk.image_at(at, ImageKind::Process, 0).unwrap();
            let store = open(Arc::new(image.clone()), &keys(), 3, inline()).unwrap();
            put(&store, b"more").unwrap();
            for seed in 0..8 {
                let image = image.crash(ImageKind::Reorder, seed);
                assert!(is_there(&image, &id), "after {at}, {seed}");
            }
        }
    }
}

#[test]
fn a_block_whose_new_name_cannot_be_made_durable_keeps_its_old_one() {
    for after in [AfterFailedSync::StillDirty, AfterFailedSync::CleanNew] {
        let sim = SimDisk::new(1);
        let disk = FaultDisk::over_sim(sim.clone());
        let store = open(Arc::new(disk.clone()), &keys(), 1, inline()).unwrap();
        let id = put(&store, b"something").unwrap();
        let fault = Fault::new(1, FaultError::Io).of(DiskOperation::SyncDir).on("blocks");
        disk.inject(fault.sync(after, true));
        let _ = store.flush();
        assert_eq!(disk.faults_met(), 1);
        let _ = put(&store, b"makes a new file in the folder of open blocks");
        for kind in ImageKind::MACHINE {
            for seed in 0..8 {
                assert!(is_there(&sim.crash(kind, seed), &id), "{after:?} {kind:?} {seed}");
            }
        }
    }
}

#[test]
fn an_open_block_without_batches_leaves_no_gap() {
    let disk = SimDisk::new(1);
    let store = open(Arc::new(disk.clone()), &keys(), 1, inline()).unwrap();
    let _ = store.seal_context().unwrap();
    let image = disk.crash(ImageKind::All, 0);
    let store = open(Arc::new(image.clone()), &keys(), 2, inline()).unwrap();
    let id = put(&store, b"something").unwrap();
    store.flush().unwrap();
    drop(store);
    assert!(is_there(&image, &id));
    assert_eq!(image.list("open").unwrap(), []);
}

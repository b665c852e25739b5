use std::io;

use super::*;
use crate::aligned::AlignedBuf;
use crate::sim_disk::{AfterFailedSync, ImageKind};

fn fault_disk() -> (FaultDisk, SimDisk) {
    let sim = SimDisk::new(1);
    (FaultDisk::over_sim(sim.clone()), sim)
}

fn create(disk: &FaultDisk, path: &str) -> Arc<dyn DiskFile> {
    disk.open(path, Access::Create, Caching::Buffered).unwrap()
}

fn content(disk: &dyn Disk, path: &str) -> Vec<u8> {
    let file = disk.open(path, Access::Read, Caching::Buffered).unwrap();
    let mut out = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut out).unwrap(), out.len());
    out
}

/// Every operation there is, as far as they go.
fn all_operations(disk: &dyn Disk) -> Result<(), DiskError> {
    let _lock = disk.lock("lock")?;
    disk.make_dir("blocks")?;
    let file = disk.open("blocks/17.open", Access::Create, Caching::Buffered)?;
    file.write_at(0, b"0123456789")?;
    file.set_len(8)?;
    file.sync()?;
    disk.sync_dir("blocks")?;
    disk.rename("blocks/17.open", "blocks/17")?;
    file.read_at(0, &mut [0; 4])?;
    file.len()?;
    disk.list("blocks")?;
    disk.space()?;
    disk.identity("lock")?;
    disk.remove("blocks/17")
}

#[test]
fn every_site_can_fail_with_every_error() {
    let (clean, _) = fault_disk();
    all_operations(&clean).unwrap();
    let operations = clean.operations();
    assert_eq!((operations, clean.faults_met()), (14, 0));
    let reached: std::collections::BTreeSet<_> =
        clean.sites().into_keys().map(|site| site.operation).collect();
    assert_eq!(reached.len(), 14, "all of DiskOperation");
    assert_eq!(clean.sites()[&Site::new(DiskOperation::Write, "blocks/99.open")], 1);
    for nth in 1..=operations {
        for error in FaultError::ALL {
            let (disk, _) = fault_disk();
            disk.inject(Fault::new(nth, error));
            let failure = all_operations(&disk).unwrap_err();
            assert_eq!(failure.source.raw_os_error(), Some(error.errno().raw_os_error()));
            assert_eq!((disk.operations(), disk.faults_met()), (nth, 1));
        }
    }
    let (disk, _) = fault_disk();
    disk.inject(Fault::new(operations + 1, FaultError::Io));
    all_operations(&disk).unwrap();
}

#[test]
fn faults_choose_operation_path_and_time() {
    let (disk, _) = fault_disk();
    let (a, b) = (create(&disk, "a"), create(&disk, "b"));
    disk.inject(Fault::new(2, FaultError::NoSpace).of(DiskOperation::Write).on("a"));
    let once = [&a, &b, &b, &a, &a].map(|file| file.write_at(0, b"x").is_ok());
    assert_eq!(once, [true, true, true, false, true]);
    disk.inject(Fault::new(2, FaultError::NoSpace).of(DiskOperation::Write).sticky());
    let sticky = [&a, &b, &b, &a].map(|file| file.write_at(0, b"x").is_ok());
    assert_eq!(sticky, [true, false, false, false]);
    a.sync().unwrap();
    disk.clear_faults();
    a.write_at(0, b"x").unwrap();
    assert_eq!(disk.faults_met(), 4);
}

#[test]
fn short_writes_leave_a_part_and_short_reads_return_one() {
    let (disk, sim) = fault_disk();
    let f = create(&disk, "f");
    disk.inject(Fault::new(1, FaultError::NoSpace).of(DiskOperation::Write).short(3));
    let error = f.write_at(0, b"abcdef").unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(content(&sim, "f"), b"abc");
    disk.inject(Fault::new(1, FaultError::Io).of(DiskOperation::Read).short(2));
    assert_eq!(f.read_at(0, &mut [0; 9]).unwrap(), 2);
    assert_eq!(f.read_at(0, &mut [0; 9]).unwrap(), 3);
    let direct = disk.open("d", Access::Create, Caching::Direct).unwrap();
    disk.inject(Fault::new(1, FaultError::Io).of(DiskOperation::Write).short(5000));
    let mut buf = AlignedBuf::new();
    buf.resize(8192, 1);
    let error = direct.write_at(0, buf.as_slice()).unwrap_err();
    assert_eq!(error.source.raw_os_error(), Some(FaultError::Io.errno().raw_os_error()));
    assert_eq!(content(&sim, "d").len(), 4096);
}

#[test]
fn failed_syncs_follow_their_model() {
    for (after, reported, durable) in [
        (AfterFailedSync::CleanNew, true, false),
        (AfterFailedSync::CleanOld, true, false),
        (AfterFailedSync::StillDirty, true, true),
        (AfterFailedSync::CleanNew, false, false),
    ] {
        let (disk, sim) = fault_disk();
        let f = create(&disk, "f");
        disk.sync_dir("").unwrap();
        f.write_at(0, b"content").unwrap();
        disk.inject(Fault::new(1, FaultError::Io).of(DiskOperation::Sync).sync(after, reported));
        assert_eq!(f.sync().is_err(), reported);
        let seen = content(&disk, "f") == b"content";
        assert_eq!(seen, after != AfterFailedSync::CleanOld, "{after:?}");
        f.sync().unwrap();
        let image = sim.crash(ImageKind::None, 0);
        assert_eq!(content(&image, "f") == b"content", durable, "{after:?}");
    }
    let (disk, sim) = fault_disk();
    create(&disk, "f");
    let fault = Fault::new(1, FaultError::Io).of(DiskOperation::SyncDir);
    disk.inject(fault.sync(AfterFailedSync::CleanNew, true));
    disk.sync_dir("").unwrap_err();
    disk.sync_dir("").unwrap();
    assert!(sim.crash(ImageKind::All, 0).list("").unwrap().is_empty());
}

#[test]
fn overlays_change_what_is_read_and_nothing_else() {
    let (disk, sim) = fault_disk();
    let f = create(&disk, "f");
    let pristine: Vec<u8> = (0..100).collect();
    f.write_at(0, &pristine).unwrap();
    disk.overlay("f", Overlay::Flip { offset: 10, mask: 0x81 });
    disk.overlay("f", Overlay::Stale { offset: 20, old: vec![0xEE; 10] });
    disk.overlay("f", Overlay::Misdirected { offset: 40, len: 8, source: 95 });
    let mut expected = pristine.clone();
    expected[10] ^= 0x81;
    expected[20..30].fill(0xEE);
    expected[40..48].copy_from_slice(&[95, 96, 97, 98, 99, 0, 0, 0]);
    assert_eq!(content(&disk, "f"), expected);
    for start in 0..100 {
        for end in start..100 {
            let mut out = vec![0; end - start];
            f.read_at(start as u64, &mut out).unwrap();
            assert_eq!(out, expected[start..end], "{start}..{end}");
        }
    }
    assert_eq!(content(&sim, "f"), pristine, "the disk itself is whole");
    f.write_at(29, &[29]).unwrap();
    expected[20..30].copy_from_slice(&pristine[20..30]);
    assert_eq!(content(&disk, "f"), expected, "a write heals what it touches");
    disk.rename("f", "g").unwrap();
    assert_eq!(content(&disk, "g"), expected);
    disk.clear_overlays();
    assert_eq!(content(&disk, "g"), pristine);
    disk.overlay("g", Overlay::Flip { offset: 0, mask: 1 });
    disk.remove("g").unwrap();
    create(&disk, "g").write_at(0, &[4]).unwrap();
    assert_eq!(content(&disk, "g"), [4]);
}

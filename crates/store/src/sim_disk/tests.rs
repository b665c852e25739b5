use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn create(disk: &SimDisk, path: &str) -> SimFile {
    disk.open_file(path, Access::Create, Caching::Buffered).unwrap()
}

/// Content of every file, `None` for folders.
type Dump = BTreeMap<String, Option<Vec<u8>>>;

fn dump(disk: &SimDisk) -> Dump {
    let state = disk.state();
    let content = |node: &Node| match node {
        Node::Dir => None,
        Node::File(inode) => {
            let content = state.cache.content(*inode);
            let mut out = vec![0; content.map_or(0, |content| content.len())];
            content.map(|content| content.read(0, &mut out));
            Some(out)
        }
    };
    state.cache.names.iter().map(|(path, node)| (path.to_string(), content(node))).collect()
}

fn file(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
    dump(disk).remove(path).flatten()
}

fn after(disk: &SimDisk, kind: ImageKind) -> SimDisk {
    disk.crash(kind, 7)
}

#[test]
fn only_a_sync_makes_content_durable() {
    let disk = SimDisk::new(1);
    let f = create(&disk, "f");
    f.write_at(0, b"one").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(file(&after(&disk, ImageKind::None), "f").unwrap(), b"");
    f.sync().unwrap();
    f.write_at(0, b"ONE two").unwrap();
    assert_eq!(file(&after(&disk, ImageKind::None), "f").unwrap(), b"one");
    assert_eq!(file(&after(&disk, ImageKind::All), "f").unwrap(), b"ONE two");
    f.sync().unwrap();
    f.set_len(2).unwrap();
    assert_eq!(file(&after(&disk, ImageKind::None), "f").unwrap(), b"ONE two");
    f.sync().unwrap();
    assert_eq!(file(&after(&disk, ImageKind::None), "f").unwrap(), b"ON");
}

#[test]
fn only_a_folder_sync_makes_entries_durable() {
    let disk = SimDisk::new(1);
    disk.make_dir("d/e").unwrap();
    let f = create(&disk, "d/e/f");
    f.write_at(0, b"x").unwrap();
    f.sync().unwrap();
    let none = |disk: &SimDisk| dump(&after(disk, ImageKind::None)).into_keys().collect::<Vec<_>>();
    disk.sync_dir("d/e").unwrap();
    assert_eq!(none(&disk), Vec::<String>::new(), "its folders are not durable");
    disk.sync_dir("d").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(none(&disk), ["d", "d/e", "d/e/f"]);
    disk.rename("d/e/f", "d/e/g").unwrap();
    assert_eq!(none(&disk), ["d", "d/e", "d/e/f"]);
    disk.sync_dir("d/e").unwrap();
    assert_eq!(none(&disk), ["d", "d/e", "d/e/g"]);
    disk.remove("d/e/g").unwrap();
    assert_eq!(file(&after(&disk, ImageKind::None), "d/e/g").unwrap(), b"x");
    disk.sync_dir("d/e").unwrap();
    assert_eq!(none(&disk), ["d", "d/e"]);
}

#[test]
fn a_rename_between_folders_needs_both_synced() {
    for (synced, expected) in
        [("from", vec!["from", "to"]), ("to", vec!["from", "from/f", "to", "to/f"])]
    {
        let disk = SimDisk::new(1);
        disk.make_dir("from").unwrap();
        disk.make_dir("to").unwrap();
        create(&disk, "from/f");
        for dir in ["", "from", "to"] {
            disk.sync_dir(dir).unwrap();
        }
        disk.rename("from/f", "to/f").unwrap();
        disk.sync_dir(synced).unwrap();
        let image = after(&disk, ImageKind::None);
        assert_eq!(dump(&image).into_keys().collect::<Vec<_>>(), expected, "{synced} synced");
        for dir in ["from", "to"] {
            disk.sync_dir(dir).unwrap();
        }
        let image = after(&disk, ImageKind::None);
        assert_eq!(dump(&image).into_keys().collect::<Vec<_>>(), ["from", "to", "to/f"]);
    }
}

#[test]
fn a_process_crash_leaves_unsynced_what_was() {
    let disk = SimDisk::new(1);
    let f = create(&disk, "f");
    f.write_at(0, b"durable").unwrap();
    f.sync().unwrap();
    disk.sync_dir("").unwrap();
    f.write_at(0, b"CACHED!").unwrap();
    create(&disk, "new");
    let next = after(&disk, ImageKind::Process);
    assert_eq!(dump(&next), dump(&disk));
    let lost = after(&next, ImageKind::None);
    assert_eq!(dump(&lost), BTreeMap::from([("f".into(), Some(b"durable".to_vec()))]));
    // The next process makes it durable by syncing the file, even without writing to it.
    next.open_file("f", Access::Update, Caching::Buffered).unwrap().sync().unwrap();
    assert_eq!(file(&after(&next, ImageKind::None), "f").unwrap(), b"CACHED!");
    // After a power loss there is nothing left that could still be lost.
    let all = after(&disk, ImageKind::All);
    assert_eq!(dump(&after(&all, ImageKind::None)), dump(&disk));
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    TornByte,
    Torn512,
    Torn4096,
    Inverted,
    Garbage,
    CutInOrder,
    OnlyEntriesLost,
}

/// A disk with every sort of unsynced change.
fn torn_disk() -> SimDisk {
    let disk = SimDisk::new(3);
    let [wide, small, log] = ["wide", "small", "log"].map(|path| create(&disk, path));
    create(&disk, "old");
    wide.write_at(0, &[b'o'; 65_536]).unwrap();
    small.write_at(0, &[b'o'; 200]).unwrap();
    for file in [&wide, &small] {
        file.sync().unwrap();
    }
    disk.sync_dir("").unwrap();
    create(&disk, "new1");
    create(&disk, "new2");
    disk.rename("old", "renamed").unwrap();
    wide.write_at(0, &[b'n'; 65_536]).unwrap();
    small.write_at(0, &[b'x'; 100]).unwrap();
    small.write_at(50, &[b'y'; 100]).unwrap();
    for block in 0..20 {
        log.write_at(block * 1000, &[b'L'; 1000]).unwrap();
    }
    disk
}

fn marks(image: &SimDisk, newest: &SimDisk) -> BTreeSet<Mark> {
    let (found, newest) = (dump(image), dump(newest));
    let content = |path: &str| found[path].clone().unwrap();
    let (wide, small, log) = (content("wide"), content("small"), content("log"));
    let mixed = |bytes: &[u8]| bytes.iter().any(|byte| *byte != bytes[0]);
    let inverted = [[b'x'; 100].as_slice(), &[b'y'; 50], &[b'o'; 50]].concat();
    let whole = |path: &str| found[path] == newest[path];
    let mut marks = BTreeSet::new();
    if wide.chunks(512).any(mixed) {
        marks.insert(Mark::TornByte);
    } else if wide.chunks(4096).any(mixed) {
        marks.insert(Mark::Torn512);
    } else if mixed(&wide) {
        marks.insert(Mark::Torn4096);
    }
    if small == inverted {
        marks.insert(Mark::Inverted);
    }
    if log.iter().any(|byte| !matches!(byte, b'L' | 0)) {
        marks.insert(Mark::Garbage);
    }
    if whole("wide") && whole("small") && log == [b'L'; 10_000] {
        marks.insert(Mark::CutInOrder);
    }
    if ["wide", "small", "log"].into_iter().all(whole) && !found.keys().eq(newest.keys()) {
        marks.insert(Mark::OnlyEntriesLost);
    }
    marks
}

#[test]
fn every_kind_makes_what_no_other_kind_does() {
    let disk = torn_disk();
    for kind in ImageKind::MACHINE.into_iter().chain([ImageKind::Process]) {
        let mut seen = BTreeSet::new();
        for seed in 0..600 {
            seen.extend(marks(&disk.crash(kind, seed), &disk));
        }
        let expected: &[Mark] = match kind {
            ImageKind::Process | ImageKind::None | ImageKind::All => &[],
            ImageKind::Prefix => &[Mark::CutInOrder],
            ImageKind::Sector512 => &[Mark::Torn512],
            ImageKind::Sector4096 => &[Mark::Torn4096],
            ImageKind::ByteSubset => &[Mark::TornByte],
            ImageKind::Reorder => &[Mark::Inverted],
            ImageKind::SizeWithoutData => &[Mark::Garbage],
            ImageKind::LostDirEntry => &[Mark::OnlyEntriesLost],
        };
        assert_eq!(seen, expected.iter().copied().collect(), "{kind:?}");
    }
}

#[test]
fn lengths_survive_without_data_and_entries_one_by_one() {
    let disk = torn_disk();
    let count = |kind, found: &dyn Fn(&Dump) -> bool| {
        (0..300).filter(|seed| found(&dump(&disk.crash(kind, *seed)))).count()
    };
    let log = |image: &Dump| image["log"].clone().unwrap();
    let grown_zeros = count(ImageKind::SizeWithoutData, &|image| log(image) == [0; 20_000]);
    assert!(grown_zeros > 50);
    for kind in [ImageKind::Sector512, ImageKind::ByteSubset, ImageKind::Reorder] {
        let cut = count(kind, &|image| log(image).len() < 15_000);
        let grown = count(kind, &|image| log(image).len() == 20_000);
        assert!(cut > 30 && grown > 30, "{kind:?}: {cut} {grown}");
    }
    let later_only = count(ImageKind::LostDirEntry, &|image| {
        image.contains_key("new2") && !image.contains_key("new1")
    });
    let undone = count(ImageKind::LostDirEntry, &|image| image.contains_key("old"));
    assert!(later_only > 30 && undone > 30);
    let both = count(ImageKind::LostDirEntry, &|image| {
        image.contains_key("old") == image.contains_key("renamed")
    });
    assert_eq!(both, 0, "a rename is atomic");
}

/// Some hundred operations of every sort, as far as the disk lives.
fn workload(disk: &SimDisk, seed: u64) -> Result<(), DiskError> {
    let mut random = SimRandom::new(seed);
    disk.make_dir("d")?;
    for step in 0..60 {
        let path = format!("{}f{}", ["", "d/"][random.below(2)], random.below(4));
        let path = path.as_str();
        let open = |access| disk.open_file(path, access, Caching::Buffered);
        let opened = match open(Access::Update) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => open(Access::Create),
            opened => opened,
        }?;
        let mut data = vec![0; random.below(40_000)];
        random.fill(&mut data);
        opened.write_at(random.below(50_000) as u64, &data)?;
        match random.below(8) {
            0 => opened.set_len(random.below(60_000) as u64)?,
            1 => disk.rename(path, &format!("d/r{}", step % 3))?,
            2 => disk.remove(path)?,
            3 | 4 => opened.sync()?,
            5 => disk.sync_dir(["", "d"][random.below(2)])?,
            6 => opened.lose_unsynced(
                [AfterFailedSync::CleanNew, AfterFailedSync::CleanOld][random.below(2)],
            ),
            _ => drop(opened.read_at(0, &mut data)?),
        }
    }
    Ok(())
}

#[test]
fn recorded_images_equal_those_of_a_run_that_crashed() {
    let recorded = SimDisk::recording(9);
    workload(&recorded, 4).unwrap();
    let kinds = || ImageKind::MACHINE.into_iter().chain([ImageKind::Process]);
    let mut different = BTreeSet::new();
    for operations in 0..=recorded.operations() {
        let crashed = SimDisk::new(9);
        crashed.crash_after(operations + 1);
        assert_eq!(workload(&crashed, 4).is_err(), operations < recorded.operations());
        assert_eq!(crashed.operations(), operations);
        // Losing pages is no operation: a recorded boundary has seen it, the crashed run as well.
        for (seed, kind) in (0..).zip(kinds()) {
            let image = recorded.image_at(operations, kind, seed).unwrap();
            let dumped = dump(&image);
            assert_eq!(dumped, dump(&crashed.crash(kind, seed)), "{operations} {kind:?}");
            let twice = dump(&image.crash(ImageKind::None, 0));
            if kind == ImageKind::Process {
                assert_eq!(twice, dump(&crashed.crash(ImageKind::None, 0)));
            } else {
                assert_eq!(twice, dumped, "{operations} {kind:?}");
            }
            different.insert(dumped);
        }
    }
    assert!(different.len() > 500, "{}", different.len());
    let boundaries = recorded.boundaries();
    assert!(boundaries.is_sorted() && boundaries.len() > 60);
}

#[test]
fn images_are_disks_of_their_own() {
    let disk = SimDisk::recording(1);
    let f = create(&disk, "f");
    f.write_at(0, b"before").unwrap();
    let _held = disk.lock("lock").unwrap();
    disk.limit_space(1000);
    disk.crash_after(disk.operations() + 1);
    assert!(f.read_at(0, &mut [0]).is_err() && f.sync().is_err());
    let image = after(&disk, ImageKind::All);
    assert_eq!((image.operations(), image.space().unwrap().bytes_total), (0, 1000));
    let _again = image.lock("lock").unwrap();
    let g = image.open_file("f", Access::Update, Caching::Buffered).unwrap();
    g.write_at(0, b"AFTER!").unwrap();
    create(&image, "g");
    assert_eq!(file(&disk, "f").unwrap(), b"before");
    assert_eq!(file(&image, "f").unwrap(), b"AFTER!");
    assert_ne!(disk.identity_of(1), image.identity("g").unwrap(), "inodes are not given twice");
    assert_eq!(disk.identity_of(1), image.identity("f").unwrap());
    assert!(image.image_at(0, ImageKind::All, 0).is_none(), "nothing is recorded");
    image.record();
    assert!(image.image_at(0, ImageKind::All, 0).is_none(), "recorded from here on only");
    let operations = image.operations();
    assert_eq!(dump(&image.image_at(operations, ImageKind::All, 0).unwrap()), dump(&image));
}

#[test]
fn limits_hold() {
    let disk = SimDisk::new(1);
    let f = create(&disk, "f");
    f.set_len(SIM_FILE_LEN_MAX).unwrap();
    assert_eq!(
        f.set_len(SIM_FILE_LEN_MAX + 1).unwrap_err().source.kind(),
        io::ErrorKind::FileTooLarge
    );
    assert!(f.write_at(SIM_FILE_LEN_MAX, b"x").is_err() && f.write_at(u64::MAX, b"x").is_err());
    f.set_len(0).unwrap();
    disk.limit_space(100);
    f.write_at(0, &[1; 100]).unwrap();
    assert_eq!(disk.space().unwrap(), Space { bytes_free: 0, bytes_total: 100 });
    let full = f.write_at(1, &[2; 100]).unwrap_err();
    assert_eq!(full.source.kind(), io::ErrorKind::StorageFull);
    f.write_at(0, &[2; 100]).unwrap();
    disk.remove("f").unwrap();
    create(&disk, "g").write_at(0, &[1; 100]).unwrap();
}

#[test]
fn a_failed_sync_loses_what_later_syncs_do_not_save() {
    let cases = [
        (AfterFailedSync::CleanNew, "NEW", "old"),
        (AfterFailedSync::CleanOld, "old", "old"),
        (AfterFailedSync::StillDirty, "NEW", "NEW"),
    ];
    for (model, seen, durable) in cases {
        let disk = SimDisk::new(1);
        let f = create(&disk, "f");
        f.write_at(0, b"old").unwrap();
        f.sync().unwrap();
        disk.sync_dir("").unwrap();
        f.write_at(0, b"NEW").unwrap();
        f.write_at(3, b"+").unwrap();
        f.lose_unsynced(model);
        let visible = file(&disk, "f").unwrap();
        assert_eq!(visible.len(), 4, "the length is not in a page");
        assert_eq!(&visible[..3], seen.as_bytes(), "{model:?}");
        assert_eq!(dump(&after(&disk, ImageKind::Process)), dump(&disk));
        f.sync().unwrap();
        let image = after(&disk, ImageKind::None);
        assert_eq!(&file(&image, "f").unwrap()[..3], durable.as_bytes(), "{model:?}");
        assert_eq!(&file(&after(&disk, ImageKind::All), "f").unwrap()[..3], durable.as_bytes());
        f.write_at(5, b"later").unwrap();
        f.sync().unwrap();
        let image = file(&after(&disk, ImageKind::None), "f").unwrap();
        assert_eq!((&image[..3], &image[5..]), (durable.as_bytes(), &b"later"[..]));
    }
}

#[test]
fn a_failed_folder_sync_loses_entries() {
    let disk = SimDisk::new(1);
    create(&disk, "f");
    disk.lose_entries("", AfterFailedSync::StillDirty);
    assert!(file(&after(&disk, ImageKind::All), "f").is_some());
    disk.lose_entries("", AfterFailedSync::CleanNew);
    disk.sync_dir("").unwrap();
    assert!(file(&disk, "f").is_some());
    assert!(file(&after(&disk, ImageKind::Process), "f").is_some());
    assert!(file(&after(&disk, ImageKind::All), "f").is_none());
    assert!(file(&after(&after(&disk, ImageKind::Process), ImageKind::All), "f").is_none());
}

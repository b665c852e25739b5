//! The power goes at every moment of a change of passphrase: the old or the new one opens the key
//! file, and it is the same identity.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crypt::key_file::{self, Argon2Cost, Source};
use crypt::{CryptError, Root, SeededRandom};
use ouroborosdb::{Clock, KeyPlace, Passphrase};
use store::disk::{Access, Caching, Disk};
use store::sim_disk::{ImageKind, SimDisk};

const NAME: &str = "identity.key";
const KINDS: [ImageKind; 8] = [
    ImageKind::Process,
    ImageKind::None,
    ImageKind::All,
    ImageKind::Prefix,
    ImageKind::ByteSubset,
    ImageKind::Reorder,
    ImageKind::SizeWithoutData,
    ImageKind::LostDirEntry,
];

/// Each look is a second later, so that calibration ends at once.
struct HastyClock(AtomicU64);

impl Clock for HastyClock {
    fn now_ns(&self) -> u64 {
        self.0.fetch_add(1_000_000_000, Ordering::Relaxed)
    }

    fn sleep(&self, _: Duration) {
        panic!("nobody else has this disk");
    }
}

fn place(disk: &SimDisk) -> KeyPlace {
    KeyPlace { disk: Arc::new(disk.clone()), name: NAME.to_owned(), path: NAME.to_owned() }
}

fn rekey(disk: &SimDisk, old: Option<&str>, new: Option<&str>) -> Result<(), ouroborosdb::Error> {
    let (old, new) = (old.map(Passphrase::from), new.map(Passphrase::from));
    let clock = HastyClock(AtomicU64::new(0));
    place(disk).rekey(old.as_ref(), new.as_ref(), &SeededRandom::new(2), &clock)
}

fn bytes(disk: &SimDisk) -> Vec<u8> {
    let file = disk.open(NAME, Access::Read, Caching::Buffered).unwrap();
    let mut bytes = vec![0; 4096];
    let len = file.read_at(0, &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

fn disk_with_key(passphrase: Option<&str>) -> SimDisk {
    let disk = SimDisk::new(1);
    let source = passphrase.map_or(Source::LocalFile, Source::Passphrase);
    let cost = Argon2Cost::new(key_file::MEMORY_KIB_MIN, 1, 1).unwrap();
    let written = key_file::write(&Root::from_bytes([7; 32]), &source, &SeededRandom::new(1), cost);
    let file = disk.open(NAME, Access::Create, Caching::Buffered).unwrap();
    file.write_at(0, &written).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    disk
}

#[test]
fn the_old_or_the_new_passphrase_opens_after_a_crash_at_any_moment() {
    for (old, new) in [(None, Some("new")), (Some("old"), Some("new")), (Some("old"), None)] {
        let disk = disk_with_key(old);
        let before = bytes(&disk);
        disk.record();
        rekey(&disk, old, new).unwrap();
        let after = bytes(&disk);
        assert_ne!(before, after);
        assert_eq!(*key_file::open(&after, new).unwrap().expose(), [7; 32]);
        let boundaries = disk.boundaries();
        assert!(boundaries.len() > 3, "{}", boundaries.len());
        let mut seen = [0, 0];
        for (seed, boundary) in (0u64..).zip(boundaries) {
            for kind in KINDS {
                for seed in [seed, seed + 100, seed + 200] {
                    let image = disk.image_at(boundary, kind, seed).unwrap();
                    let found = bytes(&image);
                    assert!(found == before || found == after, "{boundary} {kind:?} {seed}");
                    seen[usize::from(found == after)] += 1;
                }
            }
        }
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }
}

#[test]
fn a_failure_at_any_operation_leaves_the_old_or_the_new() {
    let disk = disk_with_key(None);
    let before = bytes(&disk);
    let whole = disk.crash(ImageKind::All, 0);
    rekey(&whole, None, Some("new")).unwrap();
    for operation in 1..=whole.operations() {
        let image = disk.crash(ImageKind::All, operation);
        image.crash_after(operation);
        let changed = rekey(&image, None, Some("new"));
        let found = bytes(&image.crash(ImageKind::Process, 1));
        let is_old = found == before;
        assert!(is_old || key_file::open(&found, Some("new")).is_ok(), "{operation}");
        assert!(changed.is_err() || !is_old, "{operation}: said to be done");
        // What the failure left behind is in nobody's way.
        let again = image.crash(ImageKind::Process, 2);
        rekey(&again, (!is_old).then_some("new"), None).unwrap();
        assert!(key_file::open(&bytes(&again), None).is_ok(), "{operation}");
    }
}

#[test]
fn a_wrong_passphrase_changes_nothing() {
    let disk = disk_with_key(Some("old"));
    let before = bytes(&disk);
    for old in [None, Some("wrong")] {
        let refused = rekey(&disk, old, Some("new")).unwrap_err();
        let wanted =
            if old.is_none() { CryptError::PassphraseNeeded } else { CryptError::WrongPassphrase };
        assert!(matches!(refused, ouroborosdb::Error::Crypt(error) if error == wanted));
        assert_eq!(bytes(&disk), before);
    }
}

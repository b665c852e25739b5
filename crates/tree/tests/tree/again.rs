//! Putting a tree again: what is unchanged is not read, what is gone is deleted.

use model::FileTime;
use tree::{Effect, FaultyFiles, Problem};
use tree::{Events, FileOperation, PutOptions, SystemFiles, Transfer, Unwatched};

use crate::ground::{Ground, counter, look, noise, set_modified};
use crate::round_trip::hard_tree;

#[test]
fn an_unchanged_tree_makes_nothing_and_reads_nothing() {
    let ground = Ground::new();
    hard_tree(&ground);
    let first = ground.put();
    let puts = ground.session.puts();
    let reads = counter();
    let seen = reads.clone();
    let count = Effect::Run(Box::new(move || {
        seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }));
    let files = FaultyFiles::new(SystemFiles).on(FileOperation::Read, "", 0..u64::MAX, count);
    let second = ground.put_with(&files, PutOptions::default());
    assert_eq!((second.hash, second.is_new), (first.hash, false));
    assert_eq!((second.files, second.skipped), (first.files, first.files));
    assert_eq!((second.folders, second.symlinks), (first.folders, first.symlinks));
    assert_eq!(ground.session.puts(), puts);
    assert_eq!(reads.load(std::sync::atomic::Ordering::SeqCst), 0);
    let forced = ground.put_with(&SystemFiles, PutOptions { force: true, ..PutOptions::default() });
    assert_eq!((forced.hash, forced.skipped), (first.hash, 0));
    ground.session.forget_cache();
    assert_eq!(ground.put().hash, first.hash);
    assert_eq!(ground.session.puts(), puts);
}

#[test]
fn a_changed_file_is_read_even_when_its_length_and_time_are_kept() {
    let ground = Ground::new();
    ground.write("f", "one");
    set_modified(&ground.src.join("f"), 5, 5);
    ground.put();
    // The system's own time of change must be later, whatever its resolution.
    std::thread::sleep(std::time::Duration::from_millis(20));
    ground.write("f", "two");
    set_modified(&ground.src.join("f"), 5, 5);
    assert_eq!(ground.put().skipped, 0);
    ground.get();
    assert_eq!(std::fs::read(ground.dest.join("f")).unwrap(), b"two");
}

#[test]
fn what_changed_less_than_two_seconds_ago_is_not_trusted() {
    let ground = Ground::new();
    ground.write("f", "one");
    let modified = std::fs::metadata(ground.src.join("f")).unwrap();
    let seconds = std::os::unix::fs::MetadataExt::ctime(&modified);
    for (age, skipped) in [(1, 0), (1, 0), (4, 0), (4, 1)] {
        let clock = move || FileTime { seconds: seconds + age, nanos: 0 };
        let transfer = Transfer {
            session: &ground.session,
            files: &SystemFiles,
            events: &Unwatched,
            clock: &clock,
            threads: 1,
        };
        let put = transfer.put_tree(&ground.put_request(PutOptions::default())).unwrap();
        assert_eq!(put.skipped, skipped, "after {age} s");
    }
}

#[test]
fn paths_that_are_gone_get_tombstones() {
    let ground = Ground::new();
    ground.write("stays", "x");
    ground.write("goes", "x");
    ground.write("folder/goes too", "x");
    ground.put();
    std::fs::remove_file(ground.src.join("goes")).unwrap();
    std::fs::remove_dir_all(ground.src.join("folder")).unwrap();
    let kept =
        ground.put_with(&SystemFiles, PutOptions { keep_missing: true, ..PutOptions::default() });
    assert_eq!(kept.tombstones, 0);
    assert!(ground.session.live().contains(&"t/goes".to_owned()));
    let put = ground.put();
    assert_eq!(
        (put.tombstones, put.is_new),
        (3, true),
        "the group is closed though the root is as before"
    );
    assert_eq!(ground.session.live(), ["t", "t/stays"]);
    ground.write("goes", "x");
    ground.put();
    assert_eq!(ground.session.live(), ["t", "t/goes", "t/stays"]);
}

#[test]
fn below_a_folder_that_cannot_be_read_nothing_is_deleted() {
    let ground = Ground::new();
    ground.write("closed/one", "x");
    ground.write("closed/deep/two", "x");
    ground.write("closed by name", "x");
    ground.put();
    std::fs::remove_file(ground.src.join("closed by name")).unwrap();
    let denied = Effect::Fail(std::io::ErrorKind::PermissionDenied);
    let files =
        FaultyFiles::new(SystemFiles).on(FileOperation::OpenFolder, "closed", 0..99, denied);
    let put = ground.put_with(&files, PutOptions::default());
    assert_eq!(put.tombstones, 1);
    assert!(
        matches!(put.failed.as_slice(), [one] if matches!(one.problem, Problem::Unreadable(_)))
    );
    let live = ground.session.live();
    assert_eq!(live, ["t", "t/closed", "t/closed/deep", "t/closed/deep/two", "t/closed/one"]);
}

#[test]
fn a_name_that_was_deleted_or_replaced_by_hand_is_put_again() {
    let ground = Ground::new();
    ground.write("f", noise(6000, 1));
    ground.put();
    let name = model::Name::new("t/f").unwrap();
    ouroborosdb::Session::delete(&ground.session, &name, &ouroborosdb::PutRequest::default())
        .unwrap();
    assert_eq!(ground.session.live(), ["t"]);
    assert_eq!(ground.put().skipped, 0);
    assert_eq!(ground.session.live(), ["t", "t/f"]);
    assert!(!ground.session.head("t/f").is_tombstone);
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    let ground = Ground::new();
    hard_tree(&ground);
    let dry = PutOptions { dry_run: true, ..PutOptions::default() };
    let planned = ground.put_with(&SystemFiles, dry.clone());
    assert_eq!(ground.session.puts(), 0);
    let done = ground.put();
    assert_eq!(
        (planned.files, planned.folders, planned.symlinks, planned.bytes_read),
        (done.files, done.folders, done.symlinks, done.bytes_read)
    );
    std::fs::remove_file(ground.src.join("many/0001")).unwrap();
    let puts = ground.session.puts();
    assert_eq!(ground.put_with(&SystemFiles, dry).tombstones, 1);
    assert_eq!(ground.session.puts(), puts);
    ground.put();
    let request = tree::GetTree { dry_run: true, ..ground.get_request() };
    let planned = ground.transfer(&SystemFiles, &Unwatched).get_tree(&request).unwrap();
    assert!(!ground.dest.exists());
    let got = ground.get();
    assert_eq!(
        (planned.files, planned.folders, planned.symlinks),
        (got.files, got.folders, got.symlinks)
    );
    assert_eq!((planned.links, planned.bytes_written), (got.links, got.bytes_written));
    assert!(look(&ground.dest).len() > 500);
}

#[test]
fn the_bytes_reported_are_the_bytes_announced() {
    #[derive(Default)]
    struct Sum(std::sync::atomic::AtomicU64, std::sync::atomic::AtomicU64);
    impl Events for Sum {
        fn on_totals(&self, _: u64, bytes: u64) {
            self.0.store(bytes, std::sync::atomic::Ordering::SeqCst);
        }
        fn on_bytes(&self, bytes: u64) {
            self.1.fetch_add(bytes, std::sync::atomic::Ordering::SeqCst);
        }
    }
    impl Sum {
        fn is_even(&self) -> bool {
            self.0.load(std::sync::atomic::Ordering::SeqCst)
                == self.1.load(std::sync::atomic::Ordering::SeqCst)
        }
    }
    let ground = Ground::new();
    hard_tree(&ground);
    for _ in 0..2 {
        let sum = Sum::default();
        let request = ground.put_request(PutOptions::default());
        ground.transfer(&SystemFiles, &sum).put_tree(&request).unwrap();
        assert!(sum.is_even());
    }
    for _ in 0..2 {
        let sum = Sum::default();
        ground.transfer(&SystemFiles, &sum).get_tree(&ground.get_request()).unwrap();
        assert!(sum.is_even());
    }
}

//! A transfer that was stopped goes on where it was.

use tree::{Events, PutOptions, SystemFiles, Unwatched};

use crate::ground::{Ground, StopAfter, assert_same, is_interrupted, noise};
use crate::round_trip::hard_tree;

#[test]
fn an_interrupted_put_shows_nothing_and_goes_on() {
    let ground = Ground::new();
    hard_tree(&ground);
    let request = ground.put_request(PutOptions::default());
    let stop = StopAfter::new(200);
    let result = ground.transfer(&SystemFiles, &stop).put_tree(&request);
    assert!(is_interrupted(&result), "{result:?}");
    assert!(ground.session.live().is_empty(), "nothing is visible before the root is");
    let put = ground.put();
    assert!(put.is_complete() && put.skipped > 50, "{put:?}");
    for name in ground.session.live() {
        ground.session.head(&name);
    }
    ground.get();
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn a_file_that_changed_between_two_tries_has_one_head() {
    let ground = Ground::new();
    (0..200u64).for_each(|n| ground.write(&format!("{n:03}"), noise(500, n)));
    let request = ground.put_request(PutOptions::default());
    let stop = StopAfter::new(100);
    assert!(is_interrupted(&ground.transfer(&SystemFiles, &stop).put_tree(&request)));
    (0..200u64).for_each(|n| ground.write(&format!("{n:03}"), noise(600, n)));
    ground.put();
    for name in ground.session.live() {
        ground.session.head(&name);
    }
    ground.get();
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn an_interrupted_get_goes_on() {
    let ground = Ground::new();
    hard_tree(&ground);
    ground.put();
    let stop = StopAfter::new(200);
    let result = ground.transfer(&SystemFiles, &stop).get_tree(&ground.get_request());
    assert!(is_interrupted(&result), "{result:?}");
    let got = ground.get();
    assert!(got.failed.is_empty() && got.skipped > 50, "{got:?}");
    assert_same(&ground.src, &ground.dest);
    let again = ground.get();
    assert!(again.failed.is_empty(), "{again:?}");
    assert_eq!(again.bytes_written, 0);
    assert_same(&ground.src, &ground.dest);
}

/// Dies after some items, as a process would.
struct DieAfter(std::sync::atomic::AtomicU64);

impl Events for DieAfter {
    fn on_finished(&self, _: &[u8], _: model::Kind, _: tree::Outcome) {
        let before = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        assert!(before < 100, "died on purpose");
    }
}

#[test]
fn after_a_crash_every_name_has_one_head() {
    let ground = Ground::new();
    (0..200u64).for_each(|n| ground.write(&format!("{n:03}"), noise(500, n)));
    let request = ground.put_request(PutOptions::default());
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ground.transfer(&SystemFiles, &DieAfter(0.into())).put_tree(&request)
    }));
    assert!(died.is_err());
    assert!(ground.session.puts() > 90 && ground.session.live().is_empty());
    let put = ground.put();
    assert!(put.is_complete());
    for name in ground.session.live() {
        ground.session.head(&name);
    }
    ground.get();
    assert_same(&ground.src, &ground.dest);
    assert_eq!(ground.put().skipped, 200);
}

/// Stops once so many bytes were written.
struct StopAtByte(std::sync::atomic::AtomicU64);

impl Events for StopAtByte {
    fn on_bytes(&self, bytes: u64) {
        let order = std::sync::atomic::Ordering::SeqCst;
        let _ = self.0.fetch_update(order, order, |left| Some(left.saturating_sub(bytes)));
    }

    fn is_interrupted(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::SeqCst) == 0
    }
}

#[test]
fn a_part_is_verified_and_continued() {
    let ground = Ground::new();
    ground.write("large", noise(2_000_000, 1));
    ground.put();
    let part = ground.dest.join(".large.ouro-part");
    let stop = StopAtByte(1_000_000.into());
    let result = ground.transfer(&SystemFiles, &stop).get_tree(&ground.get_request());
    assert!(is_interrupted(&result));
    let len = std::fs::metadata(&part).unwrap().len();
    assert!((1_000_000..2_000_000).contains(&len));
    let got = ground.get();
    assert_eq!((got.bytes_continued, got.bytes_written), (len, 2_000_000 - len));
    assert_same(&ground.src, &ground.dest);
    assert!(!part.exists());
}

#[test]
fn a_part_that_is_wrong_is_written_anew_from_there() {
    let ground = Ground::new();
    ground.write("large", noise(2_000_000, 1));
    ground.put();
    std::fs::create_dir(&ground.dest).unwrap();
    let mut wrong = noise(3_000_000, 1);
    wrong[500_000] ^= 1;
    std::fs::write(ground.dest.join(".large.ouro-part"), wrong).unwrap();
    let got = ground.get();
    assert!(got.bytes_continued > 400_000 && got.bytes_continued <= 500_000, "{got:?}");
    assert_same(&ground.src, &ground.dest);
}

#[test]
fn one_thread_and_many_make_the_same_root() {
    let ground = Ground::new();
    hard_tree(&ground);
    let mut transfer = ground.transfer(&SystemFiles, &Unwatched);
    transfer.threads = 1;
    let one = transfer.put_tree(&ground.put_request(PutOptions::default())).unwrap();
    let options = PutOptions { force: true, ..PutOptions::default() };
    transfer.threads = 8;
    let many = transfer.put_tree(&ground.put_request(options)).unwrap();
    assert_eq!((one.hash, many.is_new), (many.hash, false));
}

//! What goes in comes out, of every length, in every way.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod common;

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Drip, Stream, open, random, read};
use model::{Content, Name};
use ouroborosdb::{Ack, Error, Progress, PutRequest, Session, Silent};

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

fn named(name: &str) -> PutRequest {
    PutRequest { name: Some(Name::new(name).unwrap()), ..PutRequest::default() }
}

#[test]
fn contents_of_every_length_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let lens = [
        0,
        1,
        4096,
        4097,
        64 * KIB - 1,
        64 * KIB,
        64 * KIB + 1,
        MIB - 1,
        MIB,
        MIB + 1,
        4 * MIB,
        20 * MIB,
    ];
    for len in lens {
        let bytes = random(len as u64, len);
        let version = db.put(&format!("len/{len}"), bytes.as_slice()).unwrap();
        assert_eq!(version.vertex.content.len(), len as u64);
        assert_eq!(matches!(version.vertex.content, Content::Inline(_)), len <= 4096);
        assert!(read(&db, &format!("len/{len}")) == bytes, "{len}");
    }
    db.flush().unwrap();
    for len in lens {
        assert!(read(&db, &format!("len/{len}")) == random(len as u64, len), "{len} packed");
    }
}

#[test]
fn read_sizes_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    for len in [100 * KIB, 9 * MIB + 77] {
        let bytes = random(9, len);
        let whole = db.put("whole", bytes.as_slice()).unwrap();
        let drip = db.put("drip", Drip(&bytes, 1)).unwrap();
        assert_eq!(whole.vertex.content, drip.vertex.content);
    }
}

#[test]
fn one_thread_makes_what_many_make() {
    let bytes = random(11, 12 * MIB);
    let folder = tempfile::tempdir().unwrap();
    let many = open(folder.path()).put("many", bytes.as_slice()).unwrap();
    let alone = ouroborosdb::Options { threads: 1, ..common::options() };
    let db = ouroborosdb::Database::open(folder.path(), alone).unwrap();
    let put = Session::put(&db, &named("alone"), &mut bytes.as_slice(), &Silent).unwrap();
    assert_eq!(db.vertex(&put.hash).unwrap().content, many.vertex.content);
    assert!(put.bytes_stored < 4096, "all chunks were known: {put:?}");
    assert!(read(&db, "alone") == bytes);
}

#[test]
fn a_stream_of_100_megabytes_comes_back() {
    const LEN: u64 = 100_000_000;
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    db.put("stream", Stream::new(1, LEN)).unwrap();
    let mut content = db.get("stream").unwrap();
    assert_eq!(content.len(), LEN);
    let (mut golden, mut total) = (Stream::new(1, LEN), 0);
    let (mut out, mut expected) = (vec![0; MIB], vec![0; MIB]);
    loop {
        let len = content.read(&mut out).unwrap();
        if len == 0 {
            break;
        }
        golden.read_exact(&mut expected[..len]).unwrap();
        assert!(out[..len] == expected[..len], "at {total}");
        total += len as u64;
    }
    assert_eq!(total, LEN);
}

#[test]
fn seeks_and_ranges_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    for len in [0, 3000, 300 * KIB, 15 * MIB] {
        let bytes = random(5, len);
        db.put("it", bytes.as_slice()).unwrap();
        let mut content = db.get("it").unwrap();
        for i in 0..60u64 {
            let pick = random(i, 16);
            let at = usize::from_le_bytes(pick[..8].try_into().unwrap()) % (len + 1);
            let wanted = usize::from_le_bytes(pick[8..].try_into().unwrap()) % (2 * MIB);
            let end = (at + wanted).min(len);
            let range = db.get_range("it", at as u64, wanted).unwrap();
            assert!(range == bytes[at..end], "{len}: {at} + {wanted}");
            content.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut read = vec![0; end - at];
            content.read_exact(&mut read).unwrap();
            assert!(read == bytes[at..end], "{len}: seek {at}");
        }
        assert_eq!(content.seek(SeekFrom::End(0)).unwrap(), len as u64);
        assert_eq!(content.read(&mut [0; 10]).unwrap(), 0);
        assert!(content.seek(SeekFrom::End(i64::MIN)).is_err());
        let outside = db.get_range("it", len as u64 + 1, 1);
        assert!(matches!(outside, Err(Error::RangeOutside { .. })), "{outside:?}");
    }
}

#[test]
fn the_same_bytes_are_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let bytes = random(3, 8 * MIB);
    let first = Session::put(&db, &named("a"), &mut bytes.as_slice(), &Silent).unwrap();
    let second = Session::put(&db, &named("b"), &mut bytes.as_slice(), &Silent).unwrap();
    assert!(first.bytes_stored > bytes.len() as u64 && first.bytes_new > bytes.len() as u64);
    assert!(second.is_new && second.bytes_stored < 4096, "{second:?}");
    let again = Session::put(&db, &named("b"), &mut bytes.as_slice(), &Silent).unwrap();
    assert_eq!((again.hash, again.is_new, again.bytes_stored), (second.hash, false, 0));
    let zeros = vec![0; 24 * MIB];
    let put = Session::put(&db, &named("zeros"), &mut zeros.as_slice(), &Silent).unwrap();
    assert!(put.bytes_new < 2 * MIB as u64, "one chunk of zeros: {put:?}");
    assert!(read(&db, "zeros") == zeros);
}

#[test]
fn a_dry_run_counts_the_same_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    for len in [10, 5000, 70 * KIB, 3 * MIB] {
        let name = format!("dry/{len}");
        let text: Vec<u8> = random(len as u64, len).iter().map(|byte| byte % 16).collect();
        let dry = PutRequest { dry_run: true, ..named(&name) };
        let dry = Session::put(&db, &dry, &mut text.as_slice(), &Silent).unwrap();
        assert!(db.get(&name).is_err());
        let wet = Session::put(&db, &named(&name), &mut text.as_slice(), &Silent).unwrap();
        let counts = |put: ouroborosdb::Put| (put.bytes_read, put.bytes_new, put.bytes_stored);
        assert_eq!(counts(dry), counts(wet), "{len}");
    }
}

struct StopAt(u64, AtomicU64);

impl Progress for StopAt {
    fn on_progress(&self, done: u64, _: u64) -> bool {
        self.1.store(done, Ordering::Relaxed);
        done < self.0
    }
}

#[test]
fn an_interrupted_put_leaves_nothing_visible_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let bytes = random(8, 30 * MIB);
    let stop = StopAt(20 * MIB as u64, AtomicU64::new(0));
    let put = Session::put(&db, &named("it"), &mut bytes.as_slice(), &stop);
    assert!(matches!(put, Err(Error::Interrupted)), "{put:?}");
    assert!(stop.1.load(Ordering::Relaxed) >= 20 * MIB as u64);
    assert!(matches!(db.get("it"), Err(Error::NameUnknown { .. })));
    let put = Session::put(&db, &named("it"), &mut bytes.as_slice(), &Silent).unwrap();
    assert!(put.bytes_new < 28 * MIB as u64, "what was stored is used: {put:?}");
    assert!(read(&db, "it") == bytes);
}

struct Breaks(usize);

impl Read for Breaks {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = self.0.min(out.len());
        self.0 -= len;
        if len == 0 { Err(io::Error::other("the source broke")) } else { Ok(len) }
    }
}

#[test]
fn a_source_that_breaks_leaves_nothing_visible() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    for len in [0, 10, 5000, 9 * MIB] {
        let put = db.put("it", Breaks(len));
        assert!(matches!(put, Err(Error::Content(_))), "{put:?}");
        assert!(matches!(db.get("it"), Err(Error::NameUnknown { .. })));
    }
}

#[test]
fn metadata_that_could_not_be_read_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut request = named("it");
    request.meta.mode = Some(0o7777);
    Session::put(&db, &request, &mut &b"good"[..], &Silent).unwrap();
    request.meta.mode = Some(0o10000);
    let put = Session::put(&db, &request, &mut &b"bad"[..], &Silent);
    assert!(matches!(put, Err(Error::Argument(_))), "{put:?}");
    request.meta.mode = None;
    request.ack = Ack::Deferred;
    Session::put(&db, &request, &mut &b"deferred"[..], &Silent).unwrap();
    assert_eq!(read(&db, "it"), b"deferred");
}

//! Heads, history, merges, times.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod common;

use common::{open, random, read};
use model::{GroupId, Hlc, Name, VertexHash};
use ouroborosdb::{Ack, At, Database, Error, NamesQuery, Put, PutRequest, Session, Silent};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn named(text: &str) -> PutRequest {
    PutRequest { name: Some(name(text)), ..PutRequest::default() }
}

fn put(db: &Database, request: &PutRequest, bytes: &[u8]) -> Put {
    Session::put(db, request, &mut &*bytes, &Silent).unwrap()
}

#[test]
fn a_put_follows_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let hashes: Vec<VertexHash> =
        (0..5).map(|i| db.put("it", format!("{i}").as_bytes()).unwrap().hash).collect();
    let history = db.history("it").unwrap();
    let newest_first: Vec<VertexHash> = hashes.iter().rev().copied().collect();
    assert_eq!(history.iter().map(|version| version.hash).collect::<Vec<_>>(), newest_first);
    assert_eq!(history.iter().map(|v| v.vertex.depth).collect::<Vec<_>>(), [4, 3, 2, 1, 0]);
    assert!(history.windows(2).all(|pair| pair[0].vertex.hlc > pair[1].vertex.hlc));
    assert_eq!(db.children(&hashes[1]).unwrap(), [hashes[2]]);
    assert!(db.children(&hashes[4]).unwrap().is_empty());
    assert!(matches!(db.children(&VertexHash::new([9; 32])), Err(Error::HashUnknown { .. })));
}

#[test]
fn an_unchanged_put_makes_nothing_until_something_changes() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let bytes = random(1, 200_000);
    let first = put(&db, &named("it"), &bytes);
    let again = put(&db, &named("it"), &bytes);
    assert!(first.is_new && !again.is_new && first.hash == again.hash);
    let mut with_mode = named("it");
    with_mode.meta.mode = Some(0o600);
    let changed = put(&db, &with_mode, &bytes);
    assert!(changed.is_new && changed.hash != first.hash);
    assert_eq!(db.history("it").unwrap().len(), 2);
}

#[test]
fn parents_given_make_concurrent_heads_and_a_merge_joins_them() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let root = put(&db, &named("it"), b"root").hash;
    let branch = PutRequest { parents: vec![root], ..named("it") };
    let left = put(&db, &branch, b"left").hash;
    let right = put(&db, &branch, b"right").hash;
    let heads = db.heads("it").unwrap();
    assert_eq!(heads.len(), 2);
    assert_eq!(heads[0].hash, left.max(right), "of equal depth the greatest hash wins");
    let other = left.min(right);
    let bytes_of_other = if other == left { &b"left"[..] } else { b"right" };
    // An unaware put follows the winner and merges nothing.
    let third = put(&db, &named("it"), b"third").hash;
    assert_eq!(db.vertex(&third).unwrap().parents, [heads[0].hash]);
    assert_eq!(db.heads("it").unwrap().len(), 2);
    assert!(matches!(db.merge("it", &root), Err(Error::HashUnknown { .. })));
    let merged = db.merge("it", &other).unwrap();
    let mut both = vec![other, third];
    both.sort_unstable();
    assert_eq!(merged.vertex.parents, both);
    assert_eq!(db.heads("it").unwrap().len(), 1);
    assert_eq!(read(&db, "it"), bytes_of_other);
    assert_eq!(db.merge("it", &merged.hash).unwrap().hash, merged.hash, "nothing left to merge");
}

#[test]
fn expect_head_refuses_what_moved() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let first = put(&db, &named("it"), b"1").hash;
    let expecting = |hash| PutRequest { expect_head: Some(hash), ..named("it") };
    let second = put(&db, &expecting(first), b"2").hash;
    let refused = Session::put(&db, &expecting(first), &mut &b"3"[..], &Silent);
    match refused {
        Err(Error::HeadMoved { expected, heads }) => {
            assert_eq!((expected, heads), (first, vec![second]));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(read(&db, "it"), b"2");
    let absent = Session::put(
        &db,
        &PutRequest { name: Some(name("new")), ..expecting(first) },
        &mut &b""[..],
        &Silent,
    );
    assert!(matches!(absent, Err(Error::HeadMoved { .. })));
}

#[test]
fn a_deleted_name_is_hidden_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let first = db.put("a/it", &b"1"[..]).unwrap();
    db.put("a/other", &b"2"[..]).unwrap();
    db.delete("a/it").unwrap();
    assert!(matches!(db.get("a/it"), Err(Error::NameUnknown { .. })));
    assert!(matches!(db.delete("a/it"), Err(Error::NameUnknown { .. })));
    assert!(matches!(db.delete("never"), Err(Error::NameUnknown { .. })));
    let live: Vec<String> =
        db.list("a/").map(|entry| entry.unwrap().name.as_str().to_owned()).collect();
    assert_eq!(live, ["a/other"]);
    let query =
        NamesQuery { prefix: "a/".into(), limit: 10, with_deleted: true, ..NamesQuery::default() };
    assert_eq!(db.names(&query).unwrap().len(), 2);
    assert!(db.heads("a/it").unwrap()[0].is_tombstone);
    let back = db.put("a/it", &b"1"[..]).unwrap();
    assert_ne!(back.hash, first.hash);
    assert_eq!((back.vertex.depth, read(&db, "a/it")), (2, b"1".to_vec()));
}

#[test]
fn a_concurrent_write_survives_a_tombstone() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let root = put(&db, &named("it"), b"root").hash;
    db.delete("it").unwrap();
    put(&db, &PutRequest { parents: vec![root], ..named("it") }, b"concurrent");
    let heads = db.heads("it").unwrap();
    assert_eq!((heads.len(), heads[0].is_tombstone), (2, false));
    assert_eq!(read(&db, "it"), b"concurrent");
}

#[test]
fn a_time_shows_how_things_stood() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let first = db.put("it", &b"1"[..]).unwrap();
    let second = db.put("it", &b"2"[..]).unwrap();
    let gone = db.delete("it").unwrap();
    let third = db.put("it", &b"3"[..]).unwrap();
    let at = |version: &ouroborosdb::Version| At::Time(version.vertex.hlc);
    let head = |at: At| Session::heads(&db, &name("it"), at).unwrap()[0].hash;
    for version in [&first, &second, &gone, &third] {
        assert_eq!(head(at(version)), version.hash);
    }
    assert!(matches!(db.get_at("it", at(&gone)), Err(Error::NameUnknown { .. })));
    let before = At::Time(Hlc(first.vertex.hlc.0 - 1));
    assert!(matches!(db.get_at("it", before), Err(Error::NameUnknown { .. })));
    let names = |at: At| {
        let query = NamesQuery { limit: 10, at, ..NamesQuery::default() };
        db.names(&query).unwrap().len()
    };
    assert_eq!([names(before), names(at(&second)), names(at(&gone)), names(At::Now)], [0, 1, 0, 1]);
}

#[test]
fn names_come_in_pages_in_byte_order() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let mut batch = db.batch();
    for i in 0..2500 {
        batch.put(&format!("n/{i:05}"), format!("{i}").as_bytes()).unwrap();
    }
    batch.commit(Ack::Local).unwrap();
    db.delete("n/00000").unwrap();
    let all: Vec<String> = db.list("n/").map(|entry| entry.unwrap().name.to_string()).collect();
    assert_eq!(all.len(), 2499);
    assert!(all.is_sorted());
    let query = NamesQuery { prefix: "n/".into(), limit: 1, ..NamesQuery::default() };
    assert_eq!(db.names(&query).unwrap()[0].name.as_str(), "n/00001", "past the deleted one");
}

#[test]
fn prefixes_of_hashes_resolve() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let hash = db.put("it", &b"1"[..]).unwrap().hash;
    let hex = hash.to_string();
    for len in [8, 9, 20, 63, 64] {
        assert_eq!(db.resolve(&hex[..len]).unwrap(), hash);
    }
    assert!(matches!(db.resolve(&hex[..7]), Err(Error::Argument(_))));
    assert!(matches!(db.resolve("XXXXXXXX"), Err(Error::Argument(_))));
    let other = if hex.starts_with("00000000") { "11111111" } else { "00000000" };
    assert!(matches!(db.resolve(other), Err(Error::HashUnknown { .. })));
    assert!(matches!(db.resolve(&"0".repeat(64)), Err(Error::HashUnknown { .. })));
}

#[test]
fn nameless_versions_form_trees() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let root = put(&db, &PutRequest::default(), b"event").hash;
    let child = put(&db, &PutRequest { parents: vec![root], ..PutRequest::default() }, b"child");
    assert_eq!(db.children(&root).unwrap(), [child.hash]);
    assert_eq!(db.list("").count(), 0);
    let unknown = PutRequest { parents: vec![VertexHash::new([3; 32])], ..PutRequest::default() };
    let refused = Session::put(&db, &unknown, &mut &b""[..], &Silent);
    assert!(matches!(refused, Err(Error::HashUnknown { .. })), "{refused:?}");
}

#[test]
fn a_group_becomes_visible_with_its_last_version() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let group = db.group("source").unwrap();
    assert_eq!(db.group("source").unwrap(), group);
    assert_ne!(db.group("other").unwrap(), group);
    let member = PutRequest { group, ack: Ack::Deferred, ..named("tree/a") };
    let hash = put(&db, &member, b"a").hash;
    db.sync().unwrap();
    assert!(matches!(db.get("tree/a"), Err(Error::NameUnknown { .. })));
    assert!(db.is_usable(&hash, group).unwrap() && !db.is_usable(&hash, GroupId::NONE).unwrap());
    assert_eq!(db.group("source").unwrap(), group, "left open, so used again");
    put(&db, &PutRequest { closes: group, ..named("tree") }, b"root");
    assert_eq!(read(&db, "tree/a"), b"a");
    assert!(db.is_usable(&hash, GroupId::NONE).unwrap());
    assert_ne!(db.group("source").unwrap(), group, "closed, so a new one");
}

#[test]
fn deferred_versions_are_seen_by_who_wrote_them() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let deferred = PutRequest { ack: Ack::Deferred, ..named("it") };
    let first = put(&db, &deferred, b"1");
    assert_eq!(db.vertex(&first.hash).unwrap().depth, 0);
    let second = put(&db, &deferred, b"2");
    assert_eq!(db.vertex(&second.hash).unwrap().parents, [first.hash]);
    assert_eq!(read(&db, "it"), b"2");
}

//! Two people and one folder: what is shared is read, what is not is refused, what was taken back stays
//! back.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod common;

use std::path::{Path, PathBuf};

use common::{options, random, read};
use crypt::{PublicIdentity, Rights};
use ouroborosdb::{Database, Error, ErrorClass, HOME, Options, Scopes, Silent, unlock_identity};

struct People {
    folder: tempfile::TempDir,
}

impl People {
    /// Alice's store; Bob has a key and nothing else.
    fn new() -> Self {
        let people = Self { folder: tempfile::tempdir().unwrap() };
        drop(people.alice());
        let elsewhere = people.folder.path().join("elsewhere");
        drop(Database::open(elsewhere, people.as_bob()).unwrap());
        people
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn as_bob(&self) -> Options {
        Options { identity: Some(self.folder.path().join("bob.key")), ..options() }
    }

    fn alice(&self) -> Database {
        Database::open(self.data(), options()).unwrap()
    }

    fn bob(&self) -> Result<Database, Error> {
        Database::open(self.data(), self.as_bob())
    }

    fn scopes(&self) -> Scopes {
        Scopes::open(self.data(), &options()).unwrap()
    }

    fn bob_public(&self) -> PublicIdentity {
        unlock_identity(&self.folder.path().join("bob.key"), None).unwrap().public().clone()
    }

    fn share(&self, rights: Rights) {
        let shared = self.scopes().share(HOME, &self.bob_public(), rights, Some("Bob")).unwrap();
        assert_eq!(shared.member.name.as_deref(), Some("Bob"));
    }
}

const BOTH: Rights = Rights::READER.and(Rights::WRITER);

fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    result.unwrap_err().class() == ErrorClass::Refused
}

#[test]
fn who_is_no_member_reads_nothing() {
    let people = People::new();
    people.alice().put("secret", &b"1"[..]).unwrap();
    assert!(matches!(people.bob(), Err(Error::NoScope)));
    assert!(refused(people.bob()));
    assert_eq!(Scopes::open(people.data(), &people.as_bob()).unwrap().list().unwrap(), []);
}

#[test]
fn what_is_shared_is_read_and_written_by_both_in_turn() {
    let people = People::new();
    let big = random(1, 3_000_000);
    people.alice().put("a", &big[..]).unwrap();
    people.share(BOTH);
    for round in 0..3 {
        let bob = people.bob().unwrap();
        assert_eq!(read(&bob, "a"), big);
        bob.put(&format!("b{round}"), &b"of bob"[..]).unwrap();
        let stored = bob.stats().unwrap().bytes_stored;
        bob.put(&format!("copy{round}"), &big[..]).unwrap();
        assert!(bob.stats().unwrap().bytes_stored < stored + 100_000, "one deduplicates the other");
        bob.close().unwrap();
        let alice = people.alice();
        assert_eq!(read(&alice, &format!("b{round}")), b"of bob");
        let history = alice.history(&format!("b{round}")).unwrap();
        assert_eq!(history[0].vertex.author, people.bob_public().user_id());
        alice.put(&format!("a{round}"), &b"of alice"[..]).unwrap();
    }
}

#[test]
fn a_reader_reads_and_does_not_write() {
    let people = People::new();
    people.alice().put("a", &b"1"[..]).unwrap();
    people.share(Rights::READER);
    let bob = people.bob().unwrap();
    assert_eq!(read(&bob, "a"), b"1");
    assert!(matches!(bob.put("b", &b"2"[..]), Err(Error::NotAllowed { what: "write", .. })));
    assert!(refused(bob.delete("a")));
    let mut batch = bob.batch();
    assert!(batch.put("c", &b"3"[..]).is_err() || refused(batch.commit(ouroborosdb::Ack::Local)));
    assert!(refused(bob.reseal(&Silent)));
    drop(bob);
    let mut scopes = Scopes::open(people.data(), &people.as_bob()).unwrap();
    assert!(refused(scopes.share(HOME, &people.bob_public(), Rights::ALL, None)));
    assert!(refused(scopes.revoke(HOME, "Bob")));
    assert!(refused(scopes.rotate(HOME)));
}

#[test]
fn who_was_removed_keeps_the_past_and_gets_nothing_new() {
    let people = People::new();
    people.alice().put("old", &b"before"[..]).unwrap();
    people.share(BOTH);
    people.bob().unwrap().put("theirs", &b"of bob"[..]).unwrap();
    assert!(matches!(people.scopes().revoke(HOME, "Carol"), Err(Error::MemberUnknown { .. })));
    let removed = people.scopes().revoke(HOME, "Bob").unwrap();
    assert_eq!(removed.user, people.bob_public().user_id());
    let alice = people.alice();
    alice.put("new", &b"after"[..]).unwrap();
    alice.put("old", &b"changed"[..]).unwrap();
    alice.flush().unwrap();
    drop(alice);
    let bob = people.bob().unwrap();
    assert_eq!((read(&bob, "old"), read(&bob, "theirs")), (b"before".to_vec(), b"of bob".to_vec()));
    assert!(matches!(bob.get("new"), Err(Error::NameUnknown { .. })));
    assert!(refused(bob.put("more", &b"x"[..])));
    drop(bob);
    // Sealed anew, nothing of it opens for Bob; for Alice all is as it was.
    let alice = people.alice();
    let ids: Vec<_> = alice.history("old").unwrap().iter().map(|version| version.hash).collect();
    let report = alice.reseal(&Silent).unwrap();
    assert!(report.is_complete && report.blocks > 0 && report.blocks_left == 0, "{report:?}");
    drop(alice);
    let bob = people.bob().unwrap();
    for name in ["old", "theirs", "new"] {
        assert!(bob.get(name).is_err(), "{name}");
    }
    drop(bob);
    let alice = people.alice();
    let again: Vec<_> = alice.history("old").unwrap().iter().map(|version| version.hash).collect();
    assert_eq!(again, ids, "versions keep their hashes");
    let mut text = String::new();
    let mut content = alice.open_content(&ids[1]).unwrap();
    std::io::Read::read_to_string(&mut content, &mut text).unwrap();
    assert_eq!(text, "before");
    assert_eq!(read(&alice, "theirs"), b"of bob");
    let check = ouroborosdb::CheckRequest { deep: true, rebuild: true };
    assert_eq!(alice.check(&check).unwrap().findings, []);
    assert_eq!(read(&alice, "new"), b"after");
}

#[test]
fn who_is_taken_back_reads_what_it_missed() {
    let people = People::new();
    people.share(Rights::READER);
    people.scopes().revoke(HOME, &people.bob_public().user_id().to_string()).unwrap();
    people.alice().put("missed", &b"1"[..]).unwrap();
    assert!(people.bob().unwrap().get("missed").is_err());
    people.share(BOTH);
    let bob = people.bob().unwrap();
    assert_eq!(read(&bob, "missed"), b"1");
    bob.put("own", &b"2"[..]).unwrap();
}

#[test]
fn scopes_are_apart() {
    let people = People::new();
    people.alice().put("x", &b"home"[..]).unwrap();
    people.scopes().create("work").unwrap();
    assert!(matches!(people.scopes().create("work"), Err(Error::ScopeAmbiguous { .. })));
    assert!(people.scopes().create("a//b").is_err());
    let at_work = Options { scope: "work".to_owned(), ..options() };
    let work = Database::open(people.data(), at_work.clone()).unwrap();
    assert!(matches!(work.get("x"), Err(Error::NameUnknown { .. })));
    work.put("x", &b"work"[..]).unwrap();
    drop(work);
    assert_eq!(read(&people.alice(), "x"), b"home");
    assert_eq!(read(&Database::open(people.data(), at_work).unwrap(), "x"), b"work");
    people.scopes().share("work", &people.bob_public(), Rights::READER, None).unwrap();
    // Bob knows one scope here; that of the default name is not his.
    assert!(matches!(people.bob(), Err(Error::ScopeUnknown { .. })));
    let work = Options { scope: "work".to_owned(), ..people.as_bob() };
    assert_eq!(read(&Database::open(people.data(), work).unwrap(), "x"), b"work");
    let entries = people.scopes().list().unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, [HOME, "work"]);
    let id = entries[1].id.to_string();
    let by_id = Options { scope: id[..10].to_owned(), ..options() };
    assert_eq!(read(&Database::open(people.data(), by_id).unwrap(), "x"), b"work");
}

#[test]
fn rotating_gives_new_keys_and_keeps_everything_readable() {
    let people = People::new();
    people.alice().put("a", &random(5, 400_000)[..]).unwrap();
    let first = people.scopes().rotate(HOME).unwrap();
    assert_ne!(people.scopes().rotate(HOME).unwrap(), first);
    let alice = people.alice();
    assert_eq!(read(&alice, "a"), random(5, 400_000));
    alice.put("b", &b"x"[..]).unwrap();
    drop(alice);
    assert_eq!(people.scopes().list().unwrap()[0].epoch_count, 3);
    assert!(refused(people.scopes().revoke(HOME, &alice_id(&people.data()))), "the last admin");
}

fn alice_id(data: &Path) -> String {
    unlock_identity(&data.join("identity.key"), None).unwrap().user_id().to_string()
}

#[test]
fn sharing_costs_no_more_than_it_should() {
    let people = People::new();
    let member = people.bob_public();
    let shared = people.scopes().share(HOME, &member, Rights::READER, None).unwrap();
    assert_eq!(shared.grants, 1);
    // A membership record with its keys and signature once; per epoch one wrap.
    assert!(shared.bytes_written < 9_000 + 2_000, "{}", shared.bytes_written);
    let again = people.scopes().share(HOME, &member, Rights::READER, None).unwrap();
    assert_eq!((again.grants, again.bytes_written), (0, 0));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the damage is done behind the store's back")]
fn a_removal_that_was_taken_away_is_missed() {
    let people = People::new();
    people.share(BOTH);
    people.alice().put("old", &b"1"[..]).unwrap();
    let records = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(people.data().join("records")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let before = records();
    people.scopes().revoke(HOME, "Bob").unwrap();
    let alice = people.alice();
    alice.put("new", &b"2"[..]).unwrap();
    alice.flush().unwrap();
    drop(alice);
    let is_new = |path: &&PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        !before.contains(path) && (name.starts_with("member-") || name.starts_with("epoch-"))
    };
    let added = records();
    for path in added.iter().filter(is_new) {
        let kept = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let refused = Database::open(people.data(), options()).unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Corrupt, "{}: {refused:?}", path.display());
        std::fs::write(path, kept).unwrap();
    }
    assert_eq!(added.iter().filter(is_new).count(), 2);
    assert_eq!(read(&people.alice(), "new"), b"2");
}

#[test]
fn a_scope_that_was_half_made_is_none_and_blocks_no_other() {
    let people = People::new();
    people.alice().put("a", &b"1"[..]).unwrap();
    let id = people.scopes().create("work").unwrap();
    let genesis = people.data().join("records").join(format!("genesis-{id}"));
    let aside = people.data().join("genesis-aside");
    #[expect(clippy::disallowed_methods, reason = "what a crash would have left")]
    let rename = |from: &Path, to: &Path| std::fs::rename(from, to).unwrap();
    rename(&genesis, &aside);
    assert_eq!(read(&people.alice(), "a"), b"1");
    assert_eq!(people.scopes().list().unwrap().len(), 1);
    rename(&aside, &genesis);
    assert_eq!(people.scopes().list().unwrap().len(), 2);
}

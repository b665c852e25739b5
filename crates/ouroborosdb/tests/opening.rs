//! First use, keys, and everything that can be wrong with a folder.
#![expect(clippy::disallowed_methods, reason = "the damage is done behind the store's back")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::{open, options, read};
use ouroborosdb::{
    Database, Error, ErrorClass, KEY_FILE, KeyFileKind, KeyFileProblem, Options, Passphrase, rekey,
};
use store::StoreError;

fn reopened(path: &Path, options: Options) -> Result<Database, Error> {
    Database::open(path, options)
}

fn with_passphrase(text: &str) -> Options {
    Options { passphrase: Some(Passphrase::from(text)), ..options() }
}

#[test]
fn first_use_makes_everything_and_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b/data");
    let db = open(&data);
    let created = db.created().unwrap().clone();
    assert_eq!(created.key_file.as_deref(), Some(&*data.join(KEY_FILE).to_string_lossy()));
    assert_eq!(created.kind, KeyFileKind::LocalFile);
    assert_eq!(db.identity_summary().scopes, [created.scope]);
    assert_eq!(db.identity_summary().fingerprint.len(), 6 * 4 + 5);
    db.put("it", &b"1"[..]).unwrap();
    let user = db.identity_summary().user;
    drop(db);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join(KEY_FILE))), (0o700, 0o600));
    let db = open(&data);
    assert_eq!(db.created(), None);
    assert_eq!(db.identity_summary().user, user);
    assert_eq!(read(&db, "it"), b"1");
}

#[test]
fn a_missing_store_is_not_made_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { create: false, ..options() };
    for path in [folder.path().to_owned(), folder.path().join("absent")] {
        let refused = reopened(&path, options.clone());
        assert!(matches!(refused, Err(Error::Store(StoreError::NotAStore))), "{refused:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_with_somebody_s_files_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("holiday pictures")).unwrap();
    let refused = reopened(folder.path(), options());
    assert!(matches!(refused, Err(Error::Store(StoreError::NotAStore))), "{refused:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_store_without_its_key_says_so_and_makes_no_other() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let key = folder.path().join(KEY_FILE);
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    let refused = reopened(folder.path(), options()).unwrap_err();
    assert!(
        matches!(refused, Error::KeyFile { problem: KeyFileProblem::Missing, .. }),
        "{refused:?}"
    );
    assert_eq!(refused.class(), ErrorClass::Refused);
    assert!(!key.exists());
    // Also half made, when only the records are there.
    fs::remove_file(folder.path().join("format")).unwrap();
    let refused = reopened(folder.path(), options());
    assert!(matches!(refused, Err(Error::KeyFile { .. })), "{refused:?}");
    fs::write(&key, kept).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    reopened(folder.path(), options()).unwrap();
}

#[test]
fn a_key_file_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let key = folder.path().join(KEY_FILE);
    for mode in [0o640, 0o604, 0o610] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let refused = reopened(folder.path(), options());
        assert!(
            matches!(refused, Err(Error::KeyFile { problem: KeyFileProblem::TooOpen, .. })),
            "{refused:?}"
        );
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    reopened(folder.path(), options()).unwrap();
}

#[test]
fn a_truncated_key_file_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let key = folder.path().join(KEY_FILE);
    let whole = fs::read(&key).unwrap();
    for len in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&key, whole.get(..len).unwrap()).unwrap();
        let refused = reopened(folder.path(), options()).unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Corrupt, "{len}: {refused:?}");
    }
    fs::write(&key, vec![0; 1 << 20]).unwrap();
    assert!(reopened(folder.path(), options()).is_err());
}

#[test]
fn an_identity_elsewhere_serves_two_stores_and_not_a_third() {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("keys/me.key");
    let elsewhere = Options { identity: Some(identity.clone()), ..options() };
    let one = reopened(&folder.path().join("one"), elsewhere.clone()).unwrap();
    let two = reopened(&folder.path().join("two"), elsewhere.clone()).unwrap();
    assert_eq!(one.identity_summary().user, two.identity_summary().user);
    assert!(one.created().unwrap().key_file.is_some());
    assert_eq!(two.created().unwrap().key_file, None, "found, not made");
    drop(open(&folder.path().join("three")));
    let refused = reopened(&folder.path().join("three"), elsewhere).unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Refused, "{refused:?}");
}

#[test]
fn a_second_handle_waits_and_is_then_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let refused = reopened(folder.path(), options()).unwrap_err();
    assert!(matches!(refused, Error::Store(StoreError::Busy)), "{refused:?}");
    assert_eq!(refused.class(), ErrorClass::Unavailable);
    let patient = Options { wait: std::time::Duration::from_secs(20), ..options() };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| reopened(folder.path(), patient));
        std::thread::sleep(std::time::Duration::from_millis(60));
        drop(db);
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn a_passphrase_protects_the_key_and_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let db = reopened(folder.path(), with_passphrase("one")).unwrap();
    assert_eq!(db.created().unwrap().kind, KeyFileKind::Passphrase);
    db.put("it", &b"1"[..]).unwrap();
    drop(db);
    let refused = |options| reopened(folder.path(), options).unwrap_err();
    assert!(matches!(refused(options()), Error::Crypt(crypt::CryptError::PassphraseNeeded)));
    let wrong = refused(with_passphrase("two"));
    assert!(matches!(wrong, Error::Crypt(crypt::CryptError::WrongPassphrase)), "{wrong:?}");
    assert_eq!(wrong.class(), ErrorClass::Refused);
    let key = folder.path().join(KEY_FILE);
    let (one, two) = (Passphrase::from("one"), Passphrase::from("two"));
    rekey(&key, Some(&two), None).unwrap_err();
    rekey(&key, Some(&one), Some(&two)).unwrap();
    assert_eq!(read(&reopened(folder.path(), with_passphrase("two")).unwrap(), "it"), b"1");
    rekey(&key, Some(&two), None).unwrap();
    assert_eq!(read(&open(folder.path()), "it"), b"1");
}

#[test]
fn a_flipped_or_missing_record_is_told_and_nothing_is_made_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let records = folder.path().join("records");
    let files: Vec<_> =
        fs::read_dir(&records).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    for file in &files {
        let whole = fs::read(file).unwrap();
        for at in [0, 40, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            *flipped.get_mut(at).unwrap() ^= 4;
            fs::write(file, flipped).unwrap();
            let refused = reopened(folder.path(), options()).unwrap_err();
            let is_ours = matches!(refused.class(), ErrorClass::Corrupt | ErrorClass::Refused);
            assert!(is_ours, "{}: {refused:?}", file.display());
        }
        fs::remove_file(file).unwrap();
        let refused = reopened(folder.path(), options()).unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Corrupt, "{refused:?}");
        fs::write(file, whole).unwrap();
    }
    assert_eq!(fs::read_dir(&records).unwrap().count(), 2);
    reopened(folder.path(), options()).unwrap();
}

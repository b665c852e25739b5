//! Canaries: known keys and everything drawn at random are looked for in every file a database
//! leaves behind, and in what its types print.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::options;
use crypt::key_file::{self, Argon2Cost, Source};
use crypt::{Identity, OsRandom, Random, Root};
use ouroborosdb::{
    CheckRequest, Database, KEY_FILE, KeyPlace, Options, Passphrase, SystemClock, World,
};
use store::folder_disk::FolderDisk;

const ROOT: [u8; 32] = *b"canary root canary root canary r";
const PASSPHRASE: &str = "canary passphrase";
/// Bytes of a secret that must not be anywhere; 16 do not occur by chance.
const NEEDLE_LEN: usize = 16;

/// Remembers what it drew.
struct Watched(Mutex<Vec<Vec<u8>>>);

impl Random for Watched {
    fn fill(&self, out: &mut [u8]) {
        OsRandom.fill(out);
        self.0.lock().unwrap().push(out.to_vec());
    }
}

fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        #[expect(clippy::disallowed_methods, reason = "looks at what is on the disk")]
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                #[expect(clippy::disallowed_methods, reason = "looks at what is on the disk")]
                let bytes = std::fs::read(&path).unwrap();
                found.push((path, bytes));
            }
        }
    }
    found
}

/// A secret as it could have slipped out: raw, in either case of hexadecimal, as words.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    if let Ok(root) = <[u8; 32]>::try_from(secret) {
        forms.push(Root::from_bytes(root).to_words().as_bytes().to_vec());
    }
    forms
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    let len = needle.len().min(NEEDLE_LEN);
    needle.get(..len).is_some_and(|needle| bytes.windows(len).any(|window| window == needle))
}

/// A life with everything in it; the secrets drawn in it.
fn live(data: &Path, keys: &Path) -> Vec<Vec<u8>> {
    let random = Arc::new(Watched(Mutex::default()));
    let disk = Arc::new(FolderDisk::open(data, true).unwrap());
    let key_disk = Arc::new(FolderDisk::open(keys, true).unwrap());
    let path = keys.join(KEY_FILE).display().to_string();
    let key_file = KeyPlace { disk: key_disk, name: KEY_FILE.to_owned(), path };
    let world = World {
        disk,
        key_file,
        random: random.clone(),
        clock: Arc::new(SystemClock),
        frontier: None,
    };
    let options = Options { passphrase: Some(PASSPHRASE.into()), ..options() };
    let printed = format!("{options:?} {world:?}");
    assert!(!printed.contains("canary"), "{printed}");
    let db = Database::with(world, options).unwrap();
    for round in 0..3u64 {
        db.put("large", common::random(round, 3 << 20).as_slice()).unwrap();
        db.put("small", &b"words"[..]).unwrap();
    }
    db.flush().unwrap();
    let request = CheckRequest { deep: true, rebuild: true };
    assert!(db.check(&request).unwrap().findings.is_empty());
    let printed = format!("{db:?} {:?} {:?}", db.identity_summary(), db.stats().unwrap());
    assert!(!holds(printed.as_bytes(), &ROOT) && !printed.contains("canary"), "{printed}");
    drop(db);
    random.0.lock().unwrap().clone()
}

#[test]
fn no_key_is_in_any_file_of_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (data, keys) = (folder.path().join("data"), folder.path().join("keys"));
    let key_folder = FolderDisk::open(&keys, true).unwrap();
    let cost = Argon2Cost::new(key_file::MEMORY_KIB_MIN, 1, 1).unwrap();
    let source = Source::Passphrase(PASSPHRASE);
    let written = key_file::write(&Root::from_bytes(ROOT), &source, &OsRandom, cost);
    {
        use store::disk::{Access, Caching, Disk};
        let file = key_folder.open(KEY_FILE, Access::Create, Caching::Buffered).unwrap();
        file.write_at(0, &written).unwrap();
    }
    let drawn = live(&data, &keys);
    let all = [files(&data), files(&keys)].concat();
    assert!(all.len() > 8, "{}", all.len());
    for (path, bytes) in &all {
        for needle in forms(&ROOT).iter().chain(&forms(PASSPHRASE.as_bytes())) {
            assert!(!holds(bytes, needle), "{}", path.display());
        }
    }
    // Of what was drawn, 32 bytes are a secret, but for the nonce in the genesis, which is public.
    let secrets: Vec<&Vec<u8>> = drawn.iter().filter(|bytes| bytes.len() == 32).collect();
    assert!(secrets.len() >= 3, "{}", secrets.len());
    let found = secrets.iter().filter(|secret| all.iter().any(|(_, bytes)| holds(bytes, secret)));
    assert_eq!(found.count(), 1, "the nonce of the genesis alone");
    // The search finds what is there.
    assert!(all.iter().any(|(_, bytes)| holds(bytes, &written)));
}

#[test]
fn what_holds_a_secret_prints_nothing_of_it() {
    let identity = Identity::from_root(Root::from_bytes(ROOT)).unwrap();
    let passphrase = Passphrase::from(PASSPHRASE);
    let printed = format!(
        "{identity:?} {:?} {:?} {passphrase:?} {:?}",
        identity.root(),
        crypt::EpochSecret::from_bytes(ROOT),
        identity.sign("test", b"body"),
    );
    let lists: String = ROOT.iter().map(|byte| format!("{byte}, ")).collect();
    assert!(
        !printed.contains("canary") && !printed.contains(lists.get(..20).unwrap()),
        "{printed}"
    );
    for form in forms(&ROOT) {
        assert!(!holds(printed.as_bytes(), &form), "{printed}");
    }
}

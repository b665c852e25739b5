//! The key file: read, made once, replaced whole. Never overwritten with another identity.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crypt::key_file::{self, Argon2Cost, Source};
use crypt::{Identity, OsRandom, Random, Root};
use model::{ScopeId, UserId};
use store::disk::{Access, Caching, Disk, DiskError, DiskLock};
use store::folder_disk::FolderDisk;
use zeroize::Zeroizing;

use crate::error::{Error, KeyFileProblem};
use crate::options::Passphrase;
use crate::world::{Clock, KeyPlace, SystemClock};

/// No key file is longer.
const KEY_FILE_LEN_MAX: usize = 4096;
/// Pause between two looks at a lock another process holds.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

pub use crypt::key_file::Kind as KeyFileKind;

/// What a person wants to know of the identity in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySummary {
    /// The hash of its public keys.
    pub user: UserId,
    /// The same, short enough to be read aloud: 96 bits.
    pub fingerprint: String,
    /// Where its key file lies.
    pub key_file: String,
    /// What the key file needs to be opened.
    pub kind: KeyFileKind,
    /// The scopes it can read here.
    pub scopes: Vec<ScopeId>,
}

/// Six groups of four digits.
pub fn fingerprint(user: &UserId) -> String {
    let (groups, _) = user.as_bytes().as_chunks::<2>();
    let groups: Vec<String> =
        groups.iter().take(6).map(|[high, low]| format!("{high:02x}{low:02x}")).collect();
    groups.join("-")
}

/// An identity and how it lies on the disk.
pub(crate) struct Unlocked {
    pub(crate) identity: Identity,
    pub(crate) kind: KeyFileKind,
}

impl KeyPlace {
    /// The place of a file of this machine.
    pub(crate) fn of_path(path: &Path, create: bool) -> Result<Self, Error> {
        let shown = path.to_string_lossy().into_owned();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let malformed = Error::Argument(model::FormatError::Invalid { noun: "key file path" });
        let name = name.ok_or(malformed)?;
        refuse_too_open(path, &shown)?;
        let disk = match FolderDisk::open(folder, create) {
            Ok(disk) => Arc::new(disk),
            Err(error) if error.source.kind() == ErrorKind::NotFound => {
                return Err(Error::KeyFile { path: shown, problem: KeyFileProblem::Missing });
            }
            Err(error) => return Err(disk_error(error)),
        };
        Ok(Self { disk, name, path: shown })
    }

    /// The whole file; `None` when there is none.
    pub(crate) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        self.read_up_to(&self.name, KEY_FILE_LEN_MAX)
    }

    /// The file `name`, or as much of it as shows that it is longer than `limit`.
    pub(crate) fn read_up_to(
        &self,
        name: &str,
        limit: usize,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let file = match self.disk.open(name, Access::Read, Caching::Buffered) {
            Ok(file) => file,
            Err(error) if error.source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk_error(error)),
        };
        let mut bytes = Zeroizing::new(vec![0; limit + 1]);
        let len = file.read_at(0, &mut bytes).map_err(disk_error)?;
        bytes.truncate(len);
        Ok(Some(bytes))
    }

    /// Opens the file.
    pub(crate) fn unlock(&self, passphrase: Option<&Passphrase>) -> Result<Unlocked, Error> {
        let missing =
            || Error::KeyFile { path: self.path.clone(), problem: KeyFileProblem::Missing };
        let bytes = self.read()?.ok_or_else(missing)?;
        let kind = key_file::kind(&bytes)?;
        let root = key_file::open(&bytes, passphrase.map(Passphrase::expose))?;
        Ok(Unlocked { identity: Identity::from_root(root)?, kind })
    }

    /// Makes a file with a fresh identity, unless there is one by now.
    pub(crate) fn make(
        &self,
        passphrase: Option<&Passphrase>,
        random: &dyn Random,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let _lock = self.lock(clock)?;
        if self.read()?.is_some() {
            return Ok(());
        }
        let root = Root::random(random);
        self.replace(&sealed_root(&root, passphrase, random, clock)?)
    }

    fn replace(&self, bytes: &[u8]) -> Result<(), Error> {
        self.write(&self.name, bytes)
    }

    /// Writes the whole file `name`: the old one or the new one is there, whatever happens.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let temporary = format!("{}.tmp", self.name);
        match self.disk.remove(&temporary) {
            Ok(()) => {}
            Err(error) if error.source.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(disk_error(error)),
        }
        let write = || {
            let file = self.disk.open(&temporary, Access::Create, Caching::Buffered)?;
            file.write_at(0, bytes)?;
            file.sync()?;
            drop(file);
            self.disk.rename(&temporary, name)?;
            self.disk.sync_dir("")
        };
        write().map_err(disk_error)
    }

    /// Held while the file is read and replaced.
    pub(crate) fn lock(&self, clock: &dyn Clock) -> Result<Box<dyn DiskLock>, Error> {
        wait_for_lock(&*self.disk, &format!("{}.lock", self.name), clock)
    }

    /// Protects the same identity by another passphrase, or none.
    pub fn rekey(
        &self,
        old: Option<&Passphrase>,
        new: Option<&Passphrase>,
        random: &dyn Random,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let _lock = self.lock(clock)?;
        let identity = self.unlock(old)?.identity;
        let bytes = sealed_root(identity.root(), new, random, clock)?;
        self.replace(&bytes)
    }
}

/// The bytes of a key file, proven to open again before they replace anything.
pub(crate) fn sealed_root(
    root: &Root,
    passphrase: Option<&Passphrase>,
    random: &dyn Random,
    clock: &dyn Clock,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (source, cost) = match passphrase {
        None => (Source::LocalFile, Argon2Cost::default_cost()),
        Some(passphrase) => {
            let mut now = || Duration::from_nanos(clock.now_ns());
            (Source::Passphrase(passphrase.expose()), Argon2Cost::calibrate(&mut now))
        }
    };
    let bytes = Zeroizing::new(key_file::write(root, &source, random, cost));
    let again = key_file::open(&bytes, passphrase.map(Passphrase::expose))?;
    assert!(again.expose() == root.expose(), "a key file opens to the root it was made of");
    Ok(bytes)
}

/// Protects the identity in `key_file` by `new` instead of `old`; `None` = by nothing.
///
/// The identity stays the same. Crash-safe: the file is replaced whole.
pub fn rekey(
    key_file: &Path,
    old: Option<&Passphrase>,
    new: Option<&Passphrase>,
) -> Result<(), Error> {
    let place = KeyPlace::of_path(key_file, false)?;
    place.rekey(old, new, &OsRandom, &SystemClock)
}

/// What the key file at `key_file` needs to be opened.
pub fn key_file_kind(key_file: &Path) -> Result<KeyFileKind, Error> {
    let place = KeyPlace::of_path(key_file, false)?;
    let missing = Error::KeyFile { path: place.path.clone(), problem: KeyFileProblem::Missing };
    Ok(key_file::kind(&place.read()?.ok_or(missing)?)?)
}

fn refuse_too_open(path: &Path, shown: &str) -> Result<(), Error> {
    match path.metadata() {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Err(Error::KeyFile { path: shown.to_owned(), problem: KeyFileProblem::TooOpen })
        }
        // What else is wrong with it shows when it is read.
        _ => Ok(()),
    }
}

/// Takes a lock that is only ever held for moments.
fn wait_for_lock(
    disk: &dyn Disk,
    path: &str,
    clock: &dyn Clock,
) -> Result<Box<dyn DiskLock>, Error> {
    loop {
        match disk.lock(path) {
            Ok(lock) => return Ok(lock),
            Err(error) if error.source.kind() == ErrorKind::WouldBlock => clock.sleep(LOCK_PAUSE),
            Err(error) => return Err(disk_error(error)),
        }
    }
}

pub(crate) fn disk_error(error: DiskError) -> Error {
    Error::Store(error.into())
}

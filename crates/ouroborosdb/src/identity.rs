//! An identity outside a store: unlocked, copied, put in its place, with what it keeps beside it.

use std::path::Path;

use crypt::{Identity, LegacyKeys, OsRandom, Root, key_file};
use model::UserId;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{Error, KeyFileProblem};
use crate::key::sealed_root;
use crate::options::Passphrase;
use crate::world::{KeyPlace, SystemClock};

/// What the name of a key file is followed by when it was put aside for another.
const ASIDE: &str = ".old";
/// What it is followed by in the name of the legacy keys beside it.
const LEGACY: &str = ".legacy";
/// Legacy keys have 8,154 bytes.
const LEGACY_LEN_MAX: usize = 16 * 1024;

/// What is done with a file that is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupied {
    /// It stays, and the call is refused.
    Refuse,
    /// A key file is renamed to end in `.old`; other files are replaced.
    PutAside,
}

/// What came of putting an identity in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Who it is.
    pub user: UserId,
    /// False when it was there already; its file is as it was.
    pub is_new: bool,
    /// Where the file is that was in the way.
    pub aside: Option<String>,
}

/// The identity in `key_file`.
pub fn unlock_identity(
    key_file: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<Identity, Error> {
    Ok(KeyPlace::of_path(key_file, false)?.unlock(passphrase)?.identity)
}

/// The bytes of a key file for `root`, under `passphrase` or in the clear.
pub fn sealed_copy(
    root: &Root,
    passphrase: Option<&Passphrase>,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    sealed_root(root, passphrase, &OsRandom, &SystemClock)
}

/// Makes `key_file` that of `root`, under `passphrase` or in the clear; its folder is made too.
pub fn install_identity(
    key_file: &Path,
    root: Root,
    passphrase: Option<&Passphrase>,
    occupied: Occupied,
) -> Result<Installed, Error> {
    let place = KeyPlace::of_path(key_file, true)?;
    let _lock = place.lock(&SystemClock)?;
    let found = place.read()?;
    let opened = found
        .as_ref()
        .and_then(|bytes| key_file::open(bytes, passphrase.map(Passphrase::expose)).ok());
    let identity = Identity::from_root(root)?;
    let (root, user) = (identity.root(), identity.user_id());
    if opened.is_some_and(|there| bool::from(there.expose().ct_eq(root.expose()))) {
        return Ok(Installed { user, is_new: false, aside: None });
    }
    let aside = match found {
        None => None,
        Some(_) if occupied == Occupied::Refuse => return Err(is_occupied(&place.path)),
        Some(old) => Some(place.put_aside(&old)?),
    };
    place.write(&place.name, &sealed_root(root, passphrase, &OsRandom, &SystemClock)?)?;
    Ok(Installed { user, is_new: true, aside })
}

/// Keeps `keys` beside `key_file`, sealed for the identity in it; the path they lie at.
pub fn keep_legacy_keys(
    key_file: &Path,
    identity: &Identity,
    keys: &LegacyKeys,
    occupied: Occupied,
) -> Result<String, Error> {
    let place = KeyPlace::of_path(key_file, false)?;
    let _lock = place.lock(&SystemClock)?;
    let path = format!("{}{LEGACY}", place.path);
    if let Some(bytes) = place.read_up_to(&format!("{}{LEGACY}", place.name), LEGACY_LEN_MAX)? {
        let there = LegacyKeys::unseal(&bytes, identity);
        if there.is_ok_and(|there| there.node_id() == keys.node_id()) {
            return Ok(path);
        }
        if occupied == Occupied::Refuse {
            return Err(is_occupied(&path));
        }
    }
    place.write(&format!("{}{LEGACY}", place.name), &keys.seal(identity, &OsRandom))?;
    Ok(path)
}

/// The legacy keys beside `key_file`.
pub fn legacy_keys(key_file: &Path, identity: &Identity) -> Result<LegacyKeys, Error> {
    let place = KeyPlace::of_path(key_file, false)?;
    let bytes = place.read_up_to(&format!("{}{LEGACY}", place.name), LEGACY_LEN_MAX)?;
    let path = format!("{}{LEGACY}", place.path);
    let bytes = bytes.ok_or(Error::KeyFile { path, problem: KeyFileProblem::Missing })?;
    Ok(LegacyKeys::unseal(&bytes, identity)?)
}

impl KeyPlace {
    /// Keeps `bytes`, what is there now, under another name; the path of that. The file itself stays
    /// until the next one replaces it, so that there is one at any moment.
    fn put_aside(&self, bytes: &[u8]) -> Result<String, Error> {
        let (name, path) = (format!("{}{ASIDE}", self.name), format!("{}{ASIDE}", self.path));
        match self.read_up_to(&name, bytes.len())? {
            Some(there) if there.as_slice() == bytes => {}
            Some(_) => return Err(is_occupied(&path)),
            None => self.write(&name, bytes)?,
        }
        Ok(path)
    }
}

fn is_occupied(path: &str) -> Error {
    Error::KeyFile { path: path.to_owned(), problem: KeyFileProblem::Occupied }
}

//! Opening: keys, records, store; on first use each is made, in an order that a crash anywhere
//! leaves to be completed by the next opening.
//!
//! ```text
//! key file -> genesis -> epoch -> store       each durable before the next is begun
//! ```

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crypt::{Identity, OsRandom, StoreKeys};
use model::ScopeId;
use store::disk::{Disk, DiskLock};
use store::folder_disk::FolderDisk;
use store::{Signing, Store, StoreError, StoreOptions, Writer};

use crate::engine::{Engine, Parts};
use crate::error::{Error, KeyFileProblem};
use crate::frontier_file::FrontierFile;
use crate::key::{IdentitySummary, KeyFileKind, Unlocked, disk_error, fingerprint};
use crate::member_signer::MemberSigner;
use crate::options::Options;
use crate::records::{Records, write_genesis};
use crate::scope::{HOME, Scope, chosen};
use crate::world::{Clock, FrontierPlace, KeyPlace, SystemClock, World};

/// The key file's name when it lies in the data folder.
pub const KEY_FILE: &str = "identity.key";
const LOCK: &str = "lock";
/// Written last.
const FORMAT: &str = "format";
/// Pause between two tries to open what another process has open.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// What a data folder may hold before there is a store in it.
const OWN_NAMES: [&str; 11] = [
    FORMAT,
    LOCK,
    "open",
    "blocks",
    "slices",
    "records",
    "index",
    "tmp",
    "lost+found",
    "identity.key",
    "identity.key.lock",
];

/// What opening a database made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The key file, when it was made too and not found.
    pub key_file: Option<String>,
    /// What that needs to be opened.
    pub kind: KeyFileKind,
    /// The scope.
    pub scope: ScopeId,
}

/// An open engine and what is to be told about it.
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) created: Option<Created>,
    pub(crate) summary: IdentitySummary,
}

/// This machine, with its clock, its randomness and the folder at `path`.
pub(crate) fn real_world(path: &Path, options: &Options) -> Result<World, Error> {
    let disk = match FolderDisk::open(path, options.create) {
        Ok(disk) => Arc::new(disk),
        Err(error) if error.source.kind() == ErrorKind::NotFound => {
            return Err(StoreError::NotAStore.into());
        }
        Err(error) => return Err(disk_error(error)),
    };
    let key_file = match &options.identity {
        Some(identity) => KeyPlace::of_path(identity, options.create)?,
        None => KeyPlace::of_path(&path.join(KEY_FILE), options.create)?,
    };
    let frontier = match &options.state {
        Some(state) => FrontierPlace::of_paths(state, path)?,
        None => None,
    };
    let (random, clock) = (Arc::new(OsRandom), Arc::new(SystemClock));
    Ok(World { disk, key_file, random, clock, frontier })
}

pub(crate) fn open(world: World, options: &Options) -> Result<Opened, Error> {
    let made = if is_complete(&*world.disk)? { None } else { make(&world, options)? };
    let unlocked = world.key_file.unlock(options.passphrase.as_ref())?;
    let lock = wait_while_busy(&*world.clock, options.wait, || Ok(Store::lock(&*world.disk)?))?;
    Store::check_format(&*world.disk)?;
    let scopes = Scope::all(&unlocked.identity, Records::read(&*world.disk)?)?;
    let readable = scopes.iter().filter(|scope| scope.is_readable()).map(Scope::id).collect();
    let mut scope = chosen(scopes, &unlocked.identity, &options.scope)?;
    if !options.accept_rollback {
        scope.refuse_forgotten(&*world.disk)?;
    }
    scope.prepare(&*world.disk, &unlocked.identity, &*world.random)?;
    let (epochs, is_usable) = scope.keys()?;
    let may_write = is_usable && scope.may_write(&unlocked.identity);
    let (id, findings) = (scope.id(), scope.findings());
    let Unlocked { identity, kind } = unlocked;
    let user = identity.user_id();
    let (nonce, _) = id.as_bytes().split_first_chunk().expect("32 bytes hold 16");
    let local = identity.local_key(nonce);
    let signer = Arc::new(MemberSigner { identity, membership: scope.membership });
    let World { disk, key_file, random, clock, frontier } = world;
    let frontier = frontier
        .map(|place| FrontierFile::open(place, (id, user), local.clone(), options.accept_rollback))
        .transpose()?;
    let writing = epochs.first().cloned().expect("a readable scope has an epoch that opens");
    let store = {
        let signing = Signing {
            signer: signer.clone(),
            frontier: frontier.as_ref().map(FrontierFile::known).unwrap_or_default(),
            may_sign: may_write,
            accept_rollback: options.accept_rollback,
        };
        let keys = StoreKeys { epochs, local };
        let writer = Writer { user, keys: Arc::clone(&writing), signing: Some(signing) };
        let store_options = StoreOptions {
            memory_bytes: options.memory_bytes,
            background: options.background,
            accept_damage: options.accept_damage,
            ..StoreOptions::default()
        };
        Store::open_locked(lock, disk, keys, writer, store_options, Arc::clone(&random))?
    };
    let summary = IdentitySummary {
        user,
        fingerprint: fingerprint(&user),
        key_file: key_file.path,
        kind,
        scopes: readable,
    };
    let created = made.map(|key_file| Created { key_file, kind, scope: id });
    let threads = options.thread_count();
    let keys = writing;
    let parts =
        Parts { store, keys, may_write, findings, signer, random, clock, threads, frontier };
    Ok(Opened { engine: Engine::new(parts), created, summary })
}

/// True when making the store got to its last step.
fn is_complete(disk: &dyn Disk) -> Result<bool, Error> {
    let entries = disk.list("").map_err(disk_error)?;
    Ok(entries.iter().any(|entry| entry.name == FORMAT))
}

/// Makes what is missing; the path of the key file if that was among it. `None` when somebody else
/// has just made everything.
fn make(world: &World, options: &Options) -> Result<Option<Option<String>>, Error> {
    if !options.create {
        return Err(StoreError::NotAStore.into());
    }
    refuse_foreign_folder(world)?;
    if options.scope != HOME {
        return Err(Error::ScopeUnknown { scope: options.scope.clone() });
    }
    let lock = || Ok(Store::lock(&*world.disk)?);
    let held: Box<dyn DiskLock> = wait_while_busy(&*world.clock, options.wait, lock)?;
    if is_complete(&*world.disk)? {
        return Ok(None);
    }
    ["records", "tmp"].iter().try_for_each(|dir| world.disk.make_dir(dir)).map_err(disk_error)?;
    let has_key = world.key_file.read()?.is_some();
    if !has_key {
        if !Records::read(&*world.disk)?.scopes.is_empty() {
            let path = world.key_file.path.clone();
            return Err(Error::KeyFile { path, problem: KeyFileProblem::Missing });
        }
        world.key_file.make(options.passphrase.as_ref(), &*world.random, &*world.clock)?;
    }
    let Unlocked { identity, .. } = world.key_file.unlock(options.passphrase.as_ref())?;
    make_records(world, &identity)?;
    // Takes the same lock; all that is left to do is the same whoever does it.
    drop(held);
    let create = || Ok(Store::create(&*world.disk, &*world.random)?);
    wait_while_busy(&*world.clock, options.wait, create)?;
    Ok(Some((!has_key).then(|| world.key_file.path.clone())))
}

/// Refuses to make a store among somebody's files.
fn refuse_foreign_folder(world: &World) -> Result<(), Error> {
    let key_file = &world.key_file.name;
    let is_ours = |name: &str| {
        OWN_NAMES.contains(&name) || name.starts_with("super.") || name.starts_with(key_file)
    };
    let entries = world.disk.list("").map_err(disk_error)?;
    if entries.iter().all(|entry| is_ours(&entry.name)) {
        return Ok(());
    }
    Err(StoreError::NotAStore.into())
}

/// Makes the genesis and the first epoch, unless an earlier try got that far.
fn make_records(world: &World, identity: &Identity) -> Result<(), Error> {
    let records = Records::read(&*world.disk)?;
    let (disk, random) = (&*world.disk, &*world.random);
    let mut scopes = Scope::all(identity, records)?;
    if scopes.is_empty() {
        let (scope, genesis) = Scope::found(identity, random)?;
        write_genesis(disk, &genesis)?;
        scopes.push(scope);
    }
    scopes.iter_mut().try_for_each(|scope| scope.prepare(disk, identity, random))
}

/// Tries until it is not busy, at most for `wait`.
pub(crate) fn wait_while_busy<T>(
    clock: &dyn Clock,
    wait: Duration,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut waited = Duration::ZERO;
    loop {
        match attempt() {
            Err(Error::Store(StoreError::Busy)) if waited < wait => {
                clock.sleep(BUSY_PAUSE);
                waited += BUSY_PAUSE;
            }
            result => return result,
        }
    }
}

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

use crypt::{
    EpochKeys, EpochRecord, Genesis, Identity, Membership, OsRandom, SignedGenesis, SignedRecord,
    StoreKeys,
};
use model::{EpochId, ScopeId};
use store::disk::{Disk, DiskLock};
use store::folder_disk::FolderDisk;
use store::{
    Problem, Signing, Store, StoreError, StoreOptions, Writer, read_records, write_record,
};

use crate::engine::{Engine, Parts};
use crate::error::{Error, KeyFileProblem};
use crate::frontier_file::FrontierFile;
use crate::key::{IdentitySummary, KeyFileKind, Unlocked, disk_error, fingerprint};
use crate::member_signer::MemberSigner;
use crate::options::Options;
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
    let keyring = keyring(&*world.disk, &unlocked.identity)?;
    let World { disk, key_file, random, clock, frontier } = world;
    let scope = keyring.writing.scope();
    let user = unlocked.identity.user_id();
    let Unlocked { identity, kind } = unlocked;
    let (nonce, _) = scope.as_bytes().split_first_chunk().expect("32 bytes hold 16");
    let local = identity.local_key(nonce);
    let signer = Arc::new(MemberSigner { identity, membership: keyring.membership });
    let mut frontier_file = None;
    let open = || {
        // Read again on every try: who had the store open meanwhile wrote it.
        let read = frontier.clone().map(|place| {
            FrontierFile::open(place, (scope, user), local.clone(), options.accept_rollback)
        });
        frontier_file = read.transpose()?;
        let signing = Signing {
            signer: signer.clone(),
            frontier: frontier_file.as_ref().map(FrontierFile::known).unwrap_or_default(),
            accept_rollback: options.accept_rollback,
        };
        let keys = StoreKeys { epochs: keyring.epochs.clone(), local: local.clone() };
        let keys_writing = Arc::clone(&keyring.writing);
        let writer = Writer { user, keys: keys_writing, signing: Some(signing) };
        let store_options = StoreOptions {
            memory_bytes: options.memory_bytes,
            background: options.background,
            accept_damage: options.accept_damage,
            ..StoreOptions::default()
        };
        Ok(Store::open(Arc::clone(&disk), keys, writer, store_options, Arc::clone(&random))?)
    };
    let store = wait_while_busy(&*clock, options.wait, open)?;
    let summary = IdentitySummary {
        user,
        fingerprint: fingerprint(&user),
        key_file: key_file.path,
        kind,
        scopes: vec![scope],
    };
    let created = made.map(|key_file| Created { key_file, kind, scope });
    let threads = options.thread_count();
    let keys = keyring.writing;
    let frontier = frontier_file;
    let engine = Engine::new(Parts { store, keys, author: user, random, clock, threads, frontier });
    Ok(Opened { engine, created, summary })
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
    let lock = || match world.disk.lock(LOCK) {
        Err(error) if error.source.kind() == ErrorKind::WouldBlock => Err(StoreError::Busy.into()),
        lock => Ok(lock.map_err(disk_error)?),
    };
    let held: Box<dyn DiskLock> = wait_while_busy(&*world.clock, options.wait, lock)?;
    if is_complete(&*world.disk)? {
        return Ok(None);
    }
    ["records", "tmp"].iter().try_for_each(|dir| world.disk.make_dir(dir)).map_err(disk_error)?;
    let has_key = world.key_file.read()?.is_some();
    if !has_key {
        if !read_records(&*world.disk)?.is_empty() {
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
    let genesis = match records.genesis {
        Some(genesis) => genesis,
        None => {
            let admins = vec![identity.public().clone()];
            let genesis = Genesis::new(admins, 1, &*world.random)?;
            let scope = genesis.scope_id();
            let signed = genesis.sign(&[identity]);
            write_record(&*world.disk, &format!("genesis-{scope}"), &signed.encode())?;
            signed
        }
    };
    if records.epochs.is_empty() {
        let membership = Membership::fold(genesis.verify()?, &records.members)?;
        let (epoch, _) = EpochRecord::mint(identity, &membership, &[], &*world.random)?;
        let name = format!("epoch-{}", epoch.epoch_id());
        write_record(&*world.disk, &name, &epoch.encode())?;
    }
    Ok(())
}

/// The keys of every epoch, and those that are written with.
struct Keyring {
    epochs: Vec<Arc<EpochKeys>>,
    writing: Arc<EpochKeys>,
    membership: Membership,
}

fn keyring(disk: &dyn Disk, identity: &Identity) -> Result<Keyring, Error> {
    let records = Records::read(disk)?;
    let missing = |noun: &str| StoreError::Missing { file: format!("records/{noun}") };
    let genesis = records.genesis.ok_or_else(|| missing("genesis"))?;
    let membership = Membership::fold(genesis.verify()?, &records.members)?;
    let scope = membership.scope();
    let mut epochs = Vec::new();
    for epoch in &records.epochs {
        let secret = epoch.open(identity, &membership)?;
        let id = epoch.epoch_id();
        epochs.push(Arc::new(EpochKeys::new(scope, id, id, &secret)));
    }
    // Of several heads the smallest (line 13 of the key design).
    let followed =
        |id: EpochId| records.epochs.iter().any(|epoch| epoch.core().parents.contains(&id));
    let heads = epochs.iter().filter(|keys| !followed(keys.epoch()));
    let writing = heads.min_by_key(|keys| keys.epoch()).cloned();
    let writing = writing.ok_or_else(|| missing("epoch"))?;
    Ok(Keyring { epochs, writing, membership })
}

/// The public records of a data folder.
struct Records {
    genesis: Option<SignedGenesis>,
    members: Vec<SignedRecord>,
    epochs: Vec<EpochRecord>,
}

impl Records {
    fn read(disk: &dyn Disk) -> Result<Self, Error> {
        let mut records = Self { genesis: None, members: Vec::new(), epochs: Vec::new() };
        for (name, bytes) in read_records(disk)? {
            let is_whole = match name.split_once('-') {
                Some(("genesis", id)) => records.add_genesis(id, &bytes),
                Some(("member", id)) => records.add_member(id, &bytes),
                Some(("epoch", id)) => records.add_epoch(id, &bytes),
                _ => Some(()),
            };
            if is_whole.is_none() {
                let file = format!("records/{name}");
                let problem = Problem::Seal;
                return Err(StoreError::Corrupt { file, offset: 0, problem }.into());
            }
        }
        Ok(records)
    }

    /// `None` when the bytes are not what the name says.
    fn add_genesis(&mut self, id: &str, bytes: &[u8]) -> Option<()> {
        let genesis = SignedGenesis::decode(bytes).ok()?;
        let scope = genesis.verify().ok()?.scope_id();
        self.genesis = Some(genesis);
        (scope.to_string() == id).then_some(())
    }

    fn add_member(&mut self, id: &str, bytes: &[u8]) -> Option<()> {
        let member = SignedRecord::decode(bytes).ok()?;
        let is_named = member.record().id().to_string() == id;
        self.members.push(member);
        is_named.then_some(())
    }

    fn add_epoch(&mut self, id: &str, bytes: &[u8]) -> Option<()> {
        let epoch = EpochRecord::decode(bytes).ok()?;
        let is_named = epoch.epoch_id().to_string() == id;
        self.epochs.push(epoch);
        is_named.then_some(())
    }
}

/// Tries until it is not busy, at most for `wait`.
fn wait_while_busy<T>(
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

//! One data folder: opening, closing, and what a caller can ask.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use crypt::{CryptError, EpochKeys, Frontier, Opener, Random, StoreKeys, Unsealed};
use model::{BlockNonce, BlockNumber, ChainId, GroupId, Name, ObjectId, UserId, VertexHash};

use crate::disk::{Disk, DiskLock};
use crate::error::StoreError;
use crate::files::OpenFiles;
use crate::folder;
use crate::index::{FeedEntry, GroupState, HeadEntry, IndexMeta, LocalIndex, Location};
use crate::lane::{Lane, Position, SealContext};
use crate::ledger::{Ledger, chain_of};
use crate::object::SealedObject;
use crate::packer;
use crate::recovery;
use crate::signing::Signing;
use crate::superblock::{CLEAN_ENDS_MAX, CleanEnd, IndexOwner, Superblock};
use crate::sync_line::SyncLine;

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct StoreOptions {
    /// Memory for the index's pages in bytes.
    pub memory_bytes: usize,
    /// Pack in a thread of its own. Off for simulation: then every call does its own work and the
    /// same calls give the same disk operations.
    pub background: bool,
    /// Open although acknowledged bytes are lost: what is readable of a damaged open block is written
    /// again, the damaged file is put aside.
    pub accept_damage: bool,
    /// Ignore the index and build a new one from the blocks.
    pub rebuild: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 32 * 1024 * 1024,
            background: true,
            accept_damage: false,
            rebuild: false,
        }
    }
}

/// Who writes, and under which epoch.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The identity.
    pub user: UserId,
    /// Keys of the epoch that new objects are sealed under.
    pub keys: Arc<EpochKeys>,
    /// Signs for the packed blocks; without it nothing is committed.
    pub signing: Option<Signing>,
}

/// A damaged or missing part of the store that was found while opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// File, relative to the data folder.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Everything behind a [`Store`]; shared with the packer.
pub(crate) struct Inner {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) keys: StoreKeys,
    pub(crate) writer: Writer,
    pub(crate) chain: ChainId,
    pub(crate) index_owner: IndexOwner,
    pub(crate) options: StoreOptions,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) lane: Mutex<Lane>,
    pub(crate) changed: Condvar,
    pub(crate) sync_line: SyncLine,
    /// Number of the open block, and how far its file is written: reads below need no lock.
    pub(crate) open_number: AtomicU64,
    /// Nonce of the last block opened for appends: sealing must not wait for an append to be written.
    pub(crate) open_nonce: RwLock<Option<BlockNonce>>,
    pub(crate) open_written: AtomicU64,
    pub(crate) files: OpenFiles,
    /// Packed blocks that should exist and do not, or that gave a wrong byte: never deduplicated
    /// against.
    pub(crate) distrusted: RwLock<BTreeSet<BlockNumber>>,
    pub(crate) damage: Mutex<Vec<Damage>>,
    ledger: Mutex<Option<Ledger>>,
    index: RwLock<Arc<LocalIndex>>,
    superblock: Mutex<Superblock>,
    coverage: Mutex<IndexMeta>,
    bytes_since_checkpoint: AtomicU64,
    /// One checkpoint at a time: superblocks name generations in order.
    checkpointing: Mutex<()>,
    renaming: Mutex<()>,
    _lock: Box<dyn DiskLock>,
}

/// One node's disk, opened by one process.
pub struct Store {
    inner: Arc<Inner>,
    packer: Mutex<Option<JoinHandle<()>>>,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory entries that make a clean close worth a checkpoint.
const CLOSE_CHECKPOINT_BYTES: usize = 64 * 1024;
/// Objects in the open block that make a clean close pack it.
const CLOSE_PACK_OBJECTS: usize = 8192;

impl Store {
    /// True when the folder holds a store, whole or half made.
    pub fn is_present(disk: &dyn Disk) -> Result<bool, StoreError> {
        folder::is_present(disk)
    }

    /// Makes an empty store; completes a half-made one.
    pub fn create(disk: &dyn Disk, random: &dyn Random) -> Result<(), StoreError> {
        folder::create(disk, random)
    }

    /// Opens the store, recovering what a crash left.
    pub fn open(
        disk: Arc<dyn Disk>,
        keys: StoreKeys,
        writer: Writer,
        options: StoreOptions,
        random: Arc<dyn Random>,
    ) -> Result<Self, StoreError> {
        let lock = folder::lock(&*disk)?;
        Self::open_locked(lock, disk, keys, writer, options, random)
    }

    /// The lock that one process holds while it has the store open, or changes its records.
    pub fn lock(disk: &dyn Disk) -> Result<Box<dyn DiskLock>, StoreError> {
        folder::lock(disk)
    }

    /// Refuses a folder that holds something else, or a format this program does not know.
    pub fn check_format(disk: &dyn Disk) -> Result<(), StoreError> {
        folder::check_format(disk)
    }

    /// Like [`Self::open`], under a lock that is held already.
    #[expect(clippy::too_many_arguments, reason = "all that a store is opened with")]
    pub fn open_locked(
        lock: Box<dyn DiskLock>,
        disk: Arc<dyn Disk>,
        keys: StoreKeys,
        writer: Writer,
        options: StoreOptions,
        random: Arc<dyn Random>,
    ) -> Result<Self, StoreError> {
        folder::check_format(&*disk)?;
        let mut superblock = folder::superblock(&*disk, &*random)?;
        let identity = disk.identity(folder::LOCK)?;
        if superblock.folder != identity {
            // A copy of a store writes a chain of its own (line 24).
            superblock.draw_incarnation(&*random);
            superblock.folder = identity;
        }
        let (ledger, damage) = Ledger::open(&*disk, &writer, &mut superblock, &*random)?;
        let chain = chain_of(&writer, superblock.incarnation);
        let index_owner = IndexOwner::new(writer.keys.scope(), writer.user);
        let generation = superblock.index_of(index_owner).map_or(0, |(generation, _)| generation);
        let index = LocalIndex::empty(
            (Arc::clone(&disk), &index_owner.dir()),
            keys.local.clone(),
            options.memory_bytes,
            generation,
        );
        let inner = Inner {
            disk,
            keys,
            writer,
            chain,
            index_owner,
            options,
            random,
            lane: Mutex::default(),
            changed: Condvar::new(),
            sync_line: SyncLine::default(),
            open_number: AtomicU64::new(0),
            open_nonce: RwLock::new(None),
            open_written: AtomicU64::new(0),
            files: OpenFiles::default(),
            distrusted: RwLock::default(),
            damage: Mutex::new(damage),
            ledger: Mutex::new(ledger),
            index: RwLock::new(Arc::new(index)),
            superblock: Mutex::new(superblock),
            coverage: Mutex::default(),
            bytes_since_checkpoint: AtomicU64::new(0),
            checkpointing: Mutex::default(),
            renaming: Mutex::default(),
            _lock: lock,
        };
        recovery::recover(&inner)?;
        let inner = Arc::new(inner);
        inner.lane().has_packer = options.background;
        let packer = options.background.then(|| packer::start(Arc::clone(&inner)));
        Ok(Self { inner, packer: Mutex::new(packer) })
    }

    /// Context for sealing one bundle, or any number of other objects.
    pub fn seal_context(&self) -> Result<SealContext, StoreError> {
        self.inner.seal_context()
    }

    /// The nonce for sealing anything but bundles, without waiting for who appends. A seal may lie in a
    /// later block than the one its nonce is of.
    pub fn seal_nonce(&self) -> Result<BlockNonce, StoreError> {
        let known = *self.inner.open_nonce.read().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some(nonce) => Ok(nonce),
            None => Ok(self.inner.seal_context()?.nonce),
        }
    }

    /// Takes objects in order. Not durable until [`Self::sync`]; dedup sees them at once, their
    /// versions become visible once they are durable.
    pub fn append(&self, objects: Vec<SealedObject>) -> Result<Position, StoreError> {
        self.inner.append(objects)
    }

    /// Returns once everything up to `position` is durable. Many callers share one sync.
    pub fn sync(&self, position: Position) -> Result<(), StoreError> {
        self.inner.sync(position)?;
        if !self.inner.options.background {
            self.inner.checkpoint_if_due()?;
        }
        Ok(())
    }

    /// The place behind the last append.
    pub fn position(&self) -> Position {
        Position(self.inner.lane().appended)
    }

    /// Where an object lies, durable or not; `None` also when its block is missing or damaged, so that
    /// it is written again.
    pub fn locate(&self, id: &ObjectId) -> Result<Option<Location>, StoreError> {
        let location = self.inner.index().locate(id)?;
        Ok(location.filter(|location| !self.inner.is_distrusted(location.block)))
    }

    /// Like [`Self::locate`], also where a read is known to fail.
    pub fn locate_any(&self, id: &ObjectId) -> Result<Option<Location>, StoreError> {
        self.inner.index().locate(id)
    }

    /// The masked frame at a location; the caller unseals and so verifies it.
    pub fn read(&self, location: &Location) -> Result<Vec<u8>, StoreError> {
        self.inner.read_frame(location.block, location.place)
    }

    /// The file a location is in, for messages.
    pub fn file_of(&self, location: &Location) -> String {
        self.inner.path_of(location.block)
    }

    /// Unseals a frame that [`Self::read`] gave, of whatever epoch.
    pub fn unseal(&self, frame: &[u8], opener: &mut Opener) -> Result<Unsealed, CryptError> {
        self.inner.keys.unseal(frame, opener)
    }

    /// Tells that what a location holds did not unseal: its block is not deduplicated against.
    pub fn distrust(&self, location: &Location) {
        self.inner.distrust(location.block);
    }

    /// Heads of a name, in no particular order.
    pub fn heads(&self, name: &Name) -> Result<Vec<HeadEntry>, StoreError> {
        self.inner.index().heads(name)
    }

    /// Up to `limit` names that begin with `prefix`, behind `after`, in byte order.
    pub fn names(
        &self,
        prefix: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<(Name, Vec<HeadEntry>)>, StoreError> {
        self.inner.index().names(prefix, after, limit)
    }

    /// Versions that list `parent` as a parent.
    pub fn children(&self, parent: &VertexHash) -> Result<Vec<VertexHash>, StoreError> {
        self.inner.index().children(parent)
    }

    /// Up to `limit` versions whose hash begins with `bytes`, then with the nibble.
    pub fn vertices_with_prefix(
        &self,
        bytes: &[u8],
        nibble: Option<u8>,
        limit: usize,
    ) -> Result<Vec<VertexHash>, StoreError> {
        self.inner.index().vertices_with_prefix(bytes, nibble, limit)
    }

    /// Up to `limit` changes behind a cursor: (cursor, version, name).
    pub fn changes(
        &self,
        since: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        self.inner.index().changes(since, limit)
    }

    /// Whether a group is known, open, closed.
    pub fn group_state(&self, group: &GroupId) -> Result<GroupState, StoreError> {
        self.inner.index().group_state(group)
    }

    /// The open group a version waits in.
    pub fn group_of(&self, vertex: &VertexHash) -> Result<Option<GroupId>, StoreError> {
        self.inner.index().group_of(vertex)
    }

    /// A value of the local cache.
    pub fn cached(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.index().cached(key)
    }

    /// Remembers values in the local cache: durable whenever, lost without harm.
    pub fn remember(&self, entries: &[(Vec<u8>, Vec<u8>)]) {
        self.inner.index().remember(entries);
    }

    /// Packs the open block and everything that waits, open blocks of other chains included where their
    /// keys are held.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.drain()?;
        {
            // Not held any longer than this: what follows locks the lane itself.
            let lane = self.inner.lane();
            if lane.open.as_ref().is_some_and(|open| !open.is_empty()) {
                drop(self.inner.roll_over(lane)?);
            }
        }
        self.inner.drain()?;
        self.inner.freeze_others();
        self.inner.pack_frozen()?;
        self.inner.sync_commits()?;
        self.inner.checkpoint()
    }

    /// How far each chain of commits is durable: what must never be less again.
    pub fn frontier(&self) -> Frontier {
        self.inner.frontier()
    }

    /// What was found damaged or missing while opening.
    pub fn damage(&self) -> Vec<Damage> {
        guard(&self.inner.damage).clone()
    }

    /// Makes everything durable and leaves the clean mark.
    pub fn close(&self) -> Result<(), StoreError> {
        let result = self.pack_many().and_then(|()| self.inner.drain());
        let result = result.and_then(|()| self.inner.settle_watermark());
        {
            let mut lane = self.inner.lane();
            lane.is_closing = true;
            self.inner.changed.notify_all();
        }
        if let Some(packer) = guard(&self.packer).take() {
            // A packer that panicked left a broken invariant; nothing is marked clean then.
            if packer.join().is_err() {
                return Err(StoreError::ReadOnly);
            }
        }
        self.inner.lane().has_packer = false;
        result?;
        self.inner.finish()
    }

    /// Packs an open block of many objects: going on with it would unseal them all at the next open.
    fn pack_many(&self) -> Result<(), StoreError> {
        let lane = self.inner.lane();
        let has_many =
            lane.open.as_ref().is_some_and(|open| open.entries.len() >= CLOSE_PACK_OBJECTS);
        if lane.is_marked && !lane.is_read_only && has_many {
            drop(self.inner.roll_over(lane)?);
        }
        Ok(())
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Best effort: without the clean mark the next open recovers.
        let _ = self.close();
    }
}

impl Inner {
    pub(crate) fn index(&self) -> Arc<LocalIndex> {
        Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_index(&self, index: Arc<LocalIndex>, meta: IndexMeta) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
        *guard(&self.coverage) = meta;
    }

    /// Held from a rename into `blocks/` until that is durable, and by who syncs `open/`: the old name
    /// must not go before the new one stays.
    pub(crate) fn renaming(&self) -> MutexGuard<'_, ()> {
        guard(&self.renaming)
    }

    pub(crate) fn superblock(&self) -> MutexGuard<'_, Superblock> {
        guard(&self.superblock)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Option<Ledger>> {
        guard(&self.ledger)
    }

    pub(crate) fn coverage(&self) -> MutexGuard<'_, IndexMeta> {
        guard(&self.coverage)
    }

    /// A number no block of this folder has had.
    pub(crate) fn next_block_number(&self) -> BlockNumber {
        let mut superblock = self.superblock();
        let number = superblock.next_block;
        superblock.next_block = BlockNumber(number.0 + 1);
        number
    }

    /// The superblock says from now on that the store is in use.
    pub(crate) fn mark_in_use(&self) -> Result<(), StoreError> {
        let mut superblock = self.superblock();
        superblock.generation += 1;
        superblock.clean = None;
        superblock.write(&*self.disk)?;
        Ok(())
    }

    pub(crate) fn cover_packed(&self, number: BlockNumber) {
        let mut coverage = self.coverage();
        coverage.packed.insert(number);
        coverage.open.retain(|(open, _)| *open != number);
        drop(coverage);
        let len = model::limit::BLOCK_LEN_MAX as u64;
        self.bytes_since_checkpoint.fetch_add(len, Ordering::Relaxed);
    }

    pub(crate) fn cover_open(&self, number: BlockNumber, end: u32) {
        let mut coverage = self.coverage();
        coverage.open.retain(|(open, _)| *open != number);
        coverage.open.push((number, end));
    }

    /// Writes a checkpoint when enough came together since the last one.
    pub(crate) fn checkpoint_if_due(&self) -> Result<(), StoreError> {
        let due = self.bytes_since_checkpoint.load(Ordering::Relaxed) >= CHECKPOINT_BLOCK_BYTES
            && self.index().fresh_bytes() >= CLOSE_CHECKPOINT_BYTES
            || self.index().fresh_bytes() >= CHECKPOINT_INDEX_BYTES;
        if due { self.checkpoint() } else { Ok(()) }
    }

    /// Makes the index on disk cover everything folded so far.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        let _turn = guard(&self.checkpointing);
        let index = self.index();
        if index.fresh_bytes() == 0 {
            return Ok(());
        }
        self.bytes_since_checkpoint.store(0, Ordering::Relaxed);
        // What a checkpoint covers is not looked through for blocks without a commit.
        self.sync_commits()?;
        let published = index
            .checkpoint(|counts| IndexMeta { counts, ..self.coverage().clone() }, &*self.random)?;
        self.name_index(published)?;
        if let Some(published) = index.merge(&*self.random)? {
            self.name_index(published)?;
        }
        Ok(())
    }

    fn name_index(&self, published: (u64, crate::runs::ManifestRoot)) -> Result<(), StoreError> {
        let mut superblock = self.superblock();
        superblock.generation += 1;
        superblock.name_index(self.index_owner, published);
        superblock.write(&*self.disk)?;
        drop(superblock);
        self.index().retire(published.0)
    }

    pub(crate) fn is_distrusted(&self, block: BlockNumber) -> bool {
        let distrusted = self.distrusted.read().unwrap_or_else(PoisonError::into_inner);
        !distrusted.is_empty() && distrusted.contains(&block)
    }

    pub(crate) fn distrust(&self, block: BlockNumber) {
        self.distrusted.write().unwrap_or_else(PoisonError::into_inner).insert(block);
    }

    pub(crate) fn note_damage(&self, file: String, problem: impl Into<String>) {
        guard(&self.damage).push(Damage { file, problem: problem.into() });
    }

    /// The last step of a close: nothing is written unless something was written before.
    fn finish(&self) -> Result<(), StoreError> {
        let (is_marked, has_frozen) = {
            let lane = self.lane();
            if lane.is_read_only {
                return Err(StoreError::ReadOnly);
            }
            (lane.is_marked, !lane.frozen.is_empty())
        };
        if has_frozen {
            self.pack_frozen()?;
        }
        self.sync_commits()?;
        let index = self.index();
        if index.fresh_bytes() >= CLOSE_CHECKPOINT_BYTES {
            self.checkpoint()?;
        }
        if !is_marked && !has_frozen {
            return Ok(());
        }
        let mut lane = self.lane();
        let ends = lane.open.iter().filter(|open| !open.is_empty());
        let ends = ends
            .map(|open| CleanEnd {
                number: open.header.number,
                end: open.written,
                previous: open.previous,
            })
            .chain(lane.others.iter().copied())
            .take(CLEAN_ENDS_MAX)
            .collect();
        let mut superblock = self.superblock();
        superblock.generation += 1;
        superblock.clean = lane.frozen.is_empty().then_some(ends);
        superblock.write(&*self.disk)?;
        // Whatever comes after a close finds the mark gone again.
        lane.is_marked = false;
        Ok(())
    }
}

/// Bytes of packed blocks after which a checkpoint is due.
const CHECKPOINT_BLOCK_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of index entries in memory after which a checkpoint is due.
const CHECKPOINT_INDEX_BYTES: usize = 32 * 1024 * 1024;

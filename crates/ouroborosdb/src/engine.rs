use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crypt::{CompressionPolicy, EpochKeys, ObjectKind, Opener, Random, Sealer, Unsealed};
use model::{Chunker, Name, ObjectId, UserId, Vertex, VertexHash};
use store::{Location, Position, Problem, Store, StoreError};

use crate::bundle::Bundle;
use crate::bundle_cache::BundleCache;
use crate::dry::DryRuns;
use crate::error::Error;
use crate::feed::Feed;
use crate::frontier_file::FrontierFile;
use crate::member_signer::MemberSigner;
use crate::name_locks::NameLocks;
use crate::pool::Pool;
use crate::session::Finding;
use crate::world::Clock;

/// Contexts and buffers kept for the next caller.
const IDLE_MAX: usize = 8;
/// Names with deferred versions before all are made durable.
const DEFERRED_NAMES_MAX: usize = 10_000;

/// Everything behind a [`crate::Database`] and its clones.
pub(crate) struct Engine {
    pub(crate) store: Store,
    pub(crate) keys: Arc<EpochKeys>,
    may_write: bool,
    /// What opening found wrong with records.
    pub(crate) findings: Vec<Finding>,
    pub(crate) signer: Arc<MemberSigner>,
    pub(crate) author: UserId,
    pub(crate) chunker: Chunker,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) threads: usize,
    pub(crate) sealers: Pool<Sealer>,
    pub(crate) openers: Pool<Opener>,
    /// Buffers of [`crate::intake::HEAD_LEN`] bytes.
    pub(crate) heads: Pool<Vec<u8>>,
    /// Buffers of [`crate::pipeline::SLAB_LEN`] bytes.
    pub(crate) slabs: Pool<Arc<Vec<u8>>>,
    /// Small objects that wait for company.
    pub(crate) pending: Mutex<Bundle>,
    pub(crate) bundle_cache: BundleCache,
    pub(crate) name_locks: NameLocks,
    pub(crate) dry_runs: DryRuns,
    pub(crate) feed: Arc<Feed>,
    pub(crate) frontier: Option<FrontierFile>,
    deferred: Mutex<Deferred>,
}

/// Names whose newest version the store does not show yet.
#[derive(Default)]
struct Deferred {
    clock: u64,
    names: HashMap<Name, u64>,
}

/// What an engine is made of.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) keys: Arc<EpochKeys>,
    pub(crate) may_write: bool,
    pub(crate) findings: Vec<Finding>,
    pub(crate) signer: Arc<MemberSigner>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) threads: usize,
    pub(crate) frontier: Option<FrontierFile>,
}

impl Engine {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { store, keys, may_write, findings, signer, random, clock, threads, frontier } =
            parts;
        Self {
            store,
            chunker: Chunker::new(keys.gear_table()),
            keys,
            may_write,
            findings,
            author: signer.identity.user_id(),
            signer,
            random,
            clock,
            threads,
            sealers: Pool::new(IDLE_MAX),
            openers: Pool::new(IDLE_MAX),
            heads: Pool::new(IDLE_MAX),
            slabs: Pool::new(IDLE_MAX / 2),
            pending: Mutex::new(Bundle::default()),
            bundle_cache: BundleCache::new(),
            name_locks: NameLocks::new(),
            dry_runs: DryRuns::default(),
            feed: Arc::new(Feed::default()),
            frontier,
            deferred: Mutex::default(),
        }
    }

    /// Refuses who may only read.
    pub(crate) fn check_may_write(&self) -> Result<(), Error> {
        if self.may_write {
            return Ok(());
        }
        let scope = self.keys.scope().to_string();
        Err(Error::NotAllowed { what: "write", scope })
    }

    /// Runs `work` with a sealer.
    pub(crate) fn with_sealer<T>(&self, work: impl FnOnce(&mut Sealer) -> T) -> T {
        let mut sealer = self.sealers.take(|| Sealer::new(CompressionPolicy::Auto));
        let result = work(&mut sealer);
        self.sealers.give(sealer);
        result
    }

    /// The cleartext of an object of one of `kinds`; `None` when there is none.
    pub(crate) fn object(&self, id: &ObjectId, kind: ObjectKind) -> Result<Option<Vec<u8>>, Error> {
        let mut found = self.store.locate_any(id)?;
        if found.is_none() && lock(&self.pending).contains(id) {
            self.flush_pending()?;
            found = self.store.locate_any(id)?;
        }
        let Some(location) = found.filter(|location| location.kind == kind) else {
            return Ok(None);
        };
        match self.unsealed(id, &location) {
            // Its block was sealed anew between the two looks.
            Err(Error::Store(StoreError::Missing { .. })) => match self.store.locate_any(id)? {
                Some(moved) if moved != location => self.unsealed(id, &moved).map(Some),
                _ => self.unsealed(id, &location).map(Some),
            },
            result => result.map(Some),
        }
    }

    fn unsealed(&self, id: &ObjectId, location: &Location) -> Result<Vec<u8>, Error> {
        if let Some(item) = location.item {
            return self.bundled(id, location, item);
        }
        let opened = self.unsealed_frame(location, |header_id, kind| {
            header_id == *id && kind == location.kind
        })?;
        Ok(opened.plain)
    }

    /// Reads and unseals the frame at `location`, whose header must satisfy `is_wanted`.
    pub(crate) fn unsealed_frame(
        &self,
        location: &Location,
        is_wanted: impl FnOnce(ObjectId, ObjectKind) -> bool,
    ) -> Result<Unsealed, Error> {
        let frame = self.store.read(location)?;
        let mut opener = self.openers.take(Opener::new);
        let opened = self.store.unseal(&frame, &mut opener);
        self.openers.give(opener);
        match opened {
            Ok(opened) if is_wanted(opened.header.obj, opened.header.kind) => Ok(opened),
            _ => Err(self.damaged(location)),
        }
    }

    /// The refusal for bytes that do not unseal to what the index says; their block is not relied
    /// on any more.
    pub(crate) fn damaged(&self, location: &Location) -> Error {
        self.store.distrust(location);
        damaged(self.store.file_of(location))
    }

    /// A version, `None` when it is not stored.
    pub(crate) fn find_vertex(&self, hash: &VertexHash) -> Result<Option<Vertex>, Error> {
        let Some(bytes) = self.object(&(*hash).into(), ObjectKind::Vertex)? else {
            return Ok(None);
        };
        Ok(Some(Vertex::decode(&bytes).map_err(|_| damaged(hash.to_string()))?))
    }

    /// A version.
    pub(crate) fn vertex(&self, hash: &VertexHash) -> Result<Vertex, Error> {
        self.find_vertex(hash)?.ok_or_else(|| Error::HashUnknown { hash: hash.to_string() })
    }

    /// Makes everything appended so far durable and visible.
    pub(crate) fn sync_all(&self) -> Result<(), Error> {
        let until = lock(&self.deferred).clock;
        self.flush_pending()?;
        self.sync(self.store.position())?;
        lock(&self.deferred).names.retain(|_, at| *at > until);
        Ok(())
    }

    /// Makes everything up to `position` durable and visible.
    pub(crate) fn sync(&self, position: Position) -> Result<(), Error> {
        self.store.sync(position)?;
        self.feed.announce();
        Ok(())
    }

    /// Notes that `name` has a version the store does not show until the next sync.
    pub(crate) fn note_deferred(&self, name: &Name) -> Result<(), Error> {
        let mut deferred = lock(&self.deferred);
        deferred.clock += 1;
        let now = deferred.clock;
        deferred.names.insert(name.clone(), now);
        let is_full = deferred.names.len() > DEFERRED_NAMES_MAX;
        drop(deferred);
        if is_full { self.sync_all() } else { Ok(()) }
    }

    /// Makes sure that the heads the store shows for `name` are all there are.
    pub(crate) fn settle_name(&self, name: &Name) -> Result<(), Error> {
        let is_deferred = lock(&self.deferred).names.contains_key(name);
        if is_deferred { self.sync_all() } else { Ok(()) }
    }

    /// As [`Engine::settle_name`], for all names.
    pub(crate) fn settle_all_names(&self) -> Result<(), Error> {
        let is_any_deferred = !lock(&self.deferred).names.is_empty();
        if is_any_deferred { self.sync_all() } else { Ok(()) }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; what was acknowledged is already durable.
        let _ = self.sync_all();
        if self.store.close().is_ok() {
            let _ = self.save_frontier();
        }
        self.feed.close();
    }
}

/// Bytes of `file` are not what was written.
pub(crate) fn damaged(file: String) -> Error {
    Error::Store(StoreError::Corrupt { file, offset: 0, problem: Problem::Seal })
}

/// Locks, also after a panic elsewhere: every critical section leaves its value whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

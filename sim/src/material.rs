//! Fixed keys, and sealed objects to put into a store.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use crypt::{
    Commit, CompressionPolicy, CryptError, EpochKeys, EpochSecret, Frontier, Identity, ObjectKind,
    Opener, PublicIdentity, Root, Sealer, SeededRandom, SignedCommit, StoreKeys,
};
use model::hash::HashKey;
use model::{ChainId, ChunkEntry, EpochId, ObjectId, RecordId, ScopeId, UserId, Vertex};
use store::disk::Disk;
use store::{
    BundleMember, CommitSigner, Location, SealedObject, Signing, Store, StoreError, StoreOptions,
    Writer,
};

/// The keys of every simulated store.
#[derive(Clone)]
pub struct Keys {
    /// Of the one epoch.
    pub epoch: Arc<EpochKeys>,
    store: StoreKeys,
    writer: Writer,
}

thread_local! {
    /// One for each thread: images are many and a compression context is dear.
    static SEALER: RefCell<Sealer> = RefCell::new(Sealer::new(CompressionPolicy::Auto));
    static OPENER: RefCell<Opener> = RefCell::new(Opener::new());
}

/// Who writes.
pub const AUTHOR: UserId = UserId::new([3; 32]);

impl Default for Keys {
    fn default() -> Self {
        let id = EpochId::new([2; 32]);
        let secret = EpochSecret::from_bytes([7; 32]);
        let epoch = Arc::new(EpochKeys::new(ScopeId::new([1; 32]), id, id, &secret));
        let store = StoreKeys { epochs: vec![Arc::clone(&epoch)], local: HashKey::new([9; 32]) };
        let writer =
            Writer { user: SIGNER.0.user_id(), keys: Arc::clone(&epoch), signing: Some(signing()) };
        Self { epoch, store, writer }
    }
}

/// Commits are signed in images too.
struct Signer(Identity);

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let root = Root::from_bytes([5; 32]);
    Signer(Identity::from_root(root).expect("the primitives agree"))
});

fn signing() -> Signing {
    Signing {
        signer: Arc::new(&*SIGNER),
        frontier: Frontier::default(),
        may_sign: true,
        accept_rollback: false,
    }
}

impl CommitSigner for &'static Signer {
    fn sign(&self, commit: Commit) -> Result<SignedCommit, CryptError> {
        commit.sign(&self.0)
    }

    fn public(&self, user: UserId) -> Option<&PublicIdentity> {
        (self.0.user_id() == user).then(|| self.0.public())
    }

    fn counts(&self, _: UserId, _: &ChainId, _: u64) -> bool {
        true
    }

    fn membership_head(&self) -> &[RecordId] {
        &[]
    }
}

/// Every call does its own work: the same calls give the same disk operations.
pub fn inline() -> StoreOptions {
    StoreOptions { background: false, memory_bytes: 1024 * 1024, ..StoreOptions::default() }
}

impl Keys {
    /// Opens the store, making or completing it first.
    pub fn open(
        &self,
        disk: Arc<dyn Disk>,
        seed: u64,
        options: StoreOptions,
    ) -> Result<Store, StoreError> {
        let random = Arc::new(SeededRandom::new(seed));
        match self.open_only(Arc::clone(&disk), seed, options) {
            Err(StoreError::NotAStore) => {
                Store::create(&*disk, &*random)?;
                self.open_only(disk, seed, options)
            }
            opened => opened,
        }
    }

    /// Opens what is there.
    pub fn open_only(
        &self,
        disk: Arc<dyn Disk>,
        seed: u64,
        options: StoreOptions,
    ) -> Result<Store, StoreError> {
        let random = Arc::new(SeededRandom::new(seed ^ 0x5eed));
        Store::open(disk, self.store.clone(), self.writer.clone(), options, random)
    }

    fn sealed(
        &self,
        store: &Store,
        kind: ObjectKind,
        id: ObjectId,
        plain: &[u8],
    ) -> Result<SealedObject, StoreError> {
        let nonce = store.seal_context()?.nonce;
        let mut frame = Vec::new();
        let header = SEALER
            .with_borrow_mut(|sealer| self.epoch.seal(kind, id, plain, sealer, &nonce, &mut frame));
        Ok(SealedObject { header, frame, members: Vec::new(), vertices: Vec::new() })
    }

    /// What a chunk with these bytes is called.
    pub fn chunk_entry(&self, plain: &[u8]) -> ChunkEntry {
        let len = u32::try_from(plain.len()).expect("chunks are short");
        ChunkEntry { hash: self.epoch.chunk_hash(plain), len }
    }

    /// A chunk.
    pub fn chunk(&self, store: &Store, plain: &[u8]) -> Result<SealedObject, StoreError> {
        self.sealed(store, ObjectKind::Chunk, self.chunk_entry(plain).hash.into(), plain)
    }

    /// A version in a frame of its own.
    pub fn vertex(&self, store: &Store, vertex: &Vertex) -> Result<SealedObject, StoreError> {
        let (hash, plain) = (vertex.hash(), vertex.encode());
        let mut object = self.sealed(store, ObjectKind::Vertex, hash.into(), &plain)?;
        object.vertices.push((hash, vertex.clone()));
        Ok(object)
    }

    /// Several versions in one frame.
    pub fn bundle(&self, store: &Store, vertices: &[Vertex]) -> Result<SealedObject, StoreError> {
        let mut plain = Vec::new();
        let mut members = Vec::new();
        for vertex in vertices {
            let bytes = vertex.encode();
            store::bundle::encode_item(&mut plain, ObjectKind::Vertex, &bytes);
            let len = u32::try_from(bytes.len()).expect("items are short");
            members.push(BundleMember { id: vertex.hash().into(), kind: ObjectKind::Vertex, len });
        }
        let context = store.seal_context()?;
        let (kind, id) = (ObjectKind::Bundle, context.bundle_id());
        let mut frame = Vec::new();
        let header = SEALER.with_borrow_mut(|sealer| {
            self.epoch.seal(kind, id, &plain, sealer, &context.nonce, &mut frame)
        });
        let vertices = vertices.iter().map(|vertex| (vertex.hash(), vertex.clone())).collect();
        Ok(SealedObject { header, frame, members, vertices })
    }
}

/// Reads objects back; keeps the last bundle, whose items lie one after the other.
pub struct Reading<'a> {
    store: &'a Store,
    keys: &'a Keys,
    bundle: Option<(Location, Vec<u8>)>,
}

impl<'a> Reading<'a> {
    /// Of one store.
    pub fn new(store: &'a Store, keys: &'a Keys) -> Self {
        Self { store, keys, bundle: None }
    }

    /// The verified cleartext.
    pub fn plain(&mut self, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(location) = self.store.locate_any(id)? else { return Ok(None) };
        let Some(item) = location.item else {
            let (obj, plain) = self.frame(&location)?;
            // A frame proves itself, not that it is the one that was asked for.
            return if obj == *id { Ok(Some(plain)) } else { Err(self.unsealable(&location)) };
        };
        let whole = Location { item: None, ..location };
        let plain = match self.bundle.take() {
            Some((place, plain)) if place == whole => plain,
            _ => self.frame(&location)?.1,
        };
        let found = store::bundle::items(&plain).ok().and_then(|items| {
            let (kind, bytes) = items.get(usize::from(item))?;
            (*kind == location.kind).then(|| bytes.to_vec())
        });
        let bytes = found.ok_or_else(|| self.unsealable(&location))?;
        // The frame proves the bundle whole; which item is meant, only the item's own id does.
        if location.kind == ObjectKind::Vertex && ObjectId::from(Vertex::hash_of(&bytes)) != *id {
            return Err(self.unsealable(&location));
        }
        self.bundle = Some((whole, plain));
        Ok(Some(bytes))
    }

    fn frame(&self, location: &Location) -> Result<(ObjectId, Vec<u8>), StoreError> {
        let frame = self.store.read(location)?;
        match OPENER.with_borrow_mut(|opener| self.keys.epoch.unseal(&frame, opener)) {
            Ok((header, plain)) => Ok((header.obj, plain)),
            Err(_) => Err(self.unsealable(location)),
        }
    }

    fn unsealable(&self, location: &Location) -> StoreError {
        let file = self.store.file_of(location);
        StoreError::Corrupt { file, offset: 0, problem: store::Problem::Seal }
    }
}

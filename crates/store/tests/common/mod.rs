//! A store with keys of its own over any disk, and objects to put into it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test file uses a part of it"
)]

use std::sync::Arc;

use crypt::{
    CompressionPolicy, EpochKeys, EpochSecret, ObjectKind, Opener, Sealer, SeededRandom, StoreKeys,
};
use model::hash::HashKey;
use model::{
    ChunkEntry, Content, EpochId, GroupId, Hlc, Meta, Name, ScopeId, UserId, Vertex, VertexHash,
};
use ouroboros_store as store;
use store::disk::Disk;
use store::{BundleMember, SealedObject, Store, StoreError, StoreOptions, Writer};

pub struct Keys {
    pub epoch: Arc<EpochKeys>,
    pub store: StoreKeys,
    pub writer: Writer,
}

pub fn keys() -> Keys {
    let secret = EpochSecret::random(&SeededRandom::new(7));
    let id = EpochId::new([2; 32]);
    let epoch = Arc::new(EpochKeys::new(ScopeId::new([1; 32]), id, id, &secret));
    let store = StoreKeys { epochs: vec![Arc::clone(&epoch)], local: HashKey::new([9; 32]) };
    let writer = Writer { user: UserId::new([3; 32]), keys: Arc::clone(&epoch), signing: None };
    Keys { epoch, store, writer }
}

pub fn open(
    disk: Arc<dyn Disk>,
    keys: &Keys,
    seed: u64,
    options: StoreOptions,
) -> Result<Store, StoreError> {
    let random = Arc::new(SeededRandom::new(seed));
    if !Store::is_present(&*disk)? {
        Store::create(&*disk, &*random)?;
    }
    let writer = keys.writer.clone();
    Store::open(disk, keys.store.clone(), writer, options, random)
}

pub fn chunk(store: &Store, keys: &Keys, bytes: &[u8]) -> (ChunkEntry, SealedObject) {
    let hash = keys.epoch.chunk_hash(bytes);
    let object = sealed(store, keys, ObjectKind::Chunk, hash.into(), bytes);
    (ChunkEntry { hash, len: u32::try_from(bytes.len()).unwrap() }, object)
}

pub fn sealed(
    store: &Store,
    keys: &Keys,
    kind: ObjectKind,
    id: model::ObjectId,
    bytes: &[u8],
) -> SealedObject {
    let context = store.seal_context().unwrap();
    let mut frame = Vec::new();
    let mut sealer = Sealer::new(CompressionPolicy::Auto);
    let header = keys.epoch.seal(kind, id, bytes, &mut sealer, &context.nonce, &mut frame);
    SealedObject { header, frame, members: Vec::new(), vertices: Vec::new() }
}

pub fn vertex(name: &str, parents: Vec<VertexHash>, depth: u64, content: Content) -> Vertex {
    Vertex {
        blind: [0; 16],
        parents,
        depth,
        name: Some(Name::new(name).unwrap()),
        hlc: Hlc(depth + 1),
        author: UserId::new([3; 32]),
        group: GroupId::NONE,
        closes: GroupId::NONE,
        content,
        meta: Meta::default(),
    }
}

pub fn vertex_object(store: &Store, keys: &Keys, vertex: &Vertex) -> (VertexHash, SealedObject) {
    let bytes = vertex.encode();
    let hash = vertex.hash();
    let mut object = sealed(store, keys, ObjectKind::Vertex, hash.into(), &bytes);
    object.vertices.push((hash, vertex.clone()));
    (hash, object)
}

pub fn bundle(store: &Store, keys: &Keys, vertices: &[Vertex]) -> SealedObject {
    let mut plain = Vec::new();
    let mut members = Vec::new();
    for vertex in vertices {
        let bytes = vertex.encode();
        store::bundle::encode_item(&mut plain, ObjectKind::Vertex, &bytes);
        let len = u32::try_from(bytes.len()).unwrap();
        members.push(BundleMember { id: vertex.hash().into(), kind: ObjectKind::Vertex, len });
    }
    let context = store.seal_context().unwrap();
    let mut frame = Vec::new();
    let mut sealer = Sealer::new(CompressionPolicy::Auto);
    let kind = ObjectKind::Bundle;
    let header =
        keys.epoch.seal(kind, context.bundle_id(), &plain, &mut sealer, &context.nonce, &mut frame);
    let vertices = vertices.iter().map(|vertex| (vertex.hash(), vertex.clone())).collect();
    SealedObject { header, frame, members, vertices }
}

/// The verified cleartext of an object, from its bundle if it is in one.
pub fn read(
    store: &Store,
    keys: &Keys,
    id: &model::ObjectId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(location) = store.locate_any(id)? else { return Ok(None) };
    let frame = store.read(&location)?;
    let Ok((_, plain)) = keys.epoch.unseal(&frame, &mut Opener::new()) else {
        return Err(StoreError::Corrupt {
            file: store.file_of(&location),
            offset: 0,
            problem: store::Problem::Seal,
        });
    };
    Ok(Some(match location.item {
        None => plain,
        Some(item) => store::bundle::items(&plain).unwrap()[usize::from(item)].1.to_vec(),
    }))
}

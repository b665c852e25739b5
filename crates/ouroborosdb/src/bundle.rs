//! Small objects on their way into the log: who shares a bundle, and in which order all go.

use crypt::{ObjectKind, Sealer};
use model::limit::{BUNDLE_LEN_MAX, BUNDLED_LEN_MAX};
use model::{ObjectId, Vertex, VertexHash};
use store::bundle::{ITEM_OVERHEAD, encode_item};
use store::{BundleMember, Position, SealedObject};

use crate::engine::{Engine, lock};
use crate::error::Error;

/// An object before it is sealed.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) kind: ObjectKind,
    pub(crate) id: ObjectId,
    pub(crate) bytes: Vec<u8>,
    /// Of a vertex, what `bytes` encode.
    pub(crate) vertex: Option<Vertex>,
}

impl Item {
    pub(crate) fn of_vertex(hash: VertexHash, vertex: Vertex, bytes: Vec<u8>) -> Self {
        Self { kind: ObjectKind::Vertex, id: hash.into(), bytes, vertex: Some(vertex) }
    }

    fn is_small(&self) -> bool {
        self.bytes.len() < BUNDLED_LEN_MAX
    }

    fn member(&self) -> BundleMember {
        let len = u32::try_from(self.bytes.len()).expect("a small object is below 4 KiB");
        BundleMember { id: self.id, kind: self.kind, len }
    }

    /// Bytes it takes in a bundle.
    fn bundled_len(&self) -> usize {
        self.bytes.len() + ITEM_OVERHEAD
    }
}

/// Whether `items` fit one bundle, so that they become durable together or not at all.
pub(crate) fn fit_one_object(items: &[Item]) -> bool {
    match items {
        [_] => true,
        items => {
            let len: usize = items.iter().map(Item::bundled_len).sum();
            items.iter().all(Item::is_small) && len <= BUNDLE_LEN_MAX
        }
    }
}

/// Small objects that will be sealed as one.
#[derive(Default)]
pub(crate) struct Bundle {
    items: Vec<Item>,
    len: usize,
}

/// What became of the items of one call.
#[derive(Default)]
pub(crate) struct Placed {
    /// Of the last object appended.
    pub(crate) position: Option<Position>,
    /// Bytes the log grew by for them; an estimate for those that still wait.
    pub(crate) bytes_stored: u64,
}

impl Bundle {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn contains(&self, id: &ObjectId) -> bool {
        self.items.iter().any(|item| item.id == *id)
    }

    fn fits(&self, item: &Item) -> bool {
        self.len + item.bundled_len() <= BUNDLE_LEN_MAX
    }

    fn push(&mut self, item: Item) {
        self.len += item.bundled_len();
        self.items.push(item);
    }

    /// Seals what is held, a single item without a bundle around it.
    fn sealed(
        &mut self,
        engine: &Engine,
        sealer: &mut Sealer,
    ) -> Result<Option<SealedObject>, Error> {
        let mut items = std::mem::take(&mut self.items);
        let len = std::mem::take(&mut self.len);
        if items.len() < 2 {
            return items.pop().map(|item| engine.sealed(item, sealer)).transpose();
        }
        let mut plain = Vec::with_capacity(len);
        for item in &items {
            encode_item(&mut plain, item.kind, &item.bytes);
        }
        let context = engine.store.seal_context()?;
        let id = context.bundle_id();
        let mut frame = Vec::new();
        let kind = ObjectKind::Bundle;
        let header = engine.keys.seal(kind, id, &plain, sealer, &context.nonce, &mut frame);
        let members = items.iter().map(Item::member).collect();
        let vertices = items.into_iter().filter_map(decoded).collect();
        Ok(Some(SealedObject { header, frame, members, vertices }))
    }
}

fn decoded(item: Item) -> Option<(VertexHash, Vertex)> {
    Some((VertexHash::new(*item.id.as_bytes()), item.vertex?))
}

impl Engine {
    /// Seals one object by itself.
    fn sealed(&self, item: Item, sealer: &mut Sealer) -> Result<SealedObject, Error> {
        let nonce = self.store.seal_nonce()?;
        let mut frame = Vec::new();
        let header = self.keys.seal(item.kind, item.id, &item.bytes, sealer, &nonce, &mut frame);
        let vertices = decoded(item).into_iter().collect();
        Ok(SealedObject { header, frame, members: Vec::new(), vertices })
    }

    /// Puts `items` into the log in their order, behind all that were placed before. Without
    /// `flush` the last small ones may wait for company until somebody flushes.
    pub(crate) fn place(&self, items: Vec<Item>, flush: bool) -> Result<Placed, Error> {
        let mut pending = lock(&self.pending);
        if flush && pending.is_empty() {
            // Nobody has to go first, so the sealing need not keep others waiting.
            drop(pending);
            let (sealed, bytes_stored) = self.arrange(&mut Bundle::default(), items, flush)?;
            let position = Some(self.store.append(sealed)?);
            return Ok(Placed { position, bytes_stored });
        }
        let (sealed, bytes_stored) = self.arrange(&mut pending, items, flush)?;
        // Appended under the lock: a vertex must never overtake what it refers to.
        let position = if sealed.is_empty() { None } else { Some(self.store.append(sealed)?) };
        Ok(Placed { position, bytes_stored })
    }

    /// What [`Engine::place`] would add, with nothing written.
    pub(crate) fn place_dry(&self, items: Vec<Item>, flush: bool) -> Result<u64, Error> {
        Ok(self.arrange(&mut Bundle::default(), items, flush)?.1)
    }

    /// Appends the small objects that wait.
    pub(crate) fn flush_pending(&self) -> Result<(), Error> {
        let mut pending = lock(&self.pending);
        if !pending.is_empty() {
            let (sealed, _) = self.arrange(&mut pending, Vec::new(), true)?;
            self.store.append(sealed)?;
        }
        Ok(())
    }

    /// The objects to append now, and the bytes to count for `items`.
    fn arrange(
        &self,
        bundle: &mut Bundle,
        items: Vec<Item>,
        flush: bool,
    ) -> Result<(Vec<SealedObject>, u64), Error> {
        self.with_sealer(|sealer| {
            let mut sealed = Vec::new();
            let (mut stored, mut own) = (0u64, 0u64);
            for item in items {
                if !item.is_small() || !bundle.fits(&item) {
                    sealed.extend(bundle.sealed(self, sealer)?);
                    stored += std::mem::take(&mut own);
                }
                if item.is_small() {
                    own += item.bundled_len() as u64;
                    bundle.push(item);
                } else {
                    let object = self.sealed(item, sealer)?;
                    stored += object.frame.len() as u64;
                    sealed.push(object);
                }
            }
            let total = bundle.len as u64;
            let last = if flush { bundle.sealed(self, sealer)? } else { None };
            match last {
                // Shared by length with whoever waited in the same bundle.
                Some(object) => {
                    stored += (object.frame.len() as u64 * own).div_ceil(total.max(1));
                    sealed.push(object);
                }
                None => stored += own,
            }
            Ok((sealed, stored))
        })
    }
}

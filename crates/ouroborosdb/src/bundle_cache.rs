//! Reads objects out of bundles, and keeps a few unsealed bundles: neighbours are read in turn.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crypt::{EpochKeys, ObjectKind, Unsealed};
use model::{ObjectId, Vertex};
use store::Location;
use store::bundle::items;

use crate::engine::{Engine, lock};
use crate::error::Error;

/// At 16 KiB each they hold at most 512 KiB.
const BUNDLES_MAX: usize = 32;

/// Unsealed bundles by place, the latest first.
pub(crate) struct BundleCache(Mutex<VecDeque<(Location, Arc<Unsealed>)>>);

impl BundleCache {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    fn find(&self, place: &Location) -> Option<Arc<Unsealed>> {
        let held = lock(&self.0);
        held.iter().find(|(at, _)| at == place).map(|(_, bundle)| Arc::clone(bundle))
    }

    fn keep(&self, place: Location, bundle: Arc<Unsealed>) {
        let mut held = lock(&self.0);
        held.truncate(BUNDLES_MAX - 1);
        held.push_front((place, bundle));
    }
}

impl Engine {
    /// The cleartext of item number `item` of the bundle at `location`.
    pub(crate) fn bundled(
        &self,
        id: &ObjectId,
        location: &Location,
        item: u16,
    ) -> Result<Vec<u8>, Error> {
        let place = Location { kind: ObjectKind::Bundle, item: None, ..*location };
        let bundle = match self.bundle_cache.find(&place) {
            Some(bundle) => bundle,
            None => {
                let is_bundle = |_, kind| kind == ObjectKind::Bundle;
                let bundle = Arc::new(self.unsealed_frame(&place, is_bundle)?);
                self.bundle_cache.keep(place, Arc::clone(&bundle));
                bundle
            }
        };
        let found =
            items(&bundle.plain).ok().and_then(|items| items.get(usize::from(item)).copied());
        match found {
            Some((kind, bytes))
                if kind == location.kind && id_of(&bundle.keys, kind, bytes) == Some(*id) =>
            {
                Ok(bytes.to_vec())
            }
            _ => Err(self.damaged(location)),
        }
    }
}

/// The id that follows from an item's bytes, by the keys its bundle was sealed with.
fn id_of(keys: &EpochKeys, kind: ObjectKind, bytes: &[u8]) -> Option<ObjectId> {
    Some(match kind {
        ObjectKind::Chunk => keys.chunk_hash(bytes).into(),
        ObjectKind::List => keys.list_hash(bytes).into(),
        ObjectKind::Vertex => Vertex::hash_of(bytes).into(),
        _ => return None,
    })
}

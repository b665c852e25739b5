use std::sync::Arc;

use model::hash::HashKey;
use model::{EpochId, ScopeId};

use crate::EpochKeys;

/// What a store needs to mask frames and to seal indexes and pages. It holds no identity.
#[derive(Debug, Clone)]
pub struct StoreKeys {
    /// The keys of every epoch and generation in use.
    pub epochs: Vec<Arc<EpochKeys>>,
    /// The key of this data folder's own files.
    pub local: HashKey,
}

impl StoreKeys {
    /// The keys a block of (`scope`, `epoch`, `generation`) was sealed with, when they are held.
    pub fn epoch(
        &self,
        scope: ScopeId,
        epoch: EpochId,
        generation: EpochId,
    ) -> Option<&Arc<EpochKeys>> {
        self.epochs.iter().find(|keys| {
            keys.scope() == scope && keys.epoch() == epoch && keys.generation() == generation
        })
    }
}

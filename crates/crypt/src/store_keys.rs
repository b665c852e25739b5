use std::sync::Arc;

use model::hash::HashKey;
use model::{EpochId, ScopeId};

use crate::object::FRAME_PREFIX_LEN;
use crate::{CryptError, EpochKeys, ObjectHeader, Opener};

/// What a store needs to mask frames and to seal indexes and pages. It holds no identity.
#[derive(Debug, Clone)]
pub struct StoreKeys {
    /// The keys of every epoch that can be opened, those written with first.
    pub epochs: Vec<Arc<EpochKeys>>,
    /// The key of this data folder's own files.
    pub local: HashKey,
}

/// What was in a frame.
#[derive(Debug)]
pub struct Unsealed {
    /// What it is.
    pub header: ObjectHeader,
    /// Its cleartext.
    pub plain: Vec<u8>,
    /// What opened it; the ids inside a bundle are of their generation.
    pub keys: Arc<EpochKeys>,
}

impl StoreKeys {
    /// The keys a block of (`scope`, `epoch`, `generation`) was sealed with, when they are held. The
    /// generation of a block that was sealed anew is older than its epoch.
    pub fn epoch(
        &self,
        scope: ScopeId,
        epoch: EpochId,
        generation: EpochId,
    ) -> Option<Arc<EpochKeys>> {
        let held = |id: EpochId| {
            self.epochs.iter().find(|keys| keys.scope() == scope && keys.epoch() == id)
        };
        let (sealing, naming) = (held(epoch)?, held(generation)?);
        Some(if epoch == generation { Arc::clone(sealing) } else { paired(sealing, naming) })
    }

    /// Opens one whole frame of any epoch and generation that is held. The mask of a frame tells its
    /// epoch, the commitment its generation; both are looked at before anything is deciphered.
    pub fn unseal(&self, frame: &[u8], opener: &mut Opener) -> Result<Unsealed, CryptError> {
        let prefix = frame.first_chunk::<FRAME_PREFIX_LEN>().ok_or(CryptError::Unseal)?;
        for sealing in self.epochs.iter().filter(|keys| keys.frame_header(prefix).is_ok()) {
            for keys in self.sealed_by(sealing) {
                if let Ok((header, plain)) = keys.unseal(frame, opener) {
                    return Ok(Unsealed { header, plain, keys });
                }
            }
        }
        Err(CryptError::Unseal)
    }

    fn sealed_by<'a>(
        &'a self,
        sealing: &'a Arc<EpochKeys>,
    ) -> impl Iterator<Item = Arc<EpochKeys>> + 'a {
        let others = self.epochs.iter().filter(|keys| keys.epoch() != sealing.epoch());
        let paired = others.map(|naming| paired(sealing, naming));
        core::iter::once_with(|| Arc::clone(sealing)).chain(paired)
    }
}

fn paired(sealing: &EpochKeys, naming: &EpochKeys) -> Arc<EpochKeys> {
    Arc::new(sealing.of_generation(naming))
}

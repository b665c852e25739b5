//! The epochs of a scope that an identity can open, and which of them it may write under (lines 11
//! and 13 of the key design).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{EpochId, UserId};
use subtle::ConstantTimeEq;

use crate::{
    CryptError, EpochKeys, EpochRecord, EpochSecret, GrantRecord, Identity, Membership,
    MembershipLog, PublicIdentity, Random,
};

/// Every known epoch of one scope, with the secrets an identity holds.
pub struct Keyring {
    epochs: BTreeMap<EpochId, Known>,
    refused: Vec<(EpochId, CryptError)>,
}

struct Known {
    parents: Vec<EpochId>,
    /// Longest way to an epoch without parents.
    depth: u64,
    /// Whoever it was ever wrapped for.
    readers: BTreeSet<UserId>,
    secret: Option<EpochSecret>,
}

impl Keyring {
    /// Opens what `identity` can open: epochs wrapped for it, those granted to it, and all that came
    /// before either.
    ///
    /// An epoch or grant that does not hold is not an error: it is left out and told by
    /// [`Self::refused`]. An epoch whose membership is not all here is left out too.
    pub fn open(
        identity: &Identity,
        log: &MembershipLog,
        epochs: &[EpochRecord],
        grants: &[GrantRecord],
    ) -> Self {
        let mut keyring = Self { epochs: BTreeMap::new(), refused: Vec::new() };
        let mut opening =
            Opening { identity, log, records: BTreeMap::new(), grants, depths: BTreeMap::new() };
        for record in epochs.iter().filter(|record| record.core().scope == log.scope()) {
            opening.records.insert(record.epoch_id(), record);
        }
        let ids: Vec<EpochId> = opening.records.keys().copied().collect();
        let mut by_depth: Vec<(u64, EpochId)> =
            ids.iter().map(|id| (opening.depth(*id), *id)).collect();
        by_depth.sort_unstable_by(|a, b| b.cmp(a));
        // The newest first: what came before follows from it and needs no signature of its own.
        for (depth, id) in by_depth {
            keyring.admit(&opening, id, depth);
        }
        keyring
    }

    fn admit(&mut self, opening: &Opening<'_>, id: EpochId, depth: u64) {
        let Some(record) = opening.records.get(&id) else { return };
        let held = self.epochs.values().any(|known| known.parents.contains(&id));
        let inherited = held.then(|| self.inherited(opening, id)).flatten();
        if inherited.is_none()
            && let Err(error) = opening.verify(record)
        {
            self.refused.push((id, error));
            return;
        }
        let secret = inherited.or_else(|| match opening.secret(record) {
            Ok(secret) => secret,
            Err(error) => {
                self.refused.push((id, error));
                None
            }
        });
        let readers = opening.readers(record, secret.as_ref());
        let parents = record.core().parents.clone();
        self.epochs.insert(id, Known { parents, depth, readers, secret });
    }

    /// The secret of `id` out of the history of an epoch that follows it.
    fn inherited(&self, opening: &Opening<'_>, id: EpochId) -> Option<EpochSecret> {
        let core = opening.records.get(&id)?.core();
        self.epochs.iter().find_map(|(child, known)| {
            let secret = known.secret.as_ref()?;
            let at = known.parents.iter().position(|parent| *parent == id)?;
            let found = opening.records.get(child)?.parent_secret(at, secret).ok()?;
            let fits = bool::from(found.commitment().ct_eq(&core.commitment));
            fits.then_some(found)
        })
    }

    /// Epochs and grants that do not hold.
    pub fn refused(&self) -> &[(EpochId, CryptError)] {
        &self.refused
    }

    /// The keys of every epoch that is held, the newest first.
    pub fn keys(&self, log: &MembershipLog) -> Vec<Arc<EpochKeys>> {
        let mut held: Vec<(u64, EpochId, &EpochSecret)> = self.held().collect();
        held.sort_unstable_by_key(|(depth, id, _)| (core::cmp::Reverse(*depth), *id));
        let scope = log.scope();
        let keys = |(_, id, secret)| Arc::new(EpochKeys::new(scope, id, id, secret));
        held.into_iter().map(keys).collect()
    }

    fn held(&self) -> impl Iterator<Item = (u64, EpochId, &EpochSecret)> {
        self.epochs
            .iter()
            .filter_map(|(id, known)| Some((known.depth, *id, known.secret.as_ref()?)))
    }

    /// Epochs that are held.
    pub fn held_count(&self) -> usize {
        self.held().count()
    }

    /// Whether a record of this epoch is here, held, refused or neither.
    pub fn knows(&self, epoch: &EpochId) -> bool {
        self.epochs.contains_key(epoch) || self.refused.iter().any(|(refused, _)| refused == epoch)
    }

    /// Whether there is any epoch, held or not.
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    /// Epochs that no other one follows.
    fn heads(&self) -> impl Iterator<Item = (&EpochId, &Known)> {
        let followed: BTreeSet<&EpochId> =
            self.epochs.values().flat_map(|known| &known.parents).collect();
        self.epochs.iter().filter(move |(id, _)| !followed.contains(id))
    }

    /// The epoch to write under: a head that is held and was never wrapped for somebody who is no
    /// reader now; of several the smallest. None: one is to be minted.
    pub fn writable(&self, membership: &Membership) -> Option<EpochId> {
        let readers: BTreeSet<UserId> =
            membership.readers().into_iter().map(PublicIdentity::user_id).collect();
        let is_usable = |known: &Known| known.secret.is_some() && known.readers.is_subset(&readers);
        self.heads().find(|(_, known)| is_usable(known)).map(|(id, _)| *id)
    }

    /// Draws an epoch that follows all heads, wrapped for the readers of `membership`.
    pub fn mint(
        &mut self,
        identity: &Identity,
        membership: &Membership,
        random: &dyn Random,
    ) -> Result<EpochRecord, CryptError> {
        let parents: Vec<(EpochId, Option<&EpochSecret>)> =
            self.heads().map(|(id, known)| (*id, known.secret.as_ref())).collect();
        let (record, secret) = EpochRecord::mint(identity, membership, &parents, random)?;
        let depth = self.epochs.values().map(|known| known.depth + 1).max().unwrap_or(0);
        let known = Known {
            parents: record.core().parents.clone(),
            depth,
            readers: record.readers().collect(),
            secret: Some(secret),
        };
        self.epochs.insert(record.epoch_id(), known);
        Ok(record)
    }

    /// Wraps every head that is held for each reader of `membership` who lacks it.
    pub fn grant_missing(
        &mut self,
        maker: UserId,
        membership: &Membership,
        random: &dyn Random,
    ) -> Result<Vec<GrantRecord>, CryptError> {
        let scope = membership.scope();
        let mut made = Vec::new();
        let heads: Vec<EpochId> = self.heads().map(|(id, _)| *id).collect();
        for (id, known) in self.epochs.iter_mut().filter(|(id, _)| heads.contains(id)) {
            let Some(secret) = &known.secret else { continue };
            for reader in membership.readers() {
                if known.readers.insert(reader.user_id()) {
                    made.push(GrantRecord::new(maker, (scope, *id), secret, reader, random)?);
                }
            }
        }
        Ok(made)
    }
}

/// What opening looks at.
struct Opening<'a> {
    identity: &'a Identity,
    log: &'a MembershipLog,
    records: BTreeMap<EpochId, &'a EpochRecord>,
    grants: &'a [GrantRecord],
    depths: BTreeMap<EpochId, u64>,
}

impl Opening<'_> {
    /// Ids are hashes over the parents' ids, so there are no circles.
    fn depth(&mut self, id: EpochId) -> u64 {
        let mut next = vec![id];
        while let Some(top) = next.last().copied() {
            let parents = self.records.get(&top).map_or(&[][..], |record| &record.core().parents);
            let known = |parent: &&EpochId| self.records.contains_key(parent);
            let missing = |parent: &&EpochId| !self.depths.contains_key(parent);
            let unknown: Vec<EpochId> =
                parents.iter().filter(known).filter(missing).copied().collect();
            if !unknown.is_empty() {
                next.extend(unknown);
                continue;
            }
            let above = parents.iter().filter_map(|parent| self.depths.get(parent)).max();
            let depth = above.map_or(0, |depth| depth + 1);
            self.depths.insert(top, depth);
            next.pop();
        }
        self.depths.get(&id).copied().unwrap_or_default()
    }

    fn verify(&self, record: &EpochRecord) -> Result<(), CryptError> {
        let missing = CryptError::NotAuthorised { noun: "epoch record" };
        let membership = self.log.fold_at(&record.core().membership_head).ok_or(missing)?;
        record.verify(&membership)
    }

    /// The secret by a wrap for this identity, in the record itself or granted later.
    fn secret(&self, record: &EpochRecord) -> Result<Option<EpochSecret>, CryptError> {
        let user = self.identity.user_id();
        if record.readers().any(|reader| reader == user) {
            return record.unwrap_verified(self.identity).map(Some);
        }
        let id = record.epoch_id();
        let mut refused = None;
        let mine = self.grants.iter().filter(|grant| grant.epoch() == id && grant.reader() == user);
        for grant in mine {
            match grant.open(self.identity, record.core()) {
                Ok(secret) => return Ok(Some(secret)),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// Whoever the epoch was ever wrapped for. A forged grant does not count: it could only keep
    /// writers from an epoch. Without its secret nobody writes under it, and nothing tells.
    fn readers(&self, record: &EpochRecord, secret: Option<&EpochSecret>) -> BTreeSet<UserId> {
        let id = record.epoch_id();
        let granted = self.grants.iter().filter(|grant| grant.epoch() == id);
        let genuine = granted.filter(|grant| secret.is_some_and(|secret| grant.is_genuine(secret)));
        record.readers().chain(genuine.map(GrantRecord::reader)).collect()
    }
}

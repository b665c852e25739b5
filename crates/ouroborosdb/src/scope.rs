//! A scope as one identity sees it: who belongs to it, which of its epochs open, what it is called.

use std::sync::Arc;

use crypt::{
    CryptError, EpochKeys, Genesis, GrantRecord, Identity, Keyring, Membership, MembershipLog,
    PublicIdentity, Random, Rights, Settings, SignedGenesis,
};
use model::{EpochId, ScopeId};
use store::disk::Disk;
use store::{Problem, StoreError, chain_ends};

use crate::error::Error;
use crate::records::{Records, ScopeRecords, write_epoch, write_grant};
use crate::session::Finding;

/// What a scope without a name of its own is called: that of a new store.
pub const HOME: &str = "home";
/// Hex digits of an id that stand for a scope.
const PREFIX_LEN_MIN: usize = 8;

/// One scope.
pub(crate) struct Scope {
    pub(crate) log: MembershipLog,
    pub(crate) membership: Membership,
    pub(crate) keyring: Keyring,
    pub(crate) settings: Settings,
}

impl Scope {
    /// Reads what the records say; signatures are verified here.
    pub(crate) fn open(
        identity: &Identity,
        id: ScopeId,
        records: ScopeRecords,
    ) -> Result<Self, Error> {
        let missing = || StoreError::Missing { file: format!("records/genesis-{id}") };
        let genesis = records.genesis.ok_or_else(missing)?;
        let log = MembershipLog::new(genesis.verify()?.clone(), records.members)?;
        let membership = log.fold();
        let keyring = Keyring::open(identity, &log, &records.epochs, &records.grants);
        let mut scope = Self { log, membership, keyring, settings: Settings::default() };
        scope.settings = scope.read_settings();
        Ok(scope)
    }

    /// A reader to whom nothing opens lost something.
    fn refuse_damage(&self, identity: &Identity) -> Result<(), Error> {
        if self.is_readable() || !self.rights_of(identity).contain(Rights::READER) {
            return Ok(());
        }
        if let Some((epoch, _)) = self.keyring.refused().first() {
            let file = epoch_file(epoch);
            return Err(StoreError::Corrupt { file, offset: 0, problem: Problem::Seal }.into());
        }
        if self.keyring.is_empty() {
            return Err(StoreError::Missing { file: "records/epoch".to_owned() }.into());
        }
        Ok(())
    }

    /// What a signed commit says its writer knew of members and epochs must still be here: a removal that
    /// somebody took away would let the removed one in again.
    pub(crate) fn refuse_forgotten(&self, disk: &dyn Disk) -> Result<(), Error> {
        for end in chain_ends(disk, self.id())? {
            let commit = end.commit();
            let public = self.log.public(commit.writer);
            if public.is_none_or(|public| end.verify(public).is_err()) {
                continue;
            }
            let gone = commit.membership_head.iter().find(|record| !self.log.contains(record));
            if let Some(record) = gone {
                return Err(StoreError::Missing { file: format!("records/member-{record}") }.into());
            }
            if !self.keyring.knows(&commit.epoch) {
                return Err(StoreError::Missing { file: epoch_file(&commit.epoch) }.into());
            }
        }
        Ok(())
    }

    /// Records that do not hold, although others give access.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let finding = |(epoch, error): &(EpochId, CryptError)| Finding {
            object: epoch_file(epoch),
            problem: error.to_string(),
            names: Vec::new(),
        };
        self.keyring.refused().iter().map(finding).collect()
    }

    /// All that a folder holds. Records of a scope that has no genesis here make no scope, unless there is
    /// no other.
    pub(crate) fn all(identity: &Identity, records: Records) -> Result<Vec<Self>, Error> {
        let has_any = records.scopes.values().any(|records| records.genesis.is_some());
        let scopes = records.scopes.into_iter();
        scopes
            .filter(|(_, records)| records.genesis.is_some() || !has_any)
            .map(|(id, records)| Self::open(identity, id, records))
            .collect()
    }

    /// A new scope of one admin; it is there once its genesis is written down.
    pub(crate) fn found(
        identity: &Identity,
        random: &dyn Random,
    ) -> Result<(Self, SignedGenesis), Error> {
        let genesis = Genesis::new(vec![identity.public().clone()], 1, random)?;
        let signed = genesis.clone().sign(&[identity]);
        let log = MembershipLog::new(genesis, Vec::new())?;
        let membership = log.fold();
        let keyring = Keyring::open(identity, &log, &[], &[]);
        Ok((Self { log, membership, keyring, settings: Settings::default() }, signed))
    }

    pub(crate) fn id(&self) -> ScopeId {
        self.log.scope()
    }

    pub(crate) fn name(&self) -> &str {
        self.settings.name().unwrap_or(HOME)
    }

    /// What `identity` may do.
    pub(crate) fn rights_of(&self, identity: &Identity) -> Rights {
        self.membership.rights_of(identity.user_id())
    }

    pub(crate) fn may_write(&self, identity: &Identity) -> bool {
        self.rights_of(identity).contain(Rights::READER.and(Rights::WRITER))
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.keyring.held_count() > 0
    }

    /// Does what a writer does before it writes (line 13): mints an epoch when none of those at hand
    /// may be used, and wraps the newest for readers who lack it.
    pub(crate) fn prepare(
        &mut self,
        disk: &dyn Disk,
        identity: &Identity,
        random: &dyn Random,
    ) -> Result<(), Error> {
        if !self.may_write(identity) {
            return Ok(());
        }
        if self.keyring.writable(&self.membership).is_none() {
            write_epoch(disk, &self.keyring.mint(identity, &self.membership, random)?)?;
        }
        self.grant_missing(disk, identity, random).map(drop)
    }

    /// Wraps the newest epochs for readers who lack them.
    pub(crate) fn grant_missing(
        &mut self,
        disk: &dyn Disk,
        identity: &Identity,
        random: &dyn Random,
    ) -> Result<Vec<GrantRecord>, Error> {
        let grants = self.keyring.grant_missing(identity.user_id(), &self.membership, random)?;
        grants.iter().try_for_each(|grant| write_grant(disk, grant))?;
        Ok(grants)
    }

    /// The keys of every epoch that opens, that which is written under first; whether that one may be
    /// written under at all.
    pub(crate) fn keys(&self) -> Result<(Vec<Arc<EpochKeys>>, bool), Error> {
        let mut keys = self.keyring.keys(&self.log);
        let writable = self.keyring.writable(&self.membership);
        let at = keys.iter().position(|keys| Some(keys.epoch()) == writable);
        if let Some(at) = at {
            keys.get_mut(..=at).unwrap_or_default().rotate_right(1);
        }
        if keys.is_empty() {
            return Err(CryptError::NoKey { noun: "scope" }.into());
        }
        Ok((keys, at.is_some()))
    }

    /// Settings that do not open are as good as none: they only name things.
    fn read_settings(&self) -> Settings {
        let read = || {
            let sealed = self.membership.settings()?;
            let epoch = Settings::epoch_of(sealed)?;
            let keys = self.keyring.keys(&self.log);
            let keys = keys.iter().find(|keys| keys.epoch() == epoch)?;
            Settings::unseal(sealed, keys).ok()
        };
        read().unwrap_or_default()
    }

    /// Whether `word` is its id, or the beginning of it.
    fn has_id(&self, word: &str) -> bool {
        word.len() >= PREFIX_LEN_MIN && self.id().to_string().starts_with(word)
    }

    fn is_founded_by(&self, identity: &Identity) -> bool {
        let is_same = |admin: &PublicIdentity| admin.user_id() == identity.user_id();
        self.log.genesis().admins().iter().any(is_same)
    }
}

fn epoch_file(epoch: &EpochId) -> String {
    format!("records/epoch-{epoch}")
}

/// The one that `word` means, a name or the beginning of an id, among those that `identity` can read.
/// Of several with the name, the one that it founded.
pub(crate) fn chosen(scopes: Vec<Scope>, identity: &Identity, word: &str) -> Result<Scope, Error> {
    let is_meant = |scope: &Scope| scope.name() == word || scope.has_id(word);
    if !scopes.iter().any(|scope| scope.is_readable() && is_meant(scope)) {
        // What is wrong with the others may be why it is not found.
        scopes.iter().try_for_each(|scope| scope.refuse_damage(identity))?;
    }
    let mut readable: Vec<Scope> = scopes.into_iter().filter(Scope::is_readable).collect();
    if readable.is_empty() {
        return Err(Error::NoScope);
    }
    readable.retain(is_meant);
    if readable.len() > 1 && readable.iter().any(|scope| scope.is_founded_by(identity)) {
        readable.retain(|scope| scope.is_founded_by(identity));
    }
    let count = readable.len();
    match readable.pop() {
        None => Err(Error::ScopeUnknown { scope: word.to_owned() }),
        Some(_) if count > 1 => Err(Error::ScopeAmbiguous { scope: word.to_owned() }),
        Some(scope) => Ok(scope),
    }
}

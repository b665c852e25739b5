//! The public records of a data folder: genesis, membership, epochs and grants of every scope in it.

use std::collections::BTreeMap;

use crypt::{EpochRecord, GrantRecord, SignedGenesis, SignedRecord};
use model::ScopeId;
use store::disk::Disk;
use store::{Problem, StoreError, read_records, write_record};

use crate::error::Error;

/// Every scope of a folder.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) scopes: BTreeMap<ScopeId, ScopeRecords>,
}

/// What belongs to one scope.
#[derive(Debug, Default)]
pub(crate) struct ScopeRecords {
    pub(crate) genesis: Option<SignedGenesis>,
    pub(crate) members: Vec<SignedRecord>,
    pub(crate) epochs: Vec<EpochRecord>,
    pub(crate) grants: Vec<GrantRecord>,
}

impl Records {
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, Error> {
        let mut records = Self::default();
        for (name, bytes) in read_records(disk)? {
            let is_whole = match name.split_once('-') {
                Some(("genesis", id)) => records.add_genesis(id, &bytes),
                Some(("member", id)) => records.add_member(id, &bytes),
                Some(("epoch", id)) => records.add_epoch(id, &bytes),
                Some(("grant", id)) => records.add_grant(id, &bytes),
                _ => Some(()),
            };
            if is_whole.is_none() {
                let file = format!("records/{name}");
                let problem = Problem::Seal;
                return Err(StoreError::Corrupt { file, offset: 0, problem }.into());
            }
        }
        Ok(records)
    }

    fn scope(&mut self, id: ScopeId) -> &mut ScopeRecords {
        self.scopes.entry(id).or_default()
    }

    /// `None` when the bytes are not what the name says.
    fn add_genesis(&mut self, id: &str, bytes: &[u8]) -> Option<()> {
        let genesis = SignedGenesis::decode(bytes).ok()?;
        let scope = genesis.verify().ok()?.scope_id();
        self.scope(scope).genesis = Some(genesis);
        (scope.to_string() == id).then_some(())
    }

    fn add_member(&mut self, id: &str, bytes: &[u8]) -> Option<()> {
        let member = SignedRecord::decode(bytes).ok()?;
        let is_named = member.record().id().to_string() == id;
        self.scope(member.record().scope).members.push(member);
        is_named.then_some(())
    }

    fn add_epoch(&mut self, id: &str, bytes: &[u8]) -> Option<()> {
        let epoch = EpochRecord::decode(bytes).ok()?;
        let is_named = epoch.epoch_id().to_string() == id;
        self.scope(epoch.core().scope).epochs.push(epoch);
        is_named.then_some(())
    }

    fn add_grant(&mut self, id: &str, bytes: &[u8]) -> Option<()> {
        let grant = GrantRecord::decode(bytes).ok()?;
        let is_named = grant.id().to_string() == id;
        self.scope(grant.scope()).grants.push(grant);
        is_named.then_some(())
    }
}

pub(crate) fn write_genesis(disk: &dyn Disk, genesis: &SignedGenesis) -> Result<(), Error> {
    let scope = genesis.verify()?.scope_id();
    Ok(write_record(disk, &format!("genesis-{scope}"), &genesis.encode())?)
}

pub(crate) fn write_member(disk: &dyn Disk, member: &SignedRecord) -> Result<(), Error> {
    Ok(write_record(disk, &format!("member-{}", member.record().id()), &member.encode())?)
}

pub(crate) fn write_epoch(disk: &dyn Disk, epoch: &EpochRecord) -> Result<(), Error> {
    Ok(write_record(disk, &format!("epoch-{}", epoch.epoch_id()), &epoch.encode())?)
}

pub(crate) fn write_grant(disk: &dyn Disk, grant: &GrantRecord) -> Result<(), Error> {
    Ok(write_record(disk, &format!("grant-{}", grant.id()), &grant.encode())?)
}

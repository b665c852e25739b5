//! The records of one scope whose signatures hold: verified once, folded as often as needed.

use std::collections::{BTreeMap, BTreeSet};

use model::{FormatError, RecordId, ScopeId, UserId};

use crate::member_record::{Change, LABEL, SignedRecord};
use crate::{CryptError, Genesis, Membership, PublicIdentity};

/// Records of one log at most.
const RECORDS_MAX: usize = 4096;

/// Records by id, with the signers whose signatures hold.
pub(crate) type Verified<'a> = BTreeMap<RecordId, (&'a SignedRecord, BTreeSet<UserId>)>;

/// A scope's genesis and the sound records of its membership log, in no particular order.
#[derive(Debug, Clone)]
pub struct MembershipLog {
    genesis: Genesis,
    records: BTreeMap<RecordId, (SignedRecord, BTreeSet<UserId>)>,
    known: BTreeMap<UserId, PublicIdentity>,
}

impl MembershipLog {
    /// Verifies every signature, once. Records of another scope and those that nobody known signed are
    /// left out; the same body may arrive several times with different signatures, which add up.
    pub fn new(genesis: Genesis, records: Vec<SignedRecord>) -> Result<Self, CryptError> {
        if records.len() > RECORDS_MAX {
            let (value, limit) = (records.len() as u64, RECORDS_MAX as u64);
            return Err(FormatError::TooLong { noun: "membership log", value, limit }.into());
        }
        let scope = genesis.scope_id();
        let admins = genesis.admins().iter().map(|admin| (admin.user_id(), admin.clone()));
        let mut log = Self { known: admins.collect(), genesis, records: BTreeMap::new() };
        for signed in &records {
            if let Change::Add { subject, .. } = &signed.record.change {
                log.known.insert(subject.user_id(), PublicIdentity::clone(subject));
            }
        }
        for signed in records.into_iter().filter(|signed| signed.record.scope == scope) {
            log.insert(signed);
        }
        Ok(log)
    }

    fn insert(&mut self, signed: SignedRecord) {
        let body = signed.record.encode();
        let holds = signed.endorsements.iter().filter_map(|endorsement| {
            let public = self.known.get(&endorsement.signer)?;
            public.verify(LABEL, &body, &endorsement.signature).ok()?;
            Some(endorsement.signer)
        });
        let signers: BTreeSet<UserId> = holds.collect();
        if !signers.is_empty() {
            let id = signed.record.id();
            self.records.entry(id).or_insert_with(|| (signed, BTreeSet::new())).1.extend(signers);
        }
    }

    /// The scope.
    pub fn scope(&self) -> ScopeId {
        self.genesis.scope_id()
    }

    /// The beginning of the scope.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The keys of whoever is or was a member, or was proposed as one.
    pub fn public(&self, user: UserId) -> Option<&PublicIdentity> {
        self.known.get(&user)
    }

    /// Whether a record is here.
    pub fn contains(&self, record: &RecordId) -> bool {
        self.records.contains_key(record)
    }

    /// Who belongs to the scope as all records say.
    pub fn fold(&self) -> Membership {
        Membership::of_verified(&self.genesis, self.verified(|_| true))
    }

    /// Who belonged to it as `heads` and their ancestors say; `None` when not all of them are here.
    pub fn fold_at(&self, heads: &[RecordId]) -> Option<Membership> {
        let mut wanted = BTreeSet::new();
        let mut next = heads.to_vec();
        while let Some(id) = next.pop() {
            let (signed, _) = self.records.get(&id)?;
            if wanted.insert(id) {
                next.extend(&signed.record.parents);
            }
        }
        Some(Membership::of_verified(&self.genesis, self.verified(|id| wanted.contains(id))))
    }

    fn verified(&self, is_wanted: impl Fn(&RecordId) -> bool) -> Verified<'_> {
        let wanted = self.records.iter().filter(|(id, _)| is_wanted(id));
        wanted.map(|(id, (signed, signers))| (*id, (signed, signers.clone()))).collect()
    }
}

use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{ChainId, FormatError, RecordId, ScopeId, UserId};

use crate::endorsement::{Endorsement, ascending, read_ids, write_ids};
use crate::signature::read_suite;
use crate::{CryptError, Identity, PublicIdentity, SUITE};

const NOUN: &str = "member record";
pub(crate) const LABEL: &str = "member";
/// Parents of one record, and heads of a log, at most.
pub(crate) const HEADS_MAX: usize = 64;
/// Removals one add overrides at most.
const OVERRIDES_MAX: usize = 256;
/// Chains one removal pins at most.
const PINS_MAX: usize = 1024;
/// Bytes of sealed settings at most.
const SETTINGS_LEN_MAX: usize = 64 * 1024;

/// What a member may do; a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);
    /// Opens what is sealed.
    pub const READER: Self = Self(1);
    /// Seals and commits.
    pub const WRITER: Self = Self(2);
    /// Releases blocks of others.
    pub const DELETER: Self = Self(4);
    /// Signs changes of membership.
    pub const ADMIN: Self = Self(8);
    /// All of them.
    pub const ALL: Self = Self(15);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        match reader.u8()? {
            bits @ 1..=15 => Ok(Self(bits)),
            other => Err(FormatError::Unknown { noun: "rights", value: other.into() }),
        }
    }
}

/// The last commit of a removed writer's chain that still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    /// The chain.
    pub chain: ChainId,
    /// Its last commit.
    pub seq: u64,
    /// Hash of that commit's body.
    pub hash: [u8; 32],
}

/// What a record changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes `subject` a member.
    Add {
        /// Who; boxed because four keys are 4 KiB.
        subject: Box<PublicIdentity>,
        /// With which rights.
        rights: Rights,
        /// The removals of the subject this takes back, ascending. Removals win over adds that do
        /// not list them.
        overrides: Vec<RecordId>,
    },
    /// Ends the membership of `subject`.
    Remove {
        /// Who.
        subject: UserId,
        /// Where each of its chains ends, ascending by chain; a chain not named is disowned whole.
        pins: Vec<Pin>,
    },
    /// Replaces the scope's settings, sealed.
    Set {
        /// Opaque here.
        settings: Vec<u8>,
    },
}

/// One entry of a scope's membership log. Whether it counts is decided by
/// [`Membership::fold`](crate::Membership::fold) alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// The scope.
    pub scope: ScopeId,
    /// The heads of the log its author knew, ascending.
    pub parents: Vec<RecordId>,
    /// What it changes.
    pub change: Change,
}

impl MemberRecord {
    /// `H("member", body)`.
    pub fn id(&self) -> RecordId {
        RecordId::new(hash(LABEL, &[&self.encode()]))
    }

    /// The body: suite 1, scope 32, parents, operation 1, its fields.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(SUITE).raw(self.scope.as_bytes());
        write_ids(self.parents.iter().map(RecordId::as_bytes), &mut out);
        match &self.change {
            Change::Add { subject, rights, overrides } => {
                out.u8(1).raw(&subject.encode()).u8(rights.0);
                write_ids(overrides.iter().map(RecordId::as_bytes), &mut out);
            }
            Change::Remove { subject, pins } => {
                out.u8(2).raw(subject.as_bytes()).var(pins.len() as u64);
                for pin in pins {
                    out.raw(pin.chain.as_bytes()).u64(pin.seq).raw(&pin.hash);
                }
            }
            Change::Set { settings } => {
                out.u8(3).bytes(settings);
            }
        }
        out.finish()
    }

    /// Signs as `signers`.
    pub fn sign(self, signers: &[&Identity]) -> SignedRecord {
        let endorsements = Endorsement::all(LABEL, &self.encode(), signers);
        SignedRecord { record: self, endorsements }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CryptError> {
        read_suite(reader)?;
        let scope = ScopeId::new(reader.array()?);
        let ids = |reader: &mut Reader<'_>, limit| -> Result<Vec<RecordId>, FormatError> {
            Ok(read_ids(reader, NOUN, limit)?.into_iter().map(RecordId::new).collect())
        };
        let parents = ids(reader, HEADS_MAX)?;
        let change = match reader.u8()? {
            1 => Change::Add {
                subject: Box::new(PublicIdentity::read(reader)?),
                rights: Rights::read(reader)?,
                overrides: ids(reader, OVERRIDES_MAX)?,
            },
            2 => Change::Remove { subject: UserId::new(reader.array()?), pins: read_pins(reader)? },
            3 => Change::Set { settings: reader.bytes(SETTINGS_LEN_MAX)?.to_vec() },
            other => {
                let value = other.into();
                return Err(FormatError::Unknown { noun: "member operation", value }.into());
            }
        };
        Ok(Self { scope, parents, change })
    }
}

fn read_pins(reader: &mut Reader<'_>) -> Result<Vec<Pin>, FormatError> {
    let count = reader.count(PINS_MAX)?;
    let mut pins = Vec::new();
    for _ in 0..count {
        let chain = ChainId::new(reader.array()?);
        pins.push(Pin { chain, seq: reader.u64()?, hash: reader.array()? });
    }
    ascending("pins", pins.iter().map(|pin| pin.chain))?;
    Ok(pins)
}

/// A record and the signatures beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRecord {
    pub(crate) record: MemberRecord,
    pub(crate) endorsements: Vec<Endorsement>,
}

impl SignedRecord {
    /// The record. That it is well formed says nothing about whether it counts.
    pub const fn record(&self) -> &MemberRecord {
        &self.record
    }

    /// The body, then the signatures.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(self.record.encode());
        Endorsement::write_all(&self.endorsements, &mut writer);
        writer.finish()
    }

    /// Reads an encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, CryptError> {
        let mut reader = Reader::new(NOUN, bytes);
        let record = MemberRecord::read(&mut reader)?;
        let endorsements = Endorsement::read_all(&mut reader)?;
        reader.end()?;
        Ok(Self { record, endorsements })
    }

    /// Whether every signature is by the holder of its key among `known`. Not whether they may.
    pub fn verify(&self, known: &[&PublicIdentity]) -> Result<(), CryptError> {
        let body = self.record.encode();
        for Endorsement { signer, signature } in &self.endorsements {
            known
                .iter()
                .find(|identity| identity.user_id() == *signer)
                .ok_or(CryptError::Signature { noun: LABEL })?
                .verify(LABEL, &body, signature)?;
        }
        Ok(())
    }
}

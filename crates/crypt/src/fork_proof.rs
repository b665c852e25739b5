use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{ChainId, FormatError, RecordId, UserId};

use crate::{CryptError, PublicIdentity, SignedCommit};

const NOUN: &str = "fork proof";

/// Two commits of one chain with one number that say different things: its writer equivocated, or
/// two copies of its store wrote as one. Anyone who has the writer's public keys can verify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkProof {
    first: SignedCommit,
    second: SignedCommit,
}

impl ForkProof {
    /// `None` when the two do not contradict each other. Not whether their signatures hold.
    pub fn of(one: SignedCommit, other: SignedCommit) -> Option<Self> {
        let (a, b) = (one.commit(), other.commit());
        if a.chain() != b.chain() || a.seq != b.seq {
            return None;
        }
        match a.hash().cmp(&b.hash()) {
            core::cmp::Ordering::Less => Some(Self { first: one, second: other }),
            core::cmp::Ordering::Equal => None,
            core::cmp::Ordering::Greater => Some(Self { first: other, second: one }),
        }
    }

    /// `H("fork", hash of one || hash of the other)`, the lesser first.
    pub fn id(&self) -> RecordId {
        let (first, second) = (self.first.commit().hash(), self.second.commit().hash());
        RecordId::new(hash("fork", &[&first, &second]))
    }

    /// Whose chain it is.
    pub const fn writer(&self) -> UserId {
        self.first.commit().writer
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.first.commit().chain()
    }

    /// Where it forks.
    pub const fn seq(&self) -> u64 {
        self.first.commit().seq
    }

    /// Both commits, the one of the lesser hash first.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::over(self.first.encode());
        out.raw(&self.second.encode());
        out.finish()
    }

    /// Reads an encoding; [`Self::verify`] tells whether it proves anything.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        let first = SignedCommit::read(&mut reader)?;
        let second = SignedCommit::read(&mut reader)?;
        reader.end()?;
        let is_in_order = first.commit().hash() < second.commit().hash();
        let proof = Self::of(first, second).ok_or(FormatError::Invalid { noun: NOUN })?;
        if !is_in_order {
            return Err(FormatError::NotCanonical { noun: NOUN });
        }
        Ok(proof)
    }

    /// Whether `public` signed both.
    pub fn verify(&self, public: &PublicIdentity) -> Result<(), CryptError> {
        self.first.verify(public)?;
        self.second.verify(public)?;
        Ok(())
    }
}

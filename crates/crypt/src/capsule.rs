//! One version for one reader: what stands in front of and behind its sealed objects.
//!
//! A capsule is complete in itself: whoever it is made for needs no scope to open it, and no one else can.
//! It cannot be taken back.

use model::codec::{Reader, Writer};
use model::{EpochId, FormatError, ScopeId, UserId, VertexHash};

use crate::signature::read_suite;
use crate::wrap::Binding;
use crate::{
    CryptError, EpochKeys, EpochSecret, HybridSignature, Identity, PUBLIC_IDENTITY_LEN,
    PublicIdentity, Random, SUITE, WRAP_LEN, Wrap,
};

const NOUN: &str = "capsule";
const LABEL: &str = "capsule";
const MAGIC: [u8; 8] = *b"OUROCAPS";
const VERSION: u16 = 1;

/// Bytes of an encoded head.
pub const CAPSULE_HEAD_LEN: usize = 8 + 2 + 1 + 32 + 32 + PUBLIC_IDENTITY_LEN + WRAP_LEN;

/// What a capsule begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapsuleHead {
    scope: ScopeId,
    vertex: VertexHash,
    sharer: PublicIdentity,
    wrap: Wrap,
}

impl CapsuleHead {
    /// Draws the secret that the objects of the capsule are sealed with, and wraps it for `reader`.
    pub fn new(
        sharer: &Identity,
        (scope, vertex): (ScopeId, VertexHash),
        reader: &PublicIdentity,
        random: &dyn Random,
    ) -> Result<(Self, EpochKeys), CryptError> {
        let secret = EpochSecret::random(random);
        let wrap = Wrap::new(&binding(scope, vertex), reader, &secret, random)?;
        let head = Self { scope, vertex, sharer: sharer.public().clone(), wrap };
        let keys = head.keys(&secret);
        Ok((head, keys))
    }

    /// The version inside.
    pub const fn vertex(&self) -> VertexHash {
        self.vertex
    }

    /// Who made it, as it says; [`Self::verify`] tells whether that is so.
    pub const fn sharer(&self) -> &PublicIdentity {
        &self.sharer
    }

    /// Whom it is for.
    pub const fn reader(&self) -> UserId {
        self.wrap.reader()
    }

    /// What its objects are unsealed with.
    pub fn open(&self, identity: &Identity) -> Result<EpochKeys, CryptError> {
        let secret = self.wrap.open(&binding(self.scope, self.vertex), identity)?;
        Ok(self.keys(&secret))
    }

    fn keys(&self, secret: &EpochSecret) -> EpochKeys {
        let epoch = EpochId::new(*self.vertex.as_bytes());
        EpochKeys::new(self.scope, epoch, epoch, secret)
    }

    /// Signs the whole capsule: `digest` is the hash of everything before the signature.
    pub fn sign(&self, sharer: &Identity, digest: &[u8; 32]) -> HybridSignature {
        sharer.sign(LABEL, digest)
    }

    /// Whether the sharer signed exactly this.
    pub fn verify(&self, digest: &[u8; 32], signature: &HybridSignature) -> Result<(), CryptError> {
        self.sharer.verify(LABEL, digest, signature)
    }

    /// The encoding: magic 8, version 2, suite 1, scope 32, version's hash 32, sharer 4,225, wrap 1,712.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(Vec::with_capacity(CAPSULE_HEAD_LEN));
        writer.raw(&MAGIC).u16(VERSION).u8(SUITE).raw(self.scope.as_bytes());
        writer.raw(self.vertex.as_bytes()).raw(&self.sharer.encode()).raw(&self.wrap.encode());
        writer.finish()
    }

    /// Reads an encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, CryptError> {
        let mut reader = Reader::new(NOUN, bytes);
        if reader.array()? != MAGIC {
            return Err(reader.invalid().into());
        }
        let version = reader.u16()?;
        if version != VERSION {
            return Err(FormatError::Unknown { noun: NOUN, value: version.into() }.into());
        }
        read_suite(&mut reader)?;
        let head = Self {
            scope: ScopeId::new(reader.array()?),
            vertex: VertexHash::new(reader.array()?),
            sharer: PublicIdentity::read(&mut reader)?,
            wrap: Wrap::read(&mut reader)?,
        };
        reader.end()?;
        Ok(head)
    }
}

fn binding(scope: ScopeId, vertex: VertexHash) -> Binding {
    Binding { use_label: b"capsule", scope, subject: *vertex.as_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Root, SeededRandom};

    fn identity(seed: u64) -> Identity {
        Identity::from_root(Root::random(&SeededRandom::new(seed))).unwrap()
    }

    #[test]
    fn only_its_reader_opens_a_head_and_only_as_it_is() {
        let (alice, bob, carol) = (identity(1), identity(2), identity(3));
        let of = (ScopeId::new([4; 32]), VertexHash::new([5; 32]));
        let random = SeededRandom::new(6);
        let (head, keys) = CapsuleHead::new(&alice, of, bob.public(), &random).unwrap();
        let bytes = head.encode();
        assert_eq!(bytes.len(), CAPSULE_HEAD_LEN);
        let read = CapsuleHead::decode(&bytes).unwrap();
        assert_eq!((read.reader(), read.vertex()), (bob.user_id(), of.1));
        let chunk = |keys: &EpochKeys| keys.chunk_hash(b"x");
        assert_eq!(chunk(&read.open(&bob).unwrap()), chunk(&keys));
        assert!(matches!(read.open(&carol), Err(CryptError::NoKey { .. })));
        for at in (0..bytes.len()).filter(|at| *at < 80 || at % 31 == 0) {
            assert!(CapsuleHead::decode(&bytes[..at]).is_err(), "{at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            // The sharer's keys are covered by the signature alone.
            let is_sharer = (75..75 + PUBLIC_IDENTITY_LEN).contains(&at);
            let opened = CapsuleHead::decode(&flipped).and_then(|head| head.open(&bob));
            assert!(opened.is_err() || is_sharer, "{at}");
        }
        // A wrap of an epoch is no wrap of a capsule.
        let secret = EpochSecret::from_bytes([7; 32]);
        let epoch = EpochId::new(*of.1.as_bytes());
        let wrap = Wrap::of(of.0, epoch, bob.public(), &secret, &random).unwrap();
        assert!(CapsuleHead { wrap, ..head.clone() }.open(&bob).is_err());
        let signature = head.sign(&alice, &[8; 32]);
        assert_eq!(head.verify(&[8; 32], &signature), Ok(()));
        assert!(head.verify(&[9; 32], &signature).is_err());
        assert!(head.verify(&[8; 32], &head.sign(&carol, &[8; 32])).is_err());
    }
}

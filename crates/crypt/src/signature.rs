use core::fmt;

use model::FormatError;
use model::UserId;
use model::codec::{Reader, Writer};
use model::hash::hash;

use crate::SUITE;

const ED25519_LEN: usize = 64;
const ML_DSA_LEN: usize = 4627;
const NOUN: &str = "signature";

/// Bytes of an encoded signature: suite 1, Ed25519 64, ML-DSA-87 4,627.
pub const SIGNATURE_LEN: usize = 1 + ED25519_LEN + ML_DSA_LEN;

/// Two signatures of one message; both must hold. Never covered by an id: ML-DSA is randomised.
#[derive(Clone, PartialEq, Eq)]
pub struct HybridSignature {
    pub(crate) ed25519: [u8; ED25519_LEN],
    pub(crate) ml_dsa: Box<[u8; ML_DSA_LEN]>,
}

impl HybridSignature {
    /// The encoding, [`SIGNATURE_LEN`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(Vec::with_capacity(SIGNATURE_LEN));
        writer.u8(SUITE).raw(&self.ed25519).raw(self.ml_dsa.as_slice());
        writer.finish()
    }

    /// Reads an encoding; whether it holds is for
    /// [`PublicIdentity::verify`](crate::PublicIdentity::verify).
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        let signature = Self::read(&mut reader)?;
        reader.end()?;
        Ok(signature)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        read_suite(reader)?;
        Ok(Self { ed25519: reader.array()?, ml_dsa: Box::new(reader.array()?) })
    }
}

impl fmt::Debug for HybridSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HybridSignature(..)")
    }
}

/// The signed message of security line 4. `label` has no zero byte, so the parts cannot shift.
pub(crate) fn message(label: &str, signer: UserId, body: &[u8]) -> Vec<u8> {
    debug_assert!(!label.contains('\0'), "labels are constants of this crate's callers");
    let mut writer = Writer::new();
    writer.raw(b"ouro/1/sig/").raw(label.as_bytes()).u8(0).u8(SUITE);
    writer.raw(signer.as_bytes()).raw(&hash(label, &[body]));
    writer.finish()
}

pub(crate) fn read_suite(reader: &mut Reader<'_>) -> Result<(), FormatError> {
    match reader.u8()? {
        SUITE => Ok(()),
        other => Err(FormatError::Unknown { noun: "suite", value: other.into() }),
    }
}

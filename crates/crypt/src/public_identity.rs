use core::fmt;

use aws_lc_rs::signature::{ED25519, ML_DSA_87, UnparsedPublicKey};
use model::UserId;
use model::codec::{Reader, Writer};
use model::hash::hash;

use crate::signature::{message, read_suite};
use crate::{CryptError, HybridSignature, SUITE};

pub(crate) const ML_DSA_LEN: usize = 2592;
pub(crate) const ML_KEM_LEN: usize = 1568;
const NOUN: &str = "public identity";

/// Bytes of an encoded public identity.
pub const PUBLIC_IDENTITY_LEN: usize = 1 + 32 + 32 + ML_DSA_LEN + ML_KEM_LEN;

/// The four public keys of an identity; its id is their hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicIdentity {
    user_id: UserId,
    ed25519: [u8; 32],
    x25519: [u8; 32],
    ml_dsa: Box<[u8; ML_DSA_LEN]>,
    ml_kem: Box<[u8; ML_KEM_LEN]>,
}

impl PublicIdentity {
    /// Takes the four keys; refuses those no honest identity has.
    pub fn new(
        ed25519: [u8; 32],
        x25519: [u8; 32],
        ml_dsa: Box<[u8; ML_DSA_LEN]>,
        ml_kem: Box<[u8; ML_KEM_LEN]>,
    ) -> Result<Self, CryptError> {
        if small_order(&ed25519) || above_field(&ed25519) {
            return Err(CryptError::WeakKey { noun: "Ed25519 key" });
        }
        if !ml_kem_coefficients_reduced(&ml_kem) {
            return Err(CryptError::WeakKey { noun: "ML-KEM key" });
        }
        let user_id = UserId::new([0; 32]);
        let mut identity = Self { user_id, ed25519, x25519, ml_dsa, ml_kem };
        identity.user_id = UserId::new(hash("id", &[&identity.encode()]));
        Ok(identity)
    }

    /// `H("id", suite || keys)`.
    pub const fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The encoding: suite 1, Ed25519 32, X25519 32, ML-DSA-87 2,592, ML-KEM-1024 1,568.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(Vec::with_capacity(PUBLIC_IDENTITY_LEN));
        writer.u8(SUITE).raw(&self.ed25519).raw(&self.x25519);
        writer.raw(self.ml_dsa.as_slice()).raw(self.ml_kem.as_slice());
        writer.finish()
    }

    /// Reads an encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, CryptError> {
        let mut reader = Reader::new(NOUN, bytes);
        let identity = Self::read(&mut reader)?;
        reader.end()?;
        Ok(identity)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, CryptError> {
        read_suite(reader)?;
        let (ed25519, x25519) = (reader.array()?, reader.array()?);
        let (ml_dsa, ml_kem) = (Box::new(reader.array()?), Box::new(reader.array()?));
        Self::new(ed25519, x25519, ml_dsa, ml_kem)
    }

    /// Whether both halves of `signature` are this identity's, over `body` under `label`.
    pub fn verify(
        &self,
        label: &'static str,
        body: &[u8],
        signature: &HybridSignature,
    ) -> Result<(), CryptError> {
        let refused = CryptError::Signature { noun: label };
        let message = message(label, self.user_id, body);
        let commitment = signature.ed25519.first_chunk().expect("64 bytes hold 32");
        if small_order(commitment) {
            return Err(refused);
        }
        // The provider refuses s >= L.
        UnparsedPublicKey::new(&ED25519, self.ed25519)
            .verify(&message, &signature.ed25519)
            .map_err(|_unspecified| refused)?;
        UnparsedPublicKey::new(&ML_DSA_87, self.ml_dsa.as_slice())
            .verify(&message, signature.ml_dsa.as_slice())
            .map_err(|_unspecified| refused)
    }

    pub(crate) const fn x25519(&self) -> &[u8; 32] {
        &self.x25519
    }

    pub(crate) const fn ml_kem(&self) -> &[u8; ML_KEM_LEN] {
        &self.ml_kem
    }
}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicIdentity({})", self.user_id)
    }
}

/// The two y coordinates of the points of order 8 on edwards25519, little-endian (order checked by
/// computation); those of orders 1, 2 and 4 are 1, p - 1 and 0.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Points whose order divides 8, in every encoding: such a "key" signs anything.
fn small_order(point: &[u8; 32]) -> bool {
    let mut y = *point;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    let zero_or_one =
        matches!(y.split_first(), Some((0 | 1, rest)) if rest.iter().all(|b| *b == 0));
    // p - 1, and p and p + 1 as second encodings of 0 and 1; p = 2^255 - 19.
    let around_p = upper_ones(&y) && matches!(y.first(), Some(0xec..=0xee));
    zero_or_one || around_p || ORDER_8.contains(&y)
}

/// True when y >= p: a second encoding of a point.
fn above_field(point: &[u8; 32]) -> bool {
    let mut y = *point;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    upper_ones(&y) && matches!(y.first(), Some(0xed..))
}

fn upper_ones(y: &[u8; 32]) -> bool {
    matches!(y, [_, middle @ .., 0x7f] if middle.iter().all(|byte| *byte == 0xff))
}

/// FIPS 203, section 7.2: every 12-bit coefficient is below q = 3,329.
fn ml_kem_coefficients_reduced(key: &[u8; ML_KEM_LEN]) -> bool {
    let (coefficients, _seed) = key.split_at(ML_KEM_LEN - 32);
    coefficients.as_chunks::<3>().0.iter().all(|[a, b, c]| {
        let first = u16::from(*a) | u16::from(b & 15) << 8;
        let second = u16::from(b >> 4) | u16::from(*c) << 4;
        first < 3329 && second < 3329
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_order_points_are_known_in_every_encoding() {
        let with = |first: u8, last: u8, fill: u8| {
            let mut y = [fill; 32];
            (y[0], y[31]) = (first, last);
            y
        };
        for sign in [0, 0x80] {
            for (first, fill, last) in [(0, 0, 0), (1, 0, 0)] {
                assert!(small_order(&with(first, last | sign, fill)));
            }
            for first in [0xec, 0xed, 0xee] {
                assert!(small_order(&with(first, 0x7f | sign, 0xff)));
            }
            assert!(!small_order(&with(2, sign, 0)));
            assert!(!small_order(&with(0xeb, 0x7f | sign, 0xff)));
            assert!(above_field(&with(0xff, 0x7f | sign, 0xff)));
            assert!(!above_field(&with(0xec, 0x7f | sign, 0xff)));
            for mut y in ORDER_8 {
                y[31] |= sign;
                assert!(small_order(&y));
            }
        }
    }
}

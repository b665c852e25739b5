//! What the Go library `ouroboros-crypt` left behind: key containers, ciphertexts, signatures.
//! Read only: nothing is written in these formats, and none of these keys becomes an identity.

mod ciphertext;
mod keys;
mod members;

use aws_lc_rs::signature::{ML_DSA_87, UnparsedPublicKey};

pub use ciphertext::{LEGACY_CIPHERTEXT_LEN_MAX, LegacyCiphertext};
pub use keys::{LEGACY_CONTAINER_LEN_MAX, LegacyKeys};

use crate::CryptError;
use crate::public_identity::ML_DSA_LEN;

/// Bytes of an ML-DSA-87 verification key as `ouroboros-crypt` writes it.
pub const LEGACY_VERIFY_KEY_LEN: usize = ML_DSA_LEN;

/// Whether `signature` is that of `key` over `message`: ML-DSA-87 alone, no context, exactly 4,627
/// bytes.
pub fn legacy_verify(
    key: &[u8; LEGACY_VERIFY_KEY_LEN],
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptError> {
    UnparsedPublicKey::new(&ML_DSA_87, key.as_slice())
        .verify(message, signature)
        .map_err(|_unspecified| CryptError::Signature { noun: "ouroboros-crypt signature" })
}

//! AES-256-GCM behind two functions, so that the provider can change (decision 0003).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::CryptError;

pub(crate) const TAG_LEN: usize = 16;
const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;

/// A key and the one nonce it is used with.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct OneTimeKey {
    pub(crate) key: [u8; KEY_LEN],
    pub(crate) nonce: [u8; NONCE_LEN],
}

impl OneTimeKey {
    fn cipher(&self) -> (LessSafeKey, Nonce) {
        let key = UnboundKey::new(&AES_256_GCM, &self.key).expect("32 bytes are an AES-256 key");
        (LessSafeKey::new(key), Nonce::assume_unique_for_key(self.nonce))
    }
}

/// Encrypts `data` where it lies and returns the tag.
///
/// The caller derives `key` from everything that goes in, so one (key, nonce) never meets two
/// different inputs.
pub(crate) fn seal_in_place(key: &OneTimeKey, aad: &[u8], data: &mut [u8]) -> [u8; TAG_LEN] {
    let (cipher, nonce) = key.cipher();
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::from(aad), data)
        .expect("objects and pages are far below the 64 GiB limit of GCM");
    let mut out = [0; TAG_LEN];
    out.copy_from_slice(tag.as_ref());
    out
}

/// Decrypts `data`, which ends in the tag, where it lies; the cleartext is all but the tag.
pub(crate) fn open_in_place(
    key: &OneTimeKey,
    aad: &[u8],
    data: &mut Vec<u8>,
) -> Result<(), CryptError> {
    let (cipher, nonce) = key.cipher();
    let len = cipher
        .open_in_place(nonce, Aad::from(aad), data)
        .map_err(|aws_lc_rs::error::Unspecified| CryptError::Unseal)?
        .len();
    data.truncate(len);
    Ok(())
}

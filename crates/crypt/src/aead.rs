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
    /// Key 32, nonce 12 and commitment 32 of one derivation.
    pub(crate) fn with_commitment(derived: &[u8; 76]) -> (Self, [u8; 32]) {
        let (key, rest) = derived.split_at(KEY_LEN);
        let (nonce, committed) = rest.split_at(NONCE_LEN);
        let mut one = Self { key: [0; KEY_LEN], nonce: [0; NONCE_LEN] };
        let mut commitment = [0; 32];
        one.key.copy_from_slice(key);
        one.nonce.copy_from_slice(nonce);
        commitment.copy_from_slice(committed);
        (one, commitment)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_provider_opens_what_this_one_sealed() {
        use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        for len in [0usize, 1, 15, 16, 17, 1000, 70_000] {
            let plain: Vec<u8> = (0..len).map(|i| i.to_le_bytes()[0]).collect();
            let mut data = plain.clone();
            let key = OneTimeKey { key: [3; 32], nonce: [4; 12] };
            let tag = seal_in_place(&key, b"aad", &mut data);
            data.extend_from_slice(&tag);
            let other = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.key).unwrap());
            let nonce = Nonce::assume_unique_for_key(key.nonce);
            let mut copy = data.clone();
            assert_eq!(other.open_in_place(nonce, Aad::from(b"aad"), &mut copy).unwrap(), plain);
            assert_eq!(open_in_place(&key, b"other", &mut data.clone()), Err(CryptError::Unseal));
            open_in_place(&key, b"aad", &mut data).unwrap();
            assert_eq!(data, plain);
        }
    }
}

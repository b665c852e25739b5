use core::fmt;

use model::hash::HashKey;
use zeroize::Zeroize;

use crate::CryptError;
use crate::aead::{OneTimeKey, TAG_LEN, open_in_place, seal_in_place};
use crate::object::SALT_LEN;

/// Bytes a sealed page is longer than its cleartext.
pub const PAGE_OVERHEAD: usize = SALT_LEN + TAG_LEN;

/// The keys of one immutable local file: index, spool, temporary.
///
/// Every file is written once under a fresh nonce, so a page is fully named by its number; a page
/// of another file or another place is refused. The salt depends on every byte sealed, so writing a
/// page again with other content uses another key.
pub struct PageKeys {
    siv: HashKey,
    page: HashKey,
}

impl PageKeys {
    /// The keys of the file that begins with `file_nonce` (random, never used twice).
    pub fn new(local: &HashKey, file_nonce: &[u8; 16]) -> Self {
        let file = HashKey::new(local.sub("file").keyed(&[file_nonce]));
        Self { siv: file.sub("siv"), page: file.sub("page") }
    }

    /// Appends the sealed page: salt 16, ciphertext, tag 16.
    pub fn seal(&self, number: u64, page: &[u8], out: &mut Vec<u8>) {
        let digest = self.siv.keyed(&[&number.to_le_bytes(), page]);
        let (salt, _) = digest.split_at(SALT_LEN);
        out.reserve(page.len() + PAGE_OVERHEAD);
        out.extend_from_slice(salt);
        let start = out.len();
        out.extend_from_slice(page);
        let key = self.key(number, salt);
        if let Some(data) = out.get_mut(start..) {
            let tag = seal_in_place(&key, &[], data);
            out.extend_from_slice(&tag);
        }
    }

    /// The cleartext of page `number`.
    pub fn open(&self, number: u64, sealed: &[u8]) -> Result<Vec<u8>, CryptError> {
        let (salt, rest) = sealed.split_at_checked(SALT_LEN).ok_or(CryptError::Unseal)?;
        let key = self.key(number, salt);
        let mut page = rest.to_vec();
        open_in_place(&key, &[], &mut page)?;
        Ok(page)
    }

    fn key(&self, number: u64, salt: &[u8]) -> OneTimeKey {
        let mut bytes = [0; 44];
        let key = HashKey::new(self.page.keyed(&[&number.to_le_bytes(), salt]));
        key.expand(&[b"aead"], &mut bytes);
        let mut one = OneTimeKey { key: [0; 32], nonce: [0; 12] };
        let (key, nonce) = bytes.split_at(32);
        one.key.copy_from_slice(key);
        one.nonce.copy_from_slice(nonce);
        bytes.zeroize();
        one
    }
}

impl fmt::Debug for PageKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(nonce: u8) -> PageKeys {
        PageKeys::new(&HashKey::new([1; 32]), &[nonce; 16])
    }

    fn sealed(keys: &PageKeys, number: u64, page: &[u8]) -> Vec<u8> {
        let mut out = vec![7];
        keys.seal(number, page, &mut out);
        out.split_off(1)
    }

    #[test]
    fn a_page_opens_only_where_it_was_sealed() {
        let page = b"names live here".repeat(20);
        let bytes = sealed(&keys(1), 5, &page);
        assert_eq!(bytes.len(), page.len() + PAGE_OVERHEAD);
        assert_eq!(keys(1).open(5, &bytes), Ok(page));
        assert_eq!(keys(1).open(6, &bytes), Err(CryptError::Unseal));
        assert_eq!(keys(2).open(5, &bytes), Err(CryptError::Unseal));
        let other = PageKeys::new(&HashKey::new([2; 32]), &[1; 16]);
        assert_eq!(other.open(5, &bytes), Err(CryptError::Unseal));
    }

    #[test]
    fn every_flip_and_every_cut_is_refused() {
        let keys = keys(1);
        let bytes = sealed(&keys, 0, b"page");
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert_eq!(keys.open(0, &flipped), Err(CryptError::Unseal), "{at}");
            assert_eq!(keys.open(0, &bytes[..at]), Err(CryptError::Unseal), "{at}");
        }
    }

    #[test]
    fn other_content_at_one_number_uses_another_key() {
        let a = sealed(&keys(1), 0, b"one page");
        let b = sealed(&keys(1), 0, b"two page");
        assert_ne!(a[..16], b[..16]);
    }
}

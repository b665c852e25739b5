use core::fmt;

use base64ct::{Base64, Encoding};
use model::FormatError;
use model::codec::Reader;

use super::members::members;
use crate::CryptError;
use crate::aead::TAG_LEN;

const NOUN: &str = "ouroboros-crypt ciphertext";
const NONCE_LEN: usize = 12;

/// Bytes of such a file at most; the whole of it is in memory.
pub const LEGACY_CIPHERTEXT_LEN_MAX: usize = 256 * 1024 * 1024;

/// What `ouroboros-crypt` encrypted: the encapsulated key, the nonce, the AES-256-GCM output.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyCiphertext {
    pub(super) encapsulated: Vec<u8>,
    pub(super) nonce: [u8; NONCE_LEN],
    pub(super) sealed: Vec<u8>,
}

impl LegacyCiphertext {
    /// Takes the three parts.
    pub fn new(encapsulated: &[u8], nonce: &[u8], sealed: &[u8]) -> Result<Self, FormatError> {
        let invalid = FormatError::Invalid { noun: NOUN };
        if encapsulated.len() != crate::wrap::CIPHERTEXT_LEN || sealed.len() < TAG_LEN {
            return Err(invalid);
        }
        let nonce = nonce.try_into().map_err(|_other_length| invalid)?;
        Ok(Self { encapsulated: encapsulated.to_vec(), nonce, sealed: sealed.to_vec() })
    }

    /// Reads a file: the JSON that Go makes of the library's result, or the encapsulated key (1,568
    /// bytes), the nonce (12) and the rest one behind the other.
    pub fn decode(bytes: &[u8]) -> Result<Self, CryptError> {
        let (value, limit) = (bytes.len() as u64, LEGACY_CIPHERTEXT_LEN_MAX as u64);
        if value > limit {
            return Err(FormatError::TooLong { noun: NOUN, value, limit }.into());
        }
        let text = bytes.starts_with(b"{").then(|| core::str::from_utf8(bytes).ok()).flatten();
        match text {
            Some(text) => Ok(Self::of_json(text)?),
            None => {
                let mut reader = Reader::new(NOUN, bytes);
                let encapsulated = reader.raw(crate::wrap::CIPHERTEXT_LEN)?;
                let nonce = reader.raw(NONCE_LEN)?;
                Ok(Self::new(encapsulated, nonce, reader.rest())?)
            }
        }
    }

    fn of_json(text: &str) -> Result<Self, FormatError> {
        let parts = members(NOUN, text, ["EncapsulatedKey", "Nonce", "Ciphertext"])?;
        let decoded = parts.map(Base64::decode_vec);
        let [Ok(encapsulated), Ok(nonce), Ok(sealed)] = decoded else {
            return Err(FormatError::Invalid { noun: NOUN });
        };
        Self::new(&encapsulated, &nonce, &sealed)
    }

    /// The parts one behind the other.
    pub fn encode(&self) -> Vec<u8> {
        [self.encapsulated.as_slice(), &self.nonce, &self.sealed].concat()
    }
}

impl fmt::Debug for LegacyCiphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacyCiphertext(..)")
    }
}

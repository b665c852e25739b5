use core::fmt;

use aws_lc_rs::digest::{SHA3_256, SHA256, digest};
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_1024};
use aws_lc_rs::signature::{KeyPair, ML_DSA_87_SIGNING, PqdsaKeyPair};
use base64ct::{Base64, Encoding};
use model::FormatError;
use model::codec::{Reader, Writer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::members::members;
use super::{LEGACY_VERIFY_KEY_LEN, LegacyCiphertext, legacy_verify};
use crate::aead::{OneTimeKey, TAG_LEN, open_in_place, seal_in_place};
use crate::identity::EK_IN_EXPANDED;
use crate::kdf::hkdf;
use crate::{CryptError, Identity, Random, SUITE};

const NOUN: &str = "ouroboros-crypt key container";
const FILE: &str = "legacy key file";
const MAGIC: &[u8; 8] = b"ouro-old";
const VERSION: u8 = 1;
const KEM_LEN: usize = 3168;
const SIGN_LEN: usize = 4896;
const SALT_LEN: usize = 32;
const HEAD_LEN: usize = MAGIC.len() + 2 + SALT_LEN;

/// Bytes of a key container at most; those the library writes have 10,824.
pub const LEGACY_CONTAINER_LEN_MAX: usize = 16 * 1024;

/// The keys of an `ouroboros-crypt` container: one for decryption, one for signatures, both expanded
/// and without their seeds. They open and verify what is old and sign nothing new.
pub struct LegacyKeys {
    expanded: Zeroizing<Vec<u8>>,
    kem: DecapsulationKey,
    kem_public: Vec<u8>,
    verify_key: Box<[u8; LEGACY_VERIFY_KEY_LEN]>,
}

impl LegacyKeys {
    /// Reads a container: JSON with `version` 1.0, `mlkem1024_priv` and `mldsa87_priv`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CryptError> {
        let (value, limit) = (bytes.len() as u64, LEGACY_CONTAINER_LEN_MAX as u64);
        if value > limit {
            return Err(FormatError::TooLong { noun: NOUN, value, limit }.into());
        }
        let invalid = FormatError::Invalid { noun: NOUN };
        let text = core::str::from_utf8(bytes).map_err(|_not_text| invalid)?;
        let [version, kem, sign] =
            members(NOUN, text, ["version", "mlkem1024_priv", "mldsa87_priv"])?;
        if version != "1.0" {
            return Err(invalid.into());
        }
        let mut expanded = Zeroizing::new(vec![0; KEM_LEN + SIGN_LEN]);
        let (kem_part, sign_part) = expanded.split_at_mut(KEM_LEN);
        for (part, text) in [(kem_part, kem), (sign_part, sign)] {
            let len = part.len();
            match Base64::decode(text, part) {
                Ok(decoded) if decoded.len() == len => {}
                _ => return Err(invalid.into()),
            }
        }
        Self::from_expanded(expanded)
    }

    /// The provider takes an ML-KEM key with a wrong hash of its public half, and an ML-DSA key whose
    /// parts do not belong together: both are tried here.
    fn from_expanded(expanded: Zeroizing<Vec<u8>>) -> Result<Self, CryptError> {
        let weak = CryptError::WeakKey { noun: NOUN };
        let (kem, sign) = expanded.split_at_checked(KEM_LEN).ok_or(weak)?;
        let kem_public = kem.get(EK_IN_EXPANDED).ok_or(weak)?.to_vec();
        let hash = kem.get(EK_IN_EXPANDED.end..EK_IN_EXPANDED.end + 32).ok_or(weak)?;
        if digest(&SHA3_256, &kem_public).as_ref() != hash {
            return Err(weak);
        }
        let kem = DecapsulationKey::new(&ML_KEM_1024, kem).map_err(|_rejected| weak)?;
        let signer = PqdsaKeyPair::from_raw_private_key(&ML_DSA_87_SIGNING, sign)
            .map_err(|_rejected| weak)?;
        let verify_key = signer.public_key().as_ref().try_into().map_err(|_other_length| weak)?;
        let verify_key = Box::new(verify_key);
        let mut signature = vec![0; ML_DSA_87_SIGNING.signature_len()];
        let len = signer.sign(NOUN.as_bytes(), &mut signature).map_err(|_unspecified| weak)?;
        signature.truncate(len);
        legacy_verify(&verify_key, NOUN.as_bytes(), &signature).map_err(|_| weak)?;
        Ok(Self { expanded, kem, kem_public, verify_key })
    }

    /// What was encrypted to these keys.
    pub fn open(&self, ciphertext: &LegacyCiphertext) -> Result<Zeroizing<Vec<u8>>, CryptError> {
        let secret = self
            .kem
            .decapsulate(ciphertext.encapsulated.as_slice().into())
            .map_err(|_unspecified| CryptError::Unseal)?;
        let mut key = OneTimeKey { key: [0; 32], nonce: ciphertext.nonce };
        key.key.copy_from_slice(secret.as_ref().get(..32).ok_or(CryptError::Unseal)?);
        let mut data = Zeroizing::new(ciphertext.sealed.clone());
        open_in_place(&key, &[], &mut data)?;
        Ok(data)
    }

    /// What verifies the signatures of these keys.
    pub const fn verify_key(&self) -> &[u8; LEGACY_VERIFY_KEY_LEN] {
        &self.verify_key
    }

    /// SHA-256 of both public keys, by which later OuroborosDB nodes in Go were named.
    pub fn node_id(&self) -> [u8; 32] {
        let both = [self.kem_public.as_slice(), self.verify_key.as_slice()].concat();
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, &both).as_ref());
        id
    }

    /// The bytes of a file that only `identity` can open.
    pub fn seal(&self, identity: &Identity, random: &dyn Random) -> Vec<u8> {
        let mut salt = [0; SALT_LEN];
        random.fill(&mut salt);
        let mut writer = Writer::new();
        writer.raw(MAGIC).u8(VERSION).u8(SUITE).raw(&salt);
        let (key, commitment) = file_keys(identity, &salt, writer.as_slice());
        writer.raw(&commitment);
        let mut sealed = self.expanded.clone();
        let tag = seal_in_place(&key, writer.as_slice(), &mut sealed);
        writer.raw(&sealed).raw(&tag);
        writer.finish()
    }

    /// Opens such a file.
    pub fn unseal(bytes: &[u8], identity: &Identity) -> Result<Self, CryptError> {
        let mut reader = Reader::new(FILE, bytes);
        if reader.array()? != *MAGIC {
            return Err(reader.invalid().into());
        }
        let version = reader.u8()?;
        if version > VERSION {
            return Err(CryptError::NewerVersion { noun: FILE, version });
        }
        if version != VERSION || reader.u8()? != SUITE {
            return Err(reader.invalid().into());
        }
        let (salt, commitment): ([u8; SALT_LEN], [u8; 32]) = (reader.array()?, reader.array()?);
        let mut sealed = Zeroizing::new(reader.raw(KEM_LEN + SIGN_LEN + TAG_LEN)?.to_vec());
        reader.end()?;
        let head = bytes.get(..HEAD_LEN).unwrap_or_default();
        let (key, expected) = file_keys(identity, &salt, head);
        if !bool::from(expected.ct_eq(&commitment)) {
            return Err(CryptError::Unseal);
        }
        open_in_place(&key, &[head, &commitment].concat(), &mut sealed)?;
        Self::from_expanded(sealed)
    }
}

impl fmt::Debug for LegacyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegacyKeys(..)")
    }
}

fn file_keys(identity: &Identity, salt: &[u8; SALT_LEN], head: &[u8]) -> (OneTimeKey, [u8; 32]) {
    let mut out = Zeroizing::new([0; 76]);
    hkdf(salt, identity.root().expose(), &[b"legacy", head], out.as_mut_slice());
    OneTimeKey::with_commitment(&out)
}

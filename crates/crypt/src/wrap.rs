use core::fmt;

use aws_lc_rs::agreement::{PrivateKey, X25519};
use aws_lc_rs::kem::{EncapsulationKey, ML_KEM_1024};
use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{EpochId, FormatError, ScopeId, UserId};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::aead::{OneTimeKey, TAG_LEN, open_in_place, seal_in_place};
use crate::identity::x25519;
use crate::kdf::hkdf;
use crate::{CryptError, EpochSecret, Identity, PublicIdentity, Random, SUITE};

pub(crate) const CIPHERTEXT_LEN: usize = 1568;
const SEALED_LEN: usize = 32 + TAG_LEN;

/// Bytes of an encoded wrap.
pub const WRAP_LEN: usize = 32 + CIPHERTEXT_LEN + 32 + 32 + SEALED_LEN;

/// An epoch's secret for one reader: X25519 and ML-KEM-1024 must both be broken to open it.
#[derive(Clone, PartialEq, Eq)]
pub struct Wrap {
    reader: UserId,
    ciphertext: Box<[u8; CIPHERTEXT_LEN]>,
    ephemeral: [u8; 32],
    commitment: [u8; 32],
    sealed: [u8; SEALED_LEN],
}

/// What a wrap is bound to besides its reader.
pub(crate) struct Binding {
    /// Tells wraps of different uses apart.
    pub(crate) use_label: &'static [u8],
    pub(crate) scope: ScopeId,
    /// The epoch, or the version, whose secret it carries.
    pub(crate) subject: [u8; 32],
}

impl Wrap {
    /// Wraps `secret`, that of `epoch`, for `reader`. The ephemeral X25519 key comes from `random`;
    /// the provider draws the ML-KEM part from the operating system.
    pub fn of(
        scope: ScopeId,
        epoch: EpochId,
        reader: &PublicIdentity,
        secret: &EpochSecret,
        random: &dyn Random,
    ) -> Result<Self, CryptError> {
        Self::new(
            &Binding { use_label: b"wrap", scope, subject: *epoch.as_bytes() },
            reader,
            secret,
            random,
        )
    }

    pub(crate) fn new(
        binding: &Binding,
        reader: &PublicIdentity,
        secret: &EpochSecret,
        random: &dyn Random,
    ) -> Result<Self, CryptError> {
        let weak = CryptError::WeakKey { noun: "reader" };
        let (ciphertext, first) = EncapsulationKey::new(&ML_KEM_1024, reader.ml_kem())
            .map_err(|_rejected| weak)?
            .encapsulate()
            .map_err(|_unspecified| weak)?;
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut_slice());
        let own = PrivateKey::from_private_key(&X25519, seed.as_slice())
            .map_err(|_rejected| CryptError::SelfTest { noun: "X25519" })?;
        let public = own
            .compute_public_key()
            .map_err(|_unspecified| CryptError::SelfTest { noun: "X25519" })?;
        let second = x25519(&own, reader.x25519()).map_err(|_| weak)?;
        let mut wrap = Self {
            reader: reader.user_id(),
            ciphertext: Box::new(ciphertext.as_ref().try_into().map_err(|_other_length| weak)?),
            ephemeral: public.as_ref().try_into().map_err(|_other_length| weak)?,
            commitment: [0; 32],
            sealed: [0; SEALED_LEN],
        };
        let info = wrap.info(reader, binding);
        let (key, commitment) = keys(binding.scope, first.as_ref(), &second, &info);
        wrap.commitment = commitment;
        let (data, tag) = wrap.sealed.split_at_mut(32);
        data.copy_from_slice(secret.expose());
        tag.copy_from_slice(&seal_in_place(&key, &info, data));
        Ok(wrap)
    }

    /// The secret, when this wrap is for `identity` in this scope and epoch. Compare it with the
    /// epoch's commitment.
    pub fn unwrap(
        &self,
        scope: ScopeId,
        epoch: EpochId,
        identity: &Identity,
    ) -> Result<EpochSecret, CryptError> {
        let subject = *epoch.as_bytes();
        self.open(&Binding { use_label: b"wrap", scope, subject }, identity)
    }

    pub(crate) fn open(
        &self,
        binding: &Binding,
        identity: &Identity,
    ) -> Result<EpochSecret, CryptError> {
        if self.reader != identity.user_id() {
            return Err(CryptError::NoKey { noun: "wrap" });
        }
        let first = identity.decapsulate(self.ciphertext.as_slice())?;
        let second = identity.agree(&self.ephemeral)?;
        let info = self.info(identity.public(), binding);
        let (key, commitment) = keys(binding.scope, first.as_ref(), &second, &info);
        if !bool::from(commitment.ct_eq(&self.commitment)) {
            return Err(CryptError::Unseal);
        }
        let mut secret = Zeroizing::new(self.sealed.to_vec());
        open_in_place(&key, &info, &mut secret)?;
        let secret = secret.first_chunk().ok_or(CryptError::Unseal)?;
        Ok(EpochSecret::from_bytes(*secret))
    }

    /// Whom it is for.
    pub const fn reader(&self) -> UserId {
        self.reader
    }

    /// The encoding: reader 32, ML-KEM ciphertext 1,568, ephemeral key 32, commitment 32,
    /// sealed secret 48.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(Vec::with_capacity(WRAP_LEN));
        writer.raw(self.reader.as_bytes()).raw(self.ciphertext.as_slice());
        writer.raw(&self.ephemeral).raw(&self.commitment).raw(&self.sealed);
        writer.finish()
    }

    /// Reads an encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("wrap", bytes);
        let wrap = Self::read(&mut reader)?;
        reader.end()?;
        Ok(wrap)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            reader: UserId::new(reader.array()?),
            ciphertext: Box::new(reader.array()?),
            ephemeral: reader.array()?,
            commitment: reader.array()?,
            sealed: reader.array()?,
        })
    }

    /// Everything the key depends on besides the two secrets and the scope.
    fn info(&self, reader: &PublicIdentity, binding: &Binding) -> Vec<u8> {
        let mut writer = Writer::new();
        writer
            .raw(binding.use_label)
            .u8(SUITE)
            .raw(self.ciphertext.as_slice())
            .raw(&self.ephemeral);
        writer.raw(&hash("ek", &[reader.ml_kem()])).raw(reader.x25519());
        writer.raw(reader.user_id().as_bytes()).raw(&binding.subject);
        writer.finish()
    }
}

impl fmt::Debug for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrap(for {})", self.reader)
    }
}

fn keys(scope: ScopeId, first: &[u8], second: &[u8; 32], info: &[u8]) -> (OneTimeKey, [u8; 32]) {
    let input = Zeroizing::new([first, second].concat());
    let mut out = [0; 64];
    hkdf(scope.as_bytes(), &input, &[info], &mut out);
    let mut key = OneTimeKey { key: [0; 32], nonce: [0; 12] };
    let mut commitment = [0; 32];
    let (kek, committed) = out.split_at(32);
    key.key.copy_from_slice(kek);
    commitment.copy_from_slice(committed);
    out.zeroize();
    (key, commitment)
}

use core::fmt;

use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::kem::{self, ML_KEM_1024};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, ML_DSA_87_SIGNING, PqdsaKeyPair};
use model::UserId;
use model::hash::HashKey;
use zeroize::Zeroizing;

use crate::kdf::hkdf;
use ml_kem::MlKem1024;

use crate::signature::message;
use crate::{CryptError, HybridSignature, PublicIdentity, Root};

/// Where the encapsulation key lies inside an expanded decapsulation key (FIPS 203: dk || ek || h || z).
pub(crate) const EK_IN_EXPANDED: core::ops::Range<usize> = 1536..3104;

/// An unlocked identity: its root and the key pairs that follow from it.
pub struct Identity {
    root: Root,
    public: PublicIdentity,
    ed25519: Ed25519KeyPair,
    ml_dsa: PqdsaKeyPair,
    x25519: agreement::PrivateKey,
    ml_kem: kem::DecapsulationKey,
}

impl Identity {
    /// Derives all keys and tests that the two ML-KEM implementations agree; below 2 ms.
    pub fn from_root(root: Root) -> Result<Self, CryptError> {
        let ed25519 = Ed25519KeyPair::from_seed_unchecked(seed::<32>(&root, "ed25519").as_slice())
            .map_err(|_rejected| CryptError::SelfTest { noun: "Ed25519" })?;
        let ml_dsa =
            PqdsaKeyPair::from_seed(&ML_DSA_87_SIGNING, seed::<32>(&root, "ml-dsa").as_slice())
                .map_err(|_rejected| CryptError::SelfTest { noun: "ML-DSA" })?;
        let x25519_failed = CryptError::SelfTest { noun: "X25519" };
        let x25519 = agreement::PrivateKey::from_private_key(
            &X25519,
            seed::<32>(&root, "x25519").as_slice(),
        )
        .map_err(|_rejected| x25519_failed)?;
        let x25519_public = x25519.compute_public_key().map_err(|_unspecified| x25519_failed)?;
        let (ml_kem, ml_kem_public) = ml_kem_pair(&root)?;
        let public = PublicIdentity::new(
            fixed(ed25519.public_key().as_ref(), "Ed25519")?,
            fixed(x25519_public.as_ref(), "X25519")?,
            Box::new(fixed(ml_dsa.public_key().as_ref(), "ML-DSA")?),
            Box::new(fixed(&ml_kem_public, "ML-KEM")?),
        )?;
        Ok(Self { root, public, ed25519, ml_dsa, x25519, ml_kem })
    }

    /// The id of the public half.
    pub const fn user_id(&self) -> UserId {
        self.public.user_id()
    }

    /// The public half.
    pub const fn public(&self) -> &PublicIdentity {
        &self.public
    }

    /// The root.
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// Signs `body` for the one use named by `label`.
    ///
    /// # Panics
    /// When the provider cannot sign with a key it made itself.
    pub fn sign(&self, label: &str, body: &[u8]) -> HybridSignature {
        let message = message(label, self.user_id(), body);
        let mut ed25519 = [0; 64];
        ed25519.copy_from_slice(self.ed25519.sign(&message).as_ref());
        let mut ml_dsa = Box::new([0; 4627]);
        self.ml_dsa.sign(&message, ml_dsa.as_mut_slice()).expect("an own key signs");
        HybridSignature { ed25519, ml_dsa }
    }

    /// The key of the local files of the folder that `nonce` names.
    pub fn local_key(&self, nonce: &[u8; 16]) -> HashKey {
        let mut key = Zeroizing::new([0; 32]);
        hkdf(&[], self.root.expose(), &[b"local", nonce], key.as_mut_slice());
        HashKey::new(*key)
    }

    /// The X25519 secret shared with `peer`; an all-zero result is refused.
    pub(crate) fn agree(&self, peer: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>, CryptError> {
        x25519(&self.x25519, peer)
    }

    /// The ML-KEM secret of `ciphertext`.
    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> Result<kem::SharedSecret, CryptError> {
        self.ml_kem.decapsulate(ciphertext.into()).map_err(|_unspecified| CryptError::Unseal)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.user_id())
    }
}

pub(crate) fn x25519(
    own: &agreement::PrivateKey,
    peer: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, CryptError> {
    let peer = agreement::UnparsedPublicKey::new(&X25519, peer);
    agreement::agree(own, peer, CryptError::Unseal, |shared| {
        let mut secret = Zeroizing::new([0; 32]);
        if shared.len() != secret.len() || shared.iter().all(|byte| *byte == 0) {
            return Err(CryptError::Unseal);
        }
        secret.copy_from_slice(shared);
        Ok(secret)
    })
}

fn seed<const N: usize>(root: &Root, label: &str) -> Zeroizing<[u8; N]> {
    let mut seed = Zeroizing::new([0; N]);
    hkdf(&[], root.expose(), &[label.as_bytes()], seed.as_mut_slice());
    seed
}

fn fixed<const N: usize>(bytes: &[u8], noun: &'static str) -> Result<[u8; N], CryptError> {
    bytes.try_into().map_err(|_other_length| CryptError::SelfTest { noun })
}

/// The provider has no seed interface for ML-KEM and imports a key with a wrong `H(ek)` without
/// complaint: one crate expands the seed and encapsulates to it, the provider must find the same
/// secret. The message comes from the seed: the provider's own randomness takes 40 ms to start, which
/// every opening would pay.
fn ml_kem_pair(root: &Root) -> Result<(kem::DecapsulationKey, Vec<u8>), CryptError> {
    let failed = CryptError::SelfTest { noun: "ML-KEM" };
    let key =
        ml_kem::DecapsulationKey::<MlKem1024>::from_seed((*seed::<64>(root, "ml-kem")).into());
    let expanded = expanded(&key);
    let public = expanded.get(EK_IN_EXPANDED).ok_or(failed)?.to_vec();
    let secret = kem::DecapsulationKey::new(&ML_KEM_1024, &expanded).map_err(|_rejected| failed)?;
    let message = (*seed::<32>(root, "ml-kem-test")).into();
    let (ciphertext, sent) = key.encapsulation_key().encapsulate_deterministic(&message);
    let received =
        secret.decapsulate(ciphertext.as_slice().into()).map_err(|_unspecified| failed)?;
    if sent.as_slice() != received.as_ref() {
        return Err(failed);
    }
    Ok((secret, public))
}

#[expect(deprecated, reason = "the provider takes no seed, only this expanded form")]
fn expanded(key: &ml_kem::DecapsulationKey<MlKem1024>) -> Zeroizing<Vec<u8>> {
    use ml_kem::ExpandedKeyEncoding;
    Zeroizing::new(key.to_expanded_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRandom;

    fn identity(seed: u64) -> Identity {
        Identity::from_root(Root::random(&SeededRandom::new(seed))).unwrap()
    }

    #[test]
    fn a_root_gives_the_same_identity_every_time() {
        let again = identity(1);
        assert_eq!(identity(1).public(), again.public());
        assert_ne!(identity(2).user_id(), again.user_id());
        assert_eq!(PublicIdentity::decode(&again.public().encode()).unwrap(), *again.public());
        let keys = |nonce| again.local_key(&[nonce; 16]).keyed(&[b"x"]);
        assert_ne!(keys(1), keys(2));
    }

    #[test]
    fn both_halves_of_a_signature_must_hold() {
        let (signer, other) = (identity(1), identity(2));
        let good = signer.sign("test", b"body");
        let verify =
            |signature: &HybridSignature| signer.public().verify("test", b"body", signature);
        assert_eq!(HybridSignature::decode(&good.encode()).unwrap(), good);
        verify(&good).unwrap();
        let foreign = other.sign("test", b"body");
        let half = HybridSignature { ed25519: foreign.ed25519, ml_dsa: good.ml_dsa.clone() };
        assert!(verify(&half).is_err());
        let half = HybridSignature { ed25519: good.ed25519, ml_dsa: foreign.ml_dsa.clone() };
        assert!(verify(&half).is_err());
        assert!(signer.public().verify("other", b"body", &good).is_err());
        assert!(signer.public().verify("test", b"bodz", &good).is_err());
        assert!(other.public().verify("test", b"body", &good).is_err());
        for at in (0..crate::SIGNATURE_LEN).step_by(97) {
            let mut bytes = good.encode();
            bytes[at] ^= 1;
            let refused = HybridSignature::decode(&bytes).is_err_and(|_| at == 0)
                || HybridSignature::decode(&bytes).is_ok_and(|flipped| verify(&flipped).is_err());
            assert!(refused, "{at}");
        }
    }

    #[test]
    fn a_second_form_of_an_ed25519_signature_is_refused() {
        // s + L is the same number modulo the group order L.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let signer = identity(1);
        let mut signature = signer.sign("test", b"body");
        let mut carry = 0;
        for (byte, l) in signature.ed25519[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(l) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(signer.public().verify("test", b"body", &signature).is_err());
    }

    #[test]
    fn a_signature_with_the_neutral_point_is_refused() {
        // Under a key of small order R = neutral, s = 0 would hold for many messages.
        let signer = identity(1);
        let mut signature = signer.sign("test", b"body");
        signature.ed25519 = [0; 64];
        signature.ed25519[0] = 1;
        assert!(signer.public().verify("test", b"body", &signature).is_err());
        let mut weak = signer.public().encode();
        weak[1..33].fill(0);
        weak[1] = 1;
        assert_eq!(PublicIdentity::decode(&weak), Err(CryptError::WeakKey { noun: "Ed25519 key" }));
    }

    #[test]
    fn a_malformed_public_identity_is_refused() {
        let good = identity(1).public().encode();
        assert_eq!(good.len(), crate::PUBLIC_IDENTITY_LEN);
        assert!(PublicIdentity::decode(&good[..good.len() - 1]).is_err());
        assert!(PublicIdentity::decode(&[good.as_slice(), &[0]].concat()).is_err());
        let mut suite = good.clone();
        suite[0] = 2;
        assert!(PublicIdentity::decode(&suite).is_err());
        let mut unreduced = good;
        let kem = 1 + 64 + 2592;
        unreduced[kem..kem + 2].fill(0xff);
        assert_eq!(
            PublicIdentity::decode(&unreduced),
            Err(CryptError::WeakKey { noun: "ML-KEM key" })
        );
    }

    #[test]
    fn x25519_points_of_low_order_are_refused() {
        let own = identity(1);
        let order_8: [u8; 32] = [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f,
            0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16,
            0x5f, 0x49, 0xb8, 0x00,
        ];
        let mut one = [0; 32];
        one[0] = 1;
        let mut p = [0xff; 32];
        (p[0], p[31]) = (0xed, 0x7f);
        let mut p_minus_1 = p;
        p_minus_1[0] = 0xec;
        for point in [[0; 32], one, order_8, p, p_minus_1] {
            assert_eq!(own.agree(&point).err(), Some(CryptError::Unseal), "{point:?}");
        }
        own.agree(identity(2).public().x25519()).unwrap();
    }
}

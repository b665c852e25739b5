use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use ed25519_dalek::Signer;
use hkdf::Hkdf;
use ml_dsa::MlDsa87;
use ml_kem::MlKem1024;
use ml_kem::kem::{Decapsulate, KeyExport};
use sha2::Sha512;
use x25519_dalek::{PublicKey, StaticSecret};

/// An identity of the second implementation.
pub(crate) struct Second {
    x25519: StaticSecret,
    ed25519: ed25519_dalek::SigningKey,
    ml_dsa: ml_dsa::SigningKey<MlDsa87>,
    ml_kem: ml_kem::DecapsulationKey<MlKem1024>,
    pub(crate) public: SecondPublic,
}

/// Its public half, or that of anybody else.
pub(crate) struct SecondPublic {
    pub(crate) encoded: Vec<u8>,
}

pub(crate) fn h(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let key = blake3::hash(format!("ouro/1/{label}").as_bytes());
    let mut hasher = blake3::Hasher::new_keyed(key.as_bytes());
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

pub(crate) fn hkdf<const N: usize>(salt: &[u8], ikm: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let info = [b"ouro/1/", info].concat();
    Hkdf::<Sha512>::new(Some(salt), ikm).expand(&info, &mut out).unwrap();
    out
}

pub(crate) fn gcm_open(key: &[u8], nonce: &[u8; 12], aad: &[u8], msg: &[u8]) -> Option<Vec<u8>> {
    let cipher = Aes256Gcm::new_from_slice(key).unwrap();
    cipher.decrypt(&Nonce::from(*nonce), Payload { msg, aad }).ok()
}

pub(crate) fn gcm_seal(key: &[u8], nonce: &[u8; 12], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new_from_slice(key).unwrap();
    cipher.encrypt(&Nonce::from(*nonce), Payload { msg, aad }).unwrap()
}

pub(crate) fn ml_dsa_verify(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = ml_dsa::EncodedVerifyingKey::<MlDsa87>::try_from(key) else { return false };
    let Ok(signature) = ml_dsa::Signature::<MlDsa87>::try_from(signature) else { return false };
    ml_dsa::VerifyingKey::<MlDsa87>::decode(&key).verify_with_context(message, &[], &signature)
}

fn message(label: &str, signer: &[u8; 32], body: &[u8]) -> Vec<u8> {
    [b"ouro/1/sig/", label.as_bytes(), &[0, 1], signer, &h(label, &[body])].concat()
}

impl SecondPublic {
    pub(crate) fn id(&self) -> [u8; 32] {
        h("id", &[&self.encoded])
    }

    fn x25519(&self) -> [u8; 32] {
        self.encoded[33..65].try_into().unwrap()
    }

    fn ml_kem(&self) -> &[u8] {
        &self.encoded[2657..4225]
    }

    /// Suite 1, Ed25519 64, ML-DSA-87 4,627; both must hold.
    pub(crate) fn verify(&self, label: &str, body: &[u8], signature: &[u8]) -> bool {
        let message = message(label, &self.id(), body);
        let key = ed25519_dalek::VerifyingKey::from_bytes(self.encoded[1..33].try_into().unwrap());
        let ed25519 = ed25519_dalek::Signature::from_bytes(signature[1..65].try_into().unwrap());
        signature.len() == 4692
            && signature[0] == 1
            && key.is_ok_and(|key| key.verify_strict(&message, &ed25519).is_ok())
            && ml_dsa_verify(&self.encoded[65..2657], &message, &signature[65..])
    }

    fn wrap_info(&self, ciphertext: &[u8], ephemeral: &[u8], epoch: &[u8; 32]) -> Vec<u8> {
        let ek = h("ek", &[self.ml_kem()]);
        let id = self.id();
        [b"wrap".as_slice(), &[1], ciphertext, ephemeral, &ek, &self.x25519(), &id, epoch].concat()
    }

    /// A wrap of `secret` from the randomness `drawn`: 32 for ML-KEM, 32 for X25519.
    pub(crate) fn wrap(
        &self,
        scope: &[u8; 32],
        epoch: &[u8; 32],
        secret: &[u8; 32],
        drawn: &[u8; 64],
    ) -> Vec<u8> {
        let key = ml_kem::kem::Key::<ml_kem::EncapsulationKey<MlKem1024>>::try_from(self.ml_kem());
        let key = ml_kem::EncapsulationKey::<MlKem1024>::new(&key.unwrap()).unwrap();
        let coins: [u8; 32] = drawn[..32].try_into().unwrap();
        let (ciphertext, first) = key.encapsulate_deterministic(&coins.into());
        let own = StaticSecret::from(<[u8; 32]>::try_from(&drawn[32..]).unwrap());
        let ephemeral = PublicKey::from(&own).to_bytes();
        let second = own.diffie_hellman(&PublicKey::from(self.x25519()));
        let info = self.wrap_info(&ciphertext, &ephemeral, epoch);
        let input = [first.as_slice(), second.as_bytes()].concat();
        let derived: [u8; 64] = hkdf(scope, &input, &info);
        let sealed = gcm_seal(&derived[..32], &[0; 12], &info, secret);
        [&self.id(), ciphertext.as_slice(), &ephemeral, &derived[32..], &sealed].concat()
    }
}

impl Second {
    pub(crate) fn of_root(root: &[u8; 32]) -> Self {
        let x25519 = StaticSecret::from(hkdf::<32>(&[], root, b"x25519"));
        let ed25519 = ed25519_dalek::SigningKey::from_bytes(&hkdf(&[], root, b"ed25519"));
        let ml_dsa =
            ml_dsa::SigningKey::<MlDsa87>::from_seed(&hkdf::<32>(&[], root, b"ml-dsa").into());
        let ml_kem = ml_kem::DecapsulationKey::<MlKem1024>::from_seed(
            hkdf::<64>(&[], root, b"ml-kem").into(),
        );
        let encoded = [
            [1].as_slice(),
            &ed25519.verifying_key().to_bytes(),
            &PublicKey::from(&x25519).to_bytes(),
            &ml_dsa.expanded_key().verifying_key().encode(),
            &ml_kem.encapsulation_key().to_bytes(),
        ]
        .concat();
        let public = SecondPublic { encoded };
        Self { x25519, ed25519, ml_dsa, ml_kem, public }
    }

    pub(crate) fn sign(&self, label: &str, body: &[u8]) -> Vec<u8> {
        let message = message(label, &self.public.id(), body);
        let ml_dsa = self.ml_dsa.expanded_key().sign_deterministic(&message, &[]).unwrap();
        [[1].as_slice(), &self.ed25519.sign(&message).to_bytes(), &ml_dsa.encode()].concat()
    }

    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> [u8; 32] {
        let ciphertext = ml_kem::Ciphertext::<MlKem1024>::try_from(ciphertext).unwrap();
        self.ml_kem.decapsulate(&ciphertext).as_slice().try_into().unwrap()
    }

    pub(crate) fn unwrap(
        &self,
        scope: &[u8; 32],
        epoch: &[u8; 32],
        wrap: &[u8],
    ) -> Option<Vec<u8>> {
        if wrap.len() != 1712 || wrap[..32] != self.public.id() {
            return None;
        }
        let (ciphertext, ephemeral) = (&wrap[32..1600], &wrap[1600..1632]);
        let first = self.decapsulate(ciphertext);
        let peer = PublicKey::from(<[u8; 32]>::try_from(ephemeral).unwrap());
        let second = self.x25519.diffie_hellman(&peer);
        if !second.was_contributory() {
            return None;
        }
        let info = self.public.wrap_info(ciphertext, ephemeral, epoch);
        let input = [first.as_slice(), second.as_bytes()].concat();
        let derived: [u8; 64] = hkdf(scope, &input, &info);
        if derived[32..] != wrap[1632..1664] {
            return None;
        }
        gcm_open(&derived[..32], &[0; 12], &info, &wrap[1664..])
    }
}

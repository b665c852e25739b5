//! Project Wycheproof's cases, for every primitive both implementations have.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, X25519};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};
use aws_lc_rs::kem::{DecapsulationKey, EncapsulationKey, ML_KEM_1024};
use aws_lc_rs::signature::{ED25519, ML_DSA_87, UnparsedPublicKey};
use hkdf::Hkdf;
use ml_kem::MlKem1024;
use ouroboros_crypt::legacy_verify;
use sha2::Sha512;
use wycheproof::{TestResult, aead, eddsa, hkdf as kdf, mldsa_verify, mlkem, xdh};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::second::{gcm_open, gcm_seal, ml_dsa_verify};

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let groups = set.test_groups.iter();
    let groups = groups.filter(|g| (g.key_size, g.nonce_size, g.tag_size) == (256, 96, 128));
    let mut count = 0;
    for test in groups.flat_map(|group| &group.tests) {
        let nonce: [u8; 12] = test.nonce.as_slice().try_into().unwrap();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
        let mut sealed = [test.ct.as_slice(), &test.tag].concat();
        let theirs = gcm_open(&test.key, &nonce, &test.aad, &sealed);
        let aad = || Aad::from(test.aad.as_slice());
        let nonce_of = Nonce::assume_unique_for_key;
        let ours =
            cipher.open_in_place(nonce_of(nonce), aad(), &mut sealed).ok().map(|o| o.to_vec());
        let wanted = (test.result == TestResult::Valid).then(|| test.pt.to_vec());
        assert_eq!((&ours, &theirs), (&wanted, &wanted), "case {}", test.tc_id);
        if wanted.is_some() {
            let mut again = test.pt.to_vec();
            cipher.seal_in_place_append_tag(nonce_of(nonce), aad(), &mut again).unwrap();
            assert_eq!(again, gcm_seal(&test.key, &nonce, &test.aad, &test.pt));
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let key = UnparsedPublicKey::new(&ED25519, group.key.pk.as_slice());
            let ours = key.verify(&test.msg, &test.sig).is_ok();
            let theirs = || {
                let key = ed25519_dalek::VerifyingKey::try_from(group.key.pk.as_slice()).ok()?;
                let signature = ed25519_dalek::Signature::from_slice(&test.sig).ok()?;
                key.verify_strict(&test.msg, &signature).ok()
            };
            let wanted = test.result == TestResult::Valid;
            assert_eq!((ours, theirs().is_some()), (wanted, wanted), "case {}", test.tc_id);
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let scalar: [u8; 32] = test.private_key.as_slice().try_into().unwrap();
        let Ok(point) = <[u8; 32]>::try_from(test.public_key.as_slice()) else { continue };
        let own = agreement::PrivateKey::from_private_key(&X25519, &scalar).unwrap();
        let peer = agreement::UnparsedPublicKey::new(&X25519, point);
        let ours = agreement::agree(&own, peer, (), |shared| Ok(shared.to_vec())).ok();
        let theirs = StaticSecret::from(scalar).diffie_hellman(&PublicKey::from(point));
        // An all-zero secret is no secret: refused, though RFC 7748 leaves it open.
        let is_zero = test.shared_secret.iter().all(|byte| *byte == 0);
        let wanted = (!is_zero).then(|| test.shared_secret.to_vec());
        assert_eq!(ours, wanted, "case {}", test.tc_id);
        assert_eq!(theirs.as_bytes().as_slice(), test.shared_secret.as_slice());
        assert_eq!(theirs.was_contributory(), !is_zero, "case {}", test.tc_id);
        count += 1;
    }
    assert!(count > 400, "{count}");
}

struct OutputLen(usize);

impl KeyType for OutputLen {
    fn len(&self) -> usize {
        self.0
    }
}

#[test]
fn hkdf_sha_512() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha512).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let info = [test.info.as_slice()];
        let mut ours = vec![0; test.size];
        let filled = Salt::new(HKDF_SHA512, &test.salt)
            .extract(&test.ikm)
            .expand(&info, OutputLen(test.size))
            .and_then(|okm| okm.fill(&mut ours));
        let mut theirs = vec![0; test.size];
        let expanded =
            Hkdf::<Sha512>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut theirs);
        let wanted = test.result == TestResult::Valid;
        assert_eq!((filled.is_ok(), expanded.is_ok()), (wanted, wanted), "case {}", test.tc_id);
        if wanted {
            assert_eq!((&*ours, &*theirs), (test.okm.as_slice(), test.okm.as_slice()));
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn ml_dsa_87() {
    let set = mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa87Verify).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        // Contexts are not used anywhere here, and the provider takes none.
        for test in group.tests.iter().filter(|test| test.ctx.as_ref().is_none_or(|c| c.is_empty()))
        {
            let wanted = test.result == TestResult::Valid;
            let key = UnparsedPublicKey::new(&ML_DSA_87, group.pubkey.as_slice());
            let ours = key.verify(&test.msg, &test.sig).is_ok();
            let theirs = ml_dsa_verify(&group.pubkey, &test.msg, &test.sig);
            assert_eq!((ours, theirs), (wanted, wanted), "case {}", test.tc_id);
            if let Ok(key) = group.pubkey.as_slice().try_into() {
                assert_eq!(legacy_verify(key, &test.msg, &test.sig).is_ok(), wanted);
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[expect(deprecated, reason = "some cases are expanded keys")]
fn second_key(expanded: &[u8]) -> Option<ml_kem::DecapsulationKey<MlKem1024>> {
    use ml_kem::ExpandedKeyEncoding;
    ml_kem::DecapsulationKey::<MlKem1024>::from_expanded_bytes(&expanded.try_into().ok()?).ok()
}

#[expect(deprecated, reason = "the provider takes no seed, only this expanded form")]
fn expanded(key: &ml_kem::DecapsulationKey<MlKem1024>) -> Vec<u8> {
    use ml_kem::ExpandedKeyEncoding;
    key.to_expanded_bytes().to_vec()
}

/// What both make of a ciphertext under an expanded key; `None` where one refuses.
fn decapsulated(key: &[u8], ciphertext: &[u8]) -> [Option<Vec<u8>>; 2] {
    use ml_kem::kem::Decapsulate;
    let ours = DecapsulationKey::new(&ML_KEM_1024, key)
        .and_then(|key| key.decapsulate(ciphertext.into()).map_err(|_| unreachable_rejection()))
        .ok()
        .map(|secret| secret.as_ref().to_vec());
    let theirs = second_key(key).and_then(|key| {
        let ciphertext = ml_kem::Ciphertext::<MlKem1024>::try_from(ciphertext).ok()?;
        Some(key.decapsulate(&ciphertext).to_vec())
    });
    [ours, theirs]
}

fn unreachable_rejection() -> aws_lc_rs::error::KeyRejected {
    DecapsulationKey::new(&ML_KEM_1024, &[]).err().unwrap()
}

#[test]
fn ml_kem_1024_from_seeds() {
    use ml_kem::kem::KeyExport;
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem1024).unwrap();
    let more = mlkem::TestSet::load(mlkem::TestName::MlKem1024KeyGenSeed).unwrap();
    let groups = set.test_groups.iter().chain(&more.test_groups);
    let mut count = 0;
    for test in groups.flat_map(|group| &group.tests) {
        let Some(Ok(seed)) = test.seed.as_ref().map(|s| <[u8; 64]>::try_from(s.as_slice())) else {
            assert_eq!(test.result, TestResult::Invalid);
            continue;
        };
        let key = ml_kem::DecapsulationKey::<MlKem1024>::from_seed(seed.into());
        if let Some(ek) = test.encaps_key.as_ref().filter(|_| test.result == TestResult::Valid) {
            assert_eq!(key.encapsulation_key().to_bytes().as_slice(), ek.as_slice());
        }
        if let Some(dk) = &test.decaps_key {
            assert_eq!(expanded(&key), dk.as_slice(), "case {}", test.tc_id);
        }
        if let Some(ciphertext) = &test.ct {
            let wanted = match test.result {
                TestResult::Valid => Some(test.shared_secret.as_ref().unwrap().to_vec()),
                _ => None,
            };
            let found = decapsulated(&expanded(&key), ciphertext);
            assert_eq!(found, [wanted.clone(), wanted], "case {}", test.tc_id);
        }
        count += 1;
    }
    assert!(count > 200, "{count}");
}

#[test]
fn ml_kem_1024_public_keys() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem1024Encaps).unwrap();
    let mut count = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let ek = test.encaps_key.as_ref().unwrap();
        let wanted = test.result == TestResult::Valid;
        let ours = EncapsulationKey::new(&ML_KEM_1024, ek)
            .and_then(|key| key.encapsulate().map_err(|_| unreachable_rejection()));
        let key = ml_kem::kem::Key::<ml_kem::EncapsulationKey<MlKem1024>>::try_from(ek.as_slice());
        let theirs = key.ok().and_then(|key| ml_kem::EncapsulationKey::<MlKem1024>::new(&key).ok());
        assert_eq!(theirs.is_some(), wanted, "case {}", test.tc_id);
        assert_eq!(ours.is_ok(), wanted, "case {}", test.tc_id);
        if let (Some(key), Some(m)) = (theirs, &test.msg) {
            let coins: [u8; 32] = m.as_slice().try_into().unwrap();
            let (ciphertext, secret) = key.encapsulate_deterministic(&coins.into());
            assert_eq!(ciphertext.as_slice(), test.ct.as_ref().unwrap().as_slice());
            assert_eq!(secret.as_slice(), test.shared_secret.as_ref().unwrap().as_slice());
        }
        count += 1;
    }
    assert!(count > 200, "{count}");
}

#[test]
fn ml_kem_1024_expanded_keys() {
    let set = mlkem::TestSet::load(mlkem::TestName::MlKem1024SemiExpandedDecaps).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (key, ciphertext) = (test.decaps_key.as_ref().unwrap(), test.ct.as_ref().unwrap());
        // The provider takes a wrong hash of the public key: imports are checked beside it.
        let [_, theirs] = decapsulated(key, ciphertext);
        let wanted = test.shared_secret.as_ref().map(|secret| secret.to_vec());
        let wanted = wanted.filter(|_| test.result == TestResult::Valid);
        assert_eq!(theirs, wanted, "case {}", test.tc_id);
    }
}

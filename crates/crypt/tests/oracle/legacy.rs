//! What `ouroboros-crypt` v1.1.0 wrote, in both implementations.

use base64ct::{Base64, Encoding};
use ouroboros_crypt::{
    CryptError, Identity, LEGACY_CONTAINER_LEN_MAX, LegacyCiphertext, LegacyKeys, Root,
    SeededRandom, legacy_verify,
};
use serde_json::Value;

use crate::second::{gcm_open, ml_dsa_verify};

const VECTORS: &str = include_str!("../../testdata/ouroboros-crypt.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    Base64::decode_vec(text(value, name)).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keys(vectors: &Value, whose: &str) -> LegacyKeys {
    LegacyKeys::from_json(text(&vectors[whose], "key_file").as_bytes()).unwrap()
}

fn ciphertext(case: &Value) -> Result<LegacyCiphertext, model::FormatError> {
    let part = |name| bytes(case, name);
    LegacyCiphertext::new(&part("encapsulated_key"), &part("nonce"), &part("ciphertext"))
}

#[expect(deprecated, reason = "the Go library kept expanded keys only")]
fn second_secret(expanded: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    use ml_kem::kem::Decapsulate;
    use ml_kem::{DecapsulationKey, ExpandedKeyEncoding, MlKem1024};
    let key = DecapsulationKey::<MlKem1024>::from_expanded_bytes(&expanded.try_into().unwrap());
    let ciphertext = ml_kem::Ciphertext::<MlKem1024>::try_from(ciphertext).unwrap();
    key.unwrap().decapsulate(&ciphertext).to_vec()
}

#[test]
fn the_container_has_the_keys_it_says() {
    let vectors = vectors();
    let (identity, keys) = (&vectors["identity"], keys(&vectors, "identity"));
    assert_eq!(keys.verify_key().as_slice(), bytes(identity, "sign_public"));
    assert_eq!(hex(&keys.node_id()), text(identity, "node_id_sha256"));
    assert_ne!(keys.node_id(), self::keys(&vectors, "other_identity").node_id());
    assert!(!format!("{keys:?}").contains("17"), "prints no byte of them");
}

#[test]
fn every_ciphertext_opens_in_both() {
    let vectors = vectors();
    let (own, other) = (keys(&vectors, "identity"), keys(&vectors, "other_identity"));
    let expanded = bytes(&vectors["identity"], "kem_private");
    let cases = vectors["encrypt"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let plain = bytes(case, "plaintext");
        let ciphertext = ciphertext(case).unwrap();
        assert_eq!(*own.open(&ciphertext).unwrap(), plain);
        assert_eq!(other.open(&ciphertext), Err(CryptError::Unseal));
        assert_eq!(LegacyCiphertext::decode(&ciphertext.encode()).unwrap(), ciphertext);
        let json = serde_json::json!({
            "Ciphertext": text(case, "ciphertext"),
            "EncapsulatedKey": text(case, "encapsulated_key"),
            "Nonce": text(case, "nonce"),
        });
        assert_eq!(LegacyCiphertext::decode(json.to_string().as_bytes()).unwrap(), ciphertext);
        let secret = second_secret(&expanded, &bytes(case, "encapsulated_key"));
        assert_eq!(secret, bytes(case, "shared_secret"));
        let nonce = bytes(case, "nonce").try_into().unwrap();
        assert_eq!(gcm_open(&secret, &nonce, &[], &bytes(case, "ciphertext")), Some(plain));
    }
}

#[test]
fn what_the_library_refuses_to_decrypt_is_refused() {
    let vectors = vectors();
    let own = keys(&vectors, "identity");
    let expanded = bytes(&vectors["identity"], "kem_private");
    let cases = vectors["decrypt_failures"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let opened = ciphertext(case).map_err(CryptError::from).and_then(|c| own.open(&c));
        assert!(opened.is_err(), "{}", case["case"]);
        if let Some(secret) = case["shared_secret"].as_str()
            && let Ok(nonce) = bytes(case, "nonce").try_into()
        {
            let found = second_secret(&expanded, &bytes(case, "encapsulated_key"));
            assert_eq!(Base64::encode_string(&found), secret, "{}", case["case"]);
            assert_eq!(gcm_open(&found, &nonce, &[], &bytes(case, "ciphertext")), None);
        }
    }
}

#[test]
fn every_signature_has_the_same_verdict_in_both() {
    let vectors = vectors();
    let own = keys(&vectors, "identity");
    let all = |name: &str| vectors[name].as_array().unwrap().clone();
    let cases = [all("signatures"), all("signature_failures")].concat();
    assert_eq!(cases.len(), 13);
    for case in cases {
        let (message, signature) = (bytes(&case, "message"), bytes(&case, "signature"));
        // The vector says `valid: true` of a signature with a byte behind its end: circl v1.6.0
        // took it. FIPS 204 gives signatures one length, and so do we: it is refused here.
        let is_long = case["case"] == "signature one byte long";
        assert_eq!(is_long, signature.len() == 4628);
        let wanted = case["valid"].as_bool().unwrap() && !is_long;
        let verified = legacy_verify(own.verify_key(), &message, &signature);
        assert_eq!(verified.is_ok(), wanted, "{case}");
        assert_eq!(ml_dsa_verify(own.verify_key(), &message, &signature), wanted, "{case}");
    }
}

#[test]
fn the_second_implementation_signs_the_same_bytes() {
    let vectors = vectors();
    let expanded = bytes(&vectors["identity"], "sign_private");
    #[expect(deprecated, reason = "the Go library kept expanded keys only")]
    let key = ml_dsa::ExpandedSigningKey::<ml_dsa::MlDsa87>::from_expanded(
        &expanded.as_slice().try_into().unwrap(),
    );
    for case in vectors["signatures"].as_array().unwrap() {
        assert!(case["second_signature_identical"].as_bool().unwrap());
        let signature = key.sign_deterministic(&bytes(case, "message"), &[]).unwrap();
        assert_eq!(signature.encode().as_slice(), bytes(case, "signature"));
    }
}

#[test]
fn hashes_and_keys_of_seeds_are_the_same() {
    use aws_lc_rs::digest::{SHA256, SHA512, digest};
    use ml_kem::kem::KeyExport;
    let vectors = vectors();
    for case in vectors["sha512"].as_array().unwrap() {
        let hash = hex(digest(&SHA512, &bytes(case, "input")).as_ref());
        assert_eq!(hash, text(case, "sha512"));
        assert_eq!(format!("\"{hash}\""), text(case, "json"));
    }
    let sha = |bytes: &[u8]| hex(digest(&SHA256, bytes).as_ref());
    for case in vectors["seed_keys"].as_array().unwrap() {
        let seed: [u8; 64] = bytes(case, "kem_seed").try_into().unwrap();
        let kem = ml_kem::DecapsulationKey::<ml_kem::MlKem1024>::from_seed(seed.into());
        assert_eq!(sha(&kem.encapsulation_key().to_bytes()), text(case, "kem_public_sha256"));
        let seed: [u8; 32] = bytes(case, "sign_seed").try_into().unwrap();
        let sign = ml_dsa::SigningKey::<ml_dsa::MlDsa87>::from_seed(&seed.into());
        let public = sign.expanded_key().verifying_key().encode();
        assert_eq!(sha(&public), text(case, "sign_public_sha256"));
        use aws_lc_rs::signature::{KeyPair, ML_DSA_87_SIGNING, PqdsaKeyPair};
        let provider = PqdsaKeyPair::from_seed(&ML_DSA_87_SIGNING, &seed).unwrap();
        assert_eq!(provider.public_key().as_ref(), public.as_slice());
    }
}

#[test]
fn a_container_that_is_not_one_is_refused() {
    let vectors = vectors();
    let good = text(&vectors["identity"], "key_file");
    let refused = |text: &str| LegacyKeys::from_json(text.as_bytes()).unwrap_err();
    let padded = |len: usize| format!("{good}{}", " ".repeat(len - good.len()));
    LegacyKeys::from_json(padded(LEGACY_CONTAINER_LEN_MAX).as_bytes()).unwrap();
    refused(&padded(LEGACY_CONTAINER_LEN_MAX + 1));
    refused(&good.replace("1.0", "2.0"));
    refused(&good.replace("mldsa87_priv", "other"));
    for cut in (0..good.len()).step_by(97) {
        refused(&good[..cut]);
    }
    // One bit in the hash of the public key, which the provider itself would take.
    let with = |at: usize| {
        let mut kem = bytes(&vectors["identity"], "kem_private");
        kem[at] ^= 1;
        good.replace(text(&vectors["identity"], "kem_private"), &Base64::encode_string(&kem))
    };
    let weak = CryptError::WeakKey { noun: "ouroboros-crypt key container" };
    assert_eq!(refused(&with(3104)), weak);
    assert_eq!(refused(&with(1536)), weak);
    // Half of one identity's signature key and half of another's.
    let other: Value = serde_json::from_str(text(&vectors["other_identity"], "key_file")).unwrap();
    let mut mixed = bytes(&vectors["identity"], "sign_private");
    mixed[2000..].copy_from_slice(&bytes(&other, "mldsa87_priv")[2000..]);
    let own = text(&vectors["identity"], "sign_private");
    assert_eq!(refused(&good.replace(own, &Base64::encode_string(&mixed))), weak);
}

#[test]
fn kept_keys_open_for_their_identity_alone() {
    let keys = keys(&vectors(), "identity");
    let identity = |byte| Identity::from_root(Root::from_bytes([byte; 32])).unwrap();
    let (own, other) = (identity(1), identity(2));
    let sealed = keys.seal(&own, &SeededRandom::new(1));
    assert_eq!(LegacyKeys::unseal(&sealed, &own).unwrap().node_id(), keys.node_id());
    assert_eq!(LegacyKeys::unseal(&sealed, &other).err(), Some(CryptError::Unseal));
    for at in (0..sealed.len()).filter(|at| *at < 120 || at % 101 == 0) {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1;
        assert!(LegacyKeys::unseal(&flipped, &own).is_err(), "{at}");
        assert!(LegacyKeys::unseal(&sealed[..at], &own).is_err(), "{at}");
    }
    assert!(LegacyKeys::unseal(&[sealed.as_slice(), &[0]].concat(), &own).is_err());
    let secret = bytes(&vectors()["identity"], "kem_private");
    assert!(secret.chunks(32).all(|part| !sealed.windows(32).any(|window| window == part)));
}

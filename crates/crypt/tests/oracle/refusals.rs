//! What must not hold, whoever is asked: halves, second encodings, repeated hints.

use ouroboros_crypt::{
    HybridSignature, Identity, PUBLIC_IDENTITY_LEN, PublicIdentity, Root, SIGNATURE_LEN, WRAP_LEN,
    Wrap,
};

use crate::second::{Second, ml_dsa_verify};

const LABEL: &str = "refusals";
const BODY: &[u8] = b"body";
/// Of ML-DSA-87: where the hints begin in a signature, how many there may be, how many polynomials.
const HINTS: usize = 4627 - OMEGA - K;
const OMEGA: usize = 75;
const K: usize = 8;
/// Where ML-DSA begins in a hybrid signature.
const ML_DSA: usize = 65;

fn pair() -> (Identity, Second) {
    let root = [3; 32];
    (Identity::from_root(Root::from_bytes(root)).unwrap(), Second::of_root(&root))
}

fn verdicts(first: &Identity, second: &Second, signature: &[u8]) -> (bool, bool) {
    let ours = HybridSignature::decode(signature)
        .is_ok_and(|signature| first.public().verify(LABEL, BODY, &signature).is_ok());
    (ours, second.public.verify(LABEL, BODY, signature))
}

#[test]
fn hints_that_are_repeated_or_unsorted_are_refused() {
    let (first, second) = pair();
    let good = second.sign(LABEL, BODY);
    assert_eq!(verdicts(&first, &second, &good), (true, true));
    let hints = ML_DSA + HINTS;
    let count = usize::from(good[hints + OMEGA]);
    assert!(count >= 2, "this signature has hints to move");
    let mut unsorted = good.clone();
    unsorted.swap(hints, hints + 1);
    let mut repeated = good.clone();
    repeated[hints + 1] = repeated[hints];
    let mut beyond = good.clone();
    beyond[hints + OMEGA + K - 1] = u8::try_from(OMEGA).unwrap() + 1;
    let mut falling = good.clone();
    falling[hints + OMEGA + 1] = falling[hints + OMEGA] - 1;
    let mut unused = good.clone();
    unused[hints + OMEGA - 1] = 1;
    assert!(usize::from(good[hints + OMEGA + K - 1]) < OMEGA, "the last place is not used");
    for bad in [unsorted, repeated, beyond, falling, unused] {
        assert_eq!(verdicts(&first, &second, &bad), (false, false));
    }
}

#[test]
fn half_a_signature_is_none() {
    let (first, second) = pair();
    let good = second.sign(LABEL, BODY);
    let other = second.sign(LABEL, b"another body");
    let mixed = |at: usize| [&good[..at], &other[at..]].concat();
    assert_eq!(verdicts(&first, &second, &mixed(ML_DSA)), (false, false), "Ed25519 alone");
    let swapped = [&other[..ML_DSA], &good[ML_DSA..]].concat();
    assert_eq!(verdicts(&first, &second, &swapped), (false, false), "ML-DSA alone");
    for half in [1..ML_DSA, ML_DSA..SIGNATURE_LEN] {
        let mut zeroed = good.clone();
        zeroed[half].fill(0);
        assert_eq!(verdicts(&first, &second, &zeroed), (false, false), "zeros");
    }
    assert!(HybridSignature::decode(&good[..ML_DSA]).is_err());
}

#[test]
fn unknown_suites_and_other_lengths_are_refused() {
    let (first, second) = pair();
    let signature = second.sign(LABEL, BODY);
    let public = first.public().encode();
    assert_eq!((signature.len(), public.len()), (SIGNATURE_LEN, PUBLIC_IDENTITY_LEN));
    for suite in (0..=255).filter(|suite| *suite != 1) {
        let with = |bytes: &[u8]| [&[suite], &bytes[1..]].concat();
        assert!(HybridSignature::decode(&with(&signature)).is_err(), "{suite}");
        assert!(PublicIdentity::decode(&with(&public)).is_err(), "{suite}");
    }
    let wrap = second.public.wrap(&[1; 32], &[2; 32], &[3; 32], &[4; 64]);
    assert_eq!(wrap.len(), WRAP_LEN);
    for extra in [1, 100, 1 << 20] {
        let longer = |bytes: &[u8]| [bytes, &vec![0; extra]].concat();
        assert!(HybridSignature::decode(&longer(&signature)).is_err());
        assert!(PublicIdentity::decode(&longer(&public)).is_err());
        assert!(Wrap::decode(&longer(&wrap)).is_err());
    }
    assert!(Wrap::decode(&wrap[1..]).is_err());
}

#[test]
fn a_key_of_low_order_signs_nothing() {
    let (first, _) = pair();
    let mut public = first.public().encode();
    public[1..33].fill(0);
    for first_byte in [0, 1, 0xec, 0xed, 0xee] {
        let mut weak = public.clone();
        if first_byte > 1 {
            weak[2..33].fill(0xff);
            weak[32] = 0x7f;
        }
        weak[1] = first_byte;
        assert!(PublicIdentity::decode(&weak).is_err(), "{first_byte:x}");
        weak[32] |= 0x80;
        assert!(PublicIdentity::decode(&weak).is_err(), "{first_byte:x} with a sign");
    }
}

#[test]
fn a_key_of_zeros_verifies_nothing_in_either() {
    let (_, second) = pair();
    let signature = second.sign(LABEL, BODY);
    assert!(!ml_dsa_verify(&[0; 2592], BODY, &signature[ML_DSA..]));
    let zeros = [0u8; 2592];
    assert!(ouroboros_crypt::legacy_verify(&zeros, BODY, &signature[ML_DSA..]).is_err());
}

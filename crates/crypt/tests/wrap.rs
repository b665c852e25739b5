//! A wrap opens for its reader, in its scope and epoch, and only unchanged.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use model::{EpochId, ScopeId};
use ouroboros_crypt::{CryptError, EpochSecret, Identity, Root, SeededRandom, WRAP_LEN, Wrap};

fn identity(seed: u64) -> Identity {
    Identity::from_root(Root::random(&SeededRandom::new(seed))).unwrap()
}

const SCOPE: ScopeId = ScopeId::new([1; 32]);
const EPOCH: EpochId = EpochId::new([2; 32]);

fn wrapped(reader: &Identity) -> Wrap {
    let secret = EpochSecret::from_bytes([7; 32]);
    Wrap::of(SCOPE, EPOCH, reader.public(), &secret, &SeededRandom::new(5)).unwrap()
}

#[test]
fn a_wrap_is_bound_to_reader_scope_and_epoch() {
    let (reader, other) = (identity(1), identity(2));
    let wrap = wrapped(&reader);
    assert_eq!(wrap.unwrap(SCOPE, EPOCH, &reader).unwrap().expose(), &[7; 32]);
    let refused = |scope, epoch, who: &Identity| wrap.unwrap(scope, epoch, who).err().unwrap();
    assert_eq!(refused(ScopeId::new([9; 32]), EPOCH, &reader), CryptError::Unseal);
    assert_eq!(refused(SCOPE, EpochId::new([9; 32]), &reader), CryptError::Unseal);
    assert_eq!(refused(SCOPE, EPOCH, &other), CryptError::NoKey { noun: "wrap" });
    // Renamed to another reader it is not that reader's either.
    let mut bytes = wrap.encode();
    bytes[..32].copy_from_slice(other.user_id().as_bytes());
    let stolen = Wrap::decode(&bytes).unwrap();
    assert_eq!(stolen.unwrap(SCOPE, EPOCH, &other).err(), Some(CryptError::Unseal));
}

#[test]
fn every_flipped_byte_of_a_wrap_is_refused() {
    let reader = identity(1);
    let bytes = wrapped(&reader).encode();
    assert_eq!(bytes.len(), WRAP_LEN);
    // The top bit of an X25519 coordinate is ignored by the curve and bound by the key derivation.
    for at in (0..WRAP_LEN).filter(|at| *at < 40 || *at >= 1590 || at % 13 == 0) {
        for bit in [1, 0x80] {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            let wrap = Wrap::decode(&flipped).unwrap();
            assert!(wrap.unwrap(SCOPE, EPOCH, &reader).is_err(), "{at}");
        }
    }
    assert!(Wrap::decode(&bytes[..WRAP_LEN - 1]).is_err());
}

#[test]
fn an_ephemeral_point_of_low_order_is_refused() {
    let reader = identity(1);
    let mut bytes = wrapped(&reader).encode();
    bytes[1600..1632].fill(0);
    let wrap = Wrap::decode(&bytes).unwrap();
    assert_eq!(wrap.unwrap(SCOPE, EPOCH, &reader).err(), Some(CryptError::Unseal));
}

#[test]
fn no_two_wraps_are_alike() {
    let reader = identity(1);
    assert_ne!(wrapped(&reader).encode(), wrapped(&reader).encode());
}

//! Prints how fast this machine seals, and which of the two AEAD providers is faster.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement")]

use std::time::Instant;

use model::{BlockNonce, EpochId, ScopeId};
use ouroboros_crypt::{
    CompressionPolicy, EpochKeys, EpochSecret, Identity, ObjectKind, Opener, OsRandom, Random,
    Root, Sealer, Wrap, key_file::Argon2Cost,
};

const ROUNDS: u32 = 2000;

fn measure(name: &str, len: usize, mut work: impl FnMut()) {
    for _ in 0..20 {
        work();
    }
    let rates = (0..5).map(|_| {
        let start = Instant::now();
        (0..ROUNDS / 5).for_each(|_| work());
        let seconds = start.elapsed().as_secs_f64() / f64::from(ROUNDS / 5);
        (seconds * 1e6, f64::from(u32::try_from(len).unwrap_or(u32::MAX)) / seconds / 1e9)
    });
    let (micros, gigabytes) =
        rates.fold((f64::MAX, 0.0), |a, b| (f64::min(a.0, b.0), f64::max(a.1, b.1)));
    println!("{name:32} {len:8} B {micros:9.1} us {gigabytes:6.2} GB/s");
}

fn providers(plain: &[u8]) {
    let mut data = plain.to_vec();
    measure("ring AES-256-GCM", plain.len(), || {
        use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("key"));
        let nonce = Nonce::assume_unique_for_key([1; 12]);
        let _tag =
            key.seal_in_place_separate_tag(nonce, Aad::from([0; 187]), &mut data).expect("seal");
    });
    measure("aws-lc-rs AES-256-GCM", plain.len(), || {
        use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).expect("key"));
        let nonce = Nonce::assume_unique_for_key([1; 12]);
        let _tag =
            key.seal_in_place_separate_tag(nonce, Aad::from([0; 187]), &mut data).expect("seal");
    });
}

fn identities() {
    let root = || Root::random(&OsRandom);
    measure("identity from its root", 0, || drop(Identity::from_root(root()).expect("identity")));
    let identity = Identity::from_root(root()).expect("identity");
    measure("sign", 0, || drop(identity.sign("speed", b"body")));
    let signature = identity.sign("speed", b"body");
    measure("verify", 0, || {
        identity.public().verify("speed", b"body", &signature).expect("own signature");
    });
    let (scope, epoch) = (ScopeId::new([1; 32]), EpochId::new([1; 32]));
    let secret = EpochSecret::random(&OsRandom);
    let of = || Wrap::of(scope, epoch, identity.public(), &secret, &OsRandom).expect("wrap");
    measure("wrap", 0, || drop(of()));
    let wrap = of();
    measure("unwrap", 0, || drop(wrap.unwrap(scope, epoch, &identity).expect("own wrap")));
    let start = Instant::now();
    let cost = Argon2Cost::calibrate(&mut || start.elapsed());
    println!("passphrase: {} passes", cost.passes());
}

fn main() {
    identities();
    let epoch = EpochId::new([1; 32]);
    let secret = EpochSecret::random(&OsRandom);
    let keys = EpochKeys::new(ScopeId::new([2; 32]), epoch, epoch, &secret);
    let nonce = BlockNonce::new([3; 16]);
    for len in [1024, 65_536, 262_144, 1_048_576] {
        let mut plain = vec![0; len];
        OsRandom.fill(&mut plain);
        providers(&plain);
        measure("BLAKE3 keyed", len, || {
            let _id = keys.chunk_hash(&plain);
        });
        let obj = keys.chunk_hash(&plain).into();
        let mut out = Vec::with_capacity(len + 200);
        for policy in [CompressionPolicy::Off, CompressionPolicy::Auto] {
            let mut sealer = Sealer::new(policy);
            measure(&format!("seal chunk, compression {policy:?}"), len, || {
                out.clear();
                keys.seal(ObjectKind::Chunk, obj, &plain, &mut sealer, &nonce, &mut out);
            });
        }
        let mut opener = Opener::new();
        measure("unseal chunk", len, || drop(keys.unseal(&out, &mut opener)));
    }
}

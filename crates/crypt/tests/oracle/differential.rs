//! Drawn cases: what one implementation makes, the other reads, and what it refuses, the other
//! refuses. The long form is `cargo xtask differential --cases N`.

use aws_lc_rs::agreement::{self, X25519};
use model::{EpochId, ScopeId};
use ouroboros_crypt::{
    EpochSecret, HybridSignature, Identity, PublicIdentity, Random, Root, SeededRandom, Wrap,
};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::second::{Second, gcm_open, gcm_seal, hkdf};

const CASES: u64 = 200;

/// `--cases` and `--seed` of the long form come in through the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap())
}

fn draw<const N: usize>(random: &SeededRandom) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

fn below(random: &SeededRandom, bound: usize) -> usize {
    usize::try_from(u64::from_le_bytes(draw(random)) % bound as u64).unwrap()
}

#[test]
fn both_implementations_agree() {
    let cases = setting("OUROBOROS_DIFFERENTIAL_CASES", CASES);
    let seed = setting("OUROBOROS_DIFFERENTIAL_SEED", 1);
    let mut comparisons = 0;
    for case in 0..cases {
        let random = SeededRandom::new(seed.wrapping_mul(1 << 32).wrapping_add(case));
        let root: [u8; 32] = draw(&random);
        let first = Identity::from_root(Root::from_bytes(root)).unwrap();
        let second = Second::of_root(&root);
        assert_eq!(first.public().encode(), second.public.encoded, "seed {seed}, case {case}");
        assert_eq!(first.user_id().as_bytes(), &second.public.id(), "seed {seed}, case {case}");
        let done = [
            signatures(&first, &second, &random),
            wraps(&first, &second, &random),
            agreements(&random),
            encapsulations(&random),
            ciphers(&random),
        ];
        for (part, result) in done.into_iter().enumerate() {
            comparisons += result
                .unwrap_or_else(|what| panic!("seed {seed}, case {case}, part {part}: {what}"));
        }
    }
    println!("differential: seed {seed}: {cases} cases, {comparisons} comparisons, all agree");
}

type Compared = Result<u32, &'static str>;

fn same(yes: bool, what: &'static str) -> Compared {
    if yes { Ok(1) } else { Err(what) }
}

fn signatures(first: &Identity, second: &Second, random: &SeededRandom) -> Compared {
    let mut body = vec![0; below(random, 300)];
    random.fill(&mut body);
    let (ours, theirs) = (first.sign("differential", &body), second.sign("differential", &body));
    let ours_bytes = ours.encode();
    let holds = |public: &PublicIdentity, bytes: &[u8]| {
        HybridSignature::decode(bytes)
            .is_ok_and(|signature| public.verify("differential", &body, &signature).is_ok())
    };
    let mut compared = same(ours_bytes[..65] == theirs[..65], "Ed25519 is deterministic")?;
    compared += same(second.public.verify("differential", &body, &ours_bytes), "ours is refused")?;
    compared += same(holds(first.public(), &theirs), "theirs is refused")?;
    let mut flipped = theirs.clone();
    flipped[below(random, theirs.len())] ^= 1 << below(random, 8);
    let verdicts =
        (holds(first.public(), &flipped), second.public.verify("differential", &body, &flipped));
    compared += same(verdicts == (false, false), "a flipped signature holds")?;
    Ok(compared)
}

fn wraps(first: &Identity, second: &Second, random: &SeededRandom) -> Compared {
    let (scope, epoch, secret): ([u8; 32], [u8; 32], [u8; 32]) =
        (draw(random), draw(random), draw(random));
    let of = (ScopeId::new(scope), EpochId::new(epoch));
    let ours =
        Wrap::of(of.0, of.1, first.public(), &EpochSecret::from_bytes(secret), random).unwrap();
    let theirs = second.public.wrap(&scope, &epoch, &secret, &draw(random));
    let opened = |bytes: &[u8]| {
        let wrap = Wrap::decode(bytes).ok()?;
        wrap.unwrap(of.0, of.1, first).ok().map(|secret| secret.expose().to_vec())
    };
    let wanted = Some(secret.to_vec());
    let mut compared = same(second.unwrap(&scope, &epoch, &ours.encode()) == wanted, "ours")?;
    compared += same(opened(&theirs) == wanted, "theirs")?;
    let mut flipped = theirs;
    let at = below(random, flipped.len());
    flipped[at] ^= 1 << below(random, 8);
    let verdicts = (opened(&flipped), second.unwrap(&scope, &epoch, &flipped));
    compared += same(verdicts == (None, None), "a flipped wrap opens")?;
    Ok(compared)
}

/// Any 32 bytes are a point to X25519, those above the field and of low order included.
fn agreements(random: &SeededRandom) -> Compared {
    let (scalar, mut point): ([u8; 32], [u8; 32]) = (draw(random), draw(random));
    match below(random, 4) {
        0 => point[1..31].fill(0xff),
        1 => point[1..].fill(0),
        _ => {}
    }
    let own = agreement::PrivateKey::from_private_key(&X25519, &scalar).unwrap();
    let peer = agreement::UnparsedPublicKey::new(&X25519, point);
    let ours = agreement::agree(&own, peer, (), |shared| Ok(shared.to_vec())).ok();
    let theirs = StaticSecret::from(scalar).diffie_hellman(&PublicKey::from(point));
    let theirs = theirs.was_contributory().then(|| theirs.to_bytes().to_vec());
    same(ours == theirs, "X25519")
}

/// Implicit rejection: a ciphertext nobody made has a secret too, the same one everywhere.
fn encapsulations(random: &SeededRandom) -> Compared {
    use aws_lc_rs::kem::{DecapsulationKey, EncapsulationKey, ML_KEM_1024};
    use ml_kem::kem::KeyExport;
    let key = ml_kem::DecapsulationKey::<ml_kem::MlKem1024>::from_seed(draw::<64>(random).into());
    #[expect(deprecated, reason = "the provider takes no seed, only this expanded form")]
    let expanded = {
        use ml_kem::ExpandedKeyEncoding;
        key.to_expanded_bytes()
    };
    let ours = DecapsulationKey::new(&ML_KEM_1024, &expanded).unwrap();
    let theirs = |ciphertext: &[u8]| {
        use ml_kem::kem::Decapsulate;
        key.decapsulate(&ml_kem::Ciphertext::<ml_kem::MlKem1024>::try_from(ciphertext).unwrap())
    };
    let public = key.encapsulation_key().to_bytes();
    let public = EncapsulationKey::new(&ML_KEM_1024, &public).unwrap();
    let (ciphertext, sent) = public.encapsulate().unwrap();
    let mut compared =
        same(theirs(ciphertext.as_ref()).as_slice() == sent.as_ref(), "ML-KEM encapsulation")?;
    let mut noise = vec![0; 1568];
    random.fill(&mut noise);
    let received = ours.decapsulate(noise.as_slice().into()).unwrap();
    compared += same(theirs(&noise).as_slice() == received.as_ref(), "ML-KEM rejection")?;
    Ok(compared)
}

fn ciphers(random: &SeededRandom) -> Compared {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    use aws_lc_rs::hkdf::{HKDF_SHA512, Salt};
    let (key, nonce): ([u8; 32], [u8; 12]) = (draw(random), draw(random));
    let mut plain = vec![0; below(random, 1000)];
    random.fill(&mut plain);
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let mut ours = plain.clone();
    let nonce_of = Nonce::assume_unique_for_key;
    cipher.seal_in_place_append_tag(nonce_of(nonce), Aad::from(b"aad"), &mut ours).unwrap();
    let mut compared = same(gcm_seal(&key, &nonce, b"aad", &plain) == ours, "AES-256-GCM")?;
    let at = below(random, ours.len());
    ours[at] ^= 1 << below(random, 8);
    let verdicts = (
        gcm_open(&key, &nonce, b"aad", &ours).is_some(),
        cipher.open_in_place(nonce_of(nonce), Aad::from(b"aad"), &mut ours).is_ok(),
    );
    compared += same(verdicts == (false, false), "a flipped AES-256-GCM opens")?;
    let info = [b"ouro/1/".as_slice(), &plain];
    let mut okm = [0; 64];
    Salt::new(HKDF_SHA512, &nonce)
        .extract(&key)
        .expand(&info, HKDF_SHA512)
        .and_then(|out| out.fill(&mut okm))
        .unwrap();
    compared += same(hkdf::<64>(&nonce, &key, &plain) == okm, "HKDF-SHA-512")?;
    Ok(compared)
}

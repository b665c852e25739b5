//! AES-GCM binds no key: one ciphertext and tag can open under two. The commitment of a frame must
//! make that useless (the attack: Dodis, Grubbs, Ristenpart, Woodage, CRYPTO 2018; Len, Grubbs,
//! Ristenpart, USENIX Security 2021).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails panics; lengths are those of this file"
)]

use std::sync::Arc;

use model::hash::HashKey;
use model::{EpochId, ScopeId};
use ouroboros_crypt::{
    CryptError, EpochKeys, EpochSecret, FRAME_PREFIX_LEN, ObjectKind, Opener, Random, SUITE,
    SeededRandom, StoreKeys,
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

const CRAFTED: u64 = 1_000;
const BLOCK_LEN: usize = 16;
const SALT: [u8; 16] = [0x5a; 16];
/// The element 1: bits run from the highest, which is the coefficient of x^0.
const ONE: u128 = 1 << 127;

/// The product in GF(2^128) as GCM writes it (NIST SP 800-38D, algorithm 1).
fn product(x: u128, y: u128) -> u128 {
    let (mut sum, mut shifted) = (0, y);
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            sum ^= shifted;
        }
        let carry = shifted & 1;
        shifted = shifted >> 1 ^ (carry * (0xe1 << 120));
    }
    sum
}

fn power(x: u128, exponent: u128) -> u128 {
    (0..128).rev().fold(ONE, |result, bit| {
        let squared = product(result, result);
        if exponent >> bit & 1 == 1 { product(squared, x) } else { squared }
    })
}

/// x^(2^128 - 2).
fn inverse(x: u128) -> u128 {
    power(x, u128::MAX - 1)
}

fn blocks(bytes: &[u8]) -> Vec<u128> {
    bytes
        .chunks(BLOCK_LEN)
        .map(|piece| {
            let mut block = [0; BLOCK_LEN];
            block[..piece.len()].copy_from_slice(piece);
            u128::from_be_bytes(block)
        })
        .collect()
}

fn length_block(aad_len: usize, len: usize) -> u128 {
    let bits = |len: usize| u128::try_from(len * 8).unwrap();
    bits(aad_len) << 64 | bits(len)
}

/// What one key and nonce are used with.
#[derive(Clone)]
struct Use {
    key: [u8; 32],
    nonce: [u8; 12],
    aad: Vec<u8>,
}

impl Use {
    fn cipher(&self) -> (LessSafeKey, Nonce) {
        let key = UnboundKey::new(&AES_256_GCM, &self.key).unwrap();
        (LessSafeKey::new(key), Nonce::assume_unique_for_key(self.nonce))
    }

    /// The tag of an empty message with this additional data.
    fn tag(&self, aad: &[u8]) -> u128 {
        let (key, nonce) = self.cipher();
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut []).unwrap();
        u128::from_be_bytes(tag.as_ref().try_into().unwrap())
    }

    /// The encrypted counter block that every tag is masked with: the hash of nothing is 0.
    fn tag_mask(&self) -> u128 {
        self.tag(&[])
    }

    /// The key of GHASH: over one block of zeros the hash is it times the block of lengths.
    fn hash_key(&self) -> u128 {
        let hash = self.tag(&[0; BLOCK_LEN]) ^ self.tag_mask();
        product(hash, inverse(length_block(BLOCK_LEN, 0)))
    }

    /// The tag of `ciphertext`, by our own GHASH.
    fn tag_of(&self, ciphertext: &[u8]) -> u128 {
        let mut input = blocks(&self.aad);
        input.extend(blocks(ciphertext));
        input.push(length_block(self.aad.len(), ciphertext.len()));
        let key = self.hash_key();
        input.iter().fold(0, |hash, block| product(hash ^ block, key)) ^ self.tag_mask()
    }

    /// The cleartext, as `ring` finds it.
    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (key, nonce) = self.cipher();
        let mut data = sealed.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(&self.aad), &mut data).ok()?;
        Some(plain.to_vec())
    }

    /// The same by the library the product uses.
    fn open_as_product(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.key).unwrap());
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let mut data = sealed.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(&self.aad), &mut data).ok()?;
        Some(plain.to_vec())
    }
}

/// Ciphertext and tag that open under both: the last block of `ciphertext`, which is whole blocks,
/// is solved for.
fn collision(first: &Use, second: &Use, mut ciphertext: Vec<u8>) -> Vec<u8> {
    assert!(!ciphertext.is_empty() && ciphertext.len().is_multiple_of(BLOCK_LEN));
    let free = ciphertext.len() - BLOCK_LEN;
    ciphertext[free..].fill(0);
    // The free block is multiplied with the square of the hash key: once for itself, once for the
    // block of lengths.
    let difference = first.tag_of(&ciphertext) ^ second.tag_of(&ciphertext);
    let square = |side: &Use| power(side.hash_key(), 2);
    let block = product(difference, inverse(square(first) ^ square(second)));
    ciphertext[free..].copy_from_slice(&block.to_be_bytes());
    let tag = first.tag_of(&ciphertext);
    ciphertext.extend_from_slice(&tag.to_be_bytes());
    ciphertext
}

fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    SeededRandom::new(seed).fill(&mut out);
    out
}

#[test]
fn the_field_is_one() {
    let (x, y) =
        (0x0388_dace_60b6_a392_f328_c2b9_71b2_fe78, 0x66e9_4bd4_ef8a_2c3b_884c_fa59_ca34_2b2e);
    // GCM specification (McGrew, Viega), test case 2.
    assert_eq!(product(x, y), 0x5e2e_c746_9170_6288_2c85_b068_5353_deb7);
    assert_eq!(product(x, ONE), x);
    assert_eq!(product(x, inverse(x)), ONE);
}

#[test]
fn one_ciphertext_opens_under_two_keys_of_bare_gcm() {
    for seed in 0..50u64 {
        let side = |side: u64| Use {
            key: random(seed * 8 + side, 32).try_into().unwrap(),
            nonce: random(seed * 8 + side + 2, 12).try_into().unwrap(),
            aad: random(seed * 8 + side + 4, usize::try_from(seed * 3 + side * 7).unwrap()),
        };
        let (first, second) = (side(0), side(1));
        let len = BLOCK_LEN * usize::try_from(1 + seed % 9).unwrap();
        let sealed = collision(&first, &second, random(seed * 8 + 6, len));
        let plains = [&first, &second].map(|side| {
            let plain = side.open(&sealed);
            assert!(plain.is_some() && plain == side.open_as_product(&sealed), "{seed}");
            plain
        });
        assert_ne!(plains[0], plains[1], "{seed}");
    }
}

/// Keys, and the secret they follow from.
struct Side {
    keys: Arc<EpochKeys>,
    secret: HashKey,
}

const SCOPE: ScopeId = ScopeId::new([1; 32]);

fn side(epoch: u8, secret: u8) -> Side {
    let epoch = EpochId::new([epoch; 32]);
    let keys = EpochKeys::new(SCOPE, epoch, epoch, &EpochSecret::from_bytes([secret; 32]));
    Side { keys: Arc::new(keys), secret: HashKey::new([secret; 32]) }
}

/// Two sides under which one frame has the same header. Nobody can choose masks, so there are two
/// ways: whoever mints two epochs gives them one secret, or one epoch seals for two generations.
fn pairs() -> [(Side, Side); 2] {
    let (one, other) = (side(2, 7), side(3, 7));
    let (sealing, naming) = (side(4, 8), side(5, 9));
    let paired = Arc::new(sealing.keys.of_generation(&naming.keys));
    let secret = sealing.secret.clone();
    [(one, other), (sealing, Side { keys: paired, secret })]
}

impl Side {
    /// What opening derives for a header and the salt: the cipher's use, and the commitment that
    /// would be true.
    fn derive(&self, header: &[u8]) -> (Use, [u8; 32]) {
        let (kind, rest) = header.split_first().unwrap();
        let (compression, rest) = rest.split_first().unwrap();
        let (lengths, obj) = rest.split_at(8);
        let keys = &self.keys;
        let (scope, epoch, generation) = (keys.scope(), keys.epoch(), keys.generation());
        let ids = [*scope.as_bytes(), *epoch.as_bytes(), *generation.as_bytes()];
        let head = [&[SUITE, *kind][..], &ids.concat(), obj, &[*compression], lengths].concat();
        let object = HashKey::new(self.secret.sub("seal").keyed(&[&head, &SALT]));
        let mut bytes = [0; 32 + 12 + 32];
        object.expand(&[b"aead"], &mut bytes);
        let (_, commitment) = bytes.split_last_chunk().unwrap();
        let derived = Use {
            key: bytes[..32].try_into().unwrap(),
            nonce: bytes[32..44].try_into().unwrap(),
            aad: [&head[..], &SALT, commitment].concat(),
        };
        (derived, *commitment)
    }
}

/// A header of a kind whose id no reader recomputes.
fn header(seed: u64, len: usize) -> Vec<u8> {
    let kind = [ObjectKind::Bundle, ObjectKind::Index][usize::try_from(seed % 2).unwrap()];
    let len = u32::try_from(len).unwrap().to_le_bytes();
    [&[kind as u8, 0][..], &len, &len, &random(seed, 32)].concat()
}

/// A frame that names `commitment` and whose ciphertext opens on both sides.
fn crafted(sides: &(Side, Side), seed: u64, commitment: &[u8]) -> (Vec<u8>, [Use; 2]) {
    let len = BLOCK_LEN * usize::try_from(1 + seed % 5).unwrap();
    let header = header(seed, len);
    let uses = [&sides.0, &sides.1].map(|side| side.derive(&header).0);
    let sealed = collision(&uses[0], &uses[1], random(!seed, len));
    let mut mask = vec![0; header.len()];
    sides.0.secret.sub("frame").expand(&[&SALT, commitment], &mut mask);
    let masked: Vec<u8> = mask.iter().zip(&header).map(|(mask, byte)| mask ^ byte).collect();
    ([&masked[..], &SALT, commitment, &sealed].concat(), uses)
}

fn open(keys: &EpochKeys, frame: &[u8]) -> Result<Vec<u8>, CryptError> {
    keys.unseal(frame, &mut Opener::new()).map(|(_, plain)| plain)
}

/// Everything but the commitment lets `frame` pass on this side.
fn assert_only_the_commitment_tells(side: &Side, derived: &Use, frame: &[u8], seed: u64) {
    let prefix = frame.first_chunk::<FRAME_PREFIX_LEN>().unwrap();
    let header = side.keys.frame_header(prefix).unwrap();
    assert_eq!(header.frame_len(), frame.len(), "{seed}");
    assert!(derived.open_as_product(&frame[FRAME_PREFIX_LEN..]).is_some(), "{seed}");
}

#[test]
fn crafted_objects_that_commit_to_neither_key_are_refused() {
    let pairs = pairs();
    let mut refused = 0;
    for seed in 0..CRAFTED {
        let sides = &pairs[usize::try_from(seed % 2).unwrap()];
        let (frame, uses) = crafted(sides, seed, &random(seed + CRAFTED, 32));
        for (side, derived) in [&sides.0, &sides.1].into_iter().zip(&uses) {
            assert_only_the_commitment_tells(side, derived, &frame, seed);
            assert_eq!(open(&side.keys, &frame), Err(CryptError::Unseal), "{seed}");
        }
        refused += u64::from(store_keys(&pairs).unseal(&frame, &mut Opener::new()).is_err());
    }
    assert_eq!(refused, CRAFTED);
}

#[test]
fn crafted_objects_are_only_what_they_commit_to() {
    let pairs = pairs();
    for seed in 0..CRAFTED {
        let sides = &pairs[usize::try_from(seed % 2).unwrap()];
        let len = BLOCK_LEN * usize::try_from(1 + seed % 5).unwrap();
        let (_, commitment) = sides.0.derive(&header(seed, len));
        let (frame, uses) = crafted(sides, seed, &commitment);
        for (side, derived) in [&sides.0, &sides.1].into_iter().zip(&uses) {
            assert_only_the_commitment_tells(side, derived, &frame, seed);
        }
        let plain = open(&sides.0.keys, &frame).unwrap();
        assert_eq!(open(&sides.1.keys, &frame), Err(CryptError::Unseal), "{seed}");
        let opened = store_keys(&pairs).unseal(&frame, &mut Opener::new()).unwrap();
        assert_eq!((opened.plain, opened.keys.epoch()), (plain, sides.0.keys.epoch()), "{seed}");
        assert_eq!(opened.keys.generation(), sides.0.keys.generation(), "{seed}");
    }
}

/// A store that holds every epoch; the wrong side of the first pair is tried first.
fn store_keys(pairs: &[(Side, Side); 2]) -> StoreKeys {
    let [(one, other), (sealing, _)] = pairs;
    let epochs = [&other.keys, &one.keys, &sealing.keys, &side(5, 9).keys].map(Arc::clone);
    StoreKeys { epochs: epochs.to_vec(), local: HashKey::new([0; 32]) }
}

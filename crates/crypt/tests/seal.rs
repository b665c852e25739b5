//! What a sealed frame must and must not do.

use std::collections::HashMap;

use model::{BlockNonce, EpochId, ObjectId, ScopeId};
use ouroboros_crypt::{
    Compression, CompressionPolicy, CryptError, EpochKeys, EpochSecret, FRAME_OVERHEAD,
    FRAME_PREFIX_LEN, ObjectKind, Opener, Random, Sealer, SeededRandom,
};

const NONCE: BlockNonce = BlockNonce::new([3; 16]);

fn keys_of(scope: u8, epoch: u8, secret: u8) -> EpochKeys {
    let epoch = EpochId::new([epoch; 32]);
    let secret = EpochSecret::from_bytes([secret; 32]);
    EpochKeys::new(ScopeId::new([scope; 32]), epoch, epoch, &secret)
}

fn keys() -> EpochKeys {
    keys_of(1, 2, 4)
}

fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    SeededRandom::new(seed).fill(&mut out);
    out
}

fn id(keys: &EpochKeys, kind: ObjectKind, plain: &[u8]) -> ObjectId {
    match kind {
        ObjectKind::Chunk => keys.chunk_hash(plain).into(),
        ObjectKind::List => keys.list_hash(plain).into(),
        ObjectKind::Vertex => ObjectId::new(model::hash::hash("vertex", &[plain])),
        _ => ObjectId::new([8; 32]),
    }
}

fn seal_at(keys: &EpochKeys, kind: ObjectKind, plain: &[u8], nonce: &BlockNonce) -> Vec<u8> {
    let mut sealer = Sealer::new(CompressionPolicy::Auto);
    let mut out = vec![0xaa; 3];
    let header = keys.seal(kind, id(keys, kind, plain), plain, &mut sealer, nonce, &mut out);
    let frame = out.split_off(3);
    assert_eq!(frame.len(), header.frame_len());
    frame
}

fn seal(keys: &EpochKeys, kind: ObjectKind, plain: &[u8]) -> Vec<u8> {
    seal_at(keys, kind, plain, &NONCE)
}

fn open(keys: &EpochKeys, frame: &[u8]) -> Result<Vec<u8>, CryptError> {
    keys.unseal(frame, &mut Opener::new()).map(|(_, plain)| plain)
}

fn samples() -> Vec<(ObjectKind, Vec<u8>)> {
    vec![
        (ObjectKind::Chunk, random(1, 300)),
        (ObjectKind::Chunk, b"text ".repeat(60)),
        (ObjectKind::Chunk, Vec::new()),
        (ObjectKind::List, random(2, 90)),
        (ObjectKind::Vertex, b"vertex vertex vertex vertex vertex".to_vec()),
        (ObjectKind::Bundle, random(3, 64)),
        (ObjectKind::Index, b"index".repeat(30)),
        (ObjectKind::Pad, vec![0; 77]),
        (ObjectKind::KeyHistory, random(4, 32)),
    ]
}

#[test]
fn every_kind_comes_back() {
    let keys = keys();
    let mut opener = Opener::new();
    for (kind, plain) in samples() {
        let frame = seal(&keys, kind, &plain);
        let prefix: &[u8; FRAME_PREFIX_LEN] = frame.first_chunk().unwrap();
        let claimed = keys.frame_header(prefix).unwrap();
        let (header, back) = keys.unseal(&frame, &mut opener).unwrap();
        assert_eq!((header, back), (claimed, plain));
        assert_eq!(header.kind, kind);
    }
}

#[test]
fn the_largest_objects_come_back_and_one_byte_more_is_never_sealed() {
    let keys = keys();
    for kind in [ObjectKind::Chunk, ObjectKind::Vertex, ObjectKind::Bundle, ObjectKind::List] {
        let plain = random(5, kind.plain_len_max());
        let frame = seal(&keys, kind, &plain);
        assert_eq!(frame.len(), plain.len() + FRAME_OVERHEAD);
        assert_eq!(open(&keys, &frame).unwrap(), plain);
        let longer = vec![0; plain.len() + 1];
        let sealed = std::panic::catch_unwind(|| seal(&keys, kind, &longer));
        assert!(sealed.is_err(), "{kind:?}");
    }
}

#[test]
fn every_flipped_byte_and_every_cut_is_refused() {
    let keys = keys();
    for (kind, plain) in samples() {
        let frame = seal(&keys, kind, &plain);
        for at in 0..frame.len() {
            for bit in [1, 0x80] {
                let mut flipped = frame.clone();
                flipped[at] ^= bit;
                assert_eq!(open(&keys, &flipped), Err(CryptError::Unseal), "{kind:?} {at}");
            }
            assert_eq!(open(&keys, &frame[..at]), Err(CryptError::Unseal), "{kind:?} {at}");
        }
        let longer = [frame.as_slice(), &[0]].concat();
        assert_eq!(open(&keys, &longer), Err(CryptError::Unseal));
    }
}

#[test]
fn a_seal_opens_in_its_scope_epoch_and_generation_only() {
    let right = keys();
    let frame = seal(&right, ObjectKind::Chunk, b"content");
    let secret = EpochSecret::from_bytes([4; 32]);
    let (scope, epoch) = (right.scope(), right.epoch());
    let other_generation = EpochKeys::new(scope, epoch, EpochId::new([9; 32]), &secret);
    for wrong in [keys_of(9, 2, 4), keys_of(1, 9, 4), keys_of(1, 2, 9), other_generation] {
        assert_eq!(open(&wrong, &frame), Err(CryptError::Unseal), "{wrong:?}");
    }
}

#[test]
fn parts_of_two_frames_do_not_mix() {
    let keys = keys();
    let a = seal(&keys, ObjectKind::Chunk, &random(6, 200));
    let b = seal(&keys, ObjectKind::Chunk, &random(7, 200));
    for (from, to) in [(0, 42), (42, 58), (58, 90), (90, 290), (290, 306), (42, 90), (0, 90)] {
        let mut mixed = a.clone();
        mixed[from..to].copy_from_slice(&b[from..to]);
        assert_eq!(open(&keys, &mixed), Err(CryptError::Unseal), "{from}..{to}");
    }
}

#[test]
fn a_swapped_header_is_refused() {
    let keys = keys();
    let plain = random(8, 40);
    let frame = seal(&keys, ObjectKind::Index, &plain);
    // Same length, every other kind: masked bits flip where the cleartext bits do.
    for kind in [1u8, 2, 3, 4, 6, 7] {
        let mut swapped = frame.clone();
        swapped[0] ^= 5 ^ kind;
        assert_eq!(open(&keys, &swapped), Err(CryptError::Unseal), "{kind}");
    }
}

#[test]
fn a_frame_that_commits_to_another_key_is_refused() {
    // Everything is sound but the commitment, and the header is masked for the false one: only the
    // comparison itself can tell.
    let keys = keys();
    let mut frame = seal(&keys, ObjectKind::Index, b"committed");
    let masks = model::hash::HashKey::new([4; 32]).sub("frame");
    let mask = |frame: &mut Vec<u8>| {
        let mut mask = [0; 42];
        masks.expand(&[&frame[42..58], &frame[58..90]], &mut mask);
        frame.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    };
    mask(&mut frame);
    frame[58] ^= 1;
    mask(&mut frame);
    let claimed = keys.frame_header(frame.first_chunk().unwrap()).unwrap();
    assert_eq!(claimed.kind, ObjectKind::Index);
    assert_eq!(open(&keys, &frame), Err(CryptError::Unseal));
    mask(&mut frame);
    frame[58] ^= 1;
    mask(&mut frame);
    assert!(open(&keys, &frame).is_ok(), "the false commitment was all that was wrong");
}

#[test]
fn an_object_under_a_false_id_is_refused() {
    // A writer of the scope can seal anything as anything; readers recompute the id.
    let keys = keys();
    let wrong_id = keys.chunk_hash(b"wanted").into();
    let sealed = std::panic::catch_unwind(|| {
        let mut out = Vec::new();
        let mut sealer = Sealer::new(CompressionPolicy::Off);
        keys.seal(ObjectKind::Chunk, wrong_id, b"poison", &mut sealer, &NONCE, &mut out);
        out
    });
    // Development builds refuse to seal it at all.
    if let Ok(frame) = sealed {
        assert_eq!(open(&keys, &frame), Err(CryptError::Unseal));
    }
    // Under a foreign generation the ids are made by another secret: sealed there, refused here.
    let foreign = {
        let (scope, naming) = (ScopeId::new([1; 32]), EpochId::new([4; 32]));
        let secret = EpochSecret::from_bytes([9; 32]);
        keys_of(1, 2, 2).of_generation(&EpochKeys::new(scope, naming, naming, &secret))
    };
    for kind in [ObjectKind::Chunk, ObjectKind::List] {
        let frame = seal(&foreign, kind, b"poison");
        assert!(open(&foreign, &frame).is_ok());
        assert_eq!(open(&keys, &frame), Err(CryptError::Unseal), "{kind:?}");
    }
}

#[test]
fn an_object_moves_verbatim_and_equal_content_looks_different() {
    let keys = keys();
    for (kind, plain) in samples() {
        let here = seal_at(&keys, kind, &plain, &BlockNonce::new([1; 16]));
        let there = seal_at(&keys, kind, &plain, &BlockNonce::new([2; 16]));
        assert_eq!(open(&keys, &here), open(&keys, &there));
        for part in [0..42, 42..58, 58..90] {
            assert_ne!(here[part.clone()], there[part]);
        }
    }
}

#[test]
fn a_reseal_keeps_the_ids_of_its_generation() {
    let (old, new) = (EpochSecret::from_bytes([1; 32]), EpochSecret::from_bytes([2; 32]));
    let (scope, first, second) =
        (ScopeId::new([7; 32]), EpochId::new([8; 32]), EpochId::new([9; 32]));
    let before = EpochKeys::new(scope, first, first, &old);
    let after = EpochKeys::new(scope, second, second, &new).of_generation(&before);
    assert_eq!((after.epoch(), after.generation()), (second, first));
    assert_eq!(before.chunk_hash(b"kept"), after.chunk_hash(b"kept"));
    assert_eq!(before.list_hash(b"kept"), after.list_hash(b"kept"));
    let frame = seal(&after, ObjectKind::Chunk, b"kept");
    assert_eq!(open(&after, &frame).unwrap(), b"kept");
    assert!(open(&before, &frame).is_err());
}

#[test]
fn no_key_meets_two_payloads() {
    // Equal (salt, commitment) means equal (key, nonce): then the frame must be equal as well.
    let keys = keys();
    let mut seen: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let mut masks: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for round in 0..4000u64 {
        let nonce = BlockNonce::new([u8::try_from(round % 3).unwrap(); 16]);
        let kind = [ObjectKind::Chunk, ObjectKind::Index, ObjectKind::Bundle, ObjectKind::Vertex]
            [usize::try_from(round % 4).unwrap()];
        let plain = random(round % 500, usize::try_from(round % 50).unwrap());
        for policy in [CompressionPolicy::Auto, CompressionPolicy::Off] {
            let mut sealer = Sealer::new(policy);
            let mut frame = Vec::new();
            keys.seal(kind, id(&keys, kind, &plain), &plain, &mut sealer, &nonce, &mut frame);
            let used = frame[42..90].to_vec();
            masks.insert(used.clone(), frame[..42].to_vec()).inspect(|header| {
                assert_eq!(*header, frame[..42], "one mask, two headers");
            });
            seen.insert(used, frame.clone()).inspect(|first| {
                assert_eq!(*first, frame, "one key, two payloads");
            });
        }
    }
    assert!(seen.len() > 1000);
}

#[test]
fn both_compressions_of_one_chunk_use_different_keys() {
    let keys = keys();
    let plain = b"compressible ".repeat(100);
    let sealed = |policy| {
        let mut out = Vec::new();
        let obj = keys.chunk_hash(&plain).into();
        let mut sealer = Sealer::new(policy);
        let header = keys.seal(ObjectKind::Chunk, obj, &plain, &mut sealer, &NONCE, &mut out);
        (header.compression, out)
    };
    let (zstd, none) = (sealed(CompressionPolicy::Auto), sealed(CompressionPolicy::Off));
    assert_eq!((zstd.0, none.0), (Compression::Zstd, Compression::None));
    assert_ne!(zstd.1[42..90], none.1[42..90]);
    assert_eq!(open(&keys, &zstd.1), open(&keys, &none.1));
}

#[test]
fn garbage_is_hardly_ever_a_header() {
    let keys = keys();
    let bytes = random(11, 90 * 100_000);
    let passed = bytes
        .as_chunks::<FRAME_PREFIX_LEN>()
        .0
        .iter()
        .filter(|prefix| keys.frame_header(prefix).is_ok())
        .count();
    assert!(passed <= 1, "{passed}");
}

#[test]
fn ids_of_different_kinds_and_epochs_differ() {
    let keys = keys();
    let other = keys_of(1, 3, 5);
    assert_ne!(keys.chunk_hash(b"listx").as_bytes(), keys.list_hash(b"x").as_bytes());
    assert_ne!(keys.chunk_hash(b"x").as_bytes(), keys.list_hash(b"x").as_bytes());
    assert_ne!(keys.chunk_hash(b"x"), other.chunk_hash(b"x"));
    assert_ne!(keys.blind(b"x"), other.blind(b"x"));
    assert_ne!(keys.gear_table(), other.gear_table());
    assert_eq!(keys.gear_table(), self::keys().gear_table());
}

#[test]
fn debug_shows_no_secret() {
    let secret = EpochSecret::from_bytes([0xc5; 32]);
    let text = format!("{secret:?} {:?} {:?}", keys(), SeededRandom::new(0xc5));
    assert!(!text.contains("c5c5") && !text.contains("197"), "{text}");
}

//! No decoder panics, whatever the bytes; what decodes has one encoding only.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use model::{BlockNonce, EpochId, ScopeId};
use ouroboros_crypt::key_file::{Argon2Cost, Source};
use ouroboros_crypt::{
    ChainHead, Change, Commit, CompressionPolicy, EpochKeys, EpochRecord, EpochSecret,
    FRAME_PREFIX_LEN, ForkProof, Frontier, Genesis, HybridSignature, Identity, MemberRecord,
    Membership, ObjectKind, Opener, PublicIdentity, Random, Rights, Root, Sealer, SeededRandom,
    SignedCommit, SignedGenesis, SignedRecord, Wrap, key_file,
};

const ROUNDS: u64 = 10_000;

/// A decoder under test: `Some` of the second encoding where it has one.
type Decoder = fn(&[u8]) -> Option<Vec<u8>>;

fn keys() -> EpochKeys {
    let epoch = EpochId::new([2; 32]);
    EpochKeys::new(ScopeId::new([1; 32]), epoch, epoch, &EpochSecret::from_bytes([3; 32]))
}

fn frame(bytes: &[u8]) -> Option<Vec<u8>> {
    if let Some(prefix) = bytes.first_chunk::<FRAME_PREFIX_LEN>() {
        let _claim = keys().frame_header(prefix);
    }
    keys().unseal(bytes, &mut Opener::new()).ok()?;
    Some(bytes.to_vec())
}

fn key_file_kind(bytes: &[u8]) -> Option<Vec<u8>> {
    key_file::kind(bytes).ok()?;
    Some(bytes.to_vec())
}

fn page(bytes: &[u8]) -> Option<Vec<u8>> {
    let local = model::hash::HashKey::new([1; 32]);
    ouroboros_crypt::PageKeys::new(&local, &[0; 16]).open(0, bytes).ok()?;
    Some(bytes.to_vec())
}

const DECODERS: [Decoder; 12] = [
    frame,
    key_file_kind,
    page,
    |bytes| Some(PublicIdentity::decode(bytes).ok()?.encode()),
    |bytes| Some(HybridSignature::decode(bytes).ok()?.encode()),
    |bytes| Some(SignedGenesis::decode(bytes).ok()?.encode()),
    |bytes| Some(SignedRecord::decode(bytes).ok()?.encode()),
    |bytes| Some(EpochRecord::decode(bytes).ok()?.encode()),
    |bytes| Some(Wrap::decode(bytes).ok()?.encode()),
    |bytes| Some(SignedCommit::decode(bytes).ok()?.encode()),
    |bytes| Some(ForkProof::decode(bytes).ok()?.encode()),
    |bytes| Frontier::decode(bytes, &local_key()).ok()?.encode(&local_key()).ok(),
];

fn local_key() -> model::hash::HashKey {
    model::hash::HashKey::new([1; 32])
}

/// One sound input for each decoder.
fn sound() -> Vec<Vec<u8>> {
    let random = SeededRandom::new(1);
    let alice = Identity::from_root(Root::random(&random)).unwrap();
    let genesis = Genesis::new(vec![alice.public().clone()], 1, &random).unwrap();
    let membership = Membership::fold(&genesis, &[]).unwrap();
    let (epoch, secret) = EpochRecord::mint(&alice, &membership, &[], &random).unwrap();
    let record = MemberRecord {
        scope: genesis.scope_id(),
        parents: vec![model::RecordId::new([5; 32])],
        change: Change::Add {
            subject: Box::new(alice.public().clone()),
            rights: Rights::READER,
            overrides: vec![model::RecordId::new([6; 32])],
        },
    };
    let mut frame = Vec::new();
    let plain = b"words words words words words words".repeat(4);
    let mut sealer = Sealer::new(CompressionPolicy::Auto);
    let nonce = BlockNonce::new([4; 16]);
    let obj = keys().chunk_hash(&plain).into();
    keys().seal(ObjectKind::Chunk, obj, &plain, &mut sealer, &nonce, &mut frame);
    let mut page = Vec::new();
    let local = model::hash::HashKey::new([1; 32]);
    ouroboros_crypt::PageKeys::new(&local, &[0; 16]).seal(0, b"page", &mut page);
    let wrap = Wrap::of(genesis.scope_id(), epoch.epoch_id(), alice.public(), &secret, &random);
    let cost = Argon2Cost::new(64 * 1024, 1, 1).unwrap();
    vec![
        frame,
        key_file::write(alice.root(), &Source::Passphrase("x"), &random, cost),
        page,
        alice.public().encode(),
        alice.sign("test", b"body").encode(),
        genesis.sign(&[&alice]).encode(),
        record.sign(&[&alice]).encode(),
        epoch.encode(),
        wrap.unwrap().encode(),
        commit(&alice, 1).encode(),
        ForkProof::of(commit(&alice, 1), commit(&alice, 2)).unwrap().encode(),
        frontier(&commit(&alice, 1)).encode(&local_key()).unwrap(),
    ]
}

fn commit(writer: &Identity, epoch: u8) -> SignedCommit {
    let head = ChainHead { chain: model::ChainId::new([7; 32]), seq: 3, hash: [8; 32] };
    Commit {
        scope: ScopeId::new([1; 32]),
        writer: writer.user_id(),
        incarnation: model::Incarnation::new([2; 16]),
        seq: 1,
        prev: [0; 32],
        membership_head: vec![model::RecordId::new([5; 32])],
        epoch: EpochId::new([epoch; 32]),
        seen: vec![head],
        block: None,
        carries: Vec::new(),
        releases: Vec::new(),
    }
    .sign(writer)
    .unwrap()
}

fn frontier(commit: &SignedCommit) -> Frontier {
    let mut frontier = Frontier::default();
    frontier.advance(commit.commit().head());
    frontier
}

fn below(random: &SeededRandom, bound: usize) -> usize {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % bound.max(1) as u64).unwrap()
}

/// Changes, cuts, repeats or inserts something, mostly near the front where the lengths are.
fn mutated(sound: &[u8], random: &SeededRandom) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..=below(random, 3) {
        let reach = if below(random, 2) == 0 { 128.min(bytes.len()) } else { bytes.len() };
        let at = below(random, reach);
        let extreme = [0, 1, 0x7f, 0x80, 0xff].into_iter().cycle().nth(below(random, 5)).unwrap();
        match below(random, 5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, extreme),
            2 => bytes.extend(sound.iter().take(at)),
            3 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = extreme),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= extreme | 1),
        }
    }
    bytes
}

#[test]
fn sound_inputs_decode_and_encode_to_themselves() {
    for (number, (decode, bytes)) in DECODERS.iter().zip(sound()).enumerate() {
        assert_eq!(decode(&bytes).as_ref(), Some(&bytes), "decoder {number}");
    }
}

#[test]
fn mutated_inputs_are_refused_or_canonical() {
    for (number, (decode, bytes)) in DECODERS.iter().zip(sound()).enumerate() {
        let random = SeededRandom::new(u64::try_from(number).unwrap());
        for round in 0..ROUNDS {
            let input = mutated(&bytes, &random);
            if let Some(again) = decode(&input) {
                assert_eq!(again, input, "decoder {number}, round {round}: a second encoding");
            }
        }
    }
}

#[test]
fn noise_and_nothing_are_refused() {
    let random = SeededRandom::new(9);
    for (number, decode) in DECODERS.iter().enumerate() {
        for round in 0..ROUNDS {
            let mut noise = vec![0; usize::try_from(round % 300).unwrap()];
            random.fill(&mut noise);
            assert_eq!(decode(&noise), None, "decoder {number}, round {round}");
        }
    }
}

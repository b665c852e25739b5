//! The golden vectors: bytes that every version writes or reads alike. Never edited after a release.
//!
//! Each line of `testdata/v1.txt` and `testdata/v1-commits.txt` is `name = hex`; `refused.` lines must
//! not decode or open.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

use std::collections::BTreeMap;

use model::hash::HashKey;
use model::{
    BlockNonce, BlockNumber, BlockRoot, ChainId, EpochId, Incarnation, ObjectId, RecordId, ScopeId,
    VertexHash,
};
use ouroboros_crypt::key_file::{Argon2Cost, Source};
use ouroboros_crypt::{
    Carry, ChainHead, Commit, CommittedBlock, CompressionPolicy, EpochKeys, EpochRecord,
    EpochSecret, ForkProof, Frontier, Genesis, HybridSignature, Identity, Membership, ObjectKind,
    Opener, PageKeys, PublicIdentity, Release, Root, Sealer, SeededRandom, SignedCommit,
    SignedGenesis, Wrap, key_file, leaves_root,
};

const VECTORS: [&str; 2] =
    [include_str!("../testdata/v1.txt"), include_str!("../testdata/v1-commits.txt")];
const NONCE: BlockNonce = BlockNonce::new([5; 16]);

fn vectors() -> BTreeMap<&'static str, Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    let lines = VECTORS
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let (name, hex) = line.split_once(" = ").unwrap();
        (name, hex.as_bytes().chunks(2).map(byte).collect())
    });
    parsed.collect()
}

fn identity() -> Identity {
    Identity::from_root(Root::from_bytes([1; 32])).unwrap()
}

fn keys() -> EpochKeys {
    let epoch = EpochId::new([3; 32]);
    EpochKeys::new(ScopeId::new([2; 32]), epoch, epoch, &EpochSecret::from_bytes([4; 32]))
}

fn genesis() -> Genesis {
    Genesis::new(vec![identity().public().clone()], 1, &SeededRandom::new(6)).unwrap()
}

fn page_keys() -> PageKeys {
    PageKeys::new(&model::hash::HashKey::new([8; 32]), &[9; 16])
}

fn plain(kind: ObjectKind) -> Vec<u8> {
    match kind {
        ObjectKind::Pad => vec![0; 10],
        ObjectKind::KeyHistory => vec![7; 32],
        _ => b"golden content".to_vec(),
    }
}

fn kinds() -> [(&'static str, ObjectKind); 7] {
    [
        ("frame.chunk", ObjectKind::Chunk),
        ("frame.list", ObjectKind::List),
        ("frame.vertex", ObjectKind::Vertex),
        ("frame.bundle", ObjectKind::Bundle),
        ("frame.index", ObjectKind::Index),
        ("frame.pad", ObjectKind::Pad),
        ("frame.key-history", ObjectKind::KeyHistory),
    ]
}

fn seal(kind: ObjectKind, plain: &[u8]) -> Vec<u8> {
    let obj = match kind {
        ObjectKind::Chunk => keys().chunk_hash(plain).into(),
        ObjectKind::List => keys().list_hash(plain).into(),
        ObjectKind::Vertex => ObjectId::new(model::hash::hash("vertex", &[plain])),
        _ => ObjectId::new([6; 32]),
    };
    let mut frame = Vec::new();
    let mut sealer = Sealer::new(CompressionPolicy::Off);
    keys().seal(kind, obj, plain, &mut sealer, &NONCE, &mut frame);
    frame
}

/// All that is the same on every run.
fn written() -> BTreeMap<&'static str, Vec<u8>> {
    let mut all = BTreeMap::new();
    for (name, kind) in kinds() {
        all.insert(name, seal(kind, &plain(kind)));
    }
    all.insert("id.chunk", keys().chunk_hash(b"golden content").as_bytes().to_vec());
    all.insert("id.list", keys().list_hash(b"golden content").as_bytes().to_vec());
    all.insert("blind", keys().blind(b"golden content").to_vec());
    let table = keys().gear_table();
    all.insert("gear", table.iter().take(4).flat_map(|entry| entry.to_le_bytes()).collect());
    let mut page = Vec::new();
    page_keys().seal(7, b"golden page", &mut page);
    all.insert("page", page);
    let identity = identity();
    all.insert("identity.public", identity.public().encode());
    all.insert("identity.user-id", identity.user_id().as_bytes().to_vec());
    all.insert("identity.local-key", identity.local_key(&[1; 16]).keyed(&[b"probe"]).to_vec());
    let cost = Argon2Cost::new(64 * 1024, 1, 2).unwrap();
    let random = SeededRandom::new(7);
    let file = |source| key_file::write(identity.root(), &source, &random, cost);
    all.insert("key-file.local", file(Source::LocalFile));
    all.insert("key-file.passphrase", file(Source::Passphrase("golden p\u{e4}ss")));
    all.insert("genesis.body", genesis().encode());
    all.insert("genesis.scope-id", genesis().scope_id().as_bytes().to_vec());
    all
}

/// Signed histories came later, with vectors of their own.
fn written_commits() -> BTreeMap<&'static str, Vec<u8>> {
    let mut frontier = Frontier::default();
    frontier.advance(commit(1).head());
    BTreeMap::from([
        ("commit.body", commit(1).encode()),
        ("commit.hash", commit(1).hash().to_vec()),
        ("commit.chain", commit(1).chain().as_bytes().to_vec()),
        ("commit.leaves-root", leaves_root([VertexHash::new([15; 32])]).to_vec()),
        ("fork-proof.id", fork_proof().id().as_bytes().to_vec()),
        ("frontier", frontier.encode(&HashKey::new([8; 32])).unwrap()),
    ])
}

fn drawn_commits() -> BTreeMap<&'static str, Vec<u8>> {
    let signed = commit(1).sign(&identity()).unwrap();
    BTreeMap::from([("commit.signed", signed.encode()), ("fork-proof", fork_proof().encode())])
}

fn commit(block: u64) -> Commit {
    let (scope, epoch) = (ScopeId::new([2; 32]), EpochId::new([3; 32]));
    let (root, other) = (BlockRoot::new([14; 32]), BlockRoot::new([16; 32]));
    let head = ChainHead { chain: ChainId::new([17; 32]), seq: 18, hash: [19; 32] };
    let carry = Carry {
        chain: ChainId::new([20; 32]),
        block: BlockNumber(21),
        first: 0,
        last: 22,
        last_header: [23; 32],
    };
    let leaves_root = leaves_root([VertexHash::new([15; 32])]);
    Commit {
        scope,
        writer: identity().user_id(),
        incarnation: Incarnation::new([24; 16]),
        seq: 25,
        prev: [26; 32],
        membership_head: vec![RecordId::new([27; 32])],
        epoch,
        seen: vec![head],
        block: Some(CommittedBlock { number: BlockNumber(block), root, len: 65_536, leaves_root }),
        carries: vec![carry],
        releases: vec![Release { root, replaced_by: vec![other] }],
    }
}

fn fork_proof() -> ForkProof {
    let sign = |commit: Commit| commit.sign(&identity()).unwrap();
    ForkProof::of(sign(commit(1)), sign(commit(2))).unwrap()
}

/// What is randomised: written once, read for ever.
fn drawn() -> BTreeMap<&'static str, Vec<u8>> {
    let (identity, random) = (identity(), SeededRandom::new(8));
    let membership = Membership::fold(&genesis(), &[]).unwrap();
    let parent = EpochSecret::from_bytes([10; 32]);
    let parents = [(EpochId::new([11; 32]), Some(&parent))];
    let (record, _) = EpochRecord::mint(&identity, &membership, &parents, &random).unwrap();
    let secret = EpochSecret::from_bytes([4; 32]);
    let (scope, epoch) = (ScopeId::new([2; 32]), EpochId::new([3; 32]));
    let wrap = Wrap::of(scope, epoch, identity.public(), &secret, &random).unwrap();
    BTreeMap::from([
        ("signature", identity.sign("golden", b"body").encode()),
        ("genesis.signed", genesis().sign(&[&identity]).encode()),
        ("wrap", wrap.encode()),
        ("epoch", record.encode()),
        ("frame.zstd", zstd_frame()),
    ])
}

/// Compressed bytes may differ between versions of the library; opening may not.
fn zstd_frame() -> Vec<u8> {
    let plain = b"golden content ".repeat(40);
    let mut frame = Vec::new();
    let mut sealer = Sealer::new(CompressionPolicy::Auto);
    let obj = keys().chunk_hash(&plain).into();
    keys().seal(ObjectKind::Chunk, obj, &plain, &mut sealer, &NONCE, &mut frame);
    frame
}

#[test]
fn what_is_written_today_is_what_was_written_then() {
    let vectors = vectors();
    for (name, bytes) in written().into_iter().chain(written_commits()) {
        assert_eq!(vectors.get(name), Some(&bytes), "{name}");
    }
}

#[test]
fn sealed_vectors_open() {
    let vectors = vectors();
    for (name, kind) in kinds() {
        let (header, opened) = keys().unseal(&vectors[name], &mut Opener::new()).unwrap();
        assert_eq!((header.kind, opened), (kind, plain(kind)), "{name}");
    }
    let (_, opened) = keys().unseal(&vectors["frame.zstd"], &mut Opener::new()).unwrap();
    assert_eq!(opened, b"golden content ".repeat(40));
    assert_eq!(page_keys().open(7, &vectors["page"]).unwrap(), b"golden page");
    let root = |name, passphrase| *key_file::open(&vectors[name], passphrase).unwrap().expose();
    assert_eq!(root("key-file.local", None), [1; 32]);
    assert_eq!(root("key-file.passphrase", Some("golden p\u{e4}ss")), [1; 32]);
}

#[test]
fn signed_and_wrapped_vectors_hold() {
    let (vectors, identity) = (vectors(), identity());
    let public = PublicIdentity::decode(&vectors["identity.public"]).unwrap();
    let signature = HybridSignature::decode(&vectors["signature"]).unwrap();
    public.verify("golden", b"body", &signature).unwrap();
    let signed = SignedGenesis::decode(&vectors["genesis.signed"]).unwrap();
    assert_eq!(*signed.verify().unwrap(), genesis());
    let wrap = Wrap::decode(&vectors["wrap"]).unwrap();
    let (scope, epoch) = (ScopeId::new([2; 32]), EpochId::new([3; 32]));
    assert_eq!(wrap.unwrap(scope, epoch, &identity).unwrap().expose(), &[4; 32]);
    let record = EpochRecord::decode(&vectors["epoch"]).unwrap();
    let membership = Membership::fold(&genesis(), &[]).unwrap();
    let secret = record.open(&identity, &membership).unwrap();
    assert_eq!(record.parent_secret(0, &secret).unwrap().expose(), &[10; 32]);
}

#[test]
fn signed_histories_hold() {
    let (vectors, identity) = (vectors(), identity());
    let signed = SignedCommit::decode(&vectors["commit.signed"]).unwrap();
    assert_eq!(signed.verify(identity.public()).unwrap(), &commit(1));
    let proof = ForkProof::decode(&vectors["fork-proof"]).unwrap();
    proof.verify(identity.public()).unwrap();
    assert_eq!(proof.id(), fork_proof().id());
}

#[test]
fn refused_vectors_stay_refused() {
    let vectors = vectors();
    let refused = |name: &str| vectors.get(name).unwrap().as_slice();
    let unseal = |name| keys().unseal(refused(name), &mut Opener::new()).is_err();
    assert!(unseal("refused.frame.commitment"));
    assert!(unseal("refused.frame.tag"));
    assert!(unseal("refused.frame.other-epoch"));
    assert!(page_keys().open(7, refused("refused.page.other-number")).is_err());
    assert!(key_file::kind(refused("refused.key-file.memory")).is_err());
    assert!(key_file::kind(refused("refused.key-file.version")).is_err());
    assert!(PublicIdentity::decode(refused("refused.identity.small-order")).is_err());
    let signature = HybridSignature::decode(refused("refused.signature.half")).unwrap();
    assert!(identity().public().verify("golden", b"body", &signature).is_err());
}

fn refused() -> BTreeMap<&'static str, Vec<u8>> {
    let flip = |mut bytes: Vec<u8>, at: usize| {
        bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
        bytes
    };
    let written = written();
    let frame = || seal(ObjectKind::Index, b"golden content");
    let last = frame().len() - 1;
    let other = EpochId::new([12; 32]);
    let other =
        EpochKeys::new(ScopeId::new([2; 32]), other, other, &EpochSecret::from_bytes([4; 32]));
    let mut foreign = Vec::new();
    let mut sealer = Sealer::new(CompressionPolicy::Off);
    let obj = ObjectId::new([6; 32]);
    other.seal(ObjectKind::Index, obj, b"golden content", &mut sealer, &NONCE, &mut foreign);
    let mut page = Vec::new();
    page_keys().seal(8, b"golden page", &mut page);
    let mut weak = written["identity.public"].clone();
    weak.iter_mut().skip(1).take(32).for_each(|byte| *byte = 0);
    BTreeMap::from([
        ("refused.frame.commitment", flip(frame(), 60)),
        ("refused.frame.tag", flip(frame(), last)),
        ("refused.frame.other-epoch", foreign),
        ("refused.page.other-number", page),
        ("refused.key-file.memory", flip(written["key-file.passphrase"].clone(), 13)),
        ("refused.key-file.version", flip(written["key-file.local"].clone(), 8)),
        ("refused.identity.small-order", weak),
        ("refused.signature.half", flip(identity().sign("golden", b"body").encode(), 3000)),
    ])
}

/// Prints a new set of vectors: for a new format version, never to make the tests above pass.
#[test]
#[ignore = "prints vectors, tests nothing"]
fn print_vectors() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let commits = written_commits().into_iter().chain(drawn_commits());
    for (name, bytes) in written().into_iter().chain(drawn()).chain(refused()).chain(commits) {
        println!("{name} = {}", hex(&bytes));
    }
}

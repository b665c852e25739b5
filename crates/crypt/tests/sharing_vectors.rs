//! Golden vectors of what people hand to each other: drawn once, read for ever.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeMap;

use model::{EpochId, ScopeId, UserId, VertexHash};
use ouroboros_crypt::{
    CapsuleHead, EpochKeys, EpochSecret, GrantRecord, Identity, Root, SeededRandom, Settings,
};

const VECTORS: &str = include_str!("../testdata/v1-sharing.txt");
const SCOPE: ScopeId = ScopeId::new([2; 32]);
const EPOCH: EpochId = EpochId::new([3; 32]);
const VERSION: VertexHash = VertexHash::new([5; 32]);

fn secret() -> EpochSecret {
    EpochSecret::from_bytes([4; 32])
}

fn identity(root: u8) -> Identity {
    Identity::from_root(Root::from_bytes([root; 32])).unwrap()
}

fn settings() -> Settings {
    Settings::default().named("photos").with_member(UserId::new([7; 32]), Some("Ada"))
}

fn vectors() -> BTreeMap<&'static str, Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    let lines = VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let (name, hex) = line.split_once(" = ").unwrap();
        (name, hex.as_bytes().chunks(2).map(byte).collect())
    });
    parsed.collect()
}

#[test]
fn what_was_handed_over_then_opens_today() {
    let vectors = vectors();
    let vector = |name: &str| vectors.get(name).unwrap().as_slice();
    let grant = GrantRecord::decode(vector("grant")).unwrap();
    assert_eq!((grant.scope(), grant.epoch()), (SCOPE, EPOCH));
    assert_eq!(grant.reader(), identity(1).user_id());
    assert!(grant.is_genuine(&secret()));
    let keys = EpochKeys::new(SCOPE, EPOCH, EPOCH, &secret());
    assert_eq!(Settings::unseal(vector("settings"), &keys), Ok(settings()));
    assert_eq!(settings().seal(&keys).unwrap(), vector("settings"), "nothing in it is drawn");
    let head = CapsuleHead::decode(vector("capsule-head")).unwrap();
    assert_eq!((head.vertex(), head.reader()), (VERSION, identity(1).user_id()));
    let id = head.open(&identity(1)).unwrap().chunk_hash(b"golden content");
    assert_eq!(id.as_bytes().as_slice(), vector("capsule.chunk-id"));
}

/// Prints a new set of vectors: for a new format version, never to make the test above pass.
#[test]
#[ignore = "prints vectors, tests nothing"]
fn print_vectors() {
    let (reader, maker, random) = (identity(1), identity(2), SeededRandom::new(8));
    let of = (SCOPE, EPOCH);
    let grant = GrantRecord::new(maker.user_id(), of, &secret(), reader.public(), &random).unwrap();
    let keys = EpochKeys::new(SCOPE, EPOCH, EPOCH, &secret());
    let (head, sealing) =
        CapsuleHead::new(&maker, (SCOPE, VERSION), reader.public(), &random).unwrap();
    let id = *sealing.chunk_hash(b"golden content").as_bytes();
    let all = [
        ("grant", grant.encode()),
        ("settings", settings().seal(&keys).unwrap()),
        ("capsule-head", head.encode()),
        ("capsule.chunk-id", id.to_vec()),
    ];
    for (name, bytes) in all {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{name} = {hex}");
    }
}

//! The golden vectors of format 1 of what only this crate can decode. Never edited after a release.
//!
//! A line of `testdata/v1.txt` is `name = hex`, where `[n]` stands for n bytes of zero, or
//! `refused.name = hex | why`: bytes that must be refused, and the error that says so.

use std::collections::{BTreeMap, BTreeSet};

use crypt::ObjectKind;
use model::hash::hash;
use model::limit::{BATCH_LEN_MAX, BLOCK_LEN_MAX, BUNDLE_LEN_MAX, CELL_LEN};
use model::{
    BlockNonce, BlockNumber, BlockRoot, ChainId, EpochId, FormatError, Incarnation, ObjectId,
    ScopeId, StoreId, UserId,
};

use crate::batch::{BatchHeader, body_hash};
use crate::block::{BlockHeader, IndexEntry, Place, Tail, Trailer, decode_index, encode_index};
use crate::bundle;
use crate::disk::FileIdentity;
use crate::runs::ManifestRoot;
use crate::superblock::{CleanEnd, INDEXES_MAX, IndexOwner, IndexPointer, Superblock};

const VECTORS: &str = include_str!("../testdata/v1.txt");

struct Vector {
    bytes: Vec<u8>,
    refusal: Option<&'static str>,
}

fn vectors() -> BTreeMap<&'static str, Vector> {
    let mut vectors = BTreeMap::new();
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once(" = ").unwrap();
        let (text, refusal) = match value.split_once(" | ") {
            Some((text, refusal)) => (text, Some(refusal)),
            None => (value, None),
        };
        let vector = Vector { bytes: unhex(text), refusal };
        assert!(vectors.insert(name, vector).is_none(), "{name} twice");
    }
    vectors
}

fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in text.split(']') {
        let (hex, zeros) = part.split_once('[').unwrap_or((part, "0"));
        let pairs = hex.as_bytes().chunks(2).map(|pair| core::str::from_utf8(pair).unwrap());
        bytes.extend(pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()));
        bytes.resize(bytes.len() + zeros.parse::<usize>().unwrap(), 0);
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.chunk_by(|a, b| *a == 0 && *b == 0) {
        match run {
            [0, ..] if run.len() >= 8 => text.push_str(&format!("[{}]", run.len())),
            _ => run.iter().for_each(|byte| text.push_str(&format!("{byte:02x}"))),
        }
    }
    text
}

/// What a decoder makes of the bytes, encoded again; the first word of a vector's name picks it.
fn again(name: &str, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    Ok(match name.split('.').next().unwrap() {
        "block-header" => BlockHeader::decode(bytes)?.encode(),
        "batch-header" => BatchHeader::decode(bytes.try_into().unwrap())?.encode().to_vec(),
        "trailer" => Trailer::decode(bytes.try_into().unwrap())?.encode().to_vec(),
        "tail" => Tail::decode(bytes.try_into().unwrap())?.encode().to_vec(),
        "index" => encode_index(&decode_index(bytes)?),
        "superblock" => Superblock::decode(bytes)?.encode(),
        "bundle" => {
            let mut out = Vec::new();
            for (kind, item) in bundle::items(bytes)? {
                bundle::encode_item(&mut out, kind, item);
            }
            out
        }
        other => panic!("no decoder for {other}"),
    })
}

fn block_header() -> BlockHeader {
    BlockHeader {
        scope: ScopeId::new([1; 32]),
        epoch: EpochId::new([2; 32]),
        generation: EpochId::new([3; 32]),
        nonce: BlockNonce::new([4; 16]),
        chain: ChainId::new([5; 32]),
        number: BlockNumber(0x01_0203_0405),
    }
}

fn batch_header() -> BatchHeader {
    BatchHeader {
        chain: ChainId::new([5; 32]),
        block: BlockNumber(0x01_0203_0405),
        number: 3,
        offset: 8192,
        len: 1024,
        durable_upto: 4096,
        previous: [6; 32],
        body: body_hash(8192 + 144, &[7; 880]),
    }
}

fn tail() -> Tail {
    Tail { root: BlockRoot::new([8; 32]), len: 2 * CELL_LEN as u64, parity_len: 0 }
}

fn index_entries() -> Vec<IndexEntry> {
    let entry = |n, kind, place, item| IndexEntry {
        id: ObjectId::new([n; 32]),
        kind,
        place,
        item,
        plain_len: 300,
    };
    let first = Place { offset: 4240, len: 406, gap: 0 };
    let bundle = Place { offset: 4646, len: 800, gap: 0 };
    let cut = Place { offset: 1_050_000, len: 400_000, gap: 2672 };
    vec![
        entry(1, ObjectKind::Chunk, first, None),
        entry(2, ObjectKind::Vertex, bundle, Some(0)),
        entry(3, ObjectKind::List, bundle, Some(1)),
        entry(4, ObjectKind::Chunk, cut, None),
    ]
}

fn superblock() -> Superblock {
    Superblock {
        generation: 7,
        store_id: StoreId::new([1; 16]),
        incarnation: Incarnation::new([2; 16]),
        folder: FileIdentity { inode: 3, birth_ns: -4, machine: [5; 16] },
        next_block: BlockNumber(6),
        indexes: Vec::new(),
        clean: None,
    }
}

fn pointer(user: u8, generation: u64) -> IndexPointer {
    let owner = IndexOwner::new(ScopeId::new([0x5c; 32]), UserId::new([user; 32]));
    IndexPointer { owner, generation, root: ManifestRoot([8; 32]) }
}

fn clean_superblock() -> Superblock {
    let end = |n| CleanEnd { number: BlockNumber(n), end: 4544, previous: [9; 32] };
    Superblock {
        indexes: vec![pointer(0x0c, 2), pointer(0x0d, 1)],
        clean: Some(vec![end(4), end(5)]),
        ..superblock()
    }
}

fn bundled(kinds: &[ObjectKind]) -> Vec<u8> {
    let mut out = Vec::new();
    kinds.iter().for_each(|kind| bundle::encode_item(&mut out, *kind, b"item"));
    out
}

fn accepted() -> BTreeMap<&'static str, Vec<u8>> {
    use ObjectKind::{Chunk, List, Vertex};
    BTreeMap::from([
        ("block-header", block_header().encode()),
        ("batch-header", batch_header().encode().to_vec()),
        ("trailer", Trailer { offset: 5000, len: 60_520 }.encode().to_vec()),
        ("tail", tail().encode().to_vec()),
        ("index.empty", encode_index(&[])),
        ("index.four", encode_index(&index_entries())),
        ("superblock.in-use", superblock().encode()),
        ("superblock.clean", clean_superblock().encode()),
        ("bundle.empty", Vec::new()),
        ("bundle.three", bundled(&[Vertex, Chunk, List])),
    ])
}

/// Hashes that are part of the formats, over fixed input.
fn hashes() -> BTreeMap<&'static str, [u8; 32]> {
    BTreeMap::from([
        ("hash.block-header", block_header().hash()),
        ("hash.batch-header", BatchHeader::hash(&batch_header().encode())),
        ("hash.body.at-0", body_hash(0, &[1; 3 * CELL_LEN])),
        ("hash.body.at-100", body_hash(100, &[1; 3 * CELL_LEN])),
        ("hash.body.empty", body_hash(4240, &[])),
    ])
}

/// `bytes` with `with` in place of what is at `at`.
fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// [`patched`], with the check over what is before it made anew.
fn checked(bytes: Vec<u8>, at: usize, with: &[u8], check: (&str, usize, usize)) -> Vec<u8> {
    let mut bytes = patched(bytes, at, with);
    let (label, start, len) = check;
    let sum = hash(label, &[&bytes[..start]]);
    bytes[start..start + len].copy_from_slice(&sum[..len]);
    bytes
}

fn refused_headers() -> Vec<(&'static str, Vec<u8>)> {
    let header =
        |at, with: &[u8]| checked(block_header().encode(), at, with, ("block-check", 164, 16));
    let batch = |at, with: &[u8]| {
        checked(batch_header().encode().to_vec(), at, with, ("batch-check", 128, 16))
    };
    let past = |limit: usize| u32::try_from(limit + 1).unwrap().to_le_bytes();
    let near_end = u32::try_from(BLOCK_LEN_MAX - 1023).unwrap().to_le_bytes();
    vec![
        ("block-header.magic", header(0, b"X")),
        ("block-header.format", header(8, &[2])),
        ("block-header.suite", header(10, &[2])),
        ("block-header.reserved", header(11, &[1])),
        ("block-header.check", patched(block_header().encode(), 20, &[9])),
        ("block-header.padding", patched(block_header().encode(), 4095, &[1])),
        ("block-header.cut", block_header().encode()[..179].to_vec()),
        ("batch-header.magic", batch(0, b"X")),
        ("batch-header.version", batch(4, &[2])),
        ("batch-header.reserved", batch(7, &[1])),
        ("batch-header.check", patched(batch_header().encode().to_vec(), 8, &[9])),
        ("batch-header.shorter-than-itself", batch(56, &[143, 0])),
        ("batch-header.over-the-limit", batch(56, &past(BATCH_LEN_MAX))),
        ("batch-header.past-the-block", batch(52, &near_end)),
        ("batch-header.durable-behind-itself", batch(60, &8193u32.to_le_bytes())),
    ]
}

fn refused_ends() -> Vec<(&'static str, Vec<u8>)> {
    let trailer = Trailer { offset: 5000, len: 60_520 }.encode().to_vec();
    let whole = tail().encode().to_vec();
    let tail = |at, with: &[u8]| checked(whole.clone(), at, with, ("tail-check", 56, 16));
    let past = (BLOCK_LEN_MAX + CELL_LEN) as u64;
    vec![
        ("trailer.magic", patched(trailer, 0, b"X")),
        ("tail.magic", tail(0, b"X")),
        ("tail.check", patched(whole.clone(), 8, &[9])),
        ("tail.no-cells", tail(40, &[0; 8])),
        ("tail.part-of-a-cell", tail(40, &[1])),
        ("tail.over-the-limit", tail(40, &past.to_le_bytes())),
        ("tail.parity", tail(48, &[1])),
    ]
}

fn refused_lists() -> Vec<(&'static str, Vec<u8>)> {
    let one = encode_index(&index_entries()[..1]);
    let past =
        IndexEntry { place: Place { offset: 16_776_811, len: 406, gap: 0 }, ..index_entries()[0] };
    let gap =
        IndexEntry { place: Place { offset: 4240, len: 406, gap: 407 }, ..index_entries()[0] };
    vec![
        ("index.empty", Vec::new()),
        ("index.version", patched(one.clone(), 0, &[2])),
        ("index.more-than-there-is", patched(one.clone(), 1, &[2])),
        ("index.kind", patched(one.clone(), 34, &[9])),
        ("index.trailing", [one.as_slice(), &[0]].concat()),
        ("index.past-the-block", encode_index(&[past])),
        ("index.gap-behind-the-frame", encode_index(&[gap])),
        ("index.object-over-the-limit", [&one[..one.len() - 2], &[0x81, 0x80, 0x80, 8]].concat()),
        ("bundle.kind", patched(bundled(&[ObjectKind::Chunk]), 0, &[8])),
        ("bundle.pad-inside", patched(bundled(&[ObjectKind::Chunk]), 0, &[6])),
        ("bundle.cut", bundled(&[ObjectKind::Chunk])[..6].to_vec()),
    ]
}

fn refused_superblocks() -> Vec<(&'static str, Vec<u8>)> {
    let page =
        |at, with: &[u8]| checked(clean_superblock().encode(), at, with, ("superblock", 4064, 32));
    let index_at = 8 + 4 + 8 + 16 + 16 + 8 + 16 + 16 + 8;
    vec![
        ("superblock.magic", page(0, b"X")),
        ("superblock.format", page(8, &[2])),
        ("superblock.check", patched(clean_superblock().encode(), 4000, &[1])),
        ("superblock.cut", clean_superblock().encode()[..100].to_vec()),
        ("superblock.indexes-over-the-limit", page(index_at, &[33])),
        ("superblock.clean-tag", page(index_at + 113, &[2])),
        ("superblock.open-blocks-over-the-limit", page(index_at + 114, &[17])),
    ]
}

fn refused() -> BTreeMap<&'static str, Vec<u8>> {
    let all = [refused_headers(), refused_ends(), refused_lists(), refused_superblocks()];
    all.into_iter().flatten().collect()
}

#[test]
fn what_is_written_today_is_what_was_written_then() {
    let vectors = vectors();
    let mut lines = BTreeSet::new();
    let hashes = hashes().into_iter().map(|(name, hash)| (name, hash.to_vec()));
    for (name, bytes) in accepted().into_iter().chain(hashes) {
        assert!(vectors[name].bytes == bytes, "{name} = {}", hex(&bytes));
        lines.insert(name.to_owned());
    }
    for (name, bytes) in refused() {
        let name = format!("refused.{name}");
        assert!(vectors[name.as_str()].bytes == bytes, "{name}");
        lines.insert(name);
    }
    assert_eq!(vectors.keys().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), lines);
}

#[test]
fn accepted_vectors_have_one_encoding() {
    for name in accepted().keys() {
        let bytes = vectors().remove(name).unwrap().bytes;
        assert_eq!(again(name, &bytes), Ok(bytes), "{name}");
    }
    let bytes = |name| vectors().remove(name).unwrap().bytes;
    assert_eq!(BlockHeader::decode(&bytes("block-header")), Ok(block_header()));
    let batch = bytes("batch-header").try_into().unwrap();
    assert_eq!(BatchHeader::decode(&batch), Ok(batch_header()));
    assert_eq!(Tail::decode(&bytes("tail").try_into().unwrap()), Ok(tail()));
    assert_eq!(decode_index(&bytes("index.four")), Ok(index_entries()));
    assert_eq!(Superblock::decode(&bytes("superblock.in-use")), Ok(superblock()));
    assert_eq!(Superblock::decode(&bytes("superblock.clean")), Ok(clean_superblock()));
}

#[test]
fn refused_vectors_are_refused_for_their_reason() {
    let mut count = 0;
    for (name, vector) in vectors() {
        let Some(name) = name.strip_prefix("refused.") else { continue };
        let refusal = again(name, &vector.bytes).expect_err(name).to_string();
        assert_eq!(Some(refusal.as_str()), vector.refusal, "{name}");
        count += 1;
    }
    assert_eq!(count, refused().len());
}

#[test]
fn limits_hold_at_the_limit_and_one_past_it() {
    let bundle = |len: usize| {
        let mut out = bundled(&[]);
        bundle::encode_item(&mut out, ObjectKind::Chunk, &vec![0; len - bundle::ITEM_OVERHEAD]);
        bundle::items(&out).map(|items| assert_eq!(items.len(), 1))
    };
    assert_eq!(bundle(BUNDLE_LEN_MAX), Ok(()));
    assert!(matches!(bundle(BUNDLE_LEN_MAX + 1), Err(FormatError::TooLong { .. })));
    let index = |offset, item, plain_len| {
        let place = Place { offset, len: 406, gap: 406 };
        decode_index(&encode_index(&[IndexEntry { place, item, plain_len, ..index_entries()[0] }]))
    };
    let last = u32::try_from(BLOCK_LEN_MAX).unwrap() - 406;
    assert!(index(last, Some(u16::MAX - 1), 16 << 20).is_ok());
    assert!(index(last + 1, None, 0).is_err());
    assert!(index(0, Some(u16::MAX), 0).is_err());
    assert!(index(0, None, (16 << 20) + 1).is_err());
    let end = CleanEnd { number: BlockNumber(1), end: 1, previous: [0; 32] };
    let indexes = vec![pointer(1, 1); INDEXES_MAX];
    let full = Superblock { clean: Some(vec![end; 16]), indexes, ..clean_superblock() };
    assert_eq!(Superblock::decode(&full.encode()), Ok(full));
    let longest = Tail { len: BLOCK_LEN_MAX as u64, ..tail() };
    assert_eq!(Tail::decode(&longest.encode()), Ok(longest));
}

/// Prints a new set of vectors: for a new format version, never to make the tests above pass.
#[test]
#[ignore = "prints vectors, tests nothing"]
fn print_vectors() {
    let hashes = hashes().into_iter().map(|(name, hash)| (name, hash.to_vec()));
    for (name, bytes) in accepted().into_iter().chain(hashes) {
        println!("{name} = {}", hex(&bytes));
    }
    for (name, bytes) in refused() {
        let refusal = again(name, &bytes).map(|_| ()).expect_err(name);
        println!("refused.{name} = {} | {refusal}", hex(&bytes));
    }
}

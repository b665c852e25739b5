//! The golden vectors of format 1: every version reads and writes these bytes alike. Never edited
//! after a release.
//!
//! A line of `testdata/v1.txt` is `name = hex`, or `refused.name = hex | why`: bytes that must be
//! refused, and the error that says so.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

use std::collections::{BTreeMap, BTreeSet};

use ouroboros_model::codec::{Reader, Writer};
use ouroboros_model::hash::{HashKey, MerkleKind, block_root, cell, hash, merkle, padme};
use ouroboros_model::limit::CELL_LEN;
use ouroboros_model::{
    ChunkEntry, ChunkHash, Chunker, Content, EpochId, FileTime, FormatError, GroupId, Hlc, Hole,
    Kind, List, ListHash, Meta, Name, Owner, UserId, Vertex, VertexHash,
};

const VECTORS: &str = include_str!("../testdata/v1.txt");

struct Vector {
    bytes: Vec<u8>,
    refusal: Option<&'static str>,
}

fn vectors() -> BTreeMap<&'static str, Vector> {
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    let mut vectors = BTreeMap::new();
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once(" = ").unwrap();
        let (hex, refusal) = match value.split_once(" | ") {
            Some((hex, refusal)) => (hex, Some(refusal)),
            None => (value, None),
        };
        let bytes = hex.as_bytes().chunks(2).map(byte).collect();
        assert!(vectors.insert(name, Vector { bytes, refusal }).is_none(), "{name} twice");
    }
    vectors
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a decoder makes of the bytes, encoded again; the first word of a vector's name picks it.
fn again(name: &str, bytes: &[u8]) -> Result<Vec<u8>, FormatError> {
    match name.split('.').next().unwrap() {
        "number" => {
            let mut reader = Reader::new("number", bytes);
            let value = reader.var()?;
            reader.end()?;
            let mut out = Writer::new();
            out.var(value);
            Ok(out.finish())
        }
        "vertex" => Vertex::decode(bytes).map(|vertex| vertex.encode()),
        "list" => List::decode(bytes).map(|list| list.encode()),
        "name" => Name::new(core::str::from_utf8(bytes).unwrap())
            .map(|name| name.as_str().as_bytes().to_vec()),
        other => panic!("no decoder for {other}"),
    }
}

const GENERATION: EpochId = EpochId::new([0x0e; 32]);

fn plain() -> Vertex {
    Vertex {
        blind: [0x0b; 16],
        parents: Vec::new(),
        depth: 0,
        name: Some(Name::new("a/b").unwrap()),
        hlc: Hlc(0x0102_0304_0506_0708),
        author: UserId::new([0x0a; 32]),
        group: GroupId::NONE,
        closes: GroupId::NONE,
        content: Content::Inline(b"hello".to_vec()),
        meta: Meta::default(),
    }
}

fn chunk(n: u8) -> ChunkEntry {
    ChunkEntry { hash: ChunkHash::new([n; 32]), len: 65_536 + u32::from(n) }
}

fn full_meta() -> Meta {
    let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    Meta {
        kind: Kind::File,
        mode: Some(0o4755),
        modified: Some(FileTime { seconds: -1, nanos: 999_999_999 }),
        owner: Some(Owner { uid: 1000, gid: 100 }),
        target: Some(b"../to\xff".to_vec()),
        holes: vec![Hole { offset: 0, len: 4096 }, Hole { offset: 8192, len: 300 }],
        link: 7,
        xattrs: [pair("user.a", "1"), pair("user.b", "")].into(),
        message: Some("why".to_owned()),
        media_type: Some("text/plain".to_owned()),
        fields: [("field".to_owned(), b"value".to_vec())].into(),
    }
}

fn vertices() -> Vec<(&'static str, Vertex)> {
    let nameless = Vertex { name: None, content: Content::EMPTY, ..plain() };
    let parents = vec![VertexHash::new([1; 32]), VertexHash::new([2; 32])];
    let child = Vertex {
        parents,
        depth: 8,
        group: GroupId::new([3; 16]),
        closes: GroupId::new([4; 16]),
        ..plain()
    };
    let entries = vec![chunk(1), chunk(2), chunk(1)];
    let chunks = Vertex { content: Content::Chunks { generation: GENERATION, entries }, ..plain() };
    let lists =
        Content::Lists { generation: GENERATION, root: ListHash::new([5; 32]), len: 1 << 40 };
    let kind = |kind| Meta { kind, ..Meta::default() };
    vec![
        ("vertex.nameless", nameless),
        ("vertex.inline", plain()),
        ("vertex.parents-and-groups", child),
        ("vertex.chunks", chunks),
        ("vertex.lists", Vertex { content: lists, ..plain() }),
        ("vertex.all-metadata", Vertex { meta: full_meta(), ..plain() }),
        ("vertex.tombstone", Vertex { meta: kind(Kind::Tombstone), ..plain() }),
        ("vertex.tree", Vertex { meta: kind(Kind::Tree), ..plain() }),
    ]
}

fn lists() -> Vec<(&'static str, List)> {
    let below = |n: u8| (ListHash::new([n; 32]), u64::from(n) << 33);
    vec![
        ("list.chunks", List::Chunks(vec![chunk(1), chunk(2)])),
        ("list.level-1", List::Lists { level: 1, entries: vec![below(1), below(2)] }),
        ("list.level-4", List::Lists { level: 4, entries: vec![below(9)] }),
    ]
}

/// Roots over leaves of 32 equal bytes 0, 1, 2 ..; the hash with a label; cells.
fn hashes() -> Vec<(String, Vec<u8>)> {
    let leaves = |count: u8| (0..count).map(|n| [n; 32]).collect::<Vec<_>>();
    let mut all = vec![
        ("hash.label-x-of-abc".to_owned(), hash("x", &[b"a", b"bc"]).to_vec()),
        ("cell.empty".to_owned(), cell(b"").to_vec()),
        ("cell.zeros".to_owned(), cell(&[0; CELL_LEN]).to_vec()),
        ("merkle.leaves.3".to_owned(), merkle(MerkleKind::Leaves, &leaves(3)).to_vec()),
        ("block-root.3".to_owned(), block_root(3 << 16, &leaves(3)).as_bytes().to_vec()),
    ];
    for count in [0, 1, 2, 3, 4, 5, 7] {
        let root = merkle(MerkleKind::Block, &leaves(count)).to_vec();
        all.push((format!("merkle.block.{count}"), root));
    }
    for len in [0, 1, 2, 9, 100, 144, 1000, 4097, 65_537, 999_999, 1 << 20, u64::MAX >> 1] {
        all.push((format!("padme.{len}"), padme(len).unwrap().to_le_bytes().to_vec()));
    }
    all
}

fn accepted() -> BTreeMap<String, Vec<u8>> {
    let mut all: BTreeMap<_, _> = hashes().into_iter().collect();
    for (name, vertex) in vertices() {
        all.insert(name.to_owned(), vertex.encode());
        all.insert(format!("id.{name}"), vertex.hash().as_bytes().to_vec());
    }
    all.extend(lists().into_iter().map(|(name, list)| (name.to_owned(), list.encode())));
    for value in [0, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
        let mut out = Writer::new();
        out.var(value);
        all.insert(format!("number.{value}"), out.finish());
    }
    for (name, text) in [("path", "a/b c/\u{e4}"), ("dots", ".../.hidden"), ("escape", "%00")] {
        all.insert(format!("name.{name}"), text.as_bytes().to_vec());
    }
    all
}

/// `bytes` with `with` in place of what is at `at`.
fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// `bytes` from the first `what` on replaced by `with`.
fn ended(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let at = bytes.windows(what.len()).position(|window| window == what).unwrap();
    [&bytes[..at], with].concat()
}

/// A nameless vertex without content, and these bytes as its metadata.
fn with_meta(meta: &[u8]) -> Vec<u8> {
    let whole = Vertex { name: None, content: Content::EMPTY, ..plain() }.encode();
    [&whole[..whole.len() - 2], meta].concat()
}

fn refused_vertices() -> Vec<(&'static str, Vec<u8>)> {
    let good = plain().encode();
    let child = vertices().swap_remove(2).1.encode();
    let chunks = vertices().swap_remove(3).1.encode();
    let group_at = 1 + 16 + 1 + 8 + 4 + 8 + 32;
    let unsorted = [&child[..18], &child[50..82], &child[18..50], &child[82..]].concat();
    let twice = [&child[..18], &child[18..50], &child[18..50], &child[82..]].concat();
    let none = ended(&chunks, &[&[3], &[1; 32][..]].concat(), &[0, 0, 0]);
    let empty_chunk =
        ended(&chunks, &[2, 0, 1, 0], &[&[0; 4], &chunks[chunks.len() - 38..]].concat());
    let long_chunk =
        ended(&chunks, &[2, 0, 1, 0], &[&[1, 0, 16, 0], &chunks[chunks.len() - 38..]].concat());
    vec![
        ("empty", Vec::new()),
        ("version", patched(good.clone(), 0, &[2])),
        ("cut", good[..good.len() - 1].to_vec()),
        ("trailing", [good.as_slice(), &[0]].concat()),
        ("depth-without-parents", patched(good.clone(), 18, &[1])),
        ("parents-without-depth", patched(child.clone(), 82, &[0])),
        ("parents-unsorted", unsorted),
        ("parents-twice", twice),
        ("parents-over-the-limit", patched(child.clone(), 17, &[0x81, 0x08])),
        ("name-over-the-limit", patched(good.clone(), 26, &[0x81, 0x20])),
        ("name-not-utf8", patched(good.clone(), 27, &[0xff])),
        ("name-empty-component", patched(good.clone(), 27, b"a//")),
        ("group-tag", patched(good.clone(), group_at, &[2])),
        ("group-none-spelled-out", patched(good.clone(), group_at, &[1])),
        ("group-zero", {
            let (head, tail) = good.split_at(group_at);
            [head, &[1], &[0; 16], &tail[1..]].concat()
        }),
        ("content-tag", patched(good.clone(), group_at + 2, &[3])),
        ("inline-over-the-limit", patched(good.clone(), group_at + 3, &[0x81, 0x20])),
        ("no-chunks", none),
        ("chunk-without-bytes", empty_chunk),
        ("chunk-over-the-limit", long_chunk),
        ("chunks-over-the-limit", ended(&chunks, &[&[3], &[1; 32][..]].concat(), &[0x81, 0x40])),
    ]
}

fn refused_metadata() -> Vec<(&'static str, Vec<u8>)> {
    let metas: [(_, &[u8]); 22] = [
        ("kind", &[6, 0]),
        ("tag", &[0, 11, 0]),
        ("tags-unordered", &[0, 6, 1, 1, 0, 0, 0]),
        ("tag-twice", &[0, 6, 1, 6, 1, 0]),
        ("unended", &[0, 6, 1]),
        ("mode", &[0, 1, 0x00, 0x10, 0]),
        ("nanoseconds", &[0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0xca, 0x9a, 0x3b, 0]),
        ("target-empty", &[0, 4, 0, 0]),
        ("target-nul", &[0, 4, 2, b'a', 0, 0]),
        ("target-over-the-limit", &[0, 4, 0x81, 0x20]),
        ("holes-none", &[0, 5, 0, 0]),
        ("hole-empty", &[0, 5, 1, 0, 0, 0]),
        ("holes-touch", &[0, 5, 2, 0, 4, 4, 1, 0]),
        ("holes-over-the-limit", &[0, 5, 0x81, 0x20]),
        ("link-zero", &[0, 6, 0, 0]),
        ("xattrs-none", &[0, 7, 0, 0]),
        ("xattrs-unsorted", &[0, 7, 2, 1, b'b', 0, 1, b'a', 0, 0]),
        ("xattrs-over-the-limit", &[0, 7, 0x81, 0x08]),
        ("xattr-name-over-the-limit", &[0, 7, 1, 0x80, 0x02]),
        ("xattr-value-over-the-limit", &[0, 7, 1, 1, b'a', 0x81, 0x80, 0x04]),
        ("message-not-utf8", &[0, 8, 1, 0xff, 0]),
        ("message-over-the-limit", &[0, 8, 0x81, 0x80, 0x01]),
    ];
    metas.into_iter().map(|(name, meta)| (name, with_meta(meta))).collect()
}

fn refused() -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for (name, bytes) in refused_vertices() {
        all.insert(format!("vertex.{name}"), bytes);
    }
    for (name, bytes) in refused_metadata() {
        all.insert(format!("vertex.meta.{name}"), bytes);
    }
    let list = List::Chunks(vec![chunk(1)]).encode();
    let level_1 = List::Lists { level: 1, entries: vec![(ListHash::new([1; 32]), 9)] }.encode();
    let lists = [
        ("empty", vec![]),
        ("level", patched(level_1.clone(), 0, &[5])),
        ("no-chunks", vec![0, 0]),
        ("no-lists", vec![1, 0]),
        ("cut", level_1[..level_1.len() - 1].to_vec()),
        ("trailing", [list.as_slice(), &[0]].concat()),
        ("chunk-without-bytes", patched(list.clone(), 34, &[0; 4])),
        ("chunks-over-the-limit", vec![0, 0x81, 0x40]),
        ("lists-over-the-limit", vec![1, 0x81, 0x40]),
    ];
    all.extend(lists.into_iter().map(|(name, bytes)| (format!("list.{name}"), bytes)));
    let numbers: [(_, &[u8]); 5] = [
        ("empty", &[]),
        ("cut", &[0x80]),
        ("longer-than-needed", &[0x80, 0]),
        ("over-64-bits", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
        ("eleven-bytes", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x81, 0]),
    ];
    all.extend(numbers.into_iter().map(|(name, bytes)| (format!("number.{name}"), bytes.to_vec())));
    let names = ["", "/", "a/", "/a", "a//b", ".", "a/../b", "a\0", "a\n", "a\u{85}", "\u{7f}"];
    for (n, text) in names.into_iter().enumerate() {
        all.insert(format!("name.{n}"), text.as_bytes().to_vec());
    }
    all
}

#[test]
fn what_is_written_today_is_what_was_written_then() {
    let vectors = vectors();
    let (accepted, refused) = (accepted(), refused());
    for (name, bytes) in &accepted {
        let vector = vectors.get(name.as_str()).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(hex(&vector.bytes), hex(bytes), "{name}");
    }
    for (name, bytes) in &refused {
        let vector = &vectors[format!("refused.{name}").as_str()];
        assert_eq!(hex(&vector.bytes), hex(bytes), "{name}");
    }
    let known: BTreeSet<_> = accepted
        .into_keys()
        .chain(refused.into_keys().map(|name| format!("refused.{name}")))
        .collect();
    let lines: BTreeSet<_> = vectors.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(lines, known);
}

#[test]
fn accepted_vectors_have_one_encoding() {
    let mut count = 0;
    for (name, vector) in vectors() {
        if ["vertex.", "list.", "name.", "number."].iter().any(|start| name.starts_with(start)) {
            assert_eq!(again(name, &vector.bytes), Ok(vector.bytes), "{name}");
            count += 1;
        }
    }
    assert_eq!(count, 8 + 3 + 3 + 8);
    for (name, vertex) in vertices() {
        assert_eq!(Vertex::decode(&vectors()[name].bytes), Ok(vertex), "{name}");
    }
    for (name, list) in lists() {
        assert_eq!(List::decode(&vectors()[name].bytes), Ok(list), "{name}");
    }
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

/// The cut as `docs/format.md` spells it out, one byte at a time.
fn specified_cut(gear: &[u64; 256], bytes: &[u8]) -> usize {
    let n = bytes.len().min(1_048_576);
    if bytes.len() <= 65_536 {
        return bytes.len();
    }
    let middle = n.min(262_144);
    let mut h = 0u64;
    for i in 65_536..n - n % 2 {
        h = (h << 1).wrapping_add(gear[usize::from(bytes[i])]);
        let is_short = i < middle - middle % 2;
        let mask = if is_short { 0x0000_d917_4753_7000 } else { 0x0000_d903_0353_7000 };
        if h & mask == 0 {
            return i;
        }
    }
    n
}

#[test]
fn the_specified_cut_is_the_cut() {
    let key = HashKey::new([0x42; 32]);
    let mut table = [0; 2048];
    key.expand(&[b"one"], &mut table);
    let mut gear = Box::new([0; 256]);
    for (entry, word) in gear.iter_mut().zip(table.as_chunks::<8>().0) {
        *entry = u64::from_le_bytes(*word);
    }
    let chunker = Chunker::new(gear.clone());
    let mut bytes = vec![0; 6_000_000];
    key.expand(&[b"specified"], &mut bytes);
    bytes[..1_100_000].fill(0);
    let mut rest = bytes.as_slice();
    let mut cuts = BTreeSet::new();
    while !rest.is_empty() {
        let len = chunker.cut(rest);
        assert_eq!(len, specified_cut(&gear, rest));
        cuts.insert(len);
        for short in [65_536, 65_537, 65_538, 100_001, 262_143, 262_144, 262_145, 262_147, len + 1]
        {
            let short = &rest[..short.min(rest.len())];
            assert_eq!(chunker.cut(short), specified_cut(&gear, short), "{}", short.len());
        }
        rest = &rest[len..];
    }
    assert!(cuts.len() > 10 && cuts.contains(&1_048_576));
}

/// Prints a new set of vectors: for a new format version, never to make the tests above pass.
#[test]
#[ignore = "prints vectors, tests nothing"]
fn print_vectors() {
    for (name, bytes) in accepted() {
        println!("{name} = {}", hex(&bytes));
    }
    for (name, bytes) in refused() {
        let refusal = again(&name, &bytes).map(|_| ()).expect_err(&name);
        println!("refused.{name} = {} | {refusal}", hex(&bytes));
    }
}

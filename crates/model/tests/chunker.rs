//! Cut points are a format: these tests pin them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails panics")]

use std::collections::HashSet;

use ouroboros_model::Chunker;
use ouroboros_model::hash::HashKey;
use ouroboros_model::limit::{CHUNK_LEN_MAX, CHUNK_LEN_MIN};

const GOLDEN: &str = include_str!("../testdata/cuts.txt");

fn stream(label: &str, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    HashKey::new([0x42; 32]).expand(&[label.as_bytes()], &mut out);
    out
}

fn chunker(label: &str) -> Chunker {
    let mut gear = Box::new([0; 256]);
    let bytes = stream(label, 256 * 8);
    for (entry, word) in gear.iter_mut().zip(bytes.chunks_exact(8)) {
        *entry = u64::from_le_bytes(word.try_into().unwrap());
    }
    Chunker::new(gear)
}

fn lengths(chunker: &Chunker, mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while !bytes.is_empty() {
        let len = chunker.cut(bytes);
        lengths.push(len);
        bytes = &bytes[len..];
    }
    lengths
}

fn content(name: &str) -> Vec<u8> {
    match name {
        "random" => stream("content", 6_000_000),
        "zeros" => vec![0; 2_500_001],
        "text" => {
            let words = ["block ", "of ", "sealed ", "chunks,\n", "a ", "vertex ", "and ", "its "];
            let picks = stream("words", 600_000);
            picks.iter().flat_map(|pick| words[usize::from(*pick) % 8].bytes()).collect()
        }
        "counter" => (0..1_000_000u32).flat_map(u32::to_le_bytes).collect(),
        _ => panic!("no content {name}"),
    }
}

#[test]
fn the_golden_cuts_hold() {
    let mut lines = 0;
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (gear, name) = (words.next().unwrap(), words.next().unwrap());
        let golden: Vec<usize> = words.map(|word| word.parse().unwrap()).collect();
        assert_eq!(lengths(&chunker(gear), &content(name)), golden, "{gear} {name}");
        lines += 1;
    }
    assert_eq!(lines, 6);
}

#[test]
fn chunks_join_to_the_content_and_keep_their_bounds() {
    let bytes = content("random");
    for gear in ["one", "two", "three"] {
        let lengths = lengths(&chunker(gear), &bytes);
        assert_eq!(lengths.iter().sum::<usize>(), bytes.len());
        let (last, rest) = lengths.split_last().unwrap();
        assert!(*last <= CHUNK_LEN_MAX);
        assert!(rest.iter().all(|len| (CHUNK_LEN_MIN..=CHUNK_LEN_MAX).contains(len)));
    }
}

#[test]
fn bytes_past_the_longest_chunk_change_no_cut() {
    let chunker = chunker("one");
    for name in ["random", "zeros", "text", "counter"] {
        let bytes = content(name);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let len = chunker.cut(rest);
            for window in [CHUNK_LEN_MAX, CHUNK_LEN_MAX + 1, 2 * CHUNK_LEN_MAX + 77] {
                assert_eq!(chunker.cut(&rest[..window.min(rest.len())]), len, "{name}");
            }
            rest = &rest[len..];
        }
    }
}

#[test]
fn short_contents_are_one_chunk() {
    let chunker = chunker("one");
    assert_eq!(chunker.cut(&[]), 0);
    for len in [1, CHUNK_LEN_MIN - 1, CHUNK_LEN_MIN] {
        assert_eq!(chunker.cut(&stream("short", len)), len);
    }
    assert_eq!(chunker.cut(&vec![0; CHUNK_LEN_MAX + 1]), CHUNK_LEN_MAX);
}

#[test]
fn another_secret_cuts_elsewhere() {
    let bytes = content("random");
    assert_ne!(lengths(&chunker("one"), &bytes), lengths(&chunker("two"), &bytes));
}

/// 25 inserts and deletes in 128 MiB are 200 in 1 GiB, which may add a tenth.
#[test]
fn small_edits_store_little_again() {
    let chunker = chunker("one");
    let bytes = stream("large", 128 << 20);
    let places = stream("places", 25 * 8);
    let mut at: Vec<usize> = places
        .chunks_exact(8)
        .map(|word| usize::try_from(u64::from_le_bytes(word.try_into().unwrap()) % (128 << 20)))
        .map(Result::unwrap)
        .collect();
    at.sort_unstable();
    let mut edited = Vec::with_capacity(bytes.len() + 25 * 64);
    let mut from = 0;
    for (i, place) in at.into_iter().enumerate() {
        edited.extend_from_slice(&bytes[from..place.max(from)]);
        from = place.max(from);
        if i % 2 == 0 {
            edited.extend_from_slice(&stream("insert", 1 + i));
        } else {
            from = (from + 64).min(bytes.len());
        }
    }
    edited.extend_from_slice(&bytes[from..]);
    let known: HashSet<[u8; 32]> = chunks(&chunker, &bytes).map(hash).collect();
    let added: usize = chunks(&chunker, &edited)
        .filter(|chunk| !known.contains(&hash(chunk)))
        .map(<[u8]>::len)
        .sum();
    assert!(added > 0);
    assert!(added * 10 <= bytes.len(), "{added} bytes added");
}

fn hash(chunk: &[u8]) -> [u8; 32] {
    HashKey::new([1; 32]).keyed(&[chunk])
}

fn chunks<'a>(chunker: &Chunker, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (chunk, tail) = rest.split_at(chunker.cut(rest));
        rest = tail;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Prints what `testdata/cuts.txt` held when the format was made.
#[test]
#[ignore = "only for a new chunker, under a new number"]
fn print_cuts() {
    for (gear, name) in [
        ("one", "random"),
        ("two", "random"),
        ("one", "zeros"),
        ("one", "text"),
        ("two", "text"),
        ("one", "counter"),
    ] {
        let cuts: Vec<String> =
            lengths(&chunker(gear), &content(name)).iter().map(usize::to_string).collect();
        println!("{gear} {name} {}", cuts.join(" "));
    }
}

//! The golden vectors of what people write and keep: never edited after a release.
//!
//! `testdata/texts.txt` has `name = value`, `testdata/public-identity.txt` is the text of the identity
//! whose root is 32 times 1.

use model::hash::hash;
use ouroboros_crypt::{Identity, LegacyKeys, PublicIdentity, Root, SeededRandom, ShortId};

const TEXTS: &str = include_str!("../testdata/texts.txt");
const PUBLIC: &str = include_str!("../testdata/public-identity.txt");
const LEGACY: &str = include_str!("../testdata/ouroboros-crypt.json");

fn vector(name: &str) -> &'static str {
    let mut lines = TEXTS.lines().filter_map(|line| line.split_once(" = "));
    lines.find(|(found, _)| *found == name).map_or("", |(_, value)| value)
}

/// The legacy keys of the vectors under the identity of root 1, as a digest of the file.
fn legacy_file(identity: &Identity) -> Option<(Vec<u8>, String)> {
    let vectors: serde_json::Value = serde_json::from_str(LEGACY).ok()?;
    let container = vectors.pointer("/identity/key_file")?.as_str()?;
    let file =
        LegacyKeys::from_json(container.as_bytes()).ok()?.seal(identity, &SeededRandom::new(7));
    let digest = hash("test", &[&file]).iter().map(|byte| format!("{byte:02x}")).collect();
    Some((file, digest))
}

#[test]
fn what_people_keep_is_read_and_written_as_it_was() {
    let identity = Identity::from_root(Root::from_bytes([1; 32])).unwrap();
    assert_eq!(*identity.root().to_words(), vector("words"));
    assert_eq!(Root::from_words(vector("words")).unwrap().expose(), &[1; 32]);
    let short = ShortId::from(identity.user_id());
    assert_eq!(short.to_string(), vector("short-id"));
    assert_eq!(vector("short-id").parse(), Ok(short));
    assert_eq!(identity.public().to_text(), PUBLIC);
    assert_eq!(PublicIdentity::from_text(PUBLIC).as_ref(), Ok(identity.public()));
    let (file, digest) = legacy_file(&identity).unwrap();
    assert_eq!(digest, vector("legacy-file.digest"));
    LegacyKeys::unseal(&file, &identity).unwrap();
}

#[test]
fn refused_texts_stay_refused() {
    assert!(Root::from_words(vector("refused.words")).is_err());
    assert!(vector("refused.short-id").parse::<ShortId>().is_err());
}

/// Prints a new set of vectors: for a new format version, never to make the tests above pass.
#[test]
#[ignore = "prints vectors, tests nothing"]
fn print_vectors() {
    let identity = Identity::from_root(Root::from_bytes([1; 32])).unwrap();
    println!("words = {}", *identity.root().to_words());
    println!("short-id = {}", ShortId::from(identity.user_id()));
    println!("legacy-file.digest = {}", legacy_file(&identity).unwrap().1);
    println!("{}", identity.public().to_text());
}

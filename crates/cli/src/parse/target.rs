//! NAME, HASH and which of the two a word is.

use std::ffi::OsStr;
use std::path::Path;

use jiff::Timestamp;
use model::limit::NAME_LEN_MAX;
use model::{Hlc, Name, VertexHash};

use super::time::timestamp;
use crate::exit::Kind;
use crate::failure::Failure;

/// Hex digits of a whole hash.
const HASH_DIGITS: usize = VertexHash::LEN * 2;
/// Hex digits of the shortest prefix that stands for a hash.
const PREFIX_DIGITS_MIN: usize = 8;
/// In front of a name that looks like a hash.
const NAME_MARK: &str = "name:";

/// What NAME|HASH names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Name(Name),
    Hash(VertexHash),
}

/// A whole hash or a prefix of one, where only a hash fits: hex digits, 8 to 64 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashWord(String);

/// Which version of a name: `--at TIME|HASH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Version {
    At(Hlc),
    Hash(HashWord),
}

impl Target {
    /// 64 hex digits are a hash; everything else is a name.
    pub(crate) fn parse(word: &OsStr) -> Result<Self, Failure> {
        match word.to_str().filter(|text| looks_like_hash(text)) {
            Some(text) => text.parse().map(Self::Hash).map_err(|_| malformed_hash(text)),
            None => name(word).map(Self::Name),
        }
    }
}

impl HashWord {
    /// Lower-case hex digits.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if is_hash_prefix(text) { Ok(Self(text.to_owned())) } else { Err(malformed_hash(text)) }
    }

    /// The digits.
    pub(crate) fn digits(&self) -> &str {
        &self.0
    }
}

impl Version {
    /// A hash prefix if it is one, else a time.
    pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Self, Failure> {
        if is_hash_prefix(text) {
            return Ok(Self::Hash(HashWord(text.to_owned())));
        }
        timestamp(text, now).map(Self::At)
    }
}

/// A name, with `name:` in front if it looks like a hash.
pub(crate) fn name(word: &OsStr) -> Result<Name, Failure> {
    let refused = |why: &str| Failure::new(Kind::Malformed, format!("malformed name: {why}"));
    let text = word.to_str().ok_or_else(|| refused("it is not UTF-8"))?;
    let text = match text.strip_prefix(NAME_MARK) {
        Some(marked) => marked,
        None if looks_like_hash(text) => {
            return Err(refused("it looks like a hash").hint(format!("write {NAME_MARK}{text}")));
        }
        None => text,
    };
    Name::new(text).map_err(|_| refused(name_problem(text)))
}

/// Why [`Name::new`] refused it, in words.
fn name_problem(text: &str) -> &'static str {
    if text.is_empty() {
        "it is empty"
    } else if text.len() > NAME_LEN_MAX {
        "it is longer than 4096 bytes"
    } else if text.chars().any(char::is_control) {
        "it has a NUL or another control character"
    } else if text.starts_with('/') || text.ends_with('/') {
        "it begins or ends with /"
    } else {
        "it has an empty, . or .. component"
    }
}

/// The default name: the last component of a source that was resolved.
pub(crate) fn name_of_source(resolved: &Path) -> Result<Name, Failure> {
    let last = resolved.file_name().ok_or_else(|| {
        Failure::new(Kind::Usage, "this source has no last component").hint("give a NAME after it")
    })?;
    let refused = |failure: Failure| {
        failure.hint("the file's own name cannot be used; give a NAME after the source")
    };
    // A file that happens to be called like a hash, or `name:..`, keeps its name as it is.
    match last.to_str() {
        Some(text) => Name::new(text).map_err(|_| {
            refused(name(last).err().unwrap_or_else(|| {
                Failure::new(Kind::Malformed, format!("malformed name: {}", name_problem(text)))
            }))
        }),
        None => name(last).map_err(refused),
    }
}

fn looks_like_hash(text: &str) -> bool {
    text.len() == HASH_DIGITS && is_hex(text)
}

fn is_hash_prefix(text: &str) -> bool {
    (PREFIX_DIGITS_MIN..=HASH_DIGITS).contains(&text.len()) && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn malformed_hash(text: &str) -> Failure {
    Failure::new(Kind::Malformed, format!("malformed hash: {text}"))
        .hint("a hash has 64 lower-case hex digits, or at least its first 8")
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn os(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    #[test]
    fn whole_hashes_are_hashes_and_the_rest_is_names() {
        let hash = "0123456789abcdef".repeat(4);
        assert!(matches!(Target::parse(os(&hash)), Ok(Target::Hash(_))));
        for text in ["a", "01234567", "notes/today", &hash.to_uppercase()] {
            assert!(matches!(Target::parse(os(text)), Ok(Target::Name(_))), "{text}");
        }
        let marked = Target::parse(os(&format!("name:{hash}"))).unwrap();
        assert_eq!(marked, Target::Name(Name::new(&hash).unwrap()));
        assert_eq!(name(os(&hash)).unwrap_err().kind, Kind::Malformed);
    }

    #[test]
    fn names_are_refused_with_the_reason() {
        let long = "n".repeat(4097);
        for (bad, why) in [
            ("", "empty"),
            ("a/../b", ".."),
            ("a//b", "component"),
            ("/a", "begins"),
            ("a/", "ends"),
            ("a\nb", "control"),
            ("a\0b", "NUL"),
            (long.as_str(), "4096"),
        ] {
            let failure = name(os(bad)).unwrap_err();
            assert_eq!(failure.kind, Kind::Malformed);
            assert!(failure.message.contains(why), "{bad:?}: {}", failure.message);
        }
        assert!(name(os(&"n".repeat(4096))).is_ok());
        let latin = OsStr::from_bytes(b"caf\xe9");
        assert!(name(latin).unwrap_err().message.contains("UTF-8"));
    }

    #[test]
    fn hash_words_take_prefixes() {
        assert!(HashWord::parse("0123456").is_err());
        assert!(HashWord::parse("01234567").is_ok());
        assert!(HashWord::parse(&"a".repeat(64)).is_ok());
        assert!(HashWord::parse(&"a".repeat(65)).is_err());
        assert!(HashWord::parse("0123456g").is_err());
        assert!(HashWord::parse("0123456A").is_err());
    }

    #[test]
    fn versions_are_times_or_hashes() {
        let now = Timestamp::constant(1_800_000_000, 0);
        assert!(matches!(Version::parse("12345d", now), Ok(Version::At(_))));
        assert!(matches!(Version::parse("1234567d", now), Ok(Version::Hash(_))));
        assert!(matches!(Version::parse("2026-11-24", now), Ok(Version::At(_))));
        assert!(Version::parse("soon", now).is_err());
    }

    #[test]
    fn sources_name_themselves() {
        assert_eq!(name_of_source(Path::new("/x/notes.md")).unwrap().as_str(), "notes.md");
        assert_eq!(name_of_source(Path::new("/")).unwrap_err().kind, Kind::Usage);
        let hash = "a".repeat(64);
        assert_eq!(name_of_source(Path::new(&hash)).unwrap().as_str(), hash);
        let latin = Path::new(OsStr::from_bytes(b"caf\xe9"));
        assert_eq!(name_of_source(latin).unwrap_err().kind, Kind::Malformed);
    }
}

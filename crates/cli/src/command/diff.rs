//! `diff NAME [A] [B]`.

use std::ffi::OsString;
use std::io::Read;
use std::time::Duration;

use clap::Args;
use model::{Name, VertexHash};
use ouroborosdb::{At, Session};
use serde_json::json;
use similar::TextDiff;

use crate::context::{Absent, Context, resolve};
use crate::exit::Kind;
use crate::failure::{Failure, of_stored_content};
use crate::output::shown;
use crate::parse::{Version, name};

/// Bytes of either side at most: both are held in memory.
const SIDE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// After this the shortest difference is no longer searched for; what is shown stays right.
const SEARCH_MAX: Duration = Duration::from_secs(10);
/// Digits of a hash in the header.
const HASH_DIGITS_SHOWN: usize = 12;

/// Shows what changed between two versions of a text
///
/// Without A and B: the newest version against its parent. With A alone: the newest against A.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros diff notes/today 2d")]
pub(crate) struct Diff {
    /// The name
    name: OsString,
    /// Older version: hash (or its first 8 digits) or time
    a: Option<String>,
    /// Newer version: hash (or its first 8 digits) or time
    b: Option<String>,
}

/// One side of the difference.
struct Side {
    label: String,
    bytes: Vec<u8>,
}

/// A unified diff on stdout, nothing when the two are equal.
pub(crate) fn run(context: &Context, args: Diff) -> Result<(), Failure> {
    let name = name(&args.name)?;
    let parse =
        |word: Option<String>| word.map(|text| Version::parse(&text, context.now)).transpose();
    let (a, b) = (parse(args.a)?, parse(args.b)?);
    let session = context.open(Absent::Refuse)?;
    let newer = match b {
        Some(version) => version_of(&*session, &name, &version)?,
        None => winner(&*session, &name, At::Now)?,
    };
    let older = match a {
        Some(version) => Some(version_of(&*session, &name, &version)?),
        None => session.vertex(&newer)?.parents.first().copied(),
    };
    let (older, newer) =
        (side(&*session, &name, older.as_ref())?, side(&*session, &name, Some(&newer))?);
    let text = difference(&older, &newer);
    if context.output.is_json() {
        let object =
            json!({"a": older.label, "b": newer.label, "diff": String::from_utf8_lossy(&text)});
        return context.output.result(String::new, || object);
    }
    context.output.raw(&text)
}

/// The version of a name that a word means.
pub(crate) fn version_of(
    session: &dyn Session,
    name: &Name,
    version: &Version,
) -> Result<VertexHash, Failure> {
    match version {
        Version::At(time) => winner(session, name, At::Time(*time)),
        Version::Hash(word) => {
            let hash = resolve(session, word)?;
            if session.vertex(&hash)?.name.as_ref() == Some(name) {
                return Ok(hash);
            }
            Err(Failure::new(Kind::HashUnknown, format!("{hash} is not a version of {name}"))
                .hint(format!("ouroboros log {name} lists its versions"))
                .about(hash))
        }
    }
}

fn winner(session: &dyn Session, name: &Name, at: At) -> Result<VertexHash, Failure> {
    let heads = session.heads(name, at)?;
    let unknown = || Failure::from(ouroborosdb::Error::NameUnknown { name: name.clone() });
    heads.first().map(|head| head.hash).ok_or_else(unknown)
}

fn side(session: &dyn Session, name: &Name, hash: Option<&VertexHash>) -> Result<Side, Failure> {
    let Some(hash) = hash else {
        return Ok(Side { label: "/dev/null".to_owned(), bytes: Vec::new() });
    };
    let mut reader = session.content(hash)?;
    if reader.len() > SIDE_LEN_MAX {
        return Err(Failure::new(
            Kind::Refused,
            format!("version {hash} has {} bytes; diff takes up to {SIDE_LEN_MAX}", reader.len()),
        )
        .hint("ouroboros get both versions and compare the files"));
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|error| of_stored_content(&error))?;
    let digits: String = hash.to_string().chars().take(HASH_DIGITS_SHOWN).collect();
    Ok(Side { label: format!("{}@{digits}", shown(name.as_str())), bytes })
}

fn difference(older: &Side, newer: &Side) -> Vec<u8> {
    if older.bytes == newer.bytes {
        return Vec::new();
    }
    if older.bytes.contains(&0) || newer.bytes.contains(&0) {
        return format!("binary versions {} and {} differ\n", older.label, newer.label)
            .into_bytes();
    }
    let mut out = Vec::new();
    TextDiff::configure()
        .timeout(SEARCH_MAX)
        .diff_lines(older.bytes.as_slice(), newer.bytes.as_slice())
        .unified_diff()
        .header(&older.label, &newer.label)
        .to_writer(&mut out)
        .expect("writing to memory does not fail");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(a: &[u8], b: &[u8]) -> String {
        let side =
            |label: &str, bytes: &[u8]| Side { label: label.to_owned(), bytes: bytes.to_vec() };
        String::from_utf8(difference(&side("a", a), &side("b", b))).unwrap()
    }

    #[test]
    fn texts_differ_by_lines() {
        let text = diff(b"one\ntwo\nthree\n", b"one\n2\nthree\n");
        assert!(text.starts_with("--- a\n+++ b\n@@ "), "{text}");
        assert!(text.contains("\n-two\n+2\n"), "{text}");
    }

    #[test]
    fn equal_versions_have_no_difference() {
        assert_eq!(diff(b"same\n", b"same\n"), "");
    }

    #[test]
    fn binary_versions_only_differ() {
        assert_eq!(diff(b"a\0b", b"c"), "binary versions a and b differ\n");
        assert!(diff(b"caf\xc3\xa9\n", b"cafe\n").contains("+cafe"));
    }
}

//! Paths inside a tree: any bytes but NUL, components joined by `/`.
//!
//! They order by components, as if `/` were the smallest byte, so that a folder is followed by
//! all that lies in it. As part of a name, bytes that names cannot have are escaped as `%XX`
//! (upper-case hex): what is not UTF-8, control characters, and a `%` that would read as such an
//! escape. The escape is one to one.

use std::cmp::Ordering;

use model::limit::NAME_LEN_MAX;
use model::{FormatError, hash::hash};

/// Bytes of a path inside a tree.
pub(crate) const PATH_LEN_MAX: usize = NAME_LEN_MAX;
/// Bytes of one component (Linux and every common filesystem).
const COMPONENT_LEN_MAX: usize = 255;
const PART_SUFFIX: &[u8] = b".ouro-part";

/// Orders paths by components.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.split(is_slash).cmp(b.split(is_slash))
}

fn is_slash(byte: &u8) -> bool {
    *byte == b'/'
}

/// Refuses a path that could lead out of its root.
pub(crate) fn check(path: &[u8]) -> Result<(), FormatError> {
    let is_bad = |part: &[u8]| matches!(part, b"" | b"." | b"..") || part.contains(&0);
    if path.len() > PATH_LEN_MAX || path.split(is_slash).any(is_bad) {
        return Err(FormatError::Invalid { noun: "path" });
    }
    Ok(())
}

/// `folder/name`, or `name` in the root.
pub(crate) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + 1 + name.len());
    if !folder.is_empty() {
        path.extend_from_slice(folder);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// The folder a path lies in (empty: the root), and its last component.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(is_slash) {
        Some(at) => (
            path.get(..at).unwrap_or_default(),
            path.get(at.saturating_add(1)..).unwrap_or_default(),
        ),
        None => (&[], path),
    }
}

/// The path as the end of a name.
pub(crate) fn escape(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        let valid = chunk.valid();
        for (at, c) in valid.char_indices() {
            let rest = valid.as_bytes().get(at..).unwrap_or_default();
            if c.is_control() || (c == '%' && escaped_byte(rest).is_some()) {
                let mut bytes = [0; 4];
                c.encode_utf8(&mut bytes).bytes().for_each(|byte| push_escaped(&mut out, byte));
            } else {
                out.push(c);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_escaped(&mut out, *byte));
    }
    out
}

/// The path an escaped name stands for.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        if let Some(byte) = escaped_byte(rest) {
            out.push(byte);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

fn push_escaped(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    for nibble in [byte >> 4, byte & 15] {
        out.push(DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from));
    }
}

/// The byte that `%XX` at the beginning stands for, if it is one that is ever escaped.
fn escaped_byte(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let nibble = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    };
    let byte = nibble(*high)? << 4 | nibble(*low)?;
    (!(0x20..0x7f).contains(&byte) || byte == b'%').then_some(byte)
}

/// Where `name` is written until it is whole. `taken` tells names that the tree itself has there.
pub(crate) fn part_name(name: &[u8], taken: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let part = [b".", name, PART_SUFFIX].concat();
    if part.len() <= COMPONENT_LEN_MAX && !taken(&part) {
        return part;
    }
    // Too long, or a file of the tree is called so: the beginning of the name and a hash of it.
    let digest = model::VertexHash::new(hash("tree-part", &[name])).to_string();
    let digest = digest.get(..32).unwrap_or_default();
    let kept = COMPONENT_LEN_MAX - PART_SUFFIX.len() - digest.len() - 2;
    let start = name.get(..kept.min(name.len())).unwrap_or(name);
    [b".", start, b".", digest.as_bytes(), PART_SUFFIX].concat()
}

/// True when a path's last component could be where another one is written.
pub(crate) fn looks_like_part(path: &[u8]) -> bool {
    let (_, name) = split(path);
    name.starts_with(b".") && name.ends_with(PART_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_followed_by_what_lies_in_it() {
        let mut paths: [&[u8]; 5] = [b"a.txt", b"b", b"a/b", b"a", b"a/b.c/d"];
        paths.sort_by(|a, b| compare(a, b));
        let expected: [&[u8]; 5] = [b"a", b"a/b", b"a/b.c/d", b"a.txt", b"b"];
        assert_eq!(paths, expected);
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        let longest = vec![b'x'; PATH_LEN_MAX];
        let good: [&[u8]; 5] = [b"a", b"a/b", b"...", b"\xff", &longest];
        good.iter().for_each(|path| assert!(check(path).is_ok(), "{path:?}"));
        let past = vec![b'x'; PATH_LEN_MAX + 1];
        let bad: [&[u8]; 8] = [b"", b"/a", b"a/", b"a//b", b"../a", b"a/..", b"a\0", &past];
        bad.iter().for_each(|path| assert!(check(path).is_err(), "{path:?}"));
    }

    #[test]
    fn escapes_are_one_to_one() {
        let cases: [(&[u8], &str); 9] = [
            (b"plain/name", "plain/name"),
            ("\u{e4}/\u{1f600}".as_bytes(), "\u{e4}/\u{1f600}"),
            (b"a\nb", "a%0Ab"),
            (b"a%0Ab", "a%250Ab"),
            (b"a%20b", "a%20b"),
            (b"a%250Ab", "a%25250Ab"),
            (b"\xff\xc3", "%FF%C3"),
            (b"%%0A", "%%250A"),
            ("\u{85}".as_bytes(), "%C2%85"),
        ];
        for (path, text) in cases {
            assert_eq!(escape(path), text);
            assert_eq!(unescape(text), path, "{text}");
            assert!(model::Name::new(text).is_ok());
        }
        for high in 0..=255u8 {
            for low in [b'0', b'F', b'%', 0x80, b'\n'] {
                let path = [b'%', high, low, b'5', b'%', low, high];
                assert_eq!(unescape(&escape(&path)), path);
            }
        }
    }

    #[test]
    fn part_names_fit_and_do_not_meet_the_tree() {
        assert_eq!(part_name(b"a", |_| false), b".a.ouro-part");
        let long = vec![b'n'; COMPONENT_LEN_MAX];
        let part = part_name(&long, |_| false);
        assert!(part.len() <= COMPONENT_LEN_MAX && looks_like_part(&part));
        assert_ne!(part_name(b"a", |part| part == b".a.ouro-part"), b".a.ouro-part");
    }
}

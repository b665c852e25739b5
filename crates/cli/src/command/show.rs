//! `show HASH`.

use std::fmt::Write;

use clap::Args;
use model::{Content, GroupId, Kind, Vertex, VertexHash};
use serde_json::{Value, json};

use crate::context::{Absent, Context, resolve};
use crate::failure::Failure;
use crate::parse::{HashWord, hlc_text, time_text};

/// Shows what a version says of itself
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros show 1f0c9a2b")]
pub(crate) struct Show {
    /// Hash, or at least its first 8 digits
    hash: String,
}

/// The fields as a person reads them.
const ORDER: [&str; 22] = [
    "hash",
    "name",
    "kind",
    "bytes",
    "content",
    "message",
    "time",
    "time_ns",
    "depth",
    "parents",
    "author",
    "mode",
    "modified",
    "uid",
    "gid",
    "target",
    "media_type",
    "xattrs",
    "holes",
    "link",
    "group",
    "closes",
];

/// One line per field.
pub(crate) fn run(context: &Context, args: Show) -> Result<(), Failure> {
    let word = HashWord::parse(&args.hash)?;
    let session = context.open(Absent::Refuse)?;
    let hash = resolve(&*session, &word)?;
    let vertex = session.vertex(&hash)?;
    let object = object(&hash, &vertex);
    context.output.result(|| text(&object), || object.clone())
}

/// The fields of the object, one per line; absent ones are left out.
fn text(object: &Value) -> String {
    let mut text = String::new();
    for name in ORDER {
        let words = match object.get(name).unwrap_or(&Value::Null) {
            Value::Null => continue,
            Value::String(words) => one_line(words),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(plain).collect();
                if items.is_empty() {
                    continue;
                }
                items.join(" ")
            }
            other => plain(other),
        };
        // Writing to a string cannot fail.
        writeln!(text, "{name:14} {words}").ok();
    }
    text.trim_end().to_owned()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), one_line)
}

fn one_line(words: &str) -> String {
    words.lines().collect::<Vec<_>>().join(" ")
}

fn object(hash: &VertexHash, vertex: &Vertex) -> Value {
    let meta = &vertex.meta;
    let hex = |hashes: &[VertexHash]| hashes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let lossy = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    json!({
        "hash": hash.to_string(),
        "name": vertex.name.as_ref().map(|name| name.as_str()),
        "kind": kind(meta.kind),
        "bytes": vertex.content.len(),
        "content": content(&vertex.content),
        "time": hlc_text(vertex.hlc),
        "time_ns": vertex.hlc.0,
        "depth": vertex.depth,
        "parents": hex(&vertex.parents),
        "author": vertex.author.to_string(),
        "message": meta.message,
        "mode": meta.mode.map(|mode| format!("{mode:04o}")),
        "modified": meta.modified.map(time_text),
        "uid": meta.owner.map(|owner| owner.uid),
        "gid": meta.owner.map(|owner| owner.gid),
        "target": meta.target.as_ref().map(lossy),
        "media_type": meta.media_type,
        "xattrs": meta.xattrs.keys().map(lossy).collect::<Vec<_>>(),
        "holes": if meta.holes.is_empty() { None } else { Some(meta.holes.len()) },
        "link": if meta.link == 0 { None } else { Some(meta.link) },
        "group": group(vertex.group),
        "closes": group(vertex.closes),
    })
}

/// The noun of a kind.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Blob => "blob",
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Symlink => "symlink",
        Kind::Tree => "tree",
        Kind::Tombstone => "tombstone",
    }
}

fn content(content: &Content) -> String {
    match content {
        Content::Inline(_) => "inline".to_owned(),
        Content::Chunks { entries, .. } if entries.len() == 1 => "1 chunk".to_owned(),
        Content::Chunks { entries, .. } => format!("{} chunks", entries.len()),
        Content::Lists { root, .. } => format!("lists under {root}"),
    }
}

fn group(group: GroupId) -> Option<String> {
    if group == GroupId::NONE { None } else { Some(group.to_string()) }
}

#[cfg(test)]
mod tests {
    use model::{Hlc, Meta, UserId};

    use super::*;

    #[test]
    fn every_field_has_its_place() {
        let vertex = Vertex {
            blind: [0; 16],
            parents: Vec::new(),
            depth: 0,
            name: None,
            hlc: Hlc(0),
            author: UserId::new([0; 32]),
            group: GroupId::NONE,
            closes: GroupId::NONE,
            content: Content::EMPTY,
            meta: Meta::default(),
        };
        let object = object(&vertex.hash(), &vertex);
        let mut names: Vec<&String> = object.as_object().unwrap().keys().collect();
        let mut order = ORDER.to_vec();
        names.sort();
        order.sort_unstable();
        assert_eq!(names, order);
        assert!(text(&object).starts_with("hash           "));
    }
}

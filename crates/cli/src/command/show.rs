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
    for (name, value) in object.as_object().into_iter().flatten() {
        let words = match value {
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
        Content::Chunks { entries, .. } => format!("{} chunks", entries.len()),
        Content::Lists { root, .. } => format!("lists under {root}"),
    }
}

fn group(group: GroupId) -> Option<String> {
    if group == GroupId::NONE { None } else { Some(group.to_string()) }
}

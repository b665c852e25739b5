//! `log NAME`.

use std::ffi::OsString;

use clap::Args;
use model::Kind;
use ouroborosdb::Version;
use serde_json::{Value, json};

use crate::context::{Absent, Context};
use crate::failure::Failure;
use crate::parse::{hlc_text, name};

/// Lists the versions of a name, newest first
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros log notes/today")]
pub(crate) struct Log {
    /// The name
    name: OsString,
}

/// One line per version: hash, time, depth, size, message.
pub(crate) fn run(context: &Context, args: Log) -> Result<(), Failure> {
    let name = name(&args.name)?;
    let versions = context.open(Absent::Refuse)?.history(&name)?;
    versions
        .iter()
        .try_for_each(|version| context.output.result(|| text(version), || object(version)))
}

fn text(version: &Version) -> String {
    let vertex = &version.vertex;
    let size = if vertex.meta.kind == Kind::Tombstone {
        "deleted".to_owned()
    } else {
        vertex.content.len().to_string()
    };
    let message = vertex.meta.message.as_deref().unwrap_or("");
    let line = format!(
        "{} {} {:>5} {size:>12} {}",
        version.hash,
        hlc_text(vertex.hlc),
        vertex.depth,
        one_line(message)
    );
    line.trim_end().to_owned()
}

/// A version stays one line whatever its message has.
fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(" ")
}

fn object(version: &Version) -> Value {
    let vertex = &version.vertex;
    let parents: Vec<String> = vertex.parents.iter().map(ToString::to_string).collect();
    json!({
        "hash": version.hash.to_string(),
        "time": hlc_text(vertex.hlc),
        "time_ns": vertex.hlc.0,
        "depth": vertex.depth,
        "bytes": vertex.content.len(),
        "is_deleted": vertex.meta.kind == Kind::Tombstone,
        "message": vertex.meta.message,
        "parents": parents,
    })
}

//! `heads NAME`.

use std::ffi::OsString;

use clap::Args;
use ouroborosdb::{At, Head};
use serde_json::{Value, json};

use crate::context::{Absent, Context};
use crate::failure::Failure;
use crate::parse::{hlc_text, name};

/// Lists the heads of a name, the one that reads return first
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros heads notes/today")]
pub(crate) struct Heads {
    /// The name
    name: OsString,
}

/// One line per head: hash, time, depth, size.
pub(crate) fn run(context: &Context, args: Heads) -> Result<(), Failure> {
    let name = name(&args.name)?;
    let heads = context.open(Absent::Refuse)?.heads(&name, At::Now)?;
    for (place, head) in heads.iter().enumerate() {
        context.output.result(|| text(head), || object(head, place == 0))?;
    }
    Ok(())
}

fn text(head: &Head) -> String {
    let size = if head.is_tombstone { "deleted".to_owned() } else { head.len.to_string() };
    format!("{} {} {:>5} {size:>12}", head.hash, hlc_text(head.hlc), head.depth)
}

/// A head for programs.
pub(crate) fn object(head: &Head, is_winner: bool) -> Value {
    json!({
        "hash": head.hash.to_string(),
        "time": hlc_text(head.hlc),
        "time_ns": head.hlc.0,
        "depth": head.depth,
        "bytes": head.len,
        "is_deleted": head.is_tombstone,
        "is_winner": is_winner,
    })
}

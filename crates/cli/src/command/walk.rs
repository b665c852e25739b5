//! `children` and `parents`: one step along the graph.

use clap::Args;
use model::VertexHash;
use serde_json::json;

use crate::context::{Absent, Context, resolve};
use crate::failure::Failure;
use crate::parse::HashWord;

/// Lists the versions that follow a version
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros children 1f0c9a2b")]
pub(crate) struct Children {
    /// Hash, or at least its first 8 digits
    hash: String,
}

/// Lists the versions a version follows
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros parents 1f0c9a2b")]
pub(crate) struct Parents {
    /// Hash, or at least its first 8 digits
    hash: String,
}

/// One hash per line.
pub(crate) fn children(context: &Context, args: Children) -> Result<(), Failure> {
    let word = HashWord::parse(&args.hash)?;
    let session = context.open(Absent::Refuse)?;
    let hash = resolve(&*session, &word)?;
    // An unknown version has no children either: say which of the two it is.
    session.vertex(&hash)?;
    print(context, &session.children(&hash)?)
}

/// One hash per line.
pub(crate) fn parents(context: &Context, args: Parents) -> Result<(), Failure> {
    let word = HashWord::parse(&args.hash)?;
    let session = context.open(Absent::Refuse)?;
    let hash = resolve(&*session, &word)?;
    print(context, &session.vertex(&hash)?.parents)
}

fn print(context: &Context, hashes: &[VertexHash]) -> Result<(), Failure> {
    hashes.iter().try_for_each(|hash| {
        context.output.result(|| hash.to_string(), || json!({"hash": hash.to_string()}))
    })
}

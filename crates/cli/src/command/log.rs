//! `log NAME`.

use std::ffi::OsString;

use clap::Args;
use model::Kind as ContentKind;
use ouroborosdb::{Authorship, Proof, Session, Version};
use serde_json::{Value, json};

use crate::context::{Absent, Context};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::parse::{hlc_text, name};

/// Lists the versions of a name, newest first
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros log notes/today")]
pub(crate) struct Log {
    /// The name
    name: OsString,
    /// Tell who wrote each version, and whether a signature proves it
    #[arg(long)]
    verify: bool,
}

/// One line per version: hash, time, depth, size, message.
pub(crate) fn run(context: &Context, args: Log) -> Result<(), Failure> {
    let name = name(&args.name)?;
    let database = context.open_database(Absent::Refuse)?;
    let versions = Session::history(&database, &name)?;
    if !args.verify {
        return versions
            .iter()
            .try_for_each(|version| context.output.result(|| text(version), || object(version)));
    }
    let hashes: Vec<_> = versions.iter().map(|version| version.hash).collect();
    let mut refused = 0;
    for (version, author) in versions.iter().zip(database.authorship(&hashes)?) {
        refused += usize::from(matches!(author.proof, Proof::Refused { .. }));
        context.output.result(
            || format!("{}\n  {}", text(version), author_text(&author)),
            || with_author(object(version), &author),
        )?;
    }
    if refused == 0 {
        return Ok(());
    }
    Err(Failure::new(Kind::Corrupt, format!("{refused} versions have a proof that does not hold"))
        .hint("ouroboros check names everything that is affected"))
}

fn author_text(author: &Authorship) -> String {
    let who = &author.fingerprint;
    match &author.proof {
        Proof::Signed { chain, seq, .. } => {
            format!("signed by {who}, commit {seq} of chain {chain}")
        }
        Proof::Refused { problem } => format!("claimed by {who}, and wrong: {problem}"),
        _ => format!("claimed by {who}, not in a commit"),
    }
}

fn with_author(mut version: Value, author: &Authorship) -> Value {
    let proof = match &author.proof {
        Proof::Signed { writer, chain, seq } => json!({
            "state": "signed",
            "writer": writer.to_string(),
            "chain": chain.to_string(),
            "seq": seq,
        }),
        Proof::Refused { problem } => json!({ "state": "wrong", "problem": problem.to_string() }),
        _ => json!({ "state": "claimed" }),
    };
    if let Some(fields) = version.as_object_mut() {
        fields.insert("author".to_owned(), json!(author.author.to_string()));
        fields.insert("fingerprint".to_owned(), json!(author.fingerprint));
        fields.insert("proof".to_owned(), proof);
    }
    version
}

fn text(version: &Version) -> String {
    let vertex = &version.vertex;
    let size = if vertex.meta.kind == ContentKind::Tombstone {
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
        "is_deleted": vertex.meta.kind == ContentKind::Tombstone,
        "message": vertex.meta.message,
        "parents": parents,
    })
}

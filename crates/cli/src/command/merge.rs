//! `merge NAME`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use model::{Kind as VertexKind, Meta, Name};
use ouroborosdb::{Ack, At, PutRequest, Session};
use tree::{PutFile, PutOptions};

use crate::args::Message;
use crate::command::put::{Stored, print, store_stream};
use crate::context::{Absent, Context, resolve, transfer};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::local_file;
use crate::parse::{HashWord, name};
use crate::progress::Bar;

/// Makes one head of several
///
/// The new version follows all heads. Its content is one of theirs (--take) or a file in which you
/// joined them (--from). Prints `HASH NAME`.
#[derive(Debug, Args)]
#[command(
    before_help = "Example: ouroboros merge notes/today --from joined.txt -m 'both edits'",
    group = ArgGroup::new("content").required(true)
)]
pub(crate) struct Merge {
    /// The name
    name: OsString,
    /// Take the content of this version: hash, or its first 8 digits
    #[arg(long, value_name = "HASH", group = "content")]
    take: Option<String>,
    /// Take the content of this file; `-` is stdin
    #[arg(long, value_name = "FILE", group = "content")]
    from: Option<PathBuf>,
    #[command(flatten)]
    message: Message,
    /// Tell what would be stored, and store nothing
    #[arg(long)]
    dry_run: bool,
}

/// Stores the version that joins.
pub(crate) fn run(context: &Context, args: Merge) -> Result<(), Failure> {
    let name = name(&args.name)?;
    let take = args.take.as_deref().map(HashWord::parse).transpose()?;
    let session = context.open(Absent::Refuse)?;
    let heads = session.heads(&name, At::Now)?;
    if heads.len() < 2 {
        context.output.note(&format!("{name} has one head: there is nothing to join"));
    }
    let options = PutOptions {
        message: args.message.message,
        parents: heads.iter().map(|head| head.hash).collect(),
        dry_run: args.dry_run,
        ack: Ack::Local,
        ..PutOptions::default()
    };
    let stored = match (take, args.from) {
        (Some(word), _) => taken(&*session, &name, &word, &options)?,
        (None, Some(path)) => from_file(context, &*session, (&name, path), &options)?,
        (None, None) => return Err(Failure::usage("--take HASH or --from FILE?")),
    };
    print(context, Some(&name), &stored, args.dry_run)
}

fn taken(
    session: &dyn Session,
    name: &Name,
    word: &HashWord,
    options: &PutOptions,
) -> Result<Stored, Failure> {
    let hash = resolve(session, word)?;
    let vertex = session.vertex(&hash)?;
    if vertex.name.as_ref() != Some(name) {
        return Err(Failure::new(Kind::HashUnknown, format!("{hash} is not a version of {name}"))
            .hint(format!("ouroboros heads {name} lists the heads"))
            .about(hash));
    }
    let request = PutRequest {
        name: Some(name.clone()),
        meta: Meta { kind: VertexKind::Blob, message: options.message.clone(), ..Meta::default() },
        ack: Ack::Local,
        dry_run: options.dry_run,
        ..PutRequest::default()
    };
    Ok(Stored::of_stream(session.merge(name, &hash, &request)?))
}

fn from_file(
    context: &Context,
    session: &dyn Session,
    (name, path): (&Name, PathBuf),
    options: &PutOptions,
) -> Result<Stored, Failure> {
    let bar = Bar::put(context);
    if !path.is_file() {
        let mut stream = local_file::open_stream(&path)?;
        return store_stream(session, Some(name), options, (&mut *stream, &bar));
    }
    let request = PutFile { source: path, name: Some(name.clone()), options: options.clone() };
    Ok(Stored::of_tree(transfer(session, &bar).put_file(&request)?))
}

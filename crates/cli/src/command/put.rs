//! `put [-r] SRC [NAME]`.

mod report;
mod source;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use model::{Kind as VertexKind, Meta, Name, VertexHash};
use ouroborosdb::{Ack, PutRequest, Session};
use tree::{PathFilter, PutFile, PutOptions, PutTree};

pub(crate) use self::report::{Stored, print};
use self::source::{Job, Source};
use crate::args::Message;
use crate::context::{Absent, Context, resolve, transfer};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::local_file;
use crate::parse::HashWord;
use crate::progress::Bar;

/// Stores a file, stdin or a folder
///
/// Prints `HASH NAME`. With one SRC, NAME defaults to its last component; with exactly two words
/// the second is always the NAME. Three or more words are sources, each stored under its own last
/// component; --into makes every word a source. With --parent and without a NAME the version has
/// no name. A folder's hash stands for all that is in it.
///
/// The first put makes the data folder, a key and a scope, and says where.
#[derive(Debug, Args)]
#[command(
    before_help = "Example: ouroboros put -r ~/Documents documents -m 'before the move'",
    override_usage = "ouroboros put [OPTIONS] SRC [NAME]\n       \
                      ouroboros put [OPTIONS] SRC SRC SRC...\n       \
                      ouroboros put [OPTIONS] --into PREFIX SRC..."
)]
pub(crate) struct Put {
    /// Files or folders; `-` is stdin. A second word is the NAME
    #[arg(value_name = "SRC", required = true, num_args = 1..)]
    words: Vec<OsString>,
    /// Store folders with all that is in them
    #[arg(short, long)]
    recursive: bool,
    /// Every word is a source, stored as PREFIX/last component; `.` is no prefix
    #[arg(short = 't', long, value_name = "PREFIX")]
    into: Option<OsString>,
    /// Follow this version instead of the heads; repeatable
    #[arg(long, value_name = "HASH")]
    parent: Vec<String>,
    /// Store only if this is the single head
    #[arg(long, value_name = "HASH")]
    expect_head: Option<String>,
    /// How safe before the command returns: on this disk, on enough nodes, or spread for good
    #[arg(long, value_name = "LEVEL", default_value = "local")]
    ack: Level,
    #[command(flatten)]
    message: Message,
    #[command(flatten)]
    select: Select,
    /// Read files that look unchanged too
    #[arg(long)]
    force: bool,
    /// Keep names whose files are gone from SRC
    #[arg(long)]
    keep_missing: bool,
    /// Tell what would be stored, and store nothing
    #[arg(long)]
    dry_run: bool,
}

/// What of a folder is stored.
#[derive(Debug, Args)]
struct Select {
    /// Leave out what matches; without a `/` at any depth, with one from SRC; repeatable
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Leave out what the lines of FILE match; repeatable
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Leave out folders that a CACHEDIR.TAG marks
    #[arg(long)]
    exclude_caches: bool,
    /// Do not enter other filesystems
    #[arg(long)]
    one_file_system: bool,
}

/// How safe before the command returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Local,
    Cluster,
    Settled,
}

/// What all sources of one run share.
struct Terms {
    options: PutOptions,
    /// What the user excludes.
    patterns: Vec<String>,
    /// Where the store itself lies.
    data_folder: Option<PathBuf>,
}

/// Stores every source; one that cannot be stored does not keep the others from it.
pub(crate) fn run(context: &Context, args: Put) -> Result<(), Failure> {
    if args.ack != Level::Local {
        return Err(Failure::new(
            Kind::Unavailable,
            "this is a single node: no other node can hold a copy; nothing was stored",
        )
        .hint("--ack local"));
    }
    let words = versions_named(&args)?;
    let patterns = patterns(&args.select)?;
    PathFilter::new(&patterns)?;
    let plan = source::plan(source::Words {
        words: args.words,
        into: args.into,
        is_recursive: args.recursive,
        is_nameless: !args.parent.is_empty(),
    })?;
    if plan.jobs.len() + plan.refused.len() > 1 && words.is_some() {
        return Err(Failure::usage("--parent and --expect-head go with one source"));
    }
    plan.notes.iter().for_each(|note| context.output.warn(note));
    let refused_all = plan.jobs.is_empty();
    refuse(context, plan.refused, refused_all)?;
    // Bad input must not leave a new store behind.
    let absent = match (&words, args.dry_run) {
        (Some(_), _) => Absent::Refuse,
        (None, true) => Absent::Imagine,
        (None, false) => Absent::Make,
    };
    let session = context.open(absent)?;
    let (parents, expect_head) = words.unwrap_or_default().resolved(&*session)?;
    let terms = Terms {
        options: PutOptions {
            excludes: PathFilter::default(),
            exclude_caches: args.select.exclude_caches,
            one_file_system: args.select.one_file_system,
            keep_missing: args.keep_missing,
            force: args.force,
            dry_run: args.dry_run,
            message: args.message.message,
            parents,
            expect_head,
            ack: Ack::Local,
        },
        patterns,
        data_folder: context.data_folder()?.canonicalize().ok(),
    };
    let is_alone = plan.jobs.len() == 1;
    for job in &plan.jobs {
        match store(context, &*session, job, &terms) {
            Ok(()) => {}
            Err(failure) if is_alone || !source::is_about_source(&failure) => return Err(failure),
            Err(failure) => context.output.fail(&source::in_part(failure)),
        }
    }
    Ok(())
}

/// Sources that cannot be used at all: of several, the others are stored.
fn refuse(context: &Context, refused: Vec<Failure>, refused_all: bool) -> Result<(), Failure> {
    let mut refused = refused.into_iter();
    if refused_all {
        let last = refused.next_back();
        refused.for_each(|failure| context.output.fail(&failure));
        return last.map_or(Ok(()), Err);
    }
    refused.for_each(|failure| context.output.fail(&source::in_part(failure)));
    Ok(())
}

/// `--parent` and `--expect-head` as written.
#[derive(Debug, Default)]
struct VersionWords {
    parents: Vec<HashWord>,
    expect_head: Option<HashWord>,
}

fn versions_named(args: &Put) -> Result<Option<VersionWords>, Failure> {
    if args.parent.is_empty() && args.expect_head.is_none() {
        return Ok(None);
    }
    let parents = args.parent.iter().map(|text| HashWord::parse(text)).collect::<Result<_, _>>()?;
    let expect_head = args.expect_head.as_deref().map(HashWord::parse).transpose()?;
    Ok(Some(VersionWords { parents, expect_head }))
}

impl VersionWords {
    fn resolved(
        &self,
        session: &dyn Session,
    ) -> Result<(Vec<VertexHash>, Option<VertexHash>), Failure> {
        let mut parents = Vec::with_capacity(self.parents.len());
        for word in &self.parents {
            let hash = resolve(session, word)?;
            session.vertex(&hash)?;
            parents.push(hash);
        }
        let expect_head =
            self.expect_head.as_ref().map(|word| resolve(session, word)).transpose()?;
        Ok((parents, expect_head))
    }
}

fn patterns(select: &Select) -> Result<Vec<String>, Failure> {
    let mut patterns = select.exclude.clone();
    for path in &select.exclude_from {
        patterns.extend(local_file::read_text(path)?.lines().map(str::to_owned));
    }
    Ok(patterns)
}

impl Terms {
    /// What is left out of `source`: what the patterns say, and the data folder, which would store
    /// itself and grow with every put.
    fn excludes(&self, source: &Path) -> Result<PathFilter, Failure> {
        let source = source.canonicalize().ok();
        let own = self.data_folder.as_deref().zip(source.as_deref());
        let own = own.and_then(|(data, source)| data.strip_prefix(source).ok());
        let own = own.and_then(Path::to_str).map(|own| format!("/{}", literal(own)));
        Ok(PathFilter::new(self.patterns.iter().chain(&own))?)
    }
}

/// A pattern that matches `path` only.
fn literal(path: &str) -> String {
    let mut pattern = String::new();
    for character in path.chars() {
        match character {
            '*' | '?' | '[' | ']' | '{' | '}' | '\\' => {
                pattern.extend(['[', character, ']']);
            }
            plain => pattern.push(plain),
        }
    }
    pattern
}

/// Stores one source and prints its line.
fn store(
    context: &Context,
    session: &dyn Session,
    job: &Job,
    terms: &Terms,
) -> Result<(), Failure> {
    let bar = Bar::put(context);
    let stored = match &job.source {
        Source::Stream(path) => {
            let mut stream = local_file::open_stream(path)?;
            store_stream(session, job.name.as_ref(), &terms.options, (&mut *stream, &bar))?
        }
        Source::File(path) => {
            let request = PutFile {
                source: path.clone(),
                name: job.name.clone(),
                options: terms.options.clone(),
            };
            Stored::of_tree(transfer(session, &bar).put_file(&request)?)
        }
        Source::Folder(path, name) => {
            let request = PutTree {
                source: path.clone(),
                name: name.clone(),
                options: PutOptions { excludes: terms.excludes(path)?, ..terms.options.clone() },
            };
            Stored::of_tree(transfer(session, &bar).put_tree(&request)?)
        }
    };
    bar.clear();
    print(context, job.name.as_ref(), &stored, terms.options.dry_run)
}

/// Bytes of a stream: they have no attributes.
pub(crate) fn store_stream(
    session: &dyn Session,
    name: Option<&Name>,
    options: &PutOptions,
    (stream, bar): (&mut (dyn std::io::Read + Send), &Bar<'_>),
) -> Result<Stored, Failure> {
    let request = PutRequest {
        name: name.cloned(),
        parents: options.parents.clone(),
        expect_head: options.expect_head,
        meta: Meta { kind: VertexKind::Blob, message: options.message.clone(), ..Meta::default() },
        ack: options.ack,
        dry_run: options.dry_run,
        ..PutRequest::default()
    };
    Ok(Stored::of_stream(session.put(&request, stream, bar)?))
}

//! `get [-r] NAME|HASH [DEST]`.

mod item;
pub(crate) mod place;
mod report;

use std::ffi::OsString;

use clap::Args;
use model::{Kind as VertexKind, Name, Vertex, VertexHash};
use ouroborosdb::{At, NAMES_PAGE_MAX, NamesQuery, Session};
use tree::{GetTree, PathFilter, TreeSource};

use self::place::Place;
use crate::command::diff::version_of;
use crate::context::{Absent, Context, transfer};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::parse::{ByteRange, Target, Version};
use crate::progress::Bar;

/// Digits of the tag of a part.
const TAG_DIGITS: usize = 8;

/// Writes what was stored to a file, a folder or stdout
///
/// Without DEST, or with `-`, one item goes to stdout and a folder to the current folder. An
/// existing folder as DEST receives the item under its last component. A reader that closes stdout
/// early ends the command with code 0. An interrupted get continues where it was.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros get -r documents /tmp/copy --at 3d")]
pub(crate) struct Get {
    /// A name, or a hash of 64 digits; a name that looks like one is written name:..
    #[arg(value_name = "NAME|HASH")]
    target: OsString,
    /// File or folder to write; `-` is stdout
    dest: Option<OsString>,
    /// A folder with all that is in it
    #[arg(short, long)]
    recursive: bool,
    /// Bytes, inclusive: A-B, A- or the last -N
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    range: Option<String>,
    /// As of a time (RFC 3339, YYYY-MM-DD, an age such as 2h), or one version by its hash
    #[arg(long, value_name = "TIME|HASH")]
    at: Option<String>,
    /// Only what matches, with the folders above it; repeatable
    #[arg(long, value_name = "GLOB", requires = "recursive")]
    include: Vec<String>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// Tell what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// What to write, as the words say.
struct Wanted {
    target: Target,
    at: Option<Version>,
    range: Option<ByteRange>,
    include: PathFilter,
}

/// A version and what it is called.
pub(super) struct Item {
    pub(super) hash: VertexHash,
    pub(super) name: Option<Name>,
    pub(super) vertex: Vertex,
}

/// What the store has for the words.
enum Found {
    Item(Box<Item>),
    /// Names below a prefix, without a root of their own.
    Below(Name),
}

/// Writes one item or one folder.
pub(crate) fn run(context: &Context, args: Get) -> Result<(), Failure> {
    let wanted = wanted(context, &args)?;
    let session = context.open(Absent::Refuse)?;
    let found = find(context, &*session, &wanted, args.recursive)?;
    match found {
        Found::Item(item) if item.vertex.meta.kind == VertexKind::Tree => {
            let source = TreeSource::Root(item.hash);
            folder(context, &*session, &args, (source, last_of(&item), wanted.include))
        }
        Found::Item(item) if item.vertex.meta.kind == VertexKind::Folder => {
            let name =
                item.name.clone().ok_or_else(|| Failure::usage("this folder has no name"))?;
            let source = TreeSource::Names { prefix: name, at: at_of(wanted.at.as_ref()) };
            folder(context, &*session, &args, (source, last_of(&item), wanted.include))
        }
        Found::Below(prefix) => {
            let last = OsString::from(last(&prefix));
            let source = TreeSource::Names { prefix, at: at_of(wanted.at.as_ref()) };
            folder(context, &*session, &args, (source, last, wanted.include))
        }
        Found::Item(item) => {
            let place = Place::of(args.dest.as_deref(), &last_of(&item))?.unwrap_or(Place::Stdout);
            let order =
                item::Order { range: wanted.range, force: args.force, dry_run: args.dry_run };
            item::write(context, &*session, &item, (&place, &order))
        }
    }
}

/// Where a version goes, and whether it replaces what is there.
pub(crate) struct Destination {
    pub(crate) dest: Option<OsString>,
    pub(crate) force: bool,
}

/// Writes one version, a folder whole: what `get` does once it knows which.
pub(crate) fn write_version(
    context: &Context,
    session: &dyn Session,
    hash: VertexHash,
    to: Destination,
) -> Result<(), Failure> {
    let vertex = session.vertex(&hash)?;
    let item = Item { hash, name: vertex.name.clone(), vertex };
    let Destination { dest, force } = to;
    if item.vertex.meta.kind == VertexKind::Tree {
        let args = Get {
            target: OsString::new(),
            dest,
            recursive: true,
            range: None,
            at: None,
            include: Vec::new(),
            force,
            dry_run: false,
        };
        let source = (TreeSource::Root(hash), last_of(&item), PathFilter::default());
        return folder(context, session, &args, source);
    }
    let place = Place::of(dest.as_deref(), &last_of(&item))?.unwrap_or(Place::Stdout);
    item::write(
        context,
        session,
        &item,
        (&place, &item::Order { range: None, force, dry_run: false }),
    )
}

fn wanted(context: &Context, args: &Get) -> Result<Wanted, Failure> {
    let target = Target::parse(&args.target)?;
    let at = args.at.as_deref().map(|text| Version::parse(text, context.now)).transpose()?;
    let range = args.range.as_deref().map(ByteRange::parse).transpose()?;
    if at.is_some() && matches!(target, Target::Hash(_)) {
        return Err(Failure::usage("a hash is one version already; --at goes with a name"));
    }
    if range.is_some() && args.recursive {
        return Err(Failure::usage("--range goes with one item, not with -r"));
    }
    Ok(Wanted { target, at, range, include: PathFilter::new(&args.include)? })
}

fn at_of(version: Option<&Version>) -> At {
    match version {
        Some(Version::At(time)) => At::Time(*time),
        _ => At::Now,
    }
}

fn find(
    context: &Context,
    session: &dyn Session,
    wanted: &Wanted,
    is_recursive: bool,
) -> Result<Found, Failure> {
    let hash = match (&wanted.target, &wanted.at) {
        (Target::Hash(hash), _) => *hash,
        (Target::Name(name), Some(version @ Version::Hash(_))) => {
            version_of(session, name, version)?
        }
        (Target::Name(name), _) => {
            match winner(context, session, name, at_of(wanted.at.as_ref())) {
                Ok(hash) => hash,
                Err(failure)
                    if failure.kind == Kind::NameUnknown && has_below(session, name, wanted)? =>
                {
                    if is_recursive {
                        return Ok(Found::Below(name.clone()));
                    }
                    return Err(needs_recursive(name));
                }
                Err(failure) => return Err(failure),
            }
        }
    };
    let vertex = session.vertex(&hash)?;
    let item = Item { hash, name: vertex.name.clone(), vertex };
    match item.vertex.meta.kind {
        VertexKind::Tree | VertexKind::Folder if !is_recursive => {
            Err(needs_recursive(&shown(&item)))
        }
        VertexKind::Tombstone => Err(deleted(&item)),
        _ => Ok(Found::Item(Box::new(item))),
    }
}

/// The head that is read, and a warning when it is not the only one.
fn winner(
    context: &Context,
    session: &dyn Session,
    name: &Name,
    at: At,
) -> Result<VertexHash, Failure> {
    let heads = session.heads(name, at)?;
    let unknown = || Failure::from(ouroborosdb::Error::NameUnknown { name: name.clone() });
    let winner = heads.first().ok_or_else(unknown)?;
    if heads.len() > 1 {
        context.output.warn(&format!(
            "{name} has {} heads; this is {} (ouroboros heads {name} lists them, ouroboros merge joins them)",
            heads.len(),
            winner.hash,
        ));
    }
    Ok(winner.hash)
}

fn has_below(session: &dyn Session, name: &Name, wanted: &Wanted) -> Result<bool, Failure> {
    let query = NamesQuery {
        prefix: format!("{name}/"),
        limit: 1,
        at: at_of(wanted.at.as_ref()),
        ..NamesQuery::default()
    };
    Ok(!session.names(&query)?.is_empty())
}

fn needs_recursive(what: &impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{what} is a folder")).hint("-r writes it with all that is in it")
}

fn deleted(item: &Item) -> Failure {
    let shown = shown(item);
    Failure::new(Kind::NameUnknown, format!("{shown} is deleted"))
        .hint(format!("ouroboros log {shown} lists its versions; get it with --at"))
        .about(shown)
}

fn shown(item: &Item) -> String {
    item.name.as_ref().map_or_else(|| item.hash.to_string(), ToString::to_string)
}

/// What an item is called in a folder that receives it.
fn last_of(item: &Item) -> OsString {
    OsString::from(
        item.name.as_ref().map_or_else(|| item.hash.to_string(), |name| last(name).to_owned()),
    )
}

fn last(name: &Name) -> &str {
    name.as_str().rsplit('/').next().unwrap_or(name.as_str())
}

/// A folder: into a part beside its place, which takes its name when all is there. A place that
/// exists is filled directly.
fn folder(
    context: &Context,
    session: &dyn Session,
    args: &Get,
    (source, last, include): (TreeSource, OsString, PathFilter),
) -> Result<(), Failure> {
    let here = OsString::from(".");
    let place = Place::of(Some(args.dest.as_deref().unwrap_or(&here)), &last)?;
    let Some(Place::Path(dest)) = place else {
        return Err(Failure::usage("a folder cannot go to stdout").hint("give a DEST"));
    };
    let part = if dest.exists() || args.dry_run {
        None
    } else {
        place::part_of(&dest, &tag(session, &source, &args.include)?)
    };
    let bar = Bar::bytes(context, "restoring");
    let request = GetTree {
        source,
        dest: part.clone().unwrap_or_else(|| dest.clone()),
        include,
        // What lies in a part is ours, and its tag says that it is of this folder.
        force: args.force || part.is_some(),
        dry_run: args.dry_run,
    };
    let summary = transfer(session, &bar).get_tree(&request);
    bar.clear();
    let summary = summary.map_err(|error| stopped(error, &request.dest))?;
    if let Some(part) = &part {
        place::finish(part, &dest)?;
    }
    report::folder(context, &dest, &summary, args.dry_run)
}

/// Names exactly what a part is to become: a part of another version must not end up in it.
fn tag(session: &dyn Session, source: &TreeSource, include: &[String]) -> Result<String, Failure> {
    let mut words = include.join("\0");
    match source {
        TreeSource::Root(hash) => words.push_str(&hash.to_string()),
        TreeSource::Names { prefix, at } => {
            for under in [prefix.to_string(), format!("{prefix}/")] {
                let mut query = NamesQuery {
                    prefix: under,
                    limit: NAMES_PAGE_MAX,
                    at: *at,
                    ..NamesQuery::default()
                };
                loop {
                    let page = session.names(&query)?;
                    page.iter().filter_map(|entry| entry.heads.first()).for_each(|head| {
                        words = labelled("get", &[words.as_bytes(), head.hash.as_bytes()]);
                    });
                    query.after = page.last().map(|entry| entry.name.clone());
                    if page.len() < query.limit {
                        break;
                    }
                }
            }
        }
        _ => {}
    }
    Ok(labelled("get", &[words.as_bytes()]).chars().take(TAG_DIGITS).collect())
}

fn labelled(label: &str, parts: &[&[u8]]) -> String {
    VertexHash::new(model::hash::hash(label, parts)).to_string()
}

/// What was written stays, and is continued.
fn stopped(error: tree::TreeError, dest: &std::path::Path) -> Failure {
    let failure = Failure::from(error);
    if failure.kind != Kind::Interrupted {
        return failure;
    }
    Failure::new(Kind::Interrupted, format!("stopped; what was written is in {}", dest.display()))
        .hint("run it again to continue")
}

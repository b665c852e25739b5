//! `scope`.

mod share;

pub(crate) use share::identity_of;

use clap::{Args, Subcommand};
use crypt::Rights;
use ouroborosdb::{Member, ScopeEntry};
use serde_json::{Value, json};

use crate::context::{Absent, Context};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::progress::Bar;

/// Who may read and write
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros scope share photos --to bob.public --role writer")]
pub(crate) struct Scope {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes a scope: names, versions and keys of its own
    #[command(before_help = "Example: ouroboros scope create photos")]
    Create {
        /// What it is called; --scope NAME then works in it
        name: String,
    },
    /// Lists the scopes that the identity in use can read
    #[command(before_help = "Example: ouroboros scope list")]
    List {},
    /// Lists who belongs to a scope, and what each may do
    #[command(before_help = "Example: ouroboros scope members photos")]
    Members(Which),
    Share(share::Share),
    Revoke(share::Revoke),
    /// Begins a new epoch: what is first written from now on has new keys
    #[command(before_help = "Example: ouroboros scope rotate photos")]
    Rotate(Which),
    /// Seals everything anew under the newest epoch and removes what was there before
    ///
    /// After `scope revoke`: until this is done, who was removed can still open what lies in this store
    /// from before. Hashes, names and history stay. Interrupted, it goes on where it stopped.
    #[command(before_help = "Example: ouroboros scope reseal photos")]
    Reseal(Which),
}

/// The scope a command is about.
#[derive(Debug, Args)]
struct Which {
    /// Its name or the beginning of its id [default: --scope]
    scope: Option<String>,
}

impl Which {
    fn word<'a>(&'a self, context: &'a Context) -> &'a str {
        self.scope.as_deref().unwrap_or(&context.global.scope)
    }
}

pub(crate) fn run(context: &Context, args: Scope) -> Result<(), Failure> {
    match args.verb {
        Verb::Create { name } => create(context, &name),
        Verb::List {} => list(context),
        Verb::Members(which) => members(context, which.word(context)),
        Verb::Share(args) => share::share(context, &args),
        Verb::Revoke(args) => share::revoke(context, &args),
        Verb::Rotate(which) => rotate(context, which.word(context)),
        Verb::Reseal(which) => reseal(context, which.word(context)),
    }
}

fn create(context: &Context, name: &str) -> Result<(), Failure> {
    // The first use makes a store, and with it the scope `home`.
    drop(context.open_database(Absent::Make)?);
    let id = context.open_records()?.create(name)?;
    context.output.result(|| format!("{id} {name}"), || json!({"id": id.to_string(), "name": name}))
}

fn list(context: &Context) -> Result<(), Failure> {
    let entries = context.open_records()?.list()?;
    let width = entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
    entries.iter().try_for_each(|entry| print_scope(context, entry, width))
}

fn print_scope(context: &Context, entry: &ScopeEntry, width: usize) -> Result<(), Failure> {
    let ScopeEntry { id, name, rights, member_count, epoch_count } = entry;
    let words = words_of(*rights);
    context.output.result(
        || {
            let short: String = id.to_string().chars().take(16).collect();
            let rights = if words.is_empty() { "removed".to_owned() } else { words.join(",") };
            format!(
                "{name:width$}  {short}  {rights}, {member_count} members, {epoch_count} epochs"
            )
        },
        || {
            json!({
                "id": id.to_string(),
                "name": name,
                "rights": words,
                "members": member_count,
                "epochs": epoch_count,
            })
        },
    )
}

fn members(context: &Context, scope: &str) -> Result<(), Failure> {
    let members = context.open_records()?.members(scope)?;
    members
        .iter()
        .try_for_each(|member| context.output.result(|| line_of(member), || object_of(member)))
}

fn rotate(context: &Context, scope: &str) -> Result<(), Failure> {
    let epoch = context.open_records()?.rotate(scope)?;
    context.output.result(|| epoch.to_string(), || json!({"epoch": epoch.to_string()}))
}

fn reseal(context: &Context, scope: &str) -> Result<(), Failure> {
    let database = context.open_scope(scope, Absent::Refuse)?;
    let bar = Bar::bytes(context, "sealing anew");
    let done = database.reseal(&bar);
    bar.clear();
    let done = done?;
    // What was done counts once the store is closed; a failure there is told.
    database.close()?;
    context.output.result(
        || {
            format!(
                "{} blocks sealed anew, {} objects, {} bytes written; {} blocks left",
                done.blocks, done.objects, done.bytes_written, done.blocks_left
            )
        },
        || {
            json!({
                "blocks": done.blocks,
                "objects": done.objects,
                "bytes_written": done.bytes_written,
                "blocks_left": done.blocks_left,
                "is_complete": done.is_complete,
            })
        },
    )?;
    if !done.is_complete {
        return Err(Failure::new(Kind::Interrupted, "stopped; run it again to go on"));
    }
    if done.blocks_left > 0 {
        return Err(Failure::new(
            Kind::Partial,
            format!("{} blocks are damaged and stay as they were", done.blocks_left),
        )
        .hint("ouroboros check --deep names them"));
    }
    Ok(())
}

/// One member for people.
fn line_of(member: &Member) -> String {
    let name = member.name.as_deref().unwrap_or("-");
    format!("{}  {}  {name}", member.fingerprint, words_of(member.rights).join(","))
}

/// One member for programs.
fn object_of(member: &Member) -> Value {
    json!({
        "user": member.user.to_string(),
        "fingerprint": member.fingerprint,
        "name": member.name,
        "rights": words_of(member.rights),
    })
}

/// The rights in a set, as `--role` calls them.
fn words_of(rights: Rights) -> Vec<&'static str> {
    let all = [
        (Rights::READER, "reader"),
        (Rights::WRITER, "writer"),
        (Rights::DELETER, "deleter"),
        (Rights::ADMIN, "admin"),
    ];
    all.into_iter().filter(|(right, _)| rights.contain(*right)).map(|(_, word)| word).collect()
}

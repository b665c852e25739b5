//! `key show|passwd`.

use clap::{Args, Subcommand};
use ouroborosdb::{KeyFileKind, key_file_kind, rekey};
use serde_json::json;

use crate::context::{Absent, Context};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::passphrase::{self, VARIABLE};

/// Shows the identity of this store, or changes its passphrase
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros key show", subcommand_required = true)]
pub(crate) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows whose key it is, where it lies and how it is protected
    #[command(before_help = "Example: ouroboros key show --json")]
    Show,
    /// Sets, changes or takes away the passphrase of the key file
    ///
    /// The new one is asked for, or read from $OUROBOROS_KEY_NEW_PASSPHRASE or the file that
    /// $OUROBOROS_KEY_NEW_PASSPHRASE_FILE names. An empty one takes the protection away. The store
    /// itself stays as it is.
    #[command(before_help = "Example: ouroboros key passwd")]
    Passwd,
}

/// One line per field, or a new key file.
pub(crate) fn run(context: &Context, args: Key) -> Result<(), Failure> {
    match args.verb {
        Verb::Show => show(context),
        Verb::Passwd => passwd(context),
    }
}

fn show(context: &Context) -> Result<(), Failure> {
    let database = context.open_database(Absent::Refuse)?;
    let summary = database.identity_summary();
    let scopes: Vec<String> = summary.scopes.iter().map(ToString::to_string).collect();
    let protection = protection(summary.kind);
    context.output.result(
        || {
            format!(
                "user         {}\nfingerprint  {}\nkey file     {}\nprotection   {protection}\nscopes       {}",
                summary.user,
                summary.fingerprint,
                summary.key_file,
                scopes.join(" "),
            )
        },
        || {
            json!({
                "user": summary.user.to_string(),
                "fingerprint": summary.fingerprint,
                "path": summary.key_file,
                "protection": protection,
                "scopes": scopes,
            })
        },
    )
}

fn protection(kind: KeyFileKind) -> &'static str {
    match kind {
        KeyFileKind::LocalFile => "none",
        _ => "passphrase",
    }
}

/// The old passphrase is asked for first, so that a wrong one ends it before anything is typed
/// twice.
fn passwd(context: &Context) -> Result<(), Failure> {
    let path = context.key_file()?;
    let old = match key_file_kind(&path)? {
        KeyFileKind::LocalFile => None,
        _ => match passphrase::of_environment(VARIABLE)? {
            Some(given) => Some(given),
            None => Some(passphrase::prompt("Passphrase")?.ok_or_else(|| {
                Failure::new(Kind::PassphraseNeeded, "the key file needs its passphrase")
                    .hint(format!("run at a terminal, or set {VARIABLE}_FILE"))
            })?),
        },
    };
    let new = passphrase::new_one()?;
    rekey(&path, old.as_ref(), new.as_ref())?;
    let protection = if new.is_some() { "a passphrase" } else { "nothing but its permissions" };
    context.output.note(&format!(
        "{} is protected by {protection}; copies you made still have the old protection",
        path.display()
    ));
    Ok(())
}

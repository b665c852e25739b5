//! `key`: the identity of a store, and the way it travels.

mod copy;
mod legacy;
mod recovery;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use crypt::Identity;
use ouroborosdb::{KeyFileKind, key_file_kind, unlock_identity};

use crate::context::Context;
use crate::failure::Failure;
use crate::passphrase;

/// Shows, protects, copies and restores the identity of this store
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros key show", subcommand_required = true)]
pub(crate) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Show(show::Show),
    /// Sets, changes or takes away the passphrase of the key file
    ///
    /// The new one is asked for, or read from $OUROBOROS_KEY_NEW_PASSPHRASE or the file that
    /// $OUROBOROS_KEY_NEW_PASSPHRASE_FILE names. An empty one takes the protection away. The store
    /// itself stays as it is.
    #[command(before_help = "Example: ouroboros key passwd")]
    Passwd,
    Recovery(recovery::Recovery),
    Export(copy::Export),
    Import(copy::Import),
    OpenLegacy(legacy::OpenLegacy),
    VerifyLegacy(legacy::VerifyLegacy),
}

/// Runs one of them.
pub(crate) fn run(context: &Context, args: Key) -> Result<(), Failure> {
    match args.verb {
        Verb::Show(args) => show::show(context, &args),
        Verb::Passwd => show::passwd(context),
        Verb::Recovery(args) => recovery::run(context, &args),
        Verb::Export(args) => copy::export(context, &args),
        Verb::Import(args) => copy::import(context, &args),
        Verb::OpenLegacy(args) => legacy::open(context, &args),
        Verb::VerifyLegacy(args) => legacy::verify(context, &args),
    }
}

/// The key file in use and the identity in it; asks for the passphrase where one is needed.
fn unlock(context: &Context) -> Result<(PathBuf, Identity), Failure> {
    let path = context.key_file()?;
    let passphrase = match key_file_kind(&path)? {
        KeyFileKind::LocalFile => None,
        _ => Some(passphrase::for_opening("the key file")?),
    };
    let identity = unlock_identity(&path, passphrase.as_ref())?;
    Ok((path, identity))
}

/// Where the identity came to lie, and what that means.
fn tell_installed(
    context: &Context,
    path: &Path,
    installed: &ouroborosdb::Installed,
    is_protected: bool,
) -> Result<(), Failure> {
    let short = crypt::ShortId::from(installed.user);
    if let Some(aside) = &installed.aside {
        context.output.note(&format!("the key file that was there is now {aside}"));
    }
    if installed.is_new && !is_protected {
        context.output.note(
            "the key file has no passphrase: who steals this disk is this identity \
             (ouroboros key passwd sets one)",
        );
    }
    context.output.result(
        || format!("{short} {}", path.display()),
        || {
            serde_json::json!({
                "id": short.to_string(),
                "user": installed.user.to_string(),
                "path": path.display().to_string(),
                "is_new": installed.is_new,
                "put_aside": installed.aside,
            })
        },
    )
}

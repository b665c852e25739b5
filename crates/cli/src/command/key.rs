//! `key show|passwd`.

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;

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
pub(crate) fn run(_context: &Context, args: Key) -> Result<(), Failure> {
    match args.verb {
        Verb::Show | Verb::Passwd => {
            Err(Failure::new(Kind::Internal, "the database is not there yet"))
        }
    }
}

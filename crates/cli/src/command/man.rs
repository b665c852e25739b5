//! `man DIR`.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Failure;
use crate::local_file;

/// Writes a manual page for every command
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Folder to write to; made if needed
    dir: PathBuf,
}

/// Writes `ouroboros.1`, `ouroboros-put.1` and so on.
pub(crate) fn run(_context: &Context, args: Man) -> Result<(), Failure> {
    local_file::make_folder(&args.dir)?;
    // The `help` subcommand that clap adds would get pages of its own.
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &args.dir)
        .map_err(|error| Failure::of_path(&args.dir, &error))
}

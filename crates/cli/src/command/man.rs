//! `man DIR`.

use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};

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
    let command = with_example(Cli::command().disable_help_subcommand(true));
    clap_mangen::generate_to(command, &args.dir)
        .map_err(|error| Failure::of_path(&args.dir, &error))
}

/// Pages show what follows the options, not what comes before them: the example moves there.
fn with_example(command: Command) -> Command {
    let example = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    command
        .after_long_help(format!("{example}\n\n{after}").trim_end().to_owned())
        .mut_subcommands(with_example)
}

//! `completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Failure;

/// Prints the completion script of a shell
#[derive(Debug, Args)]
#[command(
    before_help = "Example: ouroboros completions bash > ~/.local/share/bash-completion/completions/ouroboros"
)]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

/// Writes the script to stdout.
pub(crate) fn run(context: &Context, args: Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ouroboros", &mut script);
    context.output.raw(&script)
}

//! The command line: global flags and the list of commands. Each command's own flags are beside
//! the command.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::command;
use crate::output::Manner;

/// Name of the scope a new store has.
pub(crate) const SCOPE_DEFAULT: &str = ouroborosdb::HOME;

/// Stores files and folders: sealed, deduplicated, every version kept.
#[derive(Debug, Parser)]
#[command(
    name = "ouroboros",
    version,
    before_help = "Example: ouroboros put -r ~/Documents documents && ouroboros get -r documents /tmp/copy",
    after_help = "Exit codes: 0 ok; 1 not found; 2 usage; 3 unavailable, try again; 4 corrupt; \
                  5 internal; 6 refused; 7 done in part; 130, 143 interrupted.",
    propagate_version = true,
    subcommand_required = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Data folder [else $OUROBOROS_DATA, $XDG_DATA_HOME/ouroboros, ~/.local/share/ouroboros]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Key file [else $OUROBOROS_IDENTITY, DIR/identity.key]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Scope to work in: its name or the beginning of its id
    #[arg(long, global = true, value_name = "NAME", default_value = SCOPE_DEFAULT)]
    pub(crate) scope: String,
    /// One JSON object per result line; errors too, on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No notes, warnings or progress; errors stay
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// More lines: one per file of a tree
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Yes to every question
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// How long to wait for a store that is open elsewhere
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) wait: u32,
    /// When to use colour; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", alias = "color")]
    pub(crate) colour: Colour,
}

impl Global {
    /// How the run speaks.
    pub(crate) fn manner(&self) -> Manner {
        Manner {
            is_json: self.json,
            is_quiet: self.quiet,
            is_verbose: self.verbose,
            colour: self.colour,
        }
    }
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Put(command::put::Put),
    Get(command::get::Get),
    Ls(command::ls::Ls),
    Show(command::show::Show),
    Children(command::walk::Children),
    Parents(command::walk::Parents),
    Log(command::log::Log),
    Heads(command::heads::Heads),
    Merge(command::merge::Merge),
    Diff(command::diff::Diff),
    Flush(command::flush::Flush),
    Stats(command::stats::Stats),
    Check(command::check::Check),
    Key(command::key::Key),
    Scope(command::scope::Scope),
    Share(command::capsule::Share),
    Open(command::capsule::Open),
    Bench(command::bench::Bench),
    Completions(command::completions::Completions),
    Man(command::man::Man),
}

/// `-m TEXT`, for every command that makes a version.
#[derive(Debug, Args)]
pub(crate) struct Message {
    /// What to say of this version; `log` shows it
    #[arg(short, long, value_name = "TEXT", action = ArgAction::Set)]
    pub(crate) message: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_opens_with_an_example() {
        let mut waiting = vec![Cli::command()];
        while let Some(mut command) = waiting.pop() {
            if command.get_name() == "help" {
                continue;
            }
            let name = command.get_name().to_owned();
            let long = command.render_long_help().to_string();
            let short = command.render_help().to_string();
            assert!(long.starts_with("Example: ouroboros "), "{name}: {long}");
            assert!(short.starts_with("Example: ouroboros "), "{name}: {short}");
            waiting.extend(command.get_subcommands().cloned());
        }
    }
}

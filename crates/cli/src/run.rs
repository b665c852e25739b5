//! From arguments to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use jiff::Timestamp;

use crate::args::{Cli, Colour, Command};
use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;
use crate::output::{Manner, Output};
use crate::signal::Stop;
use crate::{command, harden};

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    harden::process();
    harden::panics();
    let words: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(refuse(&words, &error)),
    };
    let output = Output::new(cli.global.manner());
    let stop = match Stop::watch() {
        Ok(stop) => stop,
        Err(error) => {
            output.fail(&Failure::new(Kind::Unavailable, format!("watching for signals: {error}")));
            return ExitCode::from(output.exit_code());
        }
    };
    let context = Context { global: cli.global, output, stop, now: Timestamp::now() };
    ExitCode::from(run(&context, cli.command))
}

/// Runs one command, tells its failure, and returns the exit code.
fn run(context: &Context, command: Command) -> u8 {
    let done = dispatch(context, command).and_then(|()| context.output.flush());
    if let Err(mut failure) = done {
        // SIGTERM and SIGINT look the same from inside the library.
        if let (Kind::Interrupted, Some(kind)) = (failure.kind, context.stop.kind()) {
            failure.kind = kind;
        }
        context.output.fail(&failure);
    }
    context.output.exit_code()
}

fn dispatch(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Put(args) => command::put::run(context, args),
        Command::Get(args) => command::get::run(context, args),
        Command::Ls(args) => command::ls::run(context, args),
        Command::Show(args) => command::show::run(context, args),
        Command::Children(args) => command::walk::children(context, args),
        Command::Parents(args) => command::walk::parents(context, args),
        Command::Log(args) => command::log::run(context, args),
        Command::Heads(args) => command::heads::run(context, args),
        Command::Merge(args) => command::merge::run(context, args),
        Command::Diff(args) => command::diff::run(context, args),
        Command::Flush(args) => command::flush::run(context, args),
        Command::Stats(args) => command::stats::run(context, args),
        Command::Check(args) => command::check::run(context, args),
        Command::Key(args) => command::key::run(context, args),
        Command::Scope(args) => command::scope::run(context, args),
        Command::Share(args) => command::capsule::share(context, args),
        Command::Open(args) => command::capsule::open(context, args),
        Command::Bench(args) => command::bench::run(context, args),
        Command::Completions(args) => command::completions::run(context, args),
        Command::Man(args) => command::man::run(context, args),
    }
}

/// Help and version go to stdout with code 0; anything else is a usage error.
fn refuse(words: &[OsString], error: &clap::Error) -> u8 {
    let manner = Manner { is_json: words.iter().any(|word| word == "--json"), ..colour_of(words) };
    let output = Output::new(manner);
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // clap looks at the terminal and NO_COLOR itself; a closed pipe is no failure.
        error.print().ok();
        return 0;
    }
    output.fail(&usage_failure(error));
    output.exit_code()
}

fn colour_of(words: &[OsString]) -> Manner {
    let is_flag = |word: &OsString| word == "--colour" || word == "--color";
    let is_never =
        |pair: &[OsString]| matches!(pair, [flag, value] if is_flag(flag) && value == "never");
    let never = words.windows(2).any(is_never)
        || words.iter().any(|word| word == "--colour=never" || word == "--color=never");
    Manner { colour: if never { Colour::Never } else { Colour::Auto }, ..Manner::default() }
}

/// clap's first paragraph on one line, and how to read more.
fn usage_failure(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let first: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    let joined = first.join(" ");
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "which command?"
        }
        _ => joined.strip_prefix("error: ").unwrap_or(&joined),
    };
    Failure::usage(message).hint("ouroboros --help, ouroboros COMMAND --help")
}

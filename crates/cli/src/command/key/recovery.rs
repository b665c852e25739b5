use std::io::{BufRead, IsTerminal};
use std::path::Path;

use clap::Args;
use crypt::Root;
use ouroborosdb::{Occupied, install_identity};
use serde_json::json;
use zeroize::Zeroizing;

use super::{tell_installed, unlock};
use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;
use crate::{local_file, passphrase};

/// No text of 24 words is longer.
const TEXT_LEN_MAX: usize = 1024;
const WORDS_IN_A_LINE: usize = 6;

/// Prints the 24 words that restore this identity, or restores it from them
///
/// Whoever reads the words is this identity: write them on paper, store them apart from the
/// machine, photograph them never. Printing asks first; without a terminal, and with --json, it
/// needs --yes. Restoring reads the words from stdin, or asks for them, never from the command
/// line, and writes the key file anew. Its passphrase is asked for, or taken from
/// $OUROBOROS_KEY_NEW_PASSPHRASE(_FILE).
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros key recovery --restore < words.txt")]
pub(super) struct Recovery {
    /// Makes the key file from the 24 words
    #[arg(long)]
    restore: bool,
    /// Puts a key file that is there aside, under a name in .old
    #[arg(long, requires = "restore")]
    force: bool,
}

pub(super) fn run(context: &Context, args: &Recovery) -> Result<(), Failure> {
    if args.restore { restore(context, args.force) } else { print(context) }
}

fn print(context: &Context) -> Result<(), Failure> {
    let (_, identity) = unlock(context)?;
    confirm(context)?;
    let text = identity.root().to_words();
    let words: Vec<&str> = text.split(' ').collect();
    context.output.result(
        || {
            let lines: Vec<String> = words.chunks(WORDS_IN_A_LINE).map(|l| l.join(" ")).collect();
            lines.join("\n")
        },
        || json!({"words": words}),
    )
}

/// Logs of programs keep what they are given: without a person at the terminal, only a flag will do.
fn confirm(context: &Context) -> Result<(), Failure> {
    if context.global.yes {
        return Ok(());
    }
    let has_person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if context.output.is_json() || !has_person {
        let message = "the words are the key itself; they were not printed";
        return Err(Failure::new(Kind::Refused, message)
            .hint("--yes prints them where no one can be asked"));
    }
    context.output.warn("whoever sees the next lines has this identity; is no one watching? (yes)");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::of_path(Path::new("-"), &error))?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(Failure::new(Kind::Refused, "not printed"))
}

fn restore(context: &Context, force: bool) -> Result<(), Failure> {
    let root = Root::from_words(&words()?).map_err(ouroborosdb::Error::from)?;
    let passphrase = passphrase::for_new_file()?;
    let path = context.key_file()?;
    let occupied = if force { Occupied::PutAside } else { Occupied::Refuse };
    let installed = install_identity(&path, root, passphrase.as_ref(), occupied)?;
    tell_installed(context, &path, &installed, passphrase.is_some())
}

fn words() -> Result<Zeroizing<String>, Failure> {
    if std::io::stdin().is_terminal() {
        let typed = rpassword::prompt_password("The 24 words (not shown): ")
            .map_err(|error| Failure::new(Kind::Unavailable, format!("reading words: {error}")))?;
        return Ok(Zeroizing::new(typed));
    }
    let bytes = local_file::read_bytes(Path::new("-"), TEXT_LEN_MAX)?;
    let text = core::str::from_utf8(&bytes)
        .map_err(|_not_text| Failure::new(Kind::Malformed, "the words are not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

//! Where passphrases come from: the environment, a file it names, or a prompt on a terminal. Never
//! a flag, which other users of the machine could read.

use std::io::IsTerminal;
use std::path::PathBuf;

use ouroborosdb::Passphrase;
use zeroize::Zeroizing;

use crate::exit::Kind;
use crate::failure::Failure;
use crate::local_file;

/// The environment variable of the passphrase of the key in use.
pub(crate) const VARIABLE: &str = "OUROBOROS_KEY_PASSPHRASE";
/// The environment variable of a new passphrase.
pub(crate) const VARIABLE_NEW: &str = "OUROBOROS_KEY_NEW_PASSPHRASE";

/// What the environment says: `variable`, or the file that `variable_FILE` names, without its
/// last line break.
pub(crate) fn of_environment(variable: &str) -> Result<Option<Passphrase>, Failure> {
    let file_variable = format!("{variable}_FILE");
    match (std::env::var_os(variable), std::env::var_os(&file_variable)) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("{variable} and {file_variable} are both set"))
                .hint(format!("unset {variable}")))
        }
        (Some(text), None) => match text.into_string() {
            Ok(text) => Ok(Some(text.into())),
            Err(_) => Err(Failure::usage(format!("{variable} is not UTF-8"))),
        },
        (None, Some(path)) => {
            let text = Zeroizing::new(local_file::read_text(&PathBuf::from(path))?);
            let line = text.strip_suffix('\n').unwrap_or(&text);
            Ok(Some(line.strip_suffix('\r').unwrap_or(line).into()))
        }
    }
}

/// Asks at the terminal; `None` where there is none.
pub(crate) fn prompt(question: &str) -> Result<Option<Passphrase>, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    match rpassword::prompt_password(format!("{question}: ")) {
        Ok(text) => Ok(Some(text.into())),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
            Err(Failure::new(Kind::Interrupted, "stopped; nothing was done"))
        }
        Err(error) => {
            Err(Failure::new(Kind::Unavailable, format!("reading the passphrase: {error}")))
        }
    }
}

/// Opens `what`, which needs its passphrase: the environment's, or asked for.
pub(crate) fn for_opening(what: &str) -> Result<Passphrase, Failure> {
    if let Some(given) = of_environment(VARIABLE)? {
        return Ok(given);
    }
    prompt(&format!("Passphrase of {what}"))?.ok_or_else(|| {
        Failure::new(Kind::PassphraseNeeded, format!("{what} needs its passphrase"))
            .hint(format!("run at a terminal, or set {VARIABLE}_FILE"))
    })
}

/// For a key file that is made anew: the environment's new one, else its passphrase, else asked for
/// at a terminal; none where there is neither.
pub(crate) fn for_new_file() -> Result<Option<Passphrase>, Failure> {
    let given = match of_environment(VARIABLE_NEW)? {
        Some(given) => Some(given),
        None => of_environment(VARIABLE)?,
    };
    match given {
        Some(given) => Ok(non_empty(given)),
        None if std::io::stdin().is_terminal() => new_one(),
        None => Ok(None),
    }
}

/// A new passphrase: the environment's, or asked for twice. Empty means none.
pub(crate) fn new_one() -> Result<Option<Passphrase>, Failure> {
    if let Some(given) = of_environment(VARIABLE_NEW)? {
        return Ok(non_empty(given));
    }
    let needed = || {
        Failure::new(Kind::PassphraseNeeded, "no new passphrase was given; the key is as it was")
            .hint(format!("run at a terminal, or set {VARIABLE_NEW}_FILE"))
    };
    let first = prompt("New passphrase (empty = none)")?.ok_or_else(needed)?;
    let second = prompt("Again")?.ok_or_else(needed)?;
    if first != second {
        return Err(Failure::new(Kind::Refused, "the two differ; the key is as it was"));
    }
    Ok(non_empty(first))
}

fn non_empty(passphrase: Passphrase) -> Option<Passphrase> {
    if passphrase == Passphrase::from("") { None } else { Some(passphrase) }
}

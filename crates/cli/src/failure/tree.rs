//! What storing and restoring files says, in the words of a person at a terminal.

use std::path::Path;

use tree::{Problem, TreeError};

use super::{Failure, of_io, plain};
use crate::exit::Kind;

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::Session(error) => error.into(),
            TreeError::Interrupted => ouroborosdb::Error::Interrupted.into(),
            TreeError::Source { path, source } => Self::of_path(&path, &source),
            TreeError::Destination { path, source } => of_destination(&path, &source),
            TreeError::Item { path, problem } => of_item(&path, problem),
            TreeError::Pattern { pattern, problem } => {
                Self::usage(format!("malformed pattern {pattern}: {problem}"))
            }
            TreeError::NotATree { hash } => {
                Self::usage(format!("{hash} is not a stored folder")).about(hash)
            }
            TreeError::List { hash, source } => Self::new(
                Kind::Corrupt,
                format!("the list of paths in {hash} is damaged: {source}"),
            )
            .hint("ouroboros get -r NAME --at an earlier version")
            .about(hash),
            other => Self::new(Kind::Internal, other.to_string()),
        }
    }
}

fn of_destination(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::of_path(path, error);
    match failure.kind {
        Kind::SourceMissing => {
            Failure { kind: Kind::Unavailable, ..failure }.hint("make the folder it goes to first")
        }
        Kind::DiskFull => failure.hint("make room and run it again: it continues"),
        _ => failure,
    }
}

/// The one item that was asked for.
fn of_item(path: &Path, problem: Problem) -> Failure {
    let shown = path.display();
    match problem {
        Problem::Stored(error) => error.into(),
        Problem::Unreadable(error) => Failure::of_path(path, &error),
        Problem::Unwritable(error) => of_destination(path, &error),
        Problem::Exists => Failure::new(Kind::Exists, format!("{shown} exists; it is as it was"))
            .hint("--force replaces it")
            .about(shown),
        Problem::UnsafePath => {
            Failure::new(Kind::Refused, format!("{shown}: {problem}")).about(shown)
        }
        Problem::NotAFile | Problem::NotNameable | Problem::WrongKind => {
            Failure::usage(format!("{shown}: {problem}")).about(shown)
        }
        problem => Failure::new(Kind::Partial, format!("{shown}: {problem}")).about(shown),
    }
}

/// One path of many: the others were done.
pub(crate) fn of_part(failure: &tree::Failure) -> Failure {
    let shown = if failure.path.as_os_str().is_empty() { Path::new(".") } else { &failure.path };
    let kind = match &failure.problem {
        // What the store cannot give decides the exit code more than that the rest was done.
        Problem::Stored(error) => kind_of_stored(error),
        Problem::Unwritable(error) if of_io(error) == Kind::DiskFull => Kind::DiskFull,
        _ => Kind::Partial,
    };
    let words = match &failure.problem {
        Problem::Unreadable(error) => format!("cannot be read: {}", plain(error)),
        Problem::Unwritable(error) => format!("cannot be written: {}", plain(error)),
        problem => problem.to_string(),
    };
    Failure::new(kind, format!("{}: {words}; the rest was done", shown.display()))
        .about(shown.display())
}

fn kind_of_stored(error: &ouroborosdb::Error) -> Kind {
    match super::database::of_error(error).kind {
        Kind::NameUnknown | Kind::HashUnknown => Kind::Corrupt,
        kind => kind,
    }
}

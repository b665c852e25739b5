use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a command ends with an exit code that is not 0.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The arguments do not fit the command's usage line.
    #[error("wrong usage")]
    Usage,
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The database said no where it must not.
    #[error("{doing}: {source}")]
    Database { doing: &'static str, source: ouroborosdb::Error },
    /// A program that the command needs failed.
    #[error("{program} failed: {detail}")]
    Program { program: String, detail: String },
    /// The command ran and its verdict is no; the findings were printed.
    #[error("{count} x {finding}")]
    Found { count: usize, finding: &'static str },
}

impl Failure {
    /// For `map_err` on an operation on `path`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// For `map_err` on a call of the database.
    pub(crate) fn database(doing: &'static str) -> impl FnOnce(ouroborosdb::Error) -> Self {
        move |source| Self::Database { doing, source }
    }

    /// `Ok` when nothing was found.
    pub(crate) fn unless_none(count: usize, finding: &'static str) -> Result<(), Self> {
        if count == 0 { Ok(()) } else { Err(Self::Found { count, finding }) }
    }
}

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use model::{FormatError, VertexHash};
use ouroborosdb::{Error, ErrorClass};
use thiserror::Error as ThisError;

/// Why a whole transfer stopped. After a put nothing of it is visible, what was stored is found
/// again by the next one; after a get the parts that were written stay and are continued.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum TreeError {
    /// The store refused, failed, or the caller asked it to stop.
    #[error(transparent)]
    Session(#[from] Error),
    /// The source itself cannot be read.
    #[error("cannot read {path}")]
    Source {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The destination takes nothing more: full, read-only, not a folder.
    #[error("cannot write {path}")]
    Destination {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The one item asked for could not be stored or restored.
    #[error("{path}: {problem}")]
    Item {
        /// Its path.
        path: PathBuf,
        /// Why not.
        problem: Problem,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A pattern is not a glob.
    #[error("malformed pattern {pattern}: {problem}")]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The version is not the root of a stored folder.
    #[error("{hash} is not a stored folder")]
    NotATree {
        /// The version.
        hash: VertexHash,
    },
    /// The list of a root is damaged, or was not made by this program.
    #[error("the list of paths in {hash}")]
    List {
        /// The root.
        hash: VertexHash,
        /// What is wrong with it.
        #[source]
        source: FormatError,
    },
}

impl TreeError {
    /// Which class of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Session(error) => error.class(),
            Self::Interrupted => ErrorClass::Interrupted,
            Self::Source { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorClass::NotFound
            }
            Self::Source { .. } | Self::Destination { .. } => ErrorClass::Unavailable,
            Self::Item { problem, .. } => problem.class(),
            Self::Pattern { .. } | Self::NotATree { .. } => ErrorClass::Usage,
            Self::List { .. } => ErrorClass::Corrupt,
        }
    }
}

/// Why one path was not stored or not restored; the others were.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Problem {
    /// It, or its list of entries, cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// It was there when the folder was listed, and is not any more.
    #[error("vanished while it was read")]
    Vanished,
    /// Its path makes no name: together they are too long.
    #[error("path too long for a name")]
    NotNameable,
    /// Stored without some extended attributes, which are too large together.
    #[error("stored without its largest extended attributes")]
    AttributesLeftOut,
    /// It is neither a file, a folder nor a symbolic link.
    #[error("not a regular file")]
    NotAFile,
    /// Something else is there already and may not be replaced.
    #[error("exists and differs; not replaced")]
    Exists,
    /// The stored path would lead out of the destination.
    #[error("unsafe path, refused")]
    UnsafePath,
    /// The stored version is of a kind that cannot be there.
    #[error("not a file, folder or symbolic link")]
    WrongKind,
    /// It cannot be written.
    #[error("cannot be written: {0}")]
    Unwritable(#[source] io::Error),
    /// The store cannot give it.
    #[error("{0}")]
    Stored(#[source] Error),
}

impl Problem {
    /// Which class of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Stored(error) => error.class(),
            Self::Unreadable(_) | Self::Vanished | Self::Unwritable(_) => ErrorClass::Unavailable,
            Self::Exists | Self::UnsafePath => ErrorClass::Refused,
            Self::NotNameable | Self::NotAFile => ErrorClass::Usage,
            Self::AttributesLeftOut | Self::WrongKind => ErrorClass::Refused,
        }
    }

    /// What reading failed with: a file that is gone has vanished.
    pub(crate) fn reading(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Vanished
        } else {
            Self::Unreadable(error)
        }
    }
}

/// One path and its problem.
#[derive(Debug)]
pub struct Failure {
    /// Relative to the source or destination; empty for the root.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

impl Failure {
    pub(crate) fn new(path: &[u8], problem: Problem) -> Self {
        Self { path: native(path).to_path_buf(), problem }
    }
}

/// Stored path bytes as a path of this system.
pub(crate) fn native(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

use model::{BlockNumber, ChainId, FormatError};
use thiserror::Error;

use crate::disk::{DiskError, DiskOperation};

/// Why the store could not do what it was asked. What was acknowledged before stays.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk failed, is full or read-only. The write was not acknowledged.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another process has the data folder open.
    #[error("the store is open in another process")]
    Busy,
    /// The folder holds something else, or nothing.
    #[error("no store here")]
    NotAStore,
    /// Written by a newer version of the program; untouched.
    #[error("the store has format {found}, this program knows {known}")]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// Bytes of the store are not what was written.
    #[error("{file} is damaged at byte {offset}: {problem}")]
    Corrupt {
        /// File, relative to the data folder.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        problem: Problem,
    },
    /// A file that must be there is not.
    #[error("{file} is missing")]
    Missing {
        /// File, relative to the data folder.
        file: String,
    },
    /// An earlier write could not be made safe and no new file could take it: nothing more is
    /// accepted until the store is opened again.
    #[error("the store is read-only after a failed write")]
    ReadOnly,
    /// A chain of commits ends before a commit that was seen: an older copy was put back, or commits
    /// were taken away.
    #[error("chain {chain} ends at commit {have}, commit {known} was seen")]
    RolledBack {
        /// The chain.
        chain: ChainId,
        /// The last commit seen before.
        known: u64,
        /// The last one there is; 0 = none.
        have: u64,
    },
    /// A chain of commits has another commit where one was seen.
    #[error("chain {chain} has another commit {seq} than the one that was seen")]
    Forked {
        /// The chain.
        chain: ChainId,
        /// Where.
        seq: u64,
    },
    /// Needs keys that were not given.
    #[error("the keys of this scope are not at hand")]
    NoKeys,
    /// The index could not answer; `check --rebuild` makes a new one.
    #[error("the index is damaged")]
    Index(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with bytes of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Not parseable as what it must be.
    Format(FormatError),
    /// A hash or seal does not fit.
    Seal,
    /// Ends before it should.
    Short,
    /// Belongs to another place.
    Misplaced,
    /// A batch is bad although a later one says it was durable.
    BatchLost {
        /// Bytes that are known to have been acknowledged and cannot be read.
        len: u64,
    },
    /// A signature does not hold, or is by nobody who might write.
    Signature,
    /// A commit that does not follow the one before it.
    OutOfOrder {
        /// Its number.
        seq: u64,
    },
    /// The writer was removed from the scope before this commit.
    Disowned {
        /// Its number.
        seq: u64,
    },
    /// The writer signed two commits with one number.
    Forked {
        /// That number.
        seq: u64,
    },
    /// No commit names this packed block.
    Uncommitted,
    /// A commit names another block, or other versions in it.
    OtherBlock {
        /// Its number.
        seq: u64,
    },
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Format(error) => write!(f, "{error}"),
            Self::Seal => f.write_str("its check does not fit"),
            Self::Short => f.write_str("it ends early"),
            Self::Misplaced => f.write_str("it belongs elsewhere"),
            Self::BatchLost { len } => write!(f, "{len} acknowledged bytes are lost"),
            Self::Signature => f.write_str("its signature does not hold"),
            Self::OutOfOrder { seq } => write!(f, "commit {seq} does not follow the one before"),
            Self::Disowned { seq } => {
                write!(f, "commit {seq} is not counted: its writer was removed before")
            }
            Self::Forked { seq } => write!(f, "its writer signed two commits {seq}"),
            Self::Uncommitted => f.write_str("no commit names it"),
            Self::OtherBlock { seq } => write!(f, "it is not what commit {seq} says"),
        }
    }
}

impl StoreError {
    /// True when trying again later may work: busy, full, read-only, out of handles.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Busy | Self::ReadOnly | Self::Disk(_))
    }

    /// What is wrong, with all causes, without the file it is about.
    pub(crate) fn problem_text(&self) -> String {
        let mut text = match self {
            Self::Corrupt { offset, problem, .. } => format!("damaged at byte {offset}: {problem}"),
            Self::Missing { .. } => "missing".to_owned(),
            error => error.to_string(),
        };
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }

    pub(crate) fn corrupt(file: &str, offset: u64, problem: Problem) -> Self {
        Self::Corrupt { file: file.to_owned(), offset, problem }
    }

    pub(crate) fn format(file: &str, offset: u64, error: FormatError) -> Self {
        Self::corrupt(file, offset, Problem::Format(error))
    }

    /// The operation that failed, when the disk did.
    pub fn operation(&self) -> Option<DiskOperation> {
        match self {
            Self::Disk(error) => Some(error.operation),
            _ => None,
        }
    }
}

/// `blocks/` or `open/` and the number, as files are named.
pub(crate) fn block_file(dir: &str, number: BlockNumber) -> String {
    format!("{dir}/{:010x}.block", number.0)
}

use thiserror::Error;

use crate::disk::DiskError;

/// What the index runs refuse or report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunsError {
    /// A file does not hold what the manifest (or the superblock) says: flipped, truncated,
    /// swapped or older. The index is rebuilt from blocks.
    #[error("damaged index file {file}")]
    Corrupt {
        /// Path relative to the data folder.
        file: String,
    },
    /// A file that is named does not exist. The index is rebuilt from blocks.
    #[error("missing index file {file}")]
    Missing {
        /// Path relative to the data folder.
        file: String,
    },
    /// An intact file of a version this program does not know.
    #[error("index file {file} has format {version}")]
    Version {
        /// Path relative to the data folder.
        file: String,
        /// The version found.
        version: u16,
    },
    /// A key, value, meta blob, run or set of runs past its limit.
    #[error("{noun} of {len} is past the limit {limit}")]
    TooLong {
        /// What is too long.
        noun: &'static str,
        /// Its length.
        len: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// The entries of a checkpoint are not strictly ascending.
    #[error("entries out of order")]
    Unsorted,
    /// A generation that was never published here.
    #[error("unknown index generation {generation}")]
    UnknownGeneration {
        /// What was asked for.
        generation: u64,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

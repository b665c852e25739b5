//! What a caller asks for and what it is told afterwards.

use std::path::PathBuf;

use model::{FileTime, Name, VertexHash};
use ouroborosdb::{Ack, At, Put, Session};

use crate::{Events, Failure, PathFilter};

/// Everything a transfer works with; time and files come in through it.
pub struct Transfer<'a, F> {
    /// Where versions are kept.
    pub session: &'a dyn Session,
    /// Where user files are.
    pub files: &'a F,
    /// Who watches.
    pub events: &'a dyn Events,
    /// The wall clock.
    pub clock: &'a (dyn Fn() -> FileTime + Sync),
    /// Threads that put or restore small items; 0 = one a core.
    pub threads: usize,
}

impl<F> std::fmt::Debug for Transfer<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// How to store.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// Paths to leave out; a matched folder is not entered.
    pub excludes: PathFilter,
    /// Leaves out what lies beside a valid `CACHEDIR.TAG`.
    pub exclude_caches: bool,
    /// Does not enter other filesystems.
    pub one_file_system: bool,
    /// Makes no tombstones for paths that are gone.
    pub keep_missing: bool,
    /// Reads files that look unchanged too.
    pub force: bool,
    /// Does everything but write.
    pub dry_run: bool,
    /// Message of the version (of a tree: of its root).
    pub message: Option<String>,
    /// Replaces the heads as parents (of a tree: of its root) when not empty.
    pub parents: Vec<VertexHash>,
    /// Refuses unless this is the single head.
    pub expect_head: Option<VertexHash>,
    /// How safe before the call returns.
    pub ack: Ack,
}

/// Stores a folder under a name.
#[derive(Debug, Clone)]
pub struct PutTree {
    /// The folder; links in this path are followed.
    pub source: PathBuf,
    /// The name of the root; entries are named `name/path`.
    pub name: Name,
    /// How.
    pub options: PutOptions,
}

/// Stores one regular file; options that are about folders are ignored.
#[derive(Debug, Clone)]
pub struct PutFile {
    /// The file; links in this path are followed.
    pub source: PathBuf,
    /// The name, if any.
    pub name: Option<Name>,
    /// How.
    pub options: PutOptions,
}

/// What a put did.
#[derive(Debug, Default)]
pub struct PutSummary {
    /// The root, or the version of the one file.
    pub hash: Option<VertexHash>,
    /// False when the root already was exactly this.
    pub is_new: bool,
    /// Level that was reached.
    pub level: Ack,
    /// Regular files stored, skipped ones included.
    pub files: u64,
    /// Folders stored, the root included.
    pub folders: u64,
    /// Symbolic links stored.
    pub symlinks: u64,
    /// Files not read because they are unchanged.
    pub skipped: u64,
    /// Sockets, FIFOs and devices, which are not stored.
    pub special_skipped: u64,
    /// Paths left out by a pattern, a cache tag or as another filesystem.
    pub excluded: u64,
    /// Names that were deleted because their paths are gone.
    pub tombstones: u64,
    /// Not stored, or not wholly.
    pub failed: Vec<Failure>,
    /// Stored as read, though they changed while they were read, twice.
    pub changed_while_read: Vec<PathBuf>,
    /// Cleartext read.
    pub bytes_read: u64,
    /// Cleartext the store did not have.
    pub bytes_new: u64,
    /// Bytes the store grew by.
    pub bytes_stored: u64,
}

impl PutSummary {
    /// Adds what was done elsewhere.
    pub(crate) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.folders += other.folders;
        self.symlinks += other.symlinks;
        self.skipped += other.skipped;
        self.special_skipped += other.special_skipped;
        self.excluded += other.excluded;
        self.tombstones += other.tombstones;
        self.failed.extend(other.failed);
        self.changed_while_read.extend(other.changed_while_read);
        self.bytes_read += other.bytes_read;
        self.bytes_new += other.bytes_new;
        self.bytes_stored += other.bytes_stored;
    }

    /// Adds the bytes of one put.
    pub(crate) fn count_bytes(&mut self, put: &Put) {
        self.bytes_read += put.bytes_read;
        self.bytes_new += put.bytes_new;
        self.bytes_stored += put.bytes_stored;
    }

    /// True when everything was stored exactly.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.changed_while_read.is_empty()
    }
}

/// Which stored folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum TreeSource {
    /// The root of a stored folder ([`model::Kind::Tree`]).
    Root(VertexHash),
    /// What the names below `prefix` hold; for a folder inside a tree, or names put one by one.
    Names {
        /// Without the trailing `/`.
        prefix: Name,
        /// As of when.
        at: At,
    },
}

/// Restores a folder.
#[derive(Debug, Clone)]
pub struct GetTree {
    /// Which.
    pub source: TreeSource,
    /// The folder to become it; made when missing, with its parents.
    pub dest: PathBuf,
    /// Only these paths, what lies below them, and their parent folders; everything when empty.
    pub include: PathFilter,
    /// Replaces what is there and differs.
    pub force: bool,
    /// Does everything but write.
    pub dry_run: bool,
}

/// Restores one file or symbolic link.
#[derive(Debug, Clone)]
pub struct GetFile {
    /// The version.
    pub hash: VertexHash,
    /// The path to become it; its folder must exist.
    pub dest: PathBuf,
    /// Replaces what is there.
    pub force: bool,
    /// Does everything but write.
    pub dry_run: bool,
}

/// What a get did.
#[derive(Debug, Default)]
pub struct GetSummary {
    /// Regular files restored, skipped and linked ones included.
    pub files: u64,
    /// Folders, the root included.
    pub folders: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Hard links made to a file of this tree.
    pub links: u64,
    /// Files that were there already, complete.
    pub skipped: u64,
    /// Not restored.
    pub failed: Vec<Failure>,
    /// Bytes written to files, holes not counted.
    pub bytes_written: u64,
    /// Bytes of parts that were verified and kept.
    pub bytes_continued: u64,
}

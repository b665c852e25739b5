//! The seam between the store and a disk. Paths are relative to the data folder, `/`-separated.

use std::io;
use std::sync::Arc;

use thiserror::Error;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Existing file, reads only.
    Read,
    /// New file, reads and writes; an existing one is refused. Mode 0600.
    Create,
    /// Existing file, reads and writes.
    Update,
}

/// Whether writes go through the page cache. A file is opened in one mode at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// Through the page cache.
    Buffered,
    /// Past the page cache where the filesystem can: offsets, lengths and memory addresses of
    /// writes are multiples of [`DIRECT_ALIGN`]. Reads go through a second, buffered handle.
    Direct,
}

/// Alignment of direct writes in bytes.
pub const DIRECT_ALIGN: usize = 4096;

/// A failed operation on the disk: what was tried, on what, and the system's answer.
#[derive(Debug, Error)]
#[error("{operation} {path}")]
pub struct DiskError {
    /// The operation.
    pub operation: DiskOperation,
    /// Relative path of the file or folder.
    pub path: String,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

/// What a [`Disk`] or a [`DiskFile`] was asked to do; also the registry of I/O sites for fault
/// injection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is the operation of that name")]
pub enum DiskOperation {
    Open,
    Read,
    Write,
    Sync,
    Length,
    Truncate,
    Rename,
    Remove,
    List,
    MakeDir,
    SyncDir,
    Lock,
    Space,
    Identity,
}

impl std::fmt::Display for DiskOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Length => "length of",
            Self::Truncate => "truncate",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::List => "list",
            Self::MakeDir => "make folder",
            Self::SyncDir => "sync folder",
            Self::Lock => "lock",
            Self::Space => "free space of",
            Self::Identity => "identity of",
        })
    }
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Last component.
    pub name: String,
    /// Bytes; 0 for folders.
    pub len: u64,
    /// True for folders.
    pub is_dir: bool,
}

/// Free and total bytes of the filesystem, as an unprivileged writer sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that can still be written.
    pub bytes_free: u64,
    /// Size of the filesystem in bytes.
    pub bytes_total: u64,
}

/// What tells an original file from its copy (`security` line 24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// Inode number.
    pub inode: u64,
    /// Birth time in nanoseconds since 1970, 0 where the filesystem keeps none.
    pub birth_ns: i128,
    /// First 16 bytes of a labelled hash of the machine id, 0 where there is none.
    pub machine: [u8; 16],
}

/// Held for as long as the data folder is open; dropping it releases the lock.
pub trait DiskLock: Send + Sync {}

/// One folder on one disk.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(
        &self,
        path: &str,
        access: Access,
        caching: Caching,
    ) -> Result<Arc<dyn DiskFile>, DiskError>;
    /// Renames a file over whatever is at `to`; durable after [`Disk::sync_dir`] of both folders.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Removes a file; durable after [`Disk::sync_dir`].
    fn remove(&self, path: &str) -> Result<(), DiskError>;
    /// Entries of a folder, sorted by name; `""` is the data folder itself.
    fn list(&self, dir: &str) -> Result<Vec<DirEntry>, DiskError>;
    /// Makes a folder (mode 0700) and its parents; an existing one is fine.
    fn make_dir(&self, dir: &str) -> Result<(), DiskError>;
    /// Makes the entries of a folder durable.
    fn sync_dir(&self, dir: &str) -> Result<(), DiskError>;
    /// Takes the exclusive lock on `path`, making the file if needed. `WouldBlock` when another
    /// process or handle holds it.
    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError>;
    /// Space of the filesystem.
    fn space(&self) -> Result<Space, DiskError>;
    /// Identity of an existing file.
    fn identity(&self, path: &str) -> Result<FileIdentity, DiskError>;
}

/// An open file. All methods may be called from many threads.
#[expect(clippy::len_without_is_empty, reason = "a length costs a system call and can fail")]
pub trait DiskFile: Send + Sync {
    /// Reads until `out` is full or the file ends; returns the bytes read.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError>;
    /// Writes all of `bytes`; a gap before `offset` reads as zeros.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// Makes content and length durable (fdatasync). After one error the file must not be synced
    /// again (rule 2 of `reliability`).
    fn sync(&self) -> Result<(), DiskError>;
    /// Length in bytes.
    fn len(&self) -> Result<u64, DiskError>;
    /// Sets the length; new bytes are zero.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;
    /// True when writes really go past the page cache.
    fn is_direct(&self) -> bool;
}

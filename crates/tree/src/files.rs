//! The seam to the user's files. `SystemFiles` is the real one, `FaultyFiles` breaks it on order.
//!
//! Everything below a root is reached relative to an opened folder and never through a symbolic
//! link, so that a link planted while a transfer runs leads nowhere.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use model::{FileTime, Owner};

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A socket, FIFO or device.
    Special,
}

/// What the filesystem knows about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// The filesystem it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Length in bytes.
    pub len: u64,
    /// Bytes on the disk; less than `len` when there are holes.
    pub allocated: u64,
    /// True when it has several names.
    pub is_linked: bool,
    /// Permission bits, 0 to 0o7777.
    pub mode: u16,
    /// Owner and group.
    pub owner: Owner,
    /// Last change of the content.
    pub modified: FileTime,
    /// Last change of content or attributes; set by the system only.
    pub changed: FileTime,
}

/// Something whose attributes can be read and set.
#[derive(Debug)]
pub enum Target<'a, F: Files + ?Sized> {
    /// An open file.
    File(&'a F::File),
    /// An open folder.
    Folder(&'a F::Folder),
    /// A symbolic link in a folder.
    Symlink(&'a F::Folder, &'a [u8]),
}

impl<F: Files + ?Sized> Clone for Target<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Files + ?Sized> Copy for Target<'_, F> {}

/// Extended attributes by name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// User files.
pub trait Files: Send + Sync {
    /// An open folder.
    type Folder: Send + Sync;
    /// An open file.
    type File: Send + Sync;

    /// The absolute path without links.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf>;
    /// Opens a folder; the path is the caller's word, links in it are followed.
    fn open_folder(&self, path: &Path) -> io::Result<Self::Folder>;
    /// Makes a folder and its parents; one that exists is fine.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Opens a folder in a folder.
    fn open_folder_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<Self::Folder>;
    /// Makes a folder of mode 0700.
    fn make_folder_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<()>;
    /// Gives the owner of a folder all rights, so that it can be opened and filled.
    fn unlock_folder_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<()>;
    /// Names in a folder, in no order.
    fn list(&self, folder: &Self::Folder) -> io::Result<Vec<Vec<u8>>>;

    /// What is at a name.
    fn stat_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<FileStat>;
    /// What an open folder is.
    fn stat_folder(&self, folder: &Self::Folder) -> io::Result<FileStat>;
    /// What an open file is.
    fn stat(&self, file: &Self::File) -> io::Result<FileStat>;

    /// Opens for reading, without waiting for a FIFO's writer.
    fn open_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<Self::File>;
    /// Makes a new file for reading and writing; `AlreadyExists` when something is there.
    fn create_at(&self, folder: &Self::Folder, name: &[u8], mode: u16) -> io::Result<Self::File>;
    /// Opens what is there for reading and writing.
    fn reopen_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<Self::File>;
    /// Reads at a place; 0 at the end.
    fn read_at(&self, file: &Self::File, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Writes at a place; what is skipped over becomes a hole.
    fn write_at(&self, file: &Self::File, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Cuts or extends; what is added becomes a hole.
    fn set_len(&self, file: &Self::File, len: u64) -> io::Result<()>;
    /// First byte at or after `offset` that is on the disk; `None` when there is none.
    fn next_data(&self, file: &Self::File, offset: u64) -> io::Result<Option<u64>>;
    /// First byte at or after `offset` that is in a hole, or the end.
    fn next_hole(&self, file: &Self::File, offset: u64) -> io::Result<u64>;

    /// Where a symbolic link points.
    fn symlink_target_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<Vec<u8>>;
    /// Makes a symbolic link.
    fn make_symlink_at(&self, folder: &Self::Folder, name: &[u8], target: &[u8]) -> io::Result<()>;
    /// Makes `to` another name of the file `from`.
    fn make_link_at(
        &self,
        from: (&Self::Folder, &[u8]),
        to: (&Self::Folder, &[u8]),
    ) -> io::Result<()>;
    /// Renames within a folder; without `replace`, `AlreadyExists` when something is there.
    fn rename_at(
        &self,
        folder: &Self::Folder,
        from: &[u8],
        to: &[u8],
        replace: bool,
    ) -> io::Result<()>;
    /// Removes what is not a folder.
    fn remove_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<()>;

    /// Extended attributes that may be read; none where the filesystem has none.
    fn xattrs(&self, target: Target<'_, Self>) -> io::Result<Xattrs>;
    /// Sets one extended attribute.
    fn set_xattr(&self, target: Target<'_, Self>, name: &[u8], value: &[u8]) -> io::Result<()>;
    /// Sets owner and group.
    fn set_owner(&self, target: Target<'_, Self>, owner: Owner) -> io::Result<()>;
    /// Sets the permission bits; symbolic links have none.
    fn set_mode(&self, target: Target<'_, Self>, mode: u16) -> io::Result<()>;
    /// Sets the time of the last change of the content, and of the last access to the same.
    fn set_modified(&self, target: Target<'_, Self>, modified: FileTime) -> io::Result<()>;
}

//! Files that break on order, for tests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::{FileTime, Owner};

use crate::files::{FileStat, Files, Target, Xattrs};
use crate::path::join;

/// What a fault waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileOperation {
    /// Opening a folder in a folder.
    OpenFolder,
    /// Listing a folder.
    List,
    /// Looking at a name.
    StatAt,
    /// Opening a file for reading.
    Open,
    /// Making a file, or opening one for writing.
    Create,
    /// Reading a file.
    Read,
    /// Writing a file.
    Write,
    /// Renaming.
    Rename,
    /// Making a hard link.
    Link,
    /// Setting the owner.
    SetOwner,
}

/// What happens then.
pub enum Effect {
    /// The operation fails.
    Fail(io::ErrorKind),
    /// This runs before the operation, which then goes on.
    Run(Box<dyn FnMut() + Send>),
}

/// One planned fault.
struct Fault {
    operation: FileOperation,
    /// Empty: any path.
    path: Vec<u8>,
    /// Calls that go well before.
    skip: u64,
    /// Calls it is for.
    times: u64,
    effect: Effect,
}

/// Files of `inner`, with faults.
pub struct FaultyFiles<F> {
    inner: F,
    faults: Mutex<Vec<Fault>>,
}

/// A folder or file, and its path below the folder that was opened by its full path.
#[derive(Debug)]
pub struct Traced<T> {
    inner: T,
    path: Vec<u8>,
}

impl<F> std::fmt::Debug for FaultyFiles<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyFiles").finish_non_exhaustive()
    }
}

impl<F: Files> FaultyFiles<F> {
    /// Without faults.
    pub const fn new(inner: F) -> Self {
        Self { inner, faults: Mutex::new(Vec::new()) }
    }

    /// Plans a fault for the given `calls` (the first is 0) of `operation` on `path` (empty: any).
    #[must_use]
    pub fn on(
        self,
        operation: FileOperation,
        path: &str,
        calls: std::ops::Range<u64>,
        effect: Effect,
    ) -> Self {
        let fault = Fault {
            operation,
            path: path.as_bytes().to_vec(),
            skip: calls.start,
            times: calls.end.saturating_sub(calls.start),
            effect,
        };
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
        self
    }

    fn check(&self, operation: FileOperation, path: &[u8]) -> io::Result<()> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in faults.iter_mut() {
            if fault.operation != operation || !(fault.path.is_empty() || fault.path == path) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if fault.times == 0 {
                continue;
            }
            fault.times -= 1;
            match &mut fault.effect {
                Effect::Fail(kind) => return Err((*kind).into()),
                Effect::Run(run) => run(),
            }
        }
        Ok(())
    }
}

fn inner<'a, F: Files>(target: Target<'a, FaultyFiles<F>>) -> Target<'a, F> {
    match target {
        Target::File(file) => Target::File(&file.inner),
        Target::Folder(folder) => Target::Folder(&folder.inner),
        Target::Symlink(folder, name) => Target::Symlink(&folder.inner, name),
    }
}

impl<F: Files> Files for FaultyFiles<F> {
    type Folder = Traced<F::Folder>;
    type File = Traced<F::File>;

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.resolve(path)
    }

    fn open_folder(&self, path: &Path) -> io::Result<Self::Folder> {
        Ok(Traced { inner: self.inner.open_folder(path)?, path: Vec::new() })
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.inner.make_folder(path)
    }

    fn open_folder_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<Self::Folder> {
        let path = join(&folder.path, name);
        self.check(FileOperation::OpenFolder, &path)?;
        Ok(Traced { inner: self.inner.open_folder_at(&folder.inner, name)?, path })
    }

    fn make_folder_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<()> {
        self.inner.make_folder_at(&folder.inner, name)
    }

    fn unlock_folder_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<()> {
        self.inner.unlock_folder_at(&folder.inner, name)
    }

    fn list(&self, folder: &Self::Folder) -> io::Result<Vec<Vec<u8>>> {
        self.check(FileOperation::List, &folder.path)?;
        self.inner.list(&folder.inner)
    }

    fn stat_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<FileStat> {
        self.check(FileOperation::StatAt, &join(&folder.path, name))?;
        self.inner.stat_at(&folder.inner, name)
    }

    fn stat_folder(&self, folder: &Self::Folder) -> io::Result<FileStat> {
        self.inner.stat_folder(&folder.inner)
    }

    fn stat(&self, file: &Self::File) -> io::Result<FileStat> {
        self.inner.stat(&file.inner)
    }

    fn open_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<Self::File> {
        let path = join(&folder.path, name);
        self.check(FileOperation::Open, &path)?;
        Ok(Traced { inner: self.inner.open_at(&folder.inner, name)?, path })
    }

    fn create_at(&self, folder: &Self::Folder, name: &[u8], mode: u16) -> io::Result<Self::File> {
        let path = join(&folder.path, name);
        self.check(FileOperation::Create, &path)?;
        Ok(Traced { inner: self.inner.create_at(&folder.inner, name, mode)?, path })
    }

    fn reopen_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<Self::File> {
        let path = join(&folder.path, name);
        self.check(FileOperation::Create, &path)?;
        Ok(Traced { inner: self.inner.reopen_at(&folder.inner, name)?, path })
    }

    fn read_at(&self, file: &Self::File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.check(FileOperation::Read, &file.path)?;
        self.inner.read_at(&file.inner, offset, into)
    }

    fn write_at(&self, file: &Self::File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.check(FileOperation::Write, &file.path)?;
        self.inner.write_at(&file.inner, offset, bytes)
    }

    fn set_len(&self, file: &Self::File, len: u64) -> io::Result<()> {
        self.inner.set_len(&file.inner, len)
    }

    fn next_data(&self, file: &Self::File, offset: u64) -> io::Result<Option<u64>> {
        self.inner.next_data(&file.inner, offset)
    }

    fn next_hole(&self, file: &Self::File, offset: u64) -> io::Result<u64> {
        self.inner.next_hole(&file.inner, offset)
    }

    fn symlink_target_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<Vec<u8>> {
        self.inner.symlink_target_at(&folder.inner, name)
    }

    fn make_symlink_at(&self, folder: &Self::Folder, name: &[u8], target: &[u8]) -> io::Result<()> {
        self.inner.make_symlink_at(&folder.inner, name, target)
    }

    fn make_link_at(
        &self,
        from: (&Self::Folder, &[u8]),
        to: (&Self::Folder, &[u8]),
    ) -> io::Result<()> {
        self.check(FileOperation::Link, &join(&to.0.path, to.1))?;
        self.inner.make_link_at((&from.0.inner, from.1), (&to.0.inner, to.1))
    }

    fn rename_at(
        &self,
        folder: &Self::Folder,
        from: &[u8],
        to: &[u8],
        replace: bool,
    ) -> io::Result<()> {
        self.check(FileOperation::Rename, &join(&folder.path, to))?;
        self.inner.rename_at(&folder.inner, from, to, replace)
    }

    fn remove_at(&self, folder: &Self::Folder, name: &[u8]) -> io::Result<()> {
        self.inner.remove_at(&folder.inner, name)
    }

    fn xattrs(&self, target: Target<'_, Self>) -> io::Result<Xattrs> {
        self.inner.xattrs(inner(target))
    }

    fn set_xattr(&self, target: Target<'_, Self>, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.inner.set_xattr(inner(target), name, value)
    }

    fn set_owner(&self, target: Target<'_, Self>, owner: Owner) -> io::Result<()> {
        self.check(FileOperation::SetOwner, &[])?;
        self.inner.set_owner(inner(target), owner)
    }

    fn set_mode(&self, target: Target<'_, Self>, mode: u16) -> io::Result<()> {
        self.inner.set_mode(inner(target), mode)
    }

    fn set_modified(&self, target: Target<'_, Self>, modified: FileTime) -> io::Result<()> {
        self.inner.set_modified(inner(target), modified)
    }
}

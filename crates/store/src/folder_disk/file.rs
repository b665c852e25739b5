//! An open file of a [`super::FolderDisk`].

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{fdatasync, fstat, ftruncate};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

use crate::disk::{Caching, DIRECT_ALIGN, DiskError, DiskFile, DiskOperation};
use crate::disk_path::{check_aligned, failed};

/// An open file. Reads use the buffered handle, which the kernel keeps coherent with direct writes.
#[derive(Debug)]
pub(super) struct FolderFile {
    path: Box<str>,
    buffered: OwnedFd,
    direct: Option<OwnedFd>,
    caching: Caching,
}

impl FolderFile {
    /// `direct` is none for buffered files and where the filesystem cannot do it.
    pub(super) fn new(
        path: &str,
        buffered: OwnedFd,
        direct: Option<OwnedFd>,
        caching: Caching,
    ) -> Self {
        Self { path: path.into(), buffered, direct, caching }
    }

    fn read_io(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = position(offset, done)?;
            match retry_on_intr(|| pread(&self.buffered, &mut *rest, at))? {
                0 => break,
                len => done += len,
            }
        }
        Ok(done)
    }

    fn write_io(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (handle, unit) = match (&self.direct, self.caching) {
            (Some(direct), _) => (direct, DIRECT_ALIGN),
            (None, Caching::Buffered | Caching::Direct) => (&self.buffered, 1),
        };
        if self.caching == Caching::Direct {
            check_aligned(offset, bytes)?;
        }
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let at = position(offset, done)?;
            let written = retry_on_intr(|| pwrite(handle, rest, at))?;
            // A short direct write can end inside a page: that page is written again.
            match written / unit * unit {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                len => done += len,
            }
        }
        Ok(())
    }
}

fn position(offset: u64, done: usize) -> io::Result<u64> {
    let at = u64::try_from(done).ok().and_then(|done| offset.checked_add(done));
    at.ok_or_else(|| Errno::OVERFLOW.into())
}

impl DiskFile for FolderFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        self.read_io(offset, out).map_err(|error| failed(DiskOperation::Read, &self.path, error))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.write_io(offset, bytes)
            .map_err(|error| failed(DiskOperation::Write, &self.path, error))
    }

    fn sync(&self) -> Result<(), DiskError> {
        // Not retried on EINTR: after any error the file is not synced again. The page cache and
        // the disk's own cache belong to the file, so one handle stands for both.
        fdatasync(&self.buffered).map_err(|error| failed(DiskOperation::Sync, &self.path, error))
    }

    fn len(&self) -> Result<u64, DiskError> {
        let stat = retry_on_intr(|| fstat(&self.buffered))
            .map_err(|error| failed(DiskOperation::Length, &self.path, error))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        retry_on_intr(|| ftruncate(&self.buffered, len))
            .map_err(|error| failed(DiskOperation::Truncate, &self.path, error))
    }

    fn is_direct(&self) -> bool {
        self.direct.is_some()
    }
}

//! A folder of a real filesystem as a [`Disk`].
//!
//! Every path is walked from the opened data folder, component by component, without following
//! symbolic links, so a link planted in the folder cannot lead a write out of it.

mod file;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, StatxFlags, chmodat, fchmod, flock,
    fstat, fstatvfs, fsync, mkdirat, openat, renameat, statat, statx, unlinkat,
};
use rustix::io::{Errno, read, retry_on_intr};

use crate::disk::{
    Access, Caching, DirEntry, Disk, DiskError, DiskFile, DiskLock, DiskOperation, FileIdentity,
    Space,
};
use crate::disk_path::{check_dir, check_path, failed, split_path};

use self::file::FolderFile;

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIR_MODE: Mode = Mode::RWXU;
const DIR_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// A systemd machine id is 33 bytes with its newline.
const MACHINE_ID_LEN_MAX: usize = 256;

/// A data folder on a real filesystem.
#[derive(Debug)]
pub struct FolderDisk {
    root: OwnedFd,
    machine: [u8; 16],
}

impl FolderDisk {
    /// Opens the data folder, making it (mode 0700) and its parents first when `create` is set.
    ///
    /// A folder that everyone may write to is refused with `PermissionDenied`.
    pub fn open(path: &Path, create: bool) -> Result<Self, DiskError> {
        Self::open_io(path, create)
            .map_err(|source| failed(DiskOperation::Open, &path.to_string_lossy(), source))
    }

    fn open_io(path: &Path, create: bool) -> io::Result<Self> {
        if create {
            make_root(path)?;
        }
        // The data folder itself may be reached through a link: its path is the caller's word.
        let flags = DIR_FLAGS.difference(OFlags::NOFOLLOW);
        let root = retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))?;
        let mode = Mode::from_raw_mode(retry_on_intr(|| fstat(&root))?.st_mode);
        if mode.contains(Mode::WOTH) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "everyone may write to the data folder",
            ));
        }
        Ok(Self { root, machine: machine_id() })
    }

    /// Opens a folder below the data folder for `openat` and its kin.
    fn folder(&self, dir: &str) -> io::Result<Folder<'_>> {
        check_dir(dir)?;
        let mut folder = Folder::Root(self.root.as_fd());
        for part in dir.split('/').filter(|part| !part.is_empty()) {
            let opened = retry_on_intr(|| {
                openat(folder.as_fd(), part, DIR_FLAGS.union(OFlags::PATH), Mode::empty())
            })?;
            folder = Folder::Below(opened);
        }
        Ok(folder)
    }

    /// The folder a path lies in, and its last component.
    fn place<'a>(&self, path: &'a str) -> io::Result<(Folder<'_>, &'a str)> {
        check_path(path)?;
        let (dir, name) = split_path(path);
        Ok((self.folder(dir)?, name))
    }

    fn open_file(&self, path: &str, access: Access, caching: Caching) -> io::Result<FolderFile> {
        let (folder, name) = self.place(path)?;
        let flags = match access {
            Access::Read => OFlags::RDONLY,
            Access::Create => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            Access::Update => OFlags::RDWR,
        };
        let buffered = open_at(&folder, name, flags)?;
        if !FileType::from_raw_mode(retry_on_intr(|| fstat(&buffered))?.st_mode).is_file() {
            return Err(Errno::ISDIR.into());
        }
        if access == Access::Create {
            retry_on_intr(|| fchmod(&buffered, FILE_MODE))?;
        }
        let direct = if caching == Caching::Direct && access != Access::Read {
            match open_at(&folder, name, OFlags::WRONLY | OFlags::DIRECT) {
                Ok(direct) => Some(direct),
                Err(Errno::INVAL) => None,
                Err(error) => return Err(error.into()),
            }
        } else {
            None
        };
        Ok(FolderFile::new(path, buffered, direct, caching))
    }

    fn list_io(&self, dir: &str) -> io::Result<Vec<DirEntry>> {
        let folder = self.folder(dir)?;
        let mut entries = Vec::new();
        let opened = retry_on_intr(|| openat(folder.as_fd(), ".", DIR_FLAGS, Mode::empty()))?;
        for entry in Dir::new(opened)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match retry_on_intr(|| statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)) {
                Ok(stat) => {
                    let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
                    let len = if is_dir { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
                    let name = name.to_string_lossy().into_owned();
                    entries.push(DirEntry { name, len, is_dir });
                }
                // Removed since the folder was read.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn make_dir_io(&self, dir: &str) -> io::Result<()> {
        check_dir(dir)?;
        let mut folder = Folder::Root(self.root.as_fd());
        for part in dir.split('/').filter(|part| !part.is_empty()) {
            make_dir_at(folder.as_fd(), Path::new(part))?;
            let opened = retry_on_intr(|| {
                openat(folder.as_fd(), part, DIR_FLAGS.union(OFlags::PATH), Mode::empty())
            })?;
            folder = Folder::Below(opened);
        }
        Ok(())
    }

    fn sync_dir_io(&self, dir: &str) -> io::Result<()> {
        let folder = self.folder(dir)?;
        let opened = retry_on_intr(|| openat(folder.as_fd(), ".", DIR_FLAGS, Mode::empty()))?;
        Ok(fsync(&opened)?)
    }

    fn lock_io(&self, path: &str) -> io::Result<FolderLock> {
        let (folder, name) = self.place(path)?;
        let file = open_at(&folder, name, OFlags::RDWR | OFlags::CREATE)?;
        retry_on_intr(|| fchmod(&file, FILE_MODE))?;
        retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive))?;
        Ok(FolderLock { _file: file })
    }

    fn identity_io(&self, path: &str) -> io::Result<FileIdentity> {
        let (folder, name) = self.place(path)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let (inode, birth_ns) = match retry_on_intr(|| statx(&folder, name, flags, wanted)) {
            Ok(stat) if stat.stx_mask & StatxFlags::BTIME.bits() != 0 => {
                let birth = stat.stx_btime;
                let seconds_ns = i128::from(birth.tv_sec) * 1_000_000_000;
                (stat.stx_ino, seconds_ns + i128::from(birth.tv_nsec))
            }
            Ok(stat) => (stat.stx_ino, 0),
            Err(Errno::NOSYS) => (retry_on_intr(|| statat(&folder, name, flags))?.st_ino, 0),
            Err(error) => return Err(error.into()),
        };
        Ok(FileIdentity { inode, birth_ns, machine: self.machine })
    }

    fn space_io(&self) -> io::Result<Space> {
        let stat = retry_on_intr(|| fstatvfs(&self.root))?;
        Ok(Space {
            bytes_free: stat.f_bavail.saturating_mul(stat.f_frsize),
            bytes_total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    fn rename_io(&self, from: &str, to: &str) -> io::Result<()> {
        let (from_folder, from_name) = self.place(from)?;
        let (to_folder, to_name) = self.place(to)?;
        Ok(retry_on_intr(|| renameat(&from_folder, from_name, &to_folder, to_name))?)
    }

    fn remove_io(&self, path: &str) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        Ok(retry_on_intr(|| unlinkat(&folder, name, AtFlags::empty()))?)
    }
}

impl Disk for FolderDisk {
    fn open(
        &self,
        path: &str,
        access: Access,
        caching: Caching,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        match self.open_file(path, access, caching) {
            Ok(file) => Ok(Arc::new(file)),
            Err(error) => Err(failed(DiskOperation::Open, path, error)),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.rename_io(from, to).map_err(|error| failed(DiskOperation::Rename, from, error))
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.remove_io(path).map_err(|error| failed(DiskOperation::Remove, path, error))
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>, DiskError> {
        self.list_io(dir).map_err(|error| failed(DiskOperation::List, dir, error))
    }

    fn make_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.make_dir_io(dir).map_err(|error| failed(DiskOperation::MakeDir, dir, error))
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.sync_dir_io(dir).map_err(|error| failed(DiskOperation::SyncDir, dir, error))
    }

    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        match self.lock_io(path) {
            Ok(lock) => Ok(Box::new(lock)),
            Err(error) => Err(failed(DiskOperation::Lock, path, error)),
        }
    }

    fn space(&self) -> Result<Space, DiskError> {
        self.space_io().map_err(|error| failed(DiskOperation::Space, "", error))
    }

    fn identity(&self, path: &str) -> Result<FileIdentity, DiskError> {
        self.identity_io(path).map_err(|error| failed(DiskOperation::Identity, path, error))
    }
}

/// The lock lives as long as this open file.
#[derive(Debug)]
struct FolderLock {
    _file: OwnedFd,
}

impl DiskLock for FolderLock {}

/// The data folder or one below it.
enum Folder<'a> {
    Root(BorrowedFd<'a>),
    Below(OwnedFd),
}

impl AsFd for Folder<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Root(fd) => *fd,
            Self::Below(fd) => fd.as_fd(),
        }
    }
}

fn open_at(folder: &Folder<'_>, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    // Without NONBLOCK a planted fifo would hold the open for ever; regular files ignore it.
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    retry_on_intr(|| openat(folder, name, flags, FILE_MODE))
}

/// Makes one folder with mode 0700 whatever the umask; an existing one keeps its mode.
fn make_dir_at(parent: BorrowedFd<'_>, name: &Path) -> rustix::io::Result<()> {
    match retry_on_intr(|| mkdirat(parent, name, DIR_MODE)) {
        Ok(()) => retry_on_intr(|| chmodat(parent, name, DIR_MODE, AtFlags::empty())),
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the data folder and its missing parents, each durable in its parent.
fn make_root(path: &Path) -> io::Result<()> {
    if retry_on_intr(|| statat(CWD, path, AtFlags::empty())).is_ok() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(Errno::NOENT.into()),
    };
    make_root(parent)?;
    make_dir_at(CWD, path)?;
    let flags = DIR_FLAGS.difference(OFlags::NOFOLLOW);
    let parent = retry_on_intr(|| openat(CWD, parent, flags, Mode::empty()))?;
    Ok(fsync(&parent)?)
}

/// First half of a labelled hash of the machine id, zeros where there is none.
fn machine_id() -> [u8; 16] {
    let mut id = [0; MACHINE_ID_LEN_MAX];
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let len = retry_on_intr(|| openat(CWD, "/etc/machine-id", flags, Mode::empty()))
        .and_then(|file| retry_on_intr(|| read(&file, &mut id[..])))
        .unwrap_or(0);
    match id.get(..len) {
        None | Some([]) => [0; 16],
        Some(id) => {
            let hash = model::hash::hash("machine", &[id]);
            hash.first_chunk().copied().unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests;

//! The files of this system.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use model::meta::{XATTR_NAME_LEN_MAX, XATTR_VALUE_LEN_MAX};
use model::{FileTime, Owner};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, SeekFrom, Stat, Timespec,
    Timestamps, UTIME_OMIT, Uid, XattrFlags, chmod, chownat, fchmod, fchown, fgetxattr, flistxattr,
    fsetxattr, fstat, ftruncate, futimens, linkat, mkdirat, openat, readlinkat, renameat,
    renameat_with, seek, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

use crate::files::{FileKind, FileStat, Files, Target, Xattrs};

const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const FILE_FLAGS: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);
/// Unit of `st_blocks` (stat(2)).
const STAT_BLOCK_LEN: u64 = 512;
/// Names of all attributes of one file: Linux keeps to 64 KiB.
const XATTR_LIST_LEN_MAX: usize = 64 * 1024;

/// The files of this system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    type Folder = OwnedFd;
    type File = OwnedFd;

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn open_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        Ok(retry_on_intr(|| openat(CWD, path, FOLDER_FLAGS, Mode::empty()))?)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        for above in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            if above.as_os_str().is_empty() {
                continue;
            }
            match retry_on_intr(|| mkdirat(CWD, above, Mode::from_bits_truncate(0o777))) {
                Ok(()) | Err(Errno::EXIST) => {}
                // Below a read-only mount what exists is reported as read-only.
                Err(_) if above.is_dir() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn open_folder_at(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
        let flags = FOLDER_FLAGS.union(OFlags::NOFOLLOW);
        Ok(retry_on_intr(|| openat(folder, name, flags, Mode::empty()))?)
    }

    fn make_folder_at(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
        Ok(retry_on_intr(|| mkdirat(folder, name, Mode::RWXU))?)
    }

    fn unlock_folder_at(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = retry_on_intr(|| openat(folder, name, flags, Mode::empty()))?;
        let mode = Mode::from_raw_mode(fstat(&opened)?.st_mode);
        // A path descriptor takes no fchmod, its entry in /proc does, and names no other folder.
        let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
        Ok(retry_on_intr(|| chmod(&path, mode | Mode::RWXU))?)
    }

    fn list(&self, folder: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
        // An own descriptor: the position in a folder belongs to the open file.
        let opened = retry_on_intr(|| openat(folder, ".", FOLDER_FLAGS, Mode::empty()))?;
        let mut names = Vec::new();
        for entry in Dir::new(opened)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.to_vec());
            }
        }
        Ok(names)
    }

    fn stat_at(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<FileStat> {
        Ok(file_stat(&retry_on_intr(|| statat(folder, name, AtFlags::SYMLINK_NOFOLLOW))?))
    }

    fn stat_folder(&self, folder: &OwnedFd) -> io::Result<FileStat> {
        self.stat(folder)
    }

    fn stat(&self, file: &OwnedFd) -> io::Result<FileStat> {
        Ok(file_stat(&retry_on_intr(|| fstat(file))?))
    }

    fn open_at(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | FILE_FLAGS;
        Ok(retry_on_intr(|| openat(folder, name, flags, Mode::empty()))?)
    }

    fn create_at(&self, folder: &OwnedFd, name: &[u8], mode: u16) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | FILE_FLAGS;
        let mode = Mode::from_bits_truncate(mode.into());
        Ok(retry_on_intr(|| openat(folder, name, flags, mode))?)
    }

    fn reopen_at(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | FILE_FLAGS;
        Ok(retry_on_intr(|| openat(folder, name, flags, Mode::empty()))?)
    }

    fn read_at(&self, file: &OwnedFd, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| pread(file, &mut *into, offset))?)
    }

    fn write_at(&self, file: &OwnedFd, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| pwrite(file, bytes, offset))?)
    }

    fn set_len(&self, file: &OwnedFd, len: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| ftruncate(file, len))?)
    }

    fn next_data(&self, file: &OwnedFd, offset: u64) -> io::Result<Option<u64>> {
        match seek(file, SeekFrom::Data(offset)) {
            Ok(at) => Ok(Some(at)),
            Err(Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn next_hole(&self, file: &OwnedFd, offset: u64) -> io::Result<u64> {
        Ok(seek(file, SeekFrom::Hole(offset))?)
    }

    fn symlink_target_at(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(retry_on_intr(|| readlinkat(folder, name, Vec::new()))?.into_bytes())
    }

    fn make_symlink_at(&self, folder: &OwnedFd, name: &[u8], target: &[u8]) -> io::Result<()> {
        Ok(retry_on_intr(|| symlinkat(target, folder, name))?)
    }

    fn make_link_at(&self, from: (&OwnedFd, &[u8]), to: (&OwnedFd, &[u8])) -> io::Result<()> {
        Ok(retry_on_intr(|| linkat(from.0, from.1, to.0, to.1, AtFlags::empty()))?)
    }

    fn rename_at(&self, folder: &OwnedFd, from: &[u8], to: &[u8], replace: bool) -> io::Result<()> {
        if replace {
            return Ok(retry_on_intr(|| renameat(folder, from, folder, to))?);
        }
        let flags = RenameFlags::NOREPLACE;
        match retry_on_intr(|| renameat_with(folder, from, folder, to, flags)) {
            // The filesystem cannot do both at once.
            Err(Errno::INVAL | Errno::NOSYS) => match self.stat_at(folder, to) {
                Ok(_) => Err(Errno::EXIST.into()),
                Err(_) => Ok(retry_on_intr(|| renameat(folder, from, folder, to))?),
            },
            result => Ok(result?),
        }
    }

    fn remove_at(&self, folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
        Ok(retry_on_intr(|| unlinkat(folder, name, AtFlags::empty()))?)
    }

    fn xattrs(&self, target: Target<'_, Self>) -> io::Result<Xattrs> {
        let (Target::File(fd) | Target::Folder(fd)) = target else {
            // Linux lets users set none on links.
            return Ok(Xattrs::new());
        };
        let mut list = [0; 4096];
        match retry_on_intr(|| flistxattr(fd, &mut list[..])) {
            Ok(0) | Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => Ok(Xattrs::new()),
            Ok(len) => values(fd, list.get(..len).unwrap_or_default()),
            Err(Errno::RANGE) => {
                let mut list = vec![0; XATTR_LIST_LEN_MAX];
                let len = retry_on_intr(|| flistxattr(fd, &mut list[..]))?;
                values(fd, list.get(..len).unwrap_or_default())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn set_xattr(&self, target: Target<'_, Self>, name: &[u8], value: &[u8]) -> io::Result<()> {
        let (Target::File(fd) | Target::Folder(fd)) = target else { return Ok(()) };
        Ok(retry_on_intr(|| fsetxattr(fd, name, value, XattrFlags::empty()))?)
    }

    fn set_owner(&self, target: Target<'_, Self>, owner: Owner) -> io::Result<()> {
        let (uid, gid) = (Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)));
        Ok(retry_on_intr(|| match target {
            Target::File(fd) | Target::Folder(fd) => fchown(fd, uid, gid),
            Target::Symlink(folder, name) => {
                chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            }
        })?)
    }

    fn set_mode(&self, target: Target<'_, Self>, mode: u16) -> io::Result<()> {
        let (Target::File(fd) | Target::Folder(fd)) = target else { return Ok(()) };
        Ok(retry_on_intr(|| fchmod(fd, Mode::from_bits_truncate(mode.into())))?)
    }

    fn set_modified(&self, target: Target<'_, Self>, modified: FileTime) -> io::Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: modified.seconds,
                tv_nsec: modified.nanos.into(),
            },
        };
        Ok(retry_on_intr(|| match target {
            Target::File(fd) | Target::Folder(fd) => futimens(fd, &times),
            Target::Symlink(folder, name) => {
                utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        })?)
    }
}

fn file_stat(stat: &Stat) -> FileStat {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Folder,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Special,
    };
    let time = |seconds, nanos| FileTime { seconds, nanos: u32::try_from(nanos).unwrap_or(0) };
    FileStat {
        kind,
        device: stat.st_dev,
        inode: stat.st_ino,
        len: u64::try_from(stat.st_size).unwrap_or(0),
        allocated: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(STAT_BLOCK_LEN),
        is_linked: stat.st_nlink > 1,
        mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or(0),
        owner: Owner { uid: stat.st_uid, gid: stat.st_gid },
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// Reads the attributes of a NUL-separated list of names; those that may not be read, or that the
/// kernel keeps for its own modules (`security.*` but capabilities), are left out.
fn values(fd: &OwnedFd, list: &[u8]) -> io::Result<Xattrs> {
    let mut found = Xattrs::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let is_kept = name == b"security.capability" || !name.starts_with(b"security.");
        if !is_kept || name.len() > XATTR_NAME_LEN_MAX {
            continue;
        }
        let mut value = vec![0; 256];
        let mut read = retry_on_intr(|| fgetxattr(fd, name, &mut value[..]));
        if read == Err(Errno::RANGE) {
            value.resize(XATTR_VALUE_LEN_MAX, 0);
            read = retry_on_intr(|| fgetxattr(fd, name, &mut value[..]));
        }
        match read {
            Ok(len) => {
                value.truncate(len);
                found.insert(name.to_vec(), value);
            }
            Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

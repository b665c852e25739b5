use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::aligned::AlignedBuf;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn kind(error: &DiskError) -> io::ErrorKind {
    error.source.kind()
}

const UMASK_CHILD: &str = "OUROBOROS_UMASK_TEST_FOLDER";

/// The umask belongs to the process, so this test runs itself again below a shell that sets it.
#[test]
fn modes_do_not_depend_on_the_umask() {
    if let Some(root) = std::env::var_os(UMASK_CHILD) {
        return check_modes(Path::new(&root));
    }
    for umask in ["000", "777"] {
        let temp = tempfile::tempdir().unwrap();
        let output = std::process::Command::new("sh")
            .args(["-c", "umask $0; exec \"$1\" modes_do_not_depend_on_the_umask", umask])
            .arg(std::env::current_exe().unwrap())
            .env(UMASK_CHILD, temp.path().join("a/data"))
            .output()
            .unwrap();
        assert!(output.status.success(), "umask {umask}: {output:?}");
        assert!(temp.path().join("a/data/x/y").is_dir(), "the child ran nothing");
    }
}

fn check_modes(root: &Path) {
    let disk = FolderDisk::open(root, true).unwrap();
    disk.make_dir("x/y").unwrap();
    disk.open("x/f", Access::Create, Caching::Direct).unwrap();
    disk.lock("lock").unwrap();
    for dir in ["", "x", "x/y"] {
        assert_eq!(mode(&root.join(dir)), 0o700, "{dir}");
    }
    for file in ["x/f", "lock"] {
        assert_eq!(mode(&root.join(file)), 0o600, "{file}");
    }
}

#[test]
fn refuses_a_folder_everyone_may_write_to() {
    let temp = tempfile::tempdir().unwrap();
    let permissions = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(temp.path(), permissions(0o702)).unwrap();
    let error = FolderDisk::open(temp.path(), false).unwrap_err();
    assert_eq!(
        (kind(&error), error.operation),
        (io::ErrorKind::PermissionDenied, DiskOperation::Open)
    );
    std::fs::set_permissions(temp.path(), permissions(0o700)).unwrap();
    FolderDisk::open(temp.path(), false).unwrap();
}

#[test]
fn links_are_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), temp.path().join("dir")).unwrap();
    let target = outside.path().join("target");
    std::os::unix::fs::symlink(&target, temp.path().join("file")).unwrap();
    let disk = FolderDisk::open(temp.path(), false).unwrap();
    assert!(disk.open("dir/f", Access::Create, Caching::Buffered).is_err());
    assert!(disk.make_dir("dir/sub").is_err());
    assert!(disk.list("dir").is_err());
    assert!(disk.lock("file").is_err());
    assert!(!target.exists());
    std::os::unix::fs::symlink("/etc/hostname", temp.path().join("read")).unwrap();
    assert!(disk.open("read", Access::Read, Caching::Buffered).is_err());
}

#[test]
fn direct_writes_refuse_what_is_not_aligned() {
    let temp = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(temp.path(), false).unwrap();
    let file = disk.open("f", Access::Create, Caching::Direct).unwrap();
    let mut buf = AlignedBuf::new();
    buf.resize(8192, 5);
    file.write_at(4096, buf.as_slice()).unwrap();
    for (offset, bytes) in [(1, &buf.as_slice()[..4096]), (0, &buf.as_slice()[..4095])] {
        assert_eq!(kind(&file.write_at(offset, bytes).unwrap_err()), io::ErrorKind::InvalidInput);
    }
    let shifted = &buf.as_slice()[1..4097];
    assert_eq!(kind(&file.write_at(0, shifted).unwrap_err()), io::ErrorKind::InvalidInput);
    assert_eq!(file.len().unwrap(), 12288);
}

#[test]
fn a_missing_folder_is_made_only_on_request() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("p/q");
    let error = FolderDisk::open(&root, false).unwrap_err();
    assert_eq!(kind(&error), io::ErrorKind::NotFound);
    FolderDisk::open(&root, true).unwrap();
    FolderDisk::open(&root, true).unwrap();
    FolderDisk::open(&root, false).unwrap();
}

//! What every disk does with paths and failures.

use std::io;

use crate::disk::{DIRECT_ALIGN, DiskError, DiskOperation};

/// Puts the operation and the path on a failure.
pub(crate) fn failed(
    operation: DiskOperation,
    path: &str,
    source: impl Into<io::Error>,
) -> DiskError {
    DiskError { operation, path: path.to_owned(), source: source.into() }
}

/// Refuses a path that could lead out of the data folder. `""` is refused as well.
pub(crate) fn check_path(path: &str) -> io::Result<()> {
    let sane = path
        .split('/')
        .all(|part| !matches!(part, "" | "." | "..") && !part.bytes().any(|byte| byte == 0));
    if sane { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// [`check_path`] for folders: `""` is the data folder itself.
pub(crate) fn check_dir(dir: &str) -> io::Result<()> {
    if dir.is_empty() { Ok(()) } else { check_path(dir) }
}

/// Folder and last component of a checked path.
pub(crate) fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Refuses a direct write that is not aligned, whatever the filesystem would say.
pub(crate) fn check_aligned(offset: u64, bytes: &[u8]) -> io::Result<()> {
    let aligned = offset.is_multiple_of(DIRECT_ALIGN as u64)
        && bytes.len().is_multiple_of(DIRECT_ALIGN)
        && bytes.as_ptr().addr().is_multiple_of(DIRECT_ALIGN);
    if aligned { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_pass() {
        for good in ["a", "a/b", "..a", "a./b"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", ".", "a/..", "../a", "a/./b", "a\0b"] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
        assert!(check_dir("").is_ok());
        assert_eq!(split_path("a/b/c"), ("a/b", "c"));
        assert_eq!(split_path("c"), ("", "c"));
    }
}

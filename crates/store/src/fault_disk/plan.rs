//! Which operations fail, and which were reached at all.

use std::collections::BTreeMap;

use rustix::io::Errno;

use crate::disk::{DiskError, DiskOperation};
use crate::disk_path::failed;
use crate::sim_disk::AfterFailedSync;

/// The system's answer to a failed operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultError {
    /// `EIO`.
    Io,
    /// `ENOSPC`.
    NoSpace,
    /// `EDQUOT`.
    Quota,
    /// `EROFS`.
    ReadOnly,
    /// `EINTR`; a real disk retries it except for syncs.
    Interrupted,
    /// `EMFILE`.
    TooManyFiles,
}

impl FaultError {
    /// Every error.
    pub const ALL: [Self; 6] = [
        Self::Io,
        Self::NoSpace,
        Self::Quota,
        Self::ReadOnly,
        Self::Interrupted,
        Self::TooManyFiles,
    ];

    pub(super) const fn errno(self) -> Errno {
        match self {
            Self::Io => Errno::IO,
            Self::NoSpace => Errno::NOSPC,
            Self::Quota => Errno::DQUOT,
            Self::ReadOnly => Errno::ROFS,
            Self::Interrupted => Errno::INTR,
            Self::TooManyFiles => Errno::MFILE,
        }
    }
}

/// One planned failure.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) error: FaultError,
    pub(super) short_len: Option<usize>,
    pub(super) after_sync: AfterFailedSync,
    reported: bool,
    operation: Option<DiskOperation>,
    path_prefix: Option<String>,
    nth: u64,
    sticky: bool,
}

impl Fault {
    /// Fails the `nth` operation from now, counted from 1, without effect, once.
    pub const fn new(nth: u64, error: FaultError) -> Self {
        Self {
            error,
            short_len: None,
            after_sync: AfterFailedSync::StillDirty,
            reported: true,
            operation: None,
            path_prefix: None,
            nth,
            sticky: false,
        }
    }

    /// Counts and fails this operation only.
    #[must_use]
    pub const fn of(mut self, operation: DiskOperation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Counts and fails operations on paths with this prefix only.
    #[must_use]
    pub fn on(mut self, path_prefix: &str) -> Self {
        self.path_prefix = Some(path_prefix.to_owned());
        self
    }

    /// Fails all later matching operations as well.
    #[must_use]
    pub const fn sticky(mut self) -> Self {
        self.sticky = true;
        self
    }

    /// A write puts `len` bytes (whole pages of a direct file) on the disk before it fails; a read
    /// returns at most `len` bytes and no error, as at the end of a file.
    #[must_use]
    pub const fn short(mut self, len: usize) -> Self {
        self.short_len = Some(len);
        self
    }

    /// What a failed sync does over a simulated disk, and whether it says so.
    #[must_use]
    pub const fn sync(mut self, after: AfterFailedSync, reported: bool) -> Self {
        self.after_sync = after;
        self.reported = reported;
        self
    }

    pub(super) fn sync_result(&self, sync: DiskOperation, path: &str) -> Result<(), DiskError> {
        if self.reported { Err(failed(sync, path, self.error.errno())) } else { Ok(()) }
    }

    fn matches(&self, operation: DiskOperation, path: &str) -> bool {
        self.operation.is_none_or(|only| only == operation)
            && self.path_prefix.as_ref().is_none_or(|prefix| path.starts_with(prefix))
    }
}

/// A place where I/O happens: an operation on a class of paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The operation.
    pub operation: DiskOperation,
    /// The path with every number, and every word of at least 8 hex digits, as `#`.
    pub path_class: String,
}

impl Site {
    /// The site of an operation on one path.
    pub fn new(operation: DiskOperation, path: &str) -> Self {
        Self { operation, path_class: path_class(path) }
    }
}

fn path_class(path: &str) -> String {
    let mut class = String::with_capacity(path.len());
    for word in path.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
        let stem = word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let hex = stem.len() >= 8 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex {
            class.push('#');
        } else {
            for part in stem.split_inclusive(|letter: char| letter.is_ascii_digit()) {
                let letters = part.trim_end_matches(|letter: char| letter.is_ascii_digit());
                class.push_str(letters);
                let number = letters.len() < part.len();
                let inside = letters.is_empty() && class.ends_with('#');
                if number && !inside {
                    class.push('#');
                }
            }
        }
        class.extend(word.strip_prefix(stem));
    }
    class
}

/// The planned failures and the sites reached.
#[derive(Debug, Default)]
pub(super) struct Plan {
    faults: Vec<Fault>,
    sites: BTreeMap<Site, u64>,
    met: u64,
}

impl Plan {
    pub(super) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(super) const fn sites(&self) -> &BTreeMap<Site, u64> {
        &self.sites
    }

    pub(super) const fn met(&self) -> u64 {
        self.met
    }

    /// Counts an operation; the fault that it meets, the oldest if several.
    pub(super) fn meet(&mut self, operation: DiskOperation, path: &str) -> Option<Fault> {
        *self.sites.entry(Site::new(operation, path)).or_default() += 1;
        let mut met = None;
        self.faults.retain_mut(|fault| {
            if !fault.matches(operation, path) {
                return true;
            }
            fault.nth = fault.nth.saturating_sub(1);
            if fault.nth > 0 {
                return true;
            }
            met.get_or_insert_with(|| fault.clone());
            fault.sticky
        });
        self.met += u64::from(met.is_some());
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fall_into_classes() {
        for (path, class) in [
            ("", ""),
            ("lock", "lock"),
            ("blocks/0001234.open", "blocks/#.open"),
            ("super.3", "super.#"),
            ("run12-34x5", "run#-#x#"),
            ("packed/deadbeef00/f", "packed/#/f"),
            ("decade/feed", "decade/feed"),
        ] {
            assert_eq!(path_class(path), class);
        }
    }
}

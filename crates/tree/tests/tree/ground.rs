//! Source and destination folders, and what can be seen of them.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{FileTime, Kind, Name};
use tree::{
    Events, Files, GetSummary, GetTree, Outcome, PathFilter, PutOptions, PutSummary, PutTree,
    SystemFiles, Transfer, TreeError, TreeSource, Unwatched,
};

use crate::session::MemorySession;

/// A folder to put, one to get into, and a store.
pub(crate) struct Ground {
    _dir: tempfile::TempDir,
    pub(crate) src: PathBuf,
    pub(crate) dest: PathBuf,
    pub(crate) session: MemorySession,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (src, dest) = (dir.path().join("src"), dir.path().join("dest"));
        std::fs::create_dir(&src).unwrap();
        Self { _dir: dir, src, dest, session: MemorySession::default() }
    }

    /// Writes a file below the source.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.src.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn transfer<'a, F: Files>(
        &'a self,
        files: &'a F,
        events: &'a dyn Events,
    ) -> Transfer<'a, F> {
        Transfer { session: &self.session, files, events, clock: &later, threads: 3 }
    }

    pub(crate) fn put_request(&self, options: PutOptions) -> PutTree {
        PutTree { source: self.src.clone(), name: Name::new("t").unwrap(), options }
    }

    pub(crate) fn put_with<F: Files>(&self, files: &F, options: PutOptions) -> PutSummary {
        self.transfer(files, &Unwatched).put_tree(&self.put_request(options)).unwrap()
    }

    pub(crate) fn put(&self) -> PutSummary {
        self.put_with(&SystemFiles, PutOptions::default())
    }

    pub(crate) fn get_request(&self) -> GetTree {
        GetTree {
            source: TreeSource::Root(self.session.head("t").hash),
            dest: self.dest.clone(),
            include: PathFilter::default(),
            force: false,
            dry_run: false,
        }
    }

    pub(crate) fn get(&self) -> GetSummary {
        self.transfer(&SystemFiles, &Unwatched).get_tree(&self.get_request()).unwrap()
    }
}

/// A clock at which everything has settled.
pub(crate) fn later() -> FileTime {
    FileTime { seconds: 20_000_000_000, nanos: 0 }
}

/// Stops after some items have ended.
pub(crate) struct StopAfter {
    left: AtomicU64,
}

impl StopAfter {
    pub(crate) fn new(items: u64) -> Self {
        Self { left: AtomicU64::new(items) }
    }
}

impl Events for StopAfter {
    fn on_finished(&self, _: &[u8], _: Kind, _: Outcome) {
        let _ = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
    }

    fn is_interrupted(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

pub(crate) fn is_interrupted<T>(result: &Result<T, TreeError>) -> bool {
    matches!(
        result,
        Err(TreeError::Interrupted | TreeError::Session(ouroborosdb::Error::Interrupted))
    )
}

/// What can be seen of one path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    content: Vec<u8>,
    blocks_few: bool,
    linked_with: Option<PathBuf>,
}

/// Everything below a folder, the folder included; sockets, FIFOs and devices left out.
pub(crate) fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut links = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let full = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
        let meta = std::fs::symlink_metadata(&full).unwrap();
        let kind = meta.file_type();
        if kind.is_fifo() || kind.is_socket() {
            continue;
        }
        let (kind, content) = if kind.is_dir() {
            let mut names: Vec<_> =
                std::fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort_unstable();
            todo.extend(names.into_iter().rev().map(|name| path.join(name)));
            ("folder", Vec::new())
        } else if kind.is_symlink() {
            use std::os::unix::ffi::OsStringExt;
            ("symlink", std::fs::read_link(&full).unwrap().into_os_string().into_vec())
        } else {
            ("file", std::fs::read(&full).unwrap())
        };
        let linked_with = (kind == "file" && meta.nlink() > 1)
            .then(|| links.entry(meta.ino()).or_insert_with(|| path.clone()).clone());
        let now = Seen {
            kind,
            mode: meta.permissions().mode(),
            owner: (meta.uid(), meta.gid()),
            modified: (meta.mtime(), meta.mtime_nsec()),
            content,
            blocks_few: kind == "file" && meta.blocks() * 512 < meta.len(),
            linked_with,
        };
        seen.insert(path, now);
    }
    seen
}

/// Fails with the first path that differs.
pub(crate) fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (look(a), look(b));
    for (path, seen) in &a {
        assert_eq!(Some(seen), b.get(path), "{}", path.display());
    }
    let extra: Vec<_> = b.keys().filter(|path| !a.contains_key(*path)).collect();
    assert!(extra.is_empty(), "{extra:?}");
}

/// Sets the time of the last change, seconds since 1970.
pub(crate) fn set_modified(path: &Path, seconds: i64, nanos: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Pseudo-random bytes.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..len.div_ceil(8)).flat_map(|_| next()).take(len).collect()
}

/// A flag to share with a closure.
pub(crate) fn counter() -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(0))
}

//! A disk that counts what goes through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use store::disk::{
    Access, Caching, DirEntry, Disk, DiskError, DiskFile, DiskLock, FileIdentity, Space,
};

/// Everything written and read through one disk, whichever file it was.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    bytes_written: AtomicU64,
    bytes_written_index: AtomicU64,
    reads_index: AtomicU64,
    reads_other: AtomicU64,
}

impl Counts {
    /// Bytes given to writes.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    /// Those of them that went to files of the index.
    pub(crate) fn bytes_written_index(&self) -> u64 {
        self.bytes_written_index.load(Ordering::Relaxed)
    }

    /// Reads of files of the index, and of all others.
    pub(crate) fn reads(&self) -> (u64, u64) {
        (self.reads_index.load(Ordering::Relaxed), self.reads_other.load(Ordering::Relaxed))
    }
}

/// Counts and passes on.
pub(crate) struct CountingDisk {
    inner: Arc<dyn Disk>,
    counts: Arc<Counts>,
    drops_blocks: bool,
}

impl CountingDisk {
    /// Counts what goes to `inner` from now on.
    pub(crate) fn over(inner: Arc<dyn Disk>) -> (Arc<Self>, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        (Arc::new(Self { inner, counts: Arc::clone(&counts), drops_blocks: false }), counts)
    }

    /// Forgets what is written to blocks: what remains is the work of the processor.
    pub(crate) fn without_blocks(inner: Arc<dyn Disk>) -> Arc<Self> {
        Arc::new(Self { inner, counts: Arc::default(), drops_blocks: true })
    }
}

struct CountingFile {
    inner: Arc<dyn DiskFile>,
    counts: Arc<Counts>,
    is_index: bool,
    is_dropped: bool,
}

impl Disk for CountingDisk {
    fn open(
        &self,
        path: &str,
        access: Access,
        caching: Caching,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        let inner = self.inner.open(path, access, caching)?;
        let is_index = path.starts_with("index/");
        let is_dropped = self.drops_blocks && path.ends_with(".block");
        Ok(Arc::new(CountingFile { inner, counts: Arc::clone(&self.counts), is_index, is_dropped }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>, DiskError> {
        self.inner.list(dir)
    }

    fn make_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.inner.make_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.inner.sync_dir(dir)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        self.inner.lock(path)
    }

    fn space(&self) -> Result<Space, DiskError> {
        self.inner.space()
    }

    fn identity(&self, path: &str) -> Result<FileIdentity, DiskError> {
        self.inner.identity(path)
    }
}

impl DiskFile for CountingFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        let reads = if self.is_index { &self.counts.reads_index } else { &self.counts.reads_other };
        reads.fetch_add(1, Ordering::Relaxed);
        self.inner.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let len = bytes.len() as u64;
        self.counts.bytes_written.fetch_add(len, Ordering::Relaxed);
        if self.is_index {
            self.counts.bytes_written_index.fetch_add(len, Ordering::Relaxed);
        }
        if self.is_dropped { Ok(()) } else { self.inner.write_at(offset, bytes) }
    }

    fn sync(&self) -> Result<(), DiskError> {
        if self.is_dropped { Ok(()) } else { self.inner.sync() }
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        if self.is_dropped { Ok(()) } else { self.inner.set_len(len) }
    }

    fn is_direct(&self) -> bool {
        self.inner.is_direct()
    }
}

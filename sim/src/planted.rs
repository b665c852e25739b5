//! Disks that break their promises: each stands for a mistake in the store that the benches must find.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::disk::{
    Access, Caching, DirEntry, Disk, DiskError, DiskFile, DiskLock, FileIdentity, Space,
};
use store::sim_disk::SimDisk;

const SLOW: Duration = Duration::from_millis(15);

/// A planted mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// The log is never synced.
    LogSync,
    /// Every second sync of the log is left out.
    LogSyncSometimes,
    /// The file of a new block is not made durable in its folder.
    OpenFolderSync,
    /// A packed block is not made durable in its folder.
    BlocksFolderSync,
    /// Files written whole are renamed before they are synced.
    WholeFileSync,
    /// Index files are not synced.
    IndexSync,
    /// Index files are not made durable in their folder.
    IndexFolderSync,
    /// Superblocks are not synced.
    SuperblockSync,
    /// The last bytes of large log writes never come.
    LogTornWrite,
    /// Log writes land one sector late.
    LogMisdirected,
    /// The old name of a block goes before the new one is durable.
    RemoveBeforeRename,
    /// Reads of packed blocks are now and then wrong by one bit.
    ReadFlip,
    /// Nothing in the top folder is made durable.
    TopFolderSync,
    /// No mistake: a sync of the log takes its time, so that others get on meanwhile.
    SlowLogSync,
}

impl Plant {
    /// All that are mistakes.
    pub const ALL: [Self; 13] = [
        Self::LogSync,
        Self::LogSyncSometimes,
        Self::OpenFolderSync,
        Self::BlocksFolderSync,
        Self::WholeFileSync,
        Self::IndexSync,
        Self::IndexFolderSync,
        Self::SuperblockSync,
        Self::LogTornWrite,
        Self::LogMisdirected,
        Self::RemoveBeforeRename,
        Self::ReadFlip,
        Self::TopFolderSync,
    ];

    /// A disk with this mistake.
    pub fn over(self, sim: SimDisk) -> Arc<dyn Disk> {
        Arc::new(PlantedDisk { sim, plant: self, count: Arc::default() })
    }
}

struct PlantedDisk {
    sim: SimDisk,
    plant: Plant,
    count: Arc<AtomicU64>,
}

struct PlantedFile {
    file: Arc<dyn DiskFile>,
    path: String,
    plant: Plant,
    count: Arc<AtomicU64>,
}

impl Disk for PlantedDisk {
    fn open(
        &self,
        path: &str,
        access: Access,
        caching: Caching,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        let file = self.sim.open(path, access, caching)?;
        let (plant, count) = (self.plant, Arc::clone(&self.count));
        Ok(Arc::new(PlantedFile { file, path: path.to_owned(), plant, count }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.sim.rename(from, to)?;
        if self.plant == Plant::RemoveBeforeRename && from.starts_with("open/") {
            return self.sim.sync_dir("open");
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.sim.remove(path)
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>, DiskError> {
        self.sim.list(dir)
    }

    fn make_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.sim.make_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        let is_left_out = match self.plant {
            Plant::OpenFolderSync => dir == "open",
            Plant::BlocksFolderSync => dir == "blocks",
            Plant::IndexFolderSync => dir.starts_with("index"),
            Plant::TopFolderSync => dir.is_empty(),
            _ => false,
        };
        if is_left_out { Ok(()) } else { self.sim.sync_dir(dir) }
    }

    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        self.sim.lock(path)
    }

    fn space(&self) -> Result<Space, DiskError> {
        self.sim.space()
    }

    fn identity(&self, path: &str) -> Result<FileIdentity, DiskError> {
        self.sim.identity(path)
    }
}

impl PlantedFile {
    fn is_log(&self) -> bool {
        self.path.starts_with("open/")
    }

    /// True once in so many calls.
    fn one_in(&self, calls: u64) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed) % calls == calls - 1
    }
}

impl DiskFile for PlantedFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        let len = self.file.read_at(offset, out)?;
        let is_planted = self.plant == Plant::ReadFlip && self.path.starts_with("blocks/");
        if is_planted && len > 0 && self.one_in(50) {
            out[len / 2] ^= 4;
        }
        Ok(len)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let is_batch = self.is_log() && offset > 0;
        match self.plant {
            Plant::LogTornWrite if is_batch && bytes.len() > 4096 => {
                self.file.write_at(offset, &bytes[..bytes.len() - 512])
            }
            Plant::LogMisdirected if is_batch && self.one_in(20) => {
                self.file.write_at(offset + 512, bytes)
            }
            _ => self.file.write_at(offset, bytes),
        }
    }

    fn sync(&self) -> Result<(), DiskError> {
        let is_left_out = match self.plant {
            Plant::LogSync => self.is_log(),
            Plant::LogSyncSometimes => self.is_log() && self.one_in(2),
            Plant::WholeFileSync => self.path.starts_with("tmp/"),
            Plant::IndexSync => self.path.starts_with("index/"),
            Plant::SuperblockSync => self.path.starts_with("super."),
            _ => false,
        };
        if self.plant == Plant::SlowLogSync && self.is_log() {
            std::thread::sleep(SLOW);
        }
        if is_left_out { Ok(()) } else { self.file.sync() }
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.file.set_len(len)
    }

    fn is_direct(&self) -> bool {
        self.file.is_direct()
    }
}

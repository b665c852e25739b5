//! A disk in memory for tests of power loss: it knows what was synced, and makes an image of what
//! a crash at any operation could have left.
//!
//! Rules of the model: file content, file length and folder entries become durable only by their
//! own sync; until then any part of them may survive in any order, as [`ImageKind`] says. A rename
//! survives wholly or not at all, unless only one of its two folders was synced.

mod content;
mod image;
mod state;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::disk::{
    Access, Caching, DirEntry, Disk, DiskError, DiskFile, DiskLock, DiskOperation, FileIdentity,
    Space,
};
use crate::disk_path::{check_aligned, check_dir, check_path, failed, split_path};
use crate::sim_random::SimRandom;

use self::image::Moment;
use self::state::{Inode, Node, State, Unsynced, View};

pub use self::content::SIM_FILE_LEN_MAX;
pub use self::image::ImageKind;

/// What a failed sync did to the pages it was to save (ATC'20, "Can Applications Recover from
/// fsync Failures?").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AfterFailedSync {
    /// Marked clean: reads see the new content, no later sync saves it (ext4, XFS).
    CleanNew,
    /// Marked clean and read again from the disk: reads see the old content (Btrfs).
    CleanOld,
    /// Still dirty: the next sync saves them.
    StillDirty,
}

/// A simulated disk. Clones are handles of the same disk; images are new disks.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    seed: u64,
}

impl SimDisk {
    /// An empty disk. The seed determines file identities only.
    pub fn new(seed: u64) -> Self {
        Self::started(State::started(Moment::default(), View::default(), 1), seed)
    }

    /// [`SimDisk::new`] with [`SimDisk::record`].
    pub fn recording(seed: u64) -> Self {
        let disk = Self::new(seed);
        disk.record();
        disk
    }

    fn started(state: State, seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(state)), seed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to keep what [`SimDisk::image_at`] needs; forgets what was kept before.
    pub fn record(&self) {
        let mut state = self.state();
        state.recorded = Some(Vec::new());
        state.keep();
    }

    /// Operations that were carried out, reads and opens included.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Operation counts after which the disk was different: every other image equals the one at
    /// the boundary before it. Empty while nothing is recorded.
    pub fn boundaries(&self) -> Vec<u64> {
        let state = self.state();
        state.recorded.iter().flatten().map(|moment| moment.operations).collect()
    }

    /// The `operation`-th operation of this disk, counted from 1, and all later ones fail without
    /// effect.
    pub fn crash_after(&self, operation: u64) {
        self.state().crash_at = Some(operation);
    }

    /// Sets the size of the disk; writes past it fail with `ENOSPC`.
    pub fn limit_space(&self, bytes_total: u64) {
        self.state().bytes_total = bytes_total;
    }

    /// The disk after a crash now: unlocked, not recording, counting from 0.
    pub fn crash(&self, kind: ImageKind, seed: u64) -> Self {
        let state = self.state();
        let moment = state.moment.kept(&state.cache);
        let (next_inode, bytes_total) = (state.next_inode, state.bytes_total);
        drop(state);
        self.image(&moment, (next_inode, bytes_total), (kind, seed))
    }

    /// The disk after a crash that follows the first `operations` operations; none when those were
    /// not recorded.
    pub fn image_at(&self, operations: u64, kind: ImageKind, seed: u64) -> Option<Self> {
        let state = self.state();
        let recorded = state.recorded.as_ref()?;
        let later = recorded.partition_point(|moment| moment.operations <= operations);
        let moment = recorded.get(later.checked_sub(1)?)?.clone();
        let (next_inode, bytes_total) = (state.next_inode, state.bytes_total);
        drop(state);
        Some(self.image(&moment, (next_inode, bytes_total), (kind, seed)))
    }

    fn image(
        &self,
        moment: &Moment,
        (next_inode, bytes_total): (Inode, u64),
        (kind, seed): (ImageKind, u64),
    ) -> Self {
        let state = if kind == ImageKind::Process {
            let cache = moment.cache.clone();
            let cache = cache.unwrap_or_else(|| moment.survivors(kind, &mut SimRandom::new(seed)));
            State::started(
                Moment { operations: 0, cache: None, ..moment.clone() },
                cache,
                next_inode,
            )
        } else {
            let view = moment.survivors(kind, &mut SimRandom::new(seed));
            let moment = Moment { durable: view.clone(), ..Moment::default() };
            State::started(moment, view, next_inode)
        };
        Self::started(State { bytes_total, ..state }, self.seed)
    }

    /// Opens a file as [`Disk::open`] does.
    pub fn open_file(
        &self,
        path: &str,
        access: Access,
        caching: Caching,
    ) -> Result<SimFile, DiskError> {
        let inode = self.run(DiskOperation::Open, path, |state| {
            check_path(path)?;
            match access {
                Access::Create => state.create(path),
                Access::Read | Access::Update => state.file(path),
            }
        })?;
        Ok(SimFile { disk: self.clone(), path: path.into(), inode, access, caching })
    }

    /// Does to the unsynced entries of a folder what a failed [`Disk::sync_dir`] does; entries are
    /// never read again from the disk, so both clean states are the same. A rename is lost wholly: it
    /// is one transaction of the filesystem. Counts as no operation.
    pub fn lose_entries(&self, dir: &str, after: AfterFailedSync) {
        let mut state = self.state();
        if after != AfterFailedSync::StillDirty && state.moment.forget_entries(dir) {
            state.moment.names_estranged = true;
        }
        state.keep();
    }

    fn run<T>(
        &self,
        operation: DiskOperation,
        path: &str,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        let mut state = self.state();
        state.step().and_then(|()| act(&mut state)).map_err(|error| failed(operation, path, error))
    }

    fn identity_of(&self, inode: Inode) -> FileIdentity {
        let mut machine = [0; 16];
        SimRandom::new(self.seed).fill(&mut machine);
        let birth = SimRandom::new(self.seed ^ inode.rotate_left(32)).bits();
        FileIdentity { inode, birth_ns: i128::from(birth), machine }
    }
}

impl Disk for SimDisk {
    fn open(
        &self,
        path: &str,
        access: Access,
        caching: Caching,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        Ok(Arc::new(self.open_file(path, access, caching)?))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.run(DiskOperation::Rename, from, |state| {
            check_path(from).and_then(|()| check_path(to))?;
            let inode = state.file(from)?;
            state.dir(split_path(to).0)?;
            if state.cache.node(to) == Some(Node::Dir) {
                return Err(Errno::ISDIR.into());
            }
            if from != to {
                state.entries([(from, None), (to, Some(Node::File(inode)))]);
            }
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.run(DiskOperation::Remove, path, |state| {
            check_path(path)?;
            state.file(path)?;
            state.entries([(path, None)]);
            Ok(())
        })
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>, DiskError> {
        self.run(DiskOperation::List, dir, |state| {
            check_dir(dir)?;
            state.dir(dir)?;
            Ok(state.cache.entries_of(dir))
        })
    }

    fn make_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.run(DiskOperation::MakeDir, dir, |state| {
            check_dir(dir)?;
            let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
            for path in ends.filter_map(|end| dir.get(..end)) {
                match state.cache.node(path) {
                    Some(Node::Dir) => {}
                    Some(Node::File(_)) => return Err(Errno::NOTDIR.into()),
                    None => state.entries([(path, Some(Node::Dir))]),
                }
            }
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.run(DiskOperation::SyncDir, dir, |state| {
            check_dir(dir)?;
            state.dir(dir)?;
            state.sync_dir(dir);
            Ok(())
        })
    }

    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        let inode = self.run(DiskOperation::Lock, path, |state| {
            check_path(path)?;
            let inode = match state.file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => state.create(path)?,
                found => found?,
            };
            if state.locks.insert(inode) { Ok(inode) } else { Err(Errno::WOULDBLOCK.into()) }
        })?;
        Ok(Box::new(SimLock { disk: self.clone(), inode }))
    }

    fn space(&self) -> Result<Space, DiskError> {
        self.run(DiskOperation::Space, "", |state| Ok(state.space()))
    }

    fn identity(&self, path: &str) -> Result<FileIdentity, DiskError> {
        let inode = self.run(DiskOperation::Identity, path, |state| {
            check_path(path)?;
            state.file(path)
        })?;
        Ok(self.identity_of(inode))
    }
}

/// A lock on a simulated disk; it dies with the disk it was taken on.
#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    inode: Inode,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.inode);
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug, Clone)]
pub struct SimFile {
    disk: SimDisk,
    path: Arc<str>,
    inode: Inode,
    access: Access,
    caching: Caching,
}

impl SimFile {
    /// Does to the unsynced pages what a failed [`DiskFile::sync`] does. Counts as no operation.
    pub fn lose_unsynced(&self, after: AfterFailedSync) {
        let mut state = self.disk.state();
        state.lose_unsynced(self.inode, after);
    }

    fn run<T>(
        &self,
        operation: DiskOperation,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        self.disk.run(operation, &self.path, act)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.access == Access::Read { Err(Errno::BADF.into()) } else { Ok(()) }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        self.run(DiskOperation::Read, |state| {
            let Ok(offset) = usize::try_from(offset) else { return Ok(0) };
            let content = state.cache.content(self.inode);
            Ok(content.map_or(0, |content| content.read(offset, out)))
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.run(DiskOperation::Write, |state| {
            self.check_writable()?;
            if self.caching == Caching::Direct {
                check_aligned(offset, bytes)?;
            }
            let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::FBIG)?;
            let end = state.check_len(self.inode, end)?;
            if !bytes.is_empty() {
                let offset = end - bytes.len();
                state.change(Unsynced::Write { inode: self.inode, offset, data: bytes.into() });
            }
            Ok(())
        })
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.run(DiskOperation::Sync, |state| {
            state.sync(self.inode);
            Ok(())
        })
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.run(DiskOperation::Length, |state| {
            Ok(state.cache.content(self.inode).map_or(0, |content| content.len() as u64))
        })
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.run(DiskOperation::Truncate, |state| {
            self.check_writable()?;
            let len = state.check_len(self.inode, len)?;
            state.change(Unsynced::SetLen { inode: self.inode, len });
            Ok(())
        })
    }

    fn is_direct(&self) -> bool {
        self.caching == Caching::Direct && self.access != Access::Read
    }
}

#[cfg(test)]
mod tests;

//! A disk that fails where a test tells it to, and counts where it could have.

mod overlay;
mod plan;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{
    Access, Caching, DIRECT_ALIGN, DirEntry, Disk, DiskError, DiskFile, DiskLock, DiskOperation,
    FileIdentity, Space,
};
use crate::disk_path::failed;
use crate::sim_disk::{SimDisk, SimFile};

use self::overlay::Overlays;
use self::plan::Plan;

pub use self::overlay::Overlay;
pub use self::plan::{Fault, FaultError, Site};

/// Any disk, with faults. Clones share faults and counts.
#[derive(Clone)]
pub struct FaultDisk {
    disk: Arc<dyn Disk>,
    /// The same disk, where failed syncs can lose pages.
    sim: Option<SimDisk>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    plan: Plan,
    overlays: Overlays,
}

impl FaultDisk {
    /// Over any disk; a failed sync then leaves everything as it was.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, sim: None, shared: Arc::default() }
    }

    /// Over a simulated disk, where failed syncs do as [`Fault::sync`] says.
    pub fn over_sim(sim: SimDisk) -> Self {
        Self { disk: Arc::new(sim.clone()), sim: Some(sim), shared: Arc::default() }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault; its count starts now.
    pub fn inject(&self, fault: Fault) {
        self.shared().plan.add(fault);
    }

    /// Ends all faults. Overlays stay.
    pub fn clear_faults(&self) {
        self.shared().plan.clear();
    }

    /// Damages what later reads of the file opened as `path` return. What lies on the disk stays as
    /// it is. A write that touches the place ends the damage, a rename takes it along.
    pub fn overlay(&self, path: &str, overlay: Overlay) {
        self.shared().overlays.add(path, overlay);
    }

    /// Ends all overlays.
    pub fn clear_overlays(&self) {
        self.shared().overlays = Overlays::default();
    }

    /// How often each I/O site was reached, failed operations included.
    pub fn sites(&self) -> BTreeMap<Site, u64> {
        self.shared().plan.sites().clone()
    }

    /// Operations asked for.
    pub fn operations(&self) -> u64 {
        self.shared().plan.sites().values().sum()
    }

    /// Operations that a fault changed.
    pub fn faults_met(&self) -> u64 {
        self.shared().plan.met()
    }

    /// Counts an operation and fails it when its time has come.
    fn pass(&self, operation: DiskOperation, path: &str) -> Result<(), DiskError> {
        match self.meet(operation, path) {
            Some(fault) => Err(failed(operation, path, fault.error.errno())),
            None => Ok(()),
        }
    }

    fn meet(&self, operation: DiskOperation, path: &str) -> Option<Fault> {
        self.shared().plan.meet(operation, path)
    }
}

impl Disk for FaultDisk {
    fn open(
        &self,
        path: &str,
        access: Access,
        caching: Caching,
    ) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.pass(DiskOperation::Open, path)?;
        let (file, sim): (Arc<dyn DiskFile>, _) = match &self.sim {
            Some(sim) => {
                let file = sim.open_file(path, access, caching)?;
                (Arc::new(file.clone()), Some(file))
            }
            None => (self.disk.open(path, access, caching)?, None),
        };
        Ok(Arc::new(FaultFile { disk: self.clone(), file, sim, path: path.into() }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.pass(DiskOperation::Rename, from)?;
        self.disk.rename(from, to)?;
        self.shared().overlays.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.pass(DiskOperation::Remove, path)?;
        self.disk.remove(path)?;
        self.shared().overlays.remove(path);
        Ok(())
    }

    fn list(&self, dir: &str) -> Result<Vec<DirEntry>, DiskError> {
        self.pass(DiskOperation::List, dir)?;
        self.disk.list(dir)
    }

    fn make_dir(&self, dir: &str) -> Result<(), DiskError> {
        self.pass(DiskOperation::MakeDir, dir)?;
        self.disk.make_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), DiskError> {
        let Some(fault) = self.meet(DiskOperation::SyncDir, dir) else {
            return self.disk.sync_dir(dir);
        };
        if let Some(sim) = &self.sim {
            sim.lose_entries(dir, fault.after_sync);
        }
        fault.sync_result(DiskOperation::SyncDir, dir)
    }

    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        self.pass(DiskOperation::Lock, path)?;
        self.disk.lock(path)
    }

    fn space(&self) -> Result<Space, DiskError> {
        self.pass(DiskOperation::Space, "")?;
        self.disk.space()
    }

    fn identity(&self, path: &str) -> Result<FileIdentity, DiskError> {
        self.pass(DiskOperation::Identity, path)?;
        self.disk.identity(path)
    }
}

/// An open file of a [`FaultDisk`].
struct FaultFile {
    disk: FaultDisk,
    file: Arc<dyn DiskFile>,
    sim: Option<SimFile>,
    path: Box<str>,
}

impl DiskFile for FaultFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        let mut out = out;
        match self.disk.meet(DiskOperation::Read, &self.path) {
            Some(Fault { short_len: Some(len), .. }) => {
                let len = len.min(out.len());
                out = out.split_at_mut(len).0;
            }
            Some(fault) => {
                return Err(failed(DiskOperation::Read, &self.path, fault.error.errno()));
            }
            None => {}
        }
        let len = self.file.read_at(offset, out)?;
        let (read, _) = out.split_at_mut(len);
        let damage = self.disk.shared().overlays.of(&self.path);
        for overlay in damage {
            overlay.apply(&*self.file, offset, read)?;
        }
        Ok(len)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let fault = self.disk.meet(DiskOperation::Write, &self.path);
        let mut len = fault.as_ref().map_or(bytes.len(), |fault| fault.short_len.unwrap_or(0));
        if fault.is_some() && self.file.is_direct() {
            len = len / DIRECT_ALIGN * DIRECT_ALIGN;
        }
        let (written, _) = bytes.split_at(len.min(bytes.len()));
        if fault.is_none() || !written.is_empty() {
            self.file.write_at(offset, written)?;
            self.disk.shared().overlays.write(&self.path, offset, written.len());
        }
        match fault {
            Some(fault) => Err(failed(DiskOperation::Write, &self.path, fault.error.errno())),
            None => Ok(()),
        }
    }

    fn sync(&self) -> Result<(), DiskError> {
        let Some(fault) = self.disk.meet(DiskOperation::Sync, &self.path) else {
            return self.file.sync();
        };
        if let Some(sim) = &self.sim {
            sim.lose_unsynced(fault.after_sync);
        }
        fault.sync_result(DiskOperation::Sync, &self.path)
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.disk.pass(DiskOperation::Length, &self.path)?;
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.disk.pass(DiskOperation::Truncate, &self.path)?;
        self.file.set_len(len)
    }

    fn is_direct(&self) -> bool {
        self.file.is_direct()
    }
}

#[cfg(test)]
mod tests;

//! Where one run of `bench` works: a folder of its own, sizes, the wish to stop, the table.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ouroborosdb::{Database, KeyPlace, Options, Progress, SystemClock, World};
use store::disk::Disk;
use store::folder_disk::FolderDisk;

use super::row::Row;
use super::stages::Stages;
use super::{disk_failed, io_failed};
use crate::context::Context;
use crate::failure::Failure;

/// Size at which counts of operations are as written in the code.
const SIZE_FULL: u64 = 1024 * 1024 * 1024;

/// One run.
pub(crate) struct Lab<'a> {
    pub(crate) context: &'a Context,
    folder: TempFolder,
    /// Bytes of the large contents.
    pub(crate) size: u64,
    /// Also what takes long.
    pub(crate) is_long: bool,
    /// Where text is taken from.
    pub(crate) text: Option<PathBuf>,
    /// What the stages cost in this run.
    pub(crate) stages: Stages,
}

impl<'a> Lab<'a> {
    /// Makes the folder beside the data folder, or in it where that cannot be.
    pub(crate) fn new(context: &'a Context, size: u64) -> Result<Self, Failure> {
        let data = std::path::absolute(context.data_folder()?)
            .map_err(|error| io_failed("finding the data folder", &error))?;
        let near = data.ancestors().skip(1).find(|folder| folder.is_dir());
        let folder = match near.map(TempFolder::make_in) {
            Some(Ok(folder)) => folder,
            _ => TempFolder::make_in(&data)
                .map_err(|error| io_failed("making a folder to work in", &error))?,
        };
        Ok(Self { context, folder, size, is_long: false, text: None, stages: Stages::default() })
    }

    /// The folder everything happens in; removed afterwards.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// A folder for one measurement.
    pub(crate) fn disk(&self, name: &str) -> Result<Arc<dyn Disk>, Failure> {
        Ok(Arc::new(FolderDisk::open(&self.path(name), true).map_err(disk_failed)?))
    }

    /// Removes what one measurement left.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        remove(&self.path(name)).map_err(|error| io_failed("removing what was measured", &error))
    }

    /// A database in a folder of its own.
    pub(crate) fn database(&self, name: &str, options: Options) -> Result<Database, Failure> {
        Ok(Database::open(self.path(name), options)?)
    }

    /// A count of operations, scaled by the size of this run.
    pub(crate) fn count(&self, full: u64, least: u64) -> u64 {
        let scaled =
            u128::from(full) * u128::from(self.size.min(SIZE_FULL)) / u128::from(SIZE_FULL);
        u64::try_from(scaled).unwrap_or(full).max(least)
    }

    /// Fails once the run was asked to stop.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.context.stop.check()
    }

    /// Prints a line of the table.
    pub(crate) fn print(&self, row: &Row) -> Result<(), Failure> {
        let output = &self.context.output;
        output.result(|| row.text(), || row.object())?;
        output.flush()
    }
}

impl Progress for Lab<'_> {
    fn on_progress(&self, _: u64, _: u64) -> bool {
        !self.context.stop.is_asked()
    }
}

/// A database on a disk that may count.
pub(crate) fn database_on(disk: Arc<dyn Disk>, options: Options) -> Result<Database, Failure> {
    let name = ouroborosdb::KEY_FILE.to_owned();
    let key_file = KeyPlace { disk: Arc::clone(&disk), path: name.clone(), name };
    let random = Arc::new(crypt::OsRandom);
    let world = World { disk, key_file, random, clock: Arc::new(SystemClock), frontier: None };
    Ok(Database::with(world, options)?)
}

/// A folder that is removed with all it holds.
struct TempFolder(PathBuf);

impl TempFolder {
    fn make_in(parent: &Path) -> std::io::Result<Self> {
        let mut noise = [0; 4];
        crypt::Random::fill(&crypt::OsRandom, &mut noise);
        let path = parent.join(format!(".ouroboros-bench-{:08x}", u32::from_le_bytes(noise)));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // Nobody is left to tell; the name says what it is.
        let _ = remove(&self.0);
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

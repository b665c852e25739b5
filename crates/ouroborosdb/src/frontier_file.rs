use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crypt::{FRONTIER_LEN_MAX, Frontier};
use model::hash::{HashKey, hash};
use model::{RecordId, ScopeId, UserId};
use store::disk::{Access, Caching, Disk};
use store::folder_disk::FolderDisk;

use crate::engine::lock;
use crate::error::Error;
use crate::key::disk_error;
use crate::world::FrontierPlace;

/// Remembers outside the store how far its chains were seen, so that an older copy put back in its
/// place is noticed.
pub(crate) struct FrontierFile {
    disk: Arc<dyn Disk>,
    name: String,
    local: HashKey,
    known: Mutex<Frontier>,
}

impl FrontierPlace {
    /// In the folder `state` of this machine, for the store in `data`. `None` where no file can be
    /// kept: then every opening is a first contact.
    pub(crate) fn of_paths(state: &Path, data: &Path) -> Result<Option<Self>, Error> {
        let store = match data.canonicalize() {
            Ok(path) => path.as_os_str().as_encoded_bytes().to_vec(),
            Err(_) => return Ok(None),
        };
        match FolderDisk::open(state, true) {
            Ok(disk) => Ok(Some(Self { disk: Arc::new(disk), store })),
            Err(error) => match error.source.kind() {
                ErrorKind::NotFound
                | ErrorKind::PermissionDenied
                | ErrorKind::NotADirectory
                | ErrorKind::ReadOnlyFilesystem => Ok(None),
                _ => Err(disk_error(error)),
            },
        }
    }
}

impl FrontierFile {
    /// Reads the file. `anew` begins with nothing, whatever it says.
    pub(crate) fn open(
        place: FrontierPlace,
        (scope, user): (ScopeId, UserId),
        local: HashKey,
        anew: bool,
    ) -> Result<Self, Error> {
        // The path comes last: the others have a fixed length.
        let parts: [&[u8]; 3] = [scope.as_bytes(), user.as_bytes(), &place.store];
        let name = format!("frontier-{}", RecordId::new(hash("frontier-file", &parts)));
        let mut file = Self { disk: place.disk, name, local, known: Mutex::default() };
        if let Some(bytes) = file.read()? {
            file.known = match Frontier::decode(&bytes, &file.local) {
                Ok(known) => Mutex::new(known),
                Err(_) if anew => Mutex::default(),
                Err(_) => return Err(Error::Frontier { file: file.name }),
            };
        }
        Ok(file)
    }

    /// How far the chains were seen.
    pub(crate) fn known(&self) -> Frontier {
        lock(&self.known).clone()
    }

    /// Remembers how far they are now; durable on return.
    pub(crate) fn save(&self, frontier: Frontier) -> Result<(), Error> {
        let mut known = lock(&self.known);
        if *known == frontier {
            return Ok(());
        }
        self.replace(&frontier.encode(&self.local)?)?;
        *known = frontier;
        Ok(())
    }

    fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        let file = match self.disk.open(&self.name, Access::Read, Caching::Buffered) {
            Ok(file) => file,
            Err(error) if error.source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(disk_error(error)),
        };
        let len = usize::try_from(file.len().map_err(disk_error)?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(FRONTIER_LEN_MAX + 1)];
        let read = file.read_at(0, &mut bytes).map_err(disk_error)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }

    fn replace(&self, bytes: &[u8]) -> Result<(), Error> {
        let temporary = format!("{}.tmp", self.name);
        let write = || {
            match self.disk.remove(&temporary) {
                Err(error) if error.source.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = self.disk.open(&temporary, Access::Create, Caching::Buffered)?;
            file.write_at(0, bytes)?;
            file.sync()?;
            drop(file);
            self.disk.rename(&temporary, &self.name)?;
            self.disk.sync_dir("")
        };
        write().map_err(disk_error)
    }
}

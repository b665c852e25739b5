//! The data folder itself: what is in it, which format it has, who has it open.

use std::io::ErrorKind;

use crypt::Random;
use model::{BlockNumber, FormatError, Incarnation, StoreId};

use crate::disk::{Access, Caching, Disk, DiskError, DiskLock};
use crate::error::{StoreError, block_file};
use crate::scan::read_file;
use crate::superblock::{COPIES, FORMAT, Superblock};

/// Held while the store is open.
pub(crate) const LOCK: &str = "lock";
const FORMAT_FILE: &str = "format";
const FORMAT_LEN_MAX: usize = 1024;
const FOLDERS: [&str; 6] = ["open", "blocks", "slices", "records", "index", "tmp"];
const RECORD_LEN_MAX: usize = 64 * 1024 * 1024;
/// Where damaged open blocks are put, never read again by the program.
pub(crate) const DAMAGED: &str = "damaged";

pub(crate) fn is_not_found(error: &DiskError) -> bool {
    error.source.kind() == ErrorKind::NotFound
}

/// True when the folder holds a store, whole or half made.
pub(crate) fn is_present(disk: &dyn Disk) -> Result<bool, StoreError> {
    let entries = match disk.list("") {
        Ok(entries) => entries,
        Err(error) if is_not_found(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    Ok(entries.iter().any(|entry| entry.name == FORMAT_FILE || entry.name.starts_with("super.")))
}

/// Makes folders, superblocks, and last the format file: a store without it is half made.
pub(crate) fn create(disk: &dyn Disk, random: &dyn Random) -> Result<(), StoreError> {
    let _lock = lock(disk)?;
    for folder in FOLDERS {
        disk.make_dir(folder)?;
    }
    // What an interrupted try left, records above all, is relied on from here on.
    for folder in FOLDERS.iter().chain([&""]) {
        disk.sync_dir(folder)?;
    }
    if file_exists(disk, FORMAT_FILE)? {
        return check_format(disk);
    }
    let mut superblock = fresh_superblock(disk, random)?;
    for _ in 0..COPIES {
        superblock.generation += 1;
        superblock.write(disk)?;
    }
    write_whole(disk, FORMAT_FILE, format!("ouroborosdb {FORMAT}\n").as_bytes())
}

fn fresh_superblock(disk: &dyn Disk, random: &dyn Random) -> Result<Superblock, StoreError> {
    let (mut store_id, mut incarnation) = ([0; 16], [0; 16]);
    random.fill(&mut store_id);
    random.fill(&mut incarnation);
    Ok(Superblock {
        generation: 0,
        store_id: StoreId::new(store_id),
        incarnation: Incarnation::new(incarnation),
        folder: disk.identity(LOCK)?,
        next_block: BlockNumber(1),
        indexes: Vec::new(),
        clean: Some(Vec::new()),
    })
}

/// The newest superblock; a fresh one when all are gone, for all of it can be found again.
pub(crate) fn superblock(disk: &dyn Disk, random: &dyn Random) -> Result<Superblock, StoreError> {
    match Superblock::read(disk) {
        Ok(Some(superblock)) => Ok(superblock),
        Ok(None) | Err(StoreError::Corrupt { .. }) => {
            let fresh = fresh_superblock(disk, random)?;
            Ok(Superblock { clean: None, ..fresh })
        }
        Err(error) => Err(error),
    }
}

fn file_exists(disk: &dyn Disk, path: &str) -> Result<bool, StoreError> {
    match disk.open(path, Access::Read, Caching::Buffered) {
        Ok(_) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Refuses folders that hold something else, or a format this program does not know.
pub(crate) fn check_format(disk: &dyn Disk) -> Result<(), StoreError> {
    let bytes = match read_file(disk, FORMAT_FILE, FORMAT_LEN_MAX) {
        Ok(bytes) => bytes,
        Err(StoreError::Disk(error)) if is_not_found(&error) => return Err(StoreError::NotAStore),
        Err(error) => return Err(error),
    };
    let text = core::str::from_utf8(&bytes).unwrap_or_default();
    let version = text.strip_prefix("ouroborosdb ").and_then(|rest| rest.strip_suffix('\n'));
    let number = version.and_then(|version| version.parse::<u32>().ok());
    match number.filter(|number| version == Some(number.to_string().as_str())) {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(StoreError::NewerFormat { found, known: FORMAT }),
        None => Err(StoreError::format(FORMAT_FILE, 0, FormatError::Invalid { noun: "format" })),
    }
}

/// The lock that one process holds while it has the store open.
pub(crate) fn lock(disk: &dyn Disk) -> Result<Box<dyn DiskLock>, StoreError> {
    disk.lock(LOCK).map_err(|error| match error.source.kind() {
        ErrorKind::WouldBlock => StoreError::Busy,
        _ => StoreError::Disk(error),
    })
}

/// Writes a file whole under a temporary name, syncs it, renames it, syncs its folder.
pub(crate) fn write_whole(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let temporary = format!("tmp/{name}");
    match disk.remove(&temporary) {
        Err(error) if !is_not_found(&error) => return Err(error.into()),
        _ => {}
    }
    let file = disk.open(&temporary, Access::Create, Caching::Buffered)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(&temporary, path)?;
    disk.sync_dir(dir)?;
    Ok(disk.sync_dir("tmp")?)
}

/// Public records: (name, content), in byte order of the names. The chains of commits, which grow
/// with the store, are left out.
pub fn read_records(disk: &dyn Disk) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let mut records = Vec::new();
    for entry in disk.list("records")? {
        if entry.name.starts_with("commits-") {
            continue;
        }
        let path = format!("records/{}", entry.name);
        records.push((entry.name, read_file(disk, &path, RECORD_LEN_MAX)?));
    }
    Ok(records)
}

/// Stores a record; durable on return.
pub fn write_record(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    write_whole(disk, &format!("records/{name}"), bytes)
}

/// The blocks in `dir`, ascending, with their lengths; other files are left alone.
pub(crate) fn blocks_in(disk: &dyn Disk, dir: &str) -> Result<Vec<(BlockNumber, u64)>, StoreError> {
    let mut blocks = Vec::new();
    for entry in disk.list(dir)? {
        let number = entry.name.strip_suffix(".block").filter(|hex| hex.len() == 10);
        let number = number.and_then(|hex| u64::from_str_radix(hex, 16).ok()).map(BlockNumber);
        // Only the one way a number is written counts.
        if let Some(number) =
            number.filter(|number| block_file(dir, *number).ends_with(&entry.name))
        {
            blocks.push((number, entry.len));
        }
    }
    blocks.sort_unstable();
    Ok(blocks)
}

use crate::disk::Disk;
use crate::error::StoreError;
use crate::folder::blocks_in;
use crate::store::Store;

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Distinct chunks, lists and versions.
    pub objects: u64,
    /// Versions.
    pub vertices: u64,
    /// Names that ever had a version.
    pub names: u64,
    /// Blocks that take appends or wait for packing.
    pub blocks_open: u64,
    /// Packed blocks.
    pub blocks_packed: u64,
    /// Content of all versions.
    pub bytes_content: u64,
    /// Distinct content: cleartext of chunks, and content inside versions.
    pub bytes_unique: u64,
    /// Bytes of all block files.
    pub bytes_stored: u64,
    /// Stored bytes that are not compressed content.
    pub bytes_overhead: u64,
    /// Bytes of the index on disk.
    pub bytes_index: u64,
    /// Files in the data folder.
    pub files_on_disk: u64,
}

fn files_in(disk: &dyn Disk) -> Result<u64, StoreError> {
    let mut files = 0;
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(&dir)? {
            let below = if dir.is_empty() { "" } else { "/" };
            match entry.is_dir {
                true => dirs.push(format!("{dir}{below}{}", entry.name)),
                false => files += 1,
            }
        }
    }
    Ok(files)
}

impl Store {
    /// Counts what is durable.
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        let inner = self.inner();
        let packed = blocks_in(&*inner.disk, "blocks")?;
        let open = blocks_in(&*inner.disk, "open")?;
        let bytes_stored: u64 = packed.iter().chain(&open).map(|(_, len)| len).sum();
        let index = inner.index();
        let counts = index.counts();
        let files_on_disk = files_in(&*inner.disk)?;
        Ok(StoreStats {
            objects: counts.objects,
            vertices: counts.vertices,
            names: counts.names,
            blocks_open: open.len() as u64,
            blocks_packed: packed.len() as u64,
            bytes_content: counts.bytes_content,
            bytes_unique: counts.bytes_unique,
            bytes_stored,
            bytes_overhead: bytes_stored.saturating_sub(counts.bytes_payload),
            bytes_index: index.bytes_on_disk(),
            files_on_disk,
        })
    }
}

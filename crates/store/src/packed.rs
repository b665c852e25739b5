//! Packed blocks: publishing a finished one, packing a frozen file into a fresh one, reading index and
//! objects back.

use std::sync::Arc;

use crypt::{EpochKeys, FRAME_PREFIX_LEN, ObjectHeader, ObjectKind, Opener};
use model::BlockNumber;
use model::hash::hash;

use crate::block::{
    BlockHeader, HEADER_LEN, IndexEntry, Place, TAIL_LEN, TRAILER_LEN, Tail, Trailer, decode_index,
};
use crate::disk::{Access, Caching, DiskFile};
use crate::error::{Problem, StoreError, block_file};
use crate::folder::{is_not_found, write_whole};
use crate::lane::Frozen;
use crate::object::SealedObject;
use crate::open_block::{Packing, ordinal_id};
use crate::scan::{FrameStream, Scan, entries, read_block, read_object};
use crate::store::Inner;
use crate::superblock::CleanEnd;

impl Inner {
    /// Renames a synced, finished block into `blocks/`; false when it is in `open/` as before.
    ///
    /// # Errors
    /// It is under its new name and a power loss may take that away. Nothing may be written any more:
    /// the next sync of `open/` would take the old name too.
    pub(crate) fn publish_block(&self, number: BlockNumber) -> Result<bool, StoreError> {
        let (open, packed) = (block_file("open", number), block_file("blocks", number));
        let _turn = self.renaming();
        if self.disk.rename(&open, &packed).is_err() {
            return Ok(false);
        }
        if self.disk.sync_dir("blocks").is_ok() {
            // An old name that comes back is removed at the next open.
            let _ = self.disk.sync_dir("open");
            return Ok(true);
        }
        self.disk.rename(&packed, &open)?;
        self.disk.sync_dir("open")?;
        Ok(false)
    }

    /// Keys that open the block, if they are at hand.
    pub(crate) fn keys_of(&self, header: &BlockHeader) -> Result<Arc<EpochKeys>, StoreError> {
        self.keys.epoch(header.scope, header.epoch, header.generation).ok_or(StoreError::NoKeys)
    }

    /// Tells one set of held epochs from another.
    pub(crate) fn held_epochs(&self) -> [u8; 32] {
        let mut ids: Vec<_> =
            self.keys.epochs.iter().map(|keys| *keys.epoch().as_bytes()).collect();
        ids.sort_unstable();
        hash("held-epochs", &[ids.as_flattened()])
    }

    /// Has the open blocks of other chains packed too, as far as they can be read.
    pub(crate) fn freeze_others(&self) {
        let covered = |number| self.coverage().open_upto(number) > 0;
        let mut lane = self.lane();
        let (readable, locked) = lane.others.drain(..).partition(|end| covered(end.number));
        lane.others = locked;
        let readable: Vec<CleanEnd> = readable;
        let frozen =
            readable.iter().map(|end| Frozen { number: end.number, durable: Some(end.end) });
        lane.frozen.extend(frozen);
    }

    /// Packs every frozen file as it is.
    pub(crate) fn pack_frozen(&self) -> Result<(), StoreError> {
        loop {
            let frozen = {
                let mut lane = self.lane();
                let Some(frozen) = lane.frozen.first().copied() else { return Ok(()) };
                self.mark_once(&mut lane)?;
                frozen
            };
            self.pack_file(frozen.number)?;
            self.lane().frozen.retain(|other| other.number != frozen.number);
            self.changed.notify_all();
        }
    }

    /// Copies the whole batches of a file in `open/` into a packed block. The old file is not written
    /// to: what its writer left may exist in the page cache only.
    pub(crate) fn pack_file(&self, number: BlockNumber) -> Result<(), StoreError> {
        let path = block_file("open", number);
        let bytes = match read_block(&*self.disk, &path) {
            Ok(bytes) => bytes,
            Err(StoreError::Disk(error)) if is_not_found(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(scan) = Scan::new(&path, number, &bytes)? else { return Ok(()) };
        // The old file goes away: what cannot be read now must not be left behind unnoticed.
        let known = scan.lost.map(|lost| lost.offset.saturating_add(lost.len));
        let known = known.unwrap_or(0).max(self.coverage().open_upto(number));
        if known > scan.end {
            let problem = Problem::BatchLost { len: (known - scan.end).into() };
            return Err(StoreError::corrupt(&path, scan.end.into(), problem));
        }
        let is_packed = !scan.batches.is_empty();
        if is_packed {
            let keys = self.keys_of(&scan.header)?;
            let stream = FrameStream::new(&bytes, &scan.batches);
            let (entries, ordinal) = entries(&path, &keys, &stream)?;
            let packing = Packing {
                keys: &keys,
                header: &scan.header,
                id: ordinal_id(&scan.header, ordinal),
                pad_id: ordinal_id(&scan.header, ordinal + 1),
            };
            let (end, _) = packing.finish(scan.end, &entries, scan.cells(&bytes));
            let mut whole = bytes;
            whole.truncate(scan.end as usize);
            whole.extend_from_slice(&end);
            write_whole(&*self.disk, &block_file("blocks", number), &whole)?;
            self.commit_packed(number)?;
        }
        let turn = self.renaming();
        self.disk.remove(&path)?;
        self.disk.sync_dir("open")?;
        drop(turn);
        self.files.forget(number);
        if is_packed {
            self.cover_packed(number);
        } else {
            self.coverage().open.retain(|(open, _)| *open != number);
        }
        Ok(())
    }
}

/// A packed block that is read piece by piece.
pub(crate) struct PackedBlock {
    pub(crate) path: String,
    pub(crate) header: BlockHeader,
    pub(crate) tail: Tail,
    pub(crate) trailer: Trailer,
    file: Arc<dyn DiskFile>,
}

impl PackedBlock {
    pub(crate) fn open(inner: &Inner, number: BlockNumber) -> Result<Self, StoreError> {
        let path = block_file("blocks", number);
        let file = inner.disk.open(&path, Access::Read, Caching::Buffered)?;
        let len = file.len()?;
        let bad = |offset, problem| StoreError::corrupt(&path, offset, problem);
        let tail_at = len.checked_sub(TAIL_LEN as u64).ok_or_else(|| bad(len, Problem::Short))?;
        let tail = Tail::decode(&read_array(&*file, tail_at, &path)?)
            .map_err(|error| bad(tail_at, Problem::Format(error)))?;
        if tail.len != tail_at {
            return Err(bad(tail_at, Problem::Misplaced));
        }
        let page: [u8; HEADER_LEN] = read_array(&*file, 0, &path)?;
        let header = BlockHeader::decode(&page).map_err(|error| bad(0, Problem::Format(error)))?;
        if header.number != number {
            return Err(bad(0, Problem::Misplaced));
        }
        let trailer_at = tail.len - TRAILER_LEN as u64;
        let trailer = Trailer::decode(&read_array(&*file, trailer_at, &path)?)
            .map_err(|error| bad(trailer_at, Problem::Format(error)))?;
        let ends = u64::from(trailer.offset) + u64::from(trailer.len);
        if ends != trailer_at || (trailer.offset as usize) < HEADER_LEN {
            return Err(bad(trailer_at, Problem::Misplaced));
        }
        Ok(Self { path, header, tail, trailer, file })
    }

    /// The sealed index.
    pub(crate) fn entries(&self, keys: &EpochKeys) -> Result<Vec<IndexEntry>, StoreError> {
        let at = u64::from(self.trailer.offset);
        let bad = |problem| StoreError::corrupt(&self.path, at, problem);
        let prefix: [u8; FRAME_PREFIX_LEN] = read_array(&*self.file, at, &self.path)?;
        let header = keys.frame_header(&prefix).map_err(|_| bad(Problem::Seal))?;
        if header.kind != ObjectKind::Index || header.frame_len() > self.trailer.len as usize {
            return Err(bad(Problem::Misplaced));
        }
        let mut frame = vec![0; header.frame_len()];
        if self.file.read_at(at, &mut frame)? != frame.len() {
            return Err(bad(Problem::Short));
        }
        let (_, plain) = keys.unseal(&frame, &mut Opener::new()).map_err(|_| bad(Problem::Seal))?;
        decode_index(&plain).map_err(|error| bad(Problem::Format(error)))
    }
}

fn read_array<const N: usize>(
    file: &dyn DiskFile,
    offset: u64,
    path: &str,
) -> Result<[u8; N], StoreError> {
    let mut out = [0; N];
    if file.read_at(offset, &mut out)? != N {
        return Err(StoreError::corrupt(path, offset, Problem::Short));
    }
    Ok(out)
}

/// The objects of a packed block as far as the index needs them: versions and bundles are unsealed,
/// of everything else the index entry is enough.
pub(crate) fn indexed_objects(
    inner: &Inner,
    block: &PackedBlock,
    keys: &EpochKeys,
) -> Result<Vec<(Place, SealedObject)>, StoreError> {
    let entries = block.entries(keys)?;
    let mut opener = Opener::new();
    let mut objects: Vec<(Place, SealedObject)> = Vec::new();
    for entry in entries {
        let is_plain = entry.item.is_none() && entry.kind != ObjectKind::Vertex;
        if !is_plain && objects.last().is_some_and(|(place, _)| *place == entry.place) {
            continue;
        }
        let object = if is_plain {
            plain_object(&entry)
        } else {
            let bad =
                |problem| StoreError::corrupt(&block.path, entry.place.offset.into(), problem);
            let frame = inner.read_frame(block.header.number, entry.place)?;
            let prefix = frame.first_chunk().ok_or_else(|| bad(Problem::Short))?;
            let header = keys.frame_header(prefix).map_err(|_| bad(Problem::Seal))?;
            let mut object = read_object(keys, &mut opener, header, &frame).map_err(bad)?;
            object.frame = Vec::new();
            object
        };
        objects.push((entry.place, object));
    }
    Ok(objects)
}

fn plain_object(entry: &IndexEntry) -> SealedObject {
    let payload_len = entry.place.len.saturating_sub(FRAME_OVERHEAD);
    let compression = if payload_len == entry.plain_len {
        crypt::Compression::None
    } else {
        crypt::Compression::Zstd
    };
    let header = ObjectHeader {
        kind: entry.kind,
        compression,
        plain_len: entry.plain_len,
        payload_len,
        obj: entry.id,
    };
    SealedObject { header, frame: Vec::new(), members: Vec::new(), vertices: Vec::new() }
}

const FRAME_OVERHEAD: u32 = 106;
const _: () = assert!(FRAME_OVERHEAD as usize == crypt::FRAME_OVERHEAD);

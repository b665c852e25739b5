//! The open block: the write-ahead log that becomes a block without being copied.

use std::sync::Arc;

use crypt::{CompressionPolicy, EpochKeys, ObjectKind, Sealer};
use model::hash::{CellHasher, block_root, cell, cell_parts, labelled, padme};
use model::limit::{BATCH_LEN_MAX, BLOCK_LEN_MAX, CELL_LEN};
use model::{BlockRoot, ObjectId};

use crate::aligned::AlignedBuf;
use crate::batch::{self, BatchHeader};
use crate::block::{
    BlockHeader, HEADER_LEN, INDEX_ENTRY_LEN_MAX, IndexEntry, Place, TRAILER_LEN, Tail, Trailer,
    encode_index, small,
};
use crate::disk::{Access, Caching, DIRECT_ALIGN, Disk, DiskError, DiskFile, DiskOperation};
use crate::disk_path::failed;
use crate::error::block_file;
use crate::object::SealedObject;

/// Body bytes of a full batch.
pub(crate) const BODY_LEN_MAX: usize = BATCH_LEN_MAX - batch::HEADER_LEN;
/// Room kept for padding, the index frame's own overhead and the trailer: the last batch's Padmé
/// padding is below 64 KiB, the cell padding below two cells.
const RESERVE_LEN: usize = 64 * 1024 + 2 * CELL_LEN + 1024;
/// The largest frame a block can take behind its header.
pub(crate) const FRAME_LEN_MAX: usize = BLOCK_LEN_MAX - HEADER_LEN - RESERVE_LEN - 64 * 1024;

/// A block that takes appends.
pub(crate) struct OpenBlock {
    pub(crate) header: BlockHeader,
    pub(crate) file: Arc<dyn DiskFile>,
    /// The batch being filled, its header's room included; empty between batches.
    filling: AlignedBuf,
    /// Memory of the last batch, for the next but one.
    spare: AlignedBuf,
    /// Bytes of the file that are written.
    pub(crate) written: u32,
    /// Bytes of a batch that is being written behind them, or could not be; `filling` goes behind that.
    in_flight: u32,
    /// Every byte before this is durable.
    pub(crate) durable: u32,
    pub(crate) next_batch: u32,
    pub(crate) previous: [u8; 32],
    cells: CellHasher,
    pub(crate) entries: Vec<IndexEntry>,
    /// Objects appended since the last sync, with their places: what a failed sync must not lose.
    pub(crate) unsynced: Vec<(Place, SealedObject)>,
    /// Ordinals for bundles, pads and the index.
    next_ordinal: u64,
    /// Present once it is finished.
    pub(crate) root: Option<BlockRoot>,
}

/// Where an interrupted or closed open block goes on.
pub(crate) struct Resumed {
    pub(crate) header: BlockHeader,
    pub(crate) end: u32,
    pub(crate) next_batch: u32,
    pub(crate) previous: [u8; 32],
    pub(crate) cells: CellHasher,
    pub(crate) entries: Vec<IndexEntry>,
    pub(crate) next_ordinal: u64,
}

impl OpenBlock {
    /// Makes the file; its entry is durable on return, its header with the first sync.
    pub(crate) fn create(
        disk: &dyn Disk,
        header: BlockHeader,
        caching: Caching,
    ) -> Result<Self, DiskError> {
        let file = disk.open(&block_file("open", header.number), Access::Create, caching)?;
        let page = header.encode();
        let mut filling = AlignedBuf::with_capacity(BATCH_LEN_MAX);
        filling.extend(&page);
        file.write_at(0, filling.as_slice())?;
        filling.clear();
        disk.sync_dir("open")?;
        let mut cells = CellHasher::default();
        cells.update(&page);
        Ok(Self {
            previous: header.hash(),
            header,
            file,
            filling,
            spare: AlignedBuf::new(),
            written: small(HEADER_LEN),
            in_flight: 0,
            durable: 0,
            next_batch: 0,
            cells,
            entries: Vec::new(),
            unsynced: Vec::new(),
            next_ordinal: 0,
            root: None,
        })
    }

    /// Goes on where a clean close stopped (rule 10a).
    pub(crate) fn resume(disk: &dyn Disk, resumed: Resumed) -> Result<Self, DiskError> {
        let path = block_file("open", resumed.header.number);
        let file = disk.open(&path, Access::Update, Caching::Buffered)?;
        Ok(Self {
            header: resumed.header,
            file,
            filling: AlignedBuf::with_capacity(BATCH_LEN_MAX),
            spare: AlignedBuf::new(),
            written: resumed.end,
            in_flight: 0,
            durable: resumed.end,
            next_batch: resumed.next_batch,
            previous: resumed.previous,
            cells: resumed.cells,
            entries: resumed.entries,
            unsynced: Vec::new(),
            next_ordinal: resumed.next_ordinal,
            root: None,
        })
    }

    /// The next unused ordinal of this block.
    pub(crate) fn take_ordinal(&mut self) -> u64 {
        self.next_ordinal += 1;
        self.next_ordinal - 1
    }

    fn ordinal_id(&mut self) -> ObjectId {
        let ordinal = self.take_ordinal();
        ordinal_id(&self.header, ordinal)
    }

    /// True when nothing waits for a sync.
    pub(crate) fn is_synced(&self) -> bool {
        self.filling.is_empty() && self.durable == self.end()
    }

    /// True before the first object.
    pub(crate) fn is_empty(&self) -> bool {
        self.end() == small(HEADER_LEN) && self.filling.is_empty()
    }

    /// File offset where `filling` goes.
    fn end(&self) -> u32 {
        self.written + self.in_flight
    }

    /// Bytes the file will have when all that was appended is written.
    pub(crate) fn len(&self) -> usize {
        self.end() as usize + self.filling.len()
    }

    /// Whether `object` still fits, its index entries and all padding counted.
    pub(crate) fn has_room(&self, object: &SealedObject) -> bool {
        let frame = object.frame.len();
        let headers = (frame / BODY_LEN_MAX + 2) * batch::HEADER_LEN;
        let index = (self.entries.len() + object.entry_count() + 1) * INDEX_ENTRY_LEN_MAX;
        self.len() + frame + headers + index + RESERVE_LEN <= BLOCK_LEN_MAX
    }

    /// Whether taking `object` would write a batch.
    pub(crate) fn fills_batch(&self, object: &SealedObject) -> bool {
        self.filling.len().max(batch::HEADER_LEN) + object.frame.len() > BATCH_LEN_MAX
            || self.filling.len() == BATCH_LEN_MAX
    }

    /// Takes an object; full batches are written. The caller made sure that it has room.
    pub(crate) fn append(&mut self, object: SealedObject) -> Result<Place, DiskError> {
        let place = self.append_frame(&object.frame);
        let place = match place {
            Ok(place) => place,
            Err(error) => {
                // Kept so that a fresh block can take it: its bytes are partly in a dead file.
                self.unsynced.push((Place { offset: 0, len: 0, gap: 0 }, object));
                return Err(error);
            }
        };
        self.entries.extend(object.entries(place));
        self.unsynced.push((place, object));
        Ok(place)
    }

    fn append_frame(&mut self, frame: &[u8]) -> Result<Place, DiskError> {
        if self.filling.len() == BATCH_LEN_MAX {
            self.write_batch()?;
        }
        self.begin_batch();
        let offset = small(self.len());
        let room = BATCH_LEN_MAX - self.filling.len();
        let gap = if frame.len() > room { room } else { 0 };
        let mut rest = frame;
        while !rest.is_empty() {
            if self.filling.len() == BATCH_LEN_MAX {
                self.write_batch()?;
                self.begin_batch();
            }
            let room = BATCH_LEN_MAX - self.filling.len();
            let (head, tail) = rest.split_at(rest.len().min(room));
            self.filling.extend(head);
            rest = tail;
        }
        Ok(Place { offset, len: small(frame.len()), gap: small(gap) })
    }

    fn begin_batch(&mut self) {
        if self.filling.is_empty() {
            self.filling.extend(&[0; batch::HEADER_LEN]);
        }
    }

    /// Pads what is being filled and writes it, so that a sync covers every append so far.
    pub(crate) fn write_pending(&mut self, keys: &EpochKeys) -> Result<(), DiskError> {
        self.check_alive()?;
        if self.filling.is_empty() {
            return Ok(());
        }
        self.pad(keys)?;
        self.write_batch()
    }

    /// Pads what is being filled and takes it out, to be written while appends go on. Until
    /// [`Self::end_write`] nothing else may write to the file.
    pub(crate) fn begin_write(
        &mut self,
        keys: &EpochKeys,
    ) -> Result<Option<BatchWrite>, DiskError> {
        self.check_alive()?;
        if self.filling.is_empty() {
            return Ok(None);
        }
        self.pad(keys)?;
        Ok(Some(self.take_batch()))
    }

    fn pad(&mut self, keys: &EpochKeys) -> Result<(), DiskError> {
        if let Some(len) = self.pad_len() {
            let id = self.ordinal_id();
            let frame = seal_zeros(keys, &self.header, id, len);
            self.append_frame(&frame)?;
        }
        Ok(())
    }

    /// Bytes the pad frame takes, so that the batch ends where Padmé says, on a page in direct mode.
    fn pad_len(&self) -> Option<usize> {
        let used = self.filling.len();
        if used == BATCH_LEN_MAX {
            return None;
        }
        let target = self.padded(used);
        if target == used {
            return None;
        }
        if target - used >= crypt::FRAME_OVERHEAD {
            return Some(target - used);
        }
        let target = self.padded(used + crypt::FRAME_OVERHEAD);
        if target <= BATCH_LEN_MAX {
            return Some(target - used);
        }
        // The pad frame runs over into a batch of its own.
        let second = self.padded(batch::HEADER_LEN + crypt::FRAME_OVERHEAD);
        Some(BATCH_LEN_MAX - used + second - batch::HEADER_LEN)
    }

    fn padded(&self, len: usize) -> usize {
        let padded = padme(len as u64).ok().and_then(|len| usize::try_from(len).ok());
        let padded = padded.expect("a batch's length pads without overflow");
        if self.file.is_direct() { padded.next_multiple_of(DIRECT_ALIGN) } else { padded }
    }

    /// Refuses a file whose last write failed: what it holds is unknown, and its batch is lost to it.
    fn check_alive(&self) -> Result<(), DiskError> {
        if self.in_flight == 0 {
            return Ok(());
        }
        let path = block_file("open", self.header.number);
        let source = std::io::Error::other("an earlier write of this file failed");
        Err(failed(DiskOperation::Write, &path, source))
    }

    fn write_batch(&mut self) -> Result<(), DiskError> {
        self.check_alive()?;
        let mut write = self.take_batch();
        write.run()?;
        self.end_write(write);
        Ok(())
    }

    fn take_batch(&mut self) -> BatchWrite {
        assert!(self.in_flight == 0, "one batch is written at a time");
        let mut next = core::mem::take(&mut self.spare);
        next.reserve(BATCH_LEN_MAX);
        let bytes = core::mem::replace(&mut self.filling, next);
        self.in_flight = small(bytes.len());
        let header = BatchHeader {
            chain: self.header.chain,
            block: self.header.number,
            number: self.next_batch,
            offset: self.written,
            len: self.in_flight,
            durable_upto: self.durable,
            previous: self.previous,
            body: [0; 32],
        };
        self.next_batch += 1;
        let cells = core::mem::take(&mut self.cells);
        BatchWrite { file: Arc::clone(&self.file), header, cells, bytes }
    }

    /// Takes over what a batch that was written leaves.
    pub(crate) fn end_write(&mut self, write: BatchWrite) {
        let BatchWrite { header, cells, mut bytes, .. } = write;
        self.previous = BatchHeader::hash(&header.encode());
        self.cells = cells;
        self.written += core::mem::take(&mut self.in_flight);
        bytes.clear();
        self.spare = bytes;
    }

    /// An empty batch, written so that damage to the one before it can be told from a torn tail.
    pub(crate) fn write_watermark(&mut self, keys: &EpochKeys) -> Result<(), DiskError> {
        self.begin_batch();
        self.write_pending(keys)
    }

    /// Writes index, padding, trailer and tail behind the batches; the file is packed once it is
    /// synced and renamed.
    pub(crate) fn finish(&mut self, keys: &EpochKeys) -> Result<BlockRoot, DiskError> {
        self.write_pending(keys)?;
        let id = self.ordinal_id();
        let pad_id = self.ordinal_id();
        let packing = Packing { keys, header: &self.header, id, pad_id };
        let cells = core::mem::take(&mut self.cells);
        let (bytes, root) = packing.finish(self.written, &self.entries, cells);
        self.filling.clear();
        self.filling.extend(&bytes);
        // The end of a direct write is a page; the file is cut to its length afterwards.
        let len = self.written as usize + bytes.len();
        let direct = self.file.is_direct();
        if direct {
            self.filling.pad();
        }
        self.file.write_at(self.written.into(), self.filling.as_slice())?;
        if direct {
            self.file.set_len(len as u64)?;
        }
        self.filling = AlignedBuf::new();
        self.spare = AlignedBuf::new();
        self.written = small(len);
        self.root = Some(root);
        Ok(root)
    }
}

/// A full or padded batch on its way to the file.
pub(crate) struct BatchWrite {
    file: Arc<dyn DiskFile>,
    /// Its hash of the body is made by [`Self::run`].
    header: BatchHeader,
    /// The cells of all that lies before the batch, then also its own.
    cells: CellHasher,
    /// The header's room, then the body.
    bytes: AlignedBuf,
}

impl BatchWrite {
    /// Hashes and writes the batch.
    pub(crate) fn run(&mut self) -> Result<(), DiskError> {
        let offset = u64::from(self.header.offset);
        let (_, body) = self.bytes.as_slice().split_at(batch::HEADER_LEN);
        let body_at = offset + batch::HEADER_LEN as u64;
        let parts: Vec<_> = cell_parts(body_at, body).map(|part| (part, cell(part))).collect();
        let mut hasher = labelled("body");
        for (_, hash) in &parts {
            hasher.update(hash);
        }
        self.header.body = *hasher.finalize().as_bytes();
        let header = self.header.encode();
        self.cells.update(&header);
        for (part, hash) in parts {
            self.cells.update_part(part, Some(hash));
        }
        self.bytes.as_mut_slice().iter_mut().zip(header).for_each(|(to, from)| *to = from);
        self.file.write_at(offset, self.bytes.as_slice())
    }
}

/// What a block gets behind its batches.
pub(crate) struct Packing<'a> {
    pub(crate) keys: &'a EpochKeys,
    pub(crate) header: &'a BlockHeader,
    pub(crate) id: ObjectId,
    pub(crate) pad_id: ObjectId,
}

impl Packing<'_> {
    /// Index, padding to whole cells, trailer, tail; and the root over all but the tail.
    pub(crate) fn finish(
        &self,
        end: u32,
        entries: &[IndexEntry],
        mut cells: CellHasher,
    ) -> (Vec<u8>, BlockRoot) {
        let mut bytes = Vec::new();
        let mut sealer = Sealer::new(CompressionPolicy::Auto);
        let index = encode_index(entries);
        let nonce = &self.header.nonce;
        self.keys.seal(ObjectKind::Index, self.id, &index, &mut sealer, nonce, &mut bytes);
        let used = end as usize + bytes.len() + crypt::FRAME_OVERHEAD + TRAILER_LEN;
        let covered = used.next_multiple_of(CELL_LEN);
        assert!(covered <= BLOCK_LEN_MAX, "room for index and padding was reserved");
        let pad =
            seal_zeros(self.keys, self.header, self.pad_id, covered - used + crypt::FRAME_OVERHEAD);
        bytes.extend_from_slice(&pad);
        let trailer = Trailer { offset: end, len: small(bytes.len()) };
        bytes.extend_from_slice(&trailer.encode());
        cells.update(&bytes);
        let root = block_root(covered as u64, &cells.finish());
        bytes.extend_from_slice(&Tail { root, len: covered as u64, parity_len: 0 }.encode());
        (bytes, root)
    }
}

/// `block nonce || n`.
pub(crate) fn ordinal_id(header: &BlockHeader, ordinal: u64) -> ObjectId {
    let mut id = [0; 32];
    let (nonce, rest) = id.split_at_mut(16);
    nonce.copy_from_slice(header.nonce.as_bytes());
    if let Some(number) = rest.first_chunk_mut::<8>() {
        *number = ordinal.to_le_bytes();
    }
    ObjectId::new(id)
}

/// A pad frame of exactly `len` bytes.
fn seal_zeros(keys: &EpochKeys, header: &BlockHeader, id: ObjectId, len: usize) -> Vec<u8> {
    let zeros = vec![0; len - crypt::FRAME_OVERHEAD];
    let mut frame = Vec::with_capacity(len);
    let mut sealer = Sealer::new(CompressionPolicy::Off);
    keys.seal(ObjectKind::Pad, id, &zeros, &mut sealer, &header.nonce, &mut frame);
    assert!(frame.len() == len, "pads are not compressed");
    frame
}

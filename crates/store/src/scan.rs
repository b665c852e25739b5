//! Reading back what a writer left in a block file: which batches are whole, where a torn tail
//! begins, what is damage (rules 5, 9, 10 of `reliability`), and the objects in it.

use crypt::{EpochKeys, FRAME_PREFIX_LEN, ObjectHeader, ObjectKind, Opener};
use model::hash::CellHasher;
use model::limit::{BLOCK_LEN_MAX, BUNDLED_LEN_MAX};
use model::{BlockNumber, ObjectId, Vertex, VertexHash};

use crate::batch::{self, BatchHeader, body_hash};
use crate::block::{BlockHeader, HEADER_LEN, IndexEntry, Place, TAIL_LEN, small};
use crate::bundle;
use crate::disk::{Access, Caching, Disk};
use crate::error::{Problem, StoreError};
use crate::object::{BundleMember, SealedObject};

/// The longest file read whole: a packed block with its tail.
const FILE_LEN_MAX: usize = BLOCK_LEN_MAX + TAIL_LEN;

/// Reads a whole file of at most `limit` bytes.
pub(crate) fn read_file(disk: &dyn Disk, path: &str, limit: usize) -> Result<Vec<u8>, StoreError> {
    let file = disk.open(path, Access::Read, Caching::Buffered)?;
    let len = file.len()?;
    let Some(len) = usize::try_from(len).ok().filter(|len| *len <= limit) else {
        let error = model::FormatError::TooLong { noun: "file", value: len, limit: limit as u64 };
        return Err(StoreError::format(path, 0, error));
    };
    let mut bytes = vec![0; len];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Reads a whole block file.
pub(crate) fn read_block(disk: &dyn Disk, path: &str) -> Result<Vec<u8>, StoreError> {
    read_file(disk, path, FILE_LEN_MAX)
}

/// Reads a whole block file into a buffer that was used before: fresh pages cost more than the hash.
pub(crate) fn read_block_into(
    disk: &dyn Disk,
    path: &str,
    bytes: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let file = disk.open(path, Access::Read, Caching::Buffered)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(FILE_LEN_MAX);
    bytes.resize(len, 0);
    let read = file.read_at(0, bytes)?;
    bytes.truncate(read);
    Ok(())
}

/// Acknowledged bytes that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

/// What is whole in a block file.
pub(crate) struct Scan {
    pub(crate) header: BlockHeader,
    pub(crate) batches: Vec<BatchHeader>,
    /// Where the whole batches end.
    pub(crate) end: u32,
    /// The last header's hash: what the next batch names as its previous.
    pub(crate) previous: [u8; 32],
    /// The greatest `durable_upto` of any whole header, at least the block header.
    pub(crate) durable: u32,
    /// A bad batch below `durable`.
    pub(crate) lost: Option<Lost>,
}

impl Scan {
    /// Reads the batches of `bytes`; `None` when not even the block header was written.
    pub(crate) fn new(
        path: &str,
        number: BlockNumber,
        bytes: &[u8],
    ) -> Result<Option<Self>, StoreError> {
        let Some(page) = bytes.get(..HEADER_LEN) else { return Ok(None) };
        let header = match BlockHeader::decode(page) {
            Ok(header) => header,
            Err(error) if is_durable(number, bytes) => {
                return Err(StoreError::format(path, 0, error));
            }
            Err(_) => return Ok(None),
        };
        if header.number != number {
            return Err(StoreError::corrupt(path, 0, Problem::Misplaced));
        }
        let mut scan = Self {
            previous: header.hash(),
            header,
            batches: Vec::new(),
            end: small(HEADER_LEN),
            durable: small(HEADER_LEN),
            lost: None,
        };
        while let Some((batch, hash)) = scan.next_batch(bytes) {
            scan.end = batch.end();
            scan.durable = scan.durable.max(batch.durable_upto);
            scan.previous = hash;
            scan.batches.push(batch);
        }
        scan.look_beyond(bytes);
        Ok(Some(scan))
    }

    fn next_batch(&self, bytes: &[u8]) -> Option<(BatchHeader, [u8; 32])> {
        let (batch, hash) = whole_batch(&self.header, bytes, self.end)?;
        let follows =
            batch.previous == self.previous && batch.number as usize == self.batches.len();
        follows.then_some((batch, hash))
    }

    /// A bad batch is a torn tail unless a later header says that it was durable.
    fn look_beyond(&mut self, bytes: &[u8]) {
        let beyond = find_batches(self.header.number, bytes, self.end as usize);
        let beyond: Vec<_> =
            beyond.into_iter().filter(|batch| batch.chain == self.header.chain).collect();
        let durable = beyond.iter().map(|batch| batch.durable_upto).max().unwrap_or(0);
        if durable <= self.end {
            return;
        }
        self.durable = durable;
        let next = beyond.iter().find(|at| whole_batch(&self.header, bytes, at.offset).is_some());
        let next = next.map_or(durable, |batch| batch.offset.min(durable));
        self.lost = Some(Lost { offset: self.end, len: next - self.end.min(next) });
    }

    /// The cells of everything up to `end`.
    pub(crate) fn cells(&self, bytes: &[u8]) -> CellHasher {
        let mut cells = CellHasher::default();
        cells.update(bytes.get(..self.end as usize).unwrap_or_default());
        cells
    }
}

/// The batch at `offset`, when header and body are whole and belong there.
fn whole_batch(block: &BlockHeader, bytes: &[u8], offset: u32) -> Option<(BatchHeader, [u8; 32])> {
    let rest = bytes.get(offset as usize..)?;
    let (encoded, _) = rest.split_first_chunk::<{ batch::HEADER_LEN }>()?;
    let batch = BatchHeader::decode(encoded).ok()?;
    let body = rest.get(batch::HEADER_LEN..batch.len as usize)?;
    let body_at = u64::from(offset) + batch::HEADER_LEN as u64;
    let whole = batch.chain == block.chain
        && batch.block == block.number
        && batch.offset == offset
        && body_hash(body_at, body) == batch.body;
    whole.then(|| (batch, BatchHeader::hash(encoded)))
}

/// True when any batch says that the header before it was durable. Header and first batch are synced
/// together: of a power loss before that, the batch alone may be left.
fn is_durable(number: BlockNumber, bytes: &[u8]) -> bool {
    find_batches(number, bytes, 0).iter().any(|batch| batch.durable_upto > 0)
}

/// Every valid batch header of block `number` at its own place from `from` on.
fn find_batches(number: BlockNumber, bytes: &[u8], from: usize) -> Vec<BatchHeader> {
    headers(bytes, from).filter(|batch| batch.block == number).collect()
}

/// Every valid batch header at its own place from `from` on, of whatever block.
fn headers(bytes: &[u8], from: usize) -> impl Iterator<Item = BatchHeader> + '_ {
    let area = bytes.get(from..).unwrap_or_default();
    let [first, ..] = batch::MAGIC;
    let mut at = 0;
    core::iter::from_fn(move || {
        loop {
            let rest = area.get(at..)?;
            let step = rest.iter().position(|byte| *byte == first)?;
            let rest = rest.get(step..)?;
            let offset = from + at + step;
            at += step + 1;
            if !rest.starts_with(&batch::MAGIC) {
                continue;
            }
            let Some(Ok(batch)) = rest.first_chunk().map(BatchHeader::decode) else { continue };
            if batch.offset as usize == offset {
                return Some(batch);
            }
        }
    })
}

/// Runs of whole batches that follow each other, wherever they lie and whatever is damaged besides.
/// Neither the block header nor the batch before is asked: this is for saving what is left.
pub(crate) fn whole_runs(bytes: &[u8]) -> Vec<Vec<BatchHeader>> {
    let mut runs: Vec<Vec<BatchHeader>> = Vec::new();
    for batch in headers(bytes, 0) {
        let start = batch.offset as usize + batch::HEADER_LEN;
        let Some(body) = bytes.get(start..batch.end() as usize) else { continue };
        if body_hash(start as u64, body) != batch.body {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| last.end() == batch.offset) => {
                run.push(batch);
            }
            _ => runs.push(vec![batch]),
        }
    }
    runs
}

/// The bodies of successive batches as one stream of frames.
pub(crate) struct FrameStream {
    bytes: Vec<u8>,
    /// (position in `bytes`, offset in the file) of each body.
    bodies: Vec<(usize, u32)>,
}

impl FrameStream {
    /// Of `batches`, which lie one behind the other.
    pub(crate) fn new(file: &[u8], batches: &[BatchHeader]) -> Self {
        Self::over(Vec::new(), file, batches)
    }

    /// Like [`Self::new`], in a buffer that was used before.
    pub(crate) fn over(mut buffer: Vec<u8>, file: &[u8], batches: &[BatchHeader]) -> Self {
        buffer.clear();
        let mut stream = Self { bytes: buffer, bodies: Vec::new() };
        for batch in batches {
            let start = batch.offset as usize + batch::HEADER_LEN;
            let body = file.get(start..batch.end() as usize).unwrap_or_default();
            stream.bodies.push((stream.bytes.len(), small(start)));
            stream.bytes.extend_from_slice(body);
        }
        stream
    }

    /// The buffer, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    fn place(&self, position: usize, len: usize) -> Place {
        let next = self.bodies.partition_point(|(start, _)| *start <= position);
        let (start, file_start) =
            next.checked_sub(1).and_then(|at| self.bodies.get(at)).copied().unwrap_or_default();
        let body_end = self.bodies.get(next).map_or(self.bytes.len(), |(start, _)| *start);
        let gap = if position + len > body_end { body_end - position } else { 0 };
        Place { offset: file_start + small(position - start), len: small(len), gap: small(gap) }
    }

    /// Calls `found` for every whole frame, pads included, at or behind file offset `from`; returns where the first
    /// unreadable frame lies, if one does. A frame that the end cuts off is left out: it was never
    /// acknowledged.
    pub(crate) fn frames<E>(
        &self,
        keys: &EpochKeys,
        from: u32,
        mut found: impl FnMut(Place, ObjectHeader, &[u8]) -> Result<(), E>,
    ) -> Result<Option<u32>, E> {
        let mut position = 0;
        while let Some(rest) = self.bytes.get(position..).filter(|rest| !rest.is_empty()) {
            let Some(prefix) = rest.first_chunk::<FRAME_PREFIX_LEN>() else { break };
            let Ok(header) = keys.frame_header(prefix) else {
                return Ok(Some(self.place(position, 0).offset));
            };
            let Some(frame) = rest.get(..header.frame_len()) else { break };
            let place = self.place(position, frame.len());
            if place.offset >= from {
                found(place, header, frame)?;
            }
            position += frame.len();
        }
        Ok(None)
    }

    /// Calls `found` at every place where a frame could begin until it says that one did.
    pub(crate) fn salvage(
        &self,
        keys: &EpochKeys,
        mut found: impl FnMut(Place, ObjectHeader, &[u8]) -> bool,
    ) {
        let mut position = 0;
        while let Some(rest) = self.bytes.get(position..) {
            let Some(prefix) = rest.first_chunk::<FRAME_PREFIX_LEN>() else { return };
            let frame = keys
                .frame_header(prefix)
                .ok()
                .and_then(|header| Some((header, rest.get(..header.frame_len())?)));
            position += match frame {
                Some((header, frame))
                    if found(self.place(position, frame.len()), header, frame) =>
                {
                    frame.len()
                }
                _ => 1,
            };
        }
    }
}

/// Unseals one frame as far as the index needs: members of bundles, versions.
pub(crate) fn read_object(
    keys: &EpochKeys,
    opener: &mut Opener,
    header: ObjectHeader,
    frame: &[u8],
) -> Result<SealedObject, Problem> {
    let (_, plain) = keys.unseal(frame, opener).map_err(|_| Problem::Seal)?;
    let mut object =
        SealedObject { header, frame: frame.to_vec(), members: Vec::new(), vertices: Vec::new() };
    let decode = |bytes| Vertex::decode(bytes).map_err(Problem::Format);
    match header.kind {
        ObjectKind::Vertex => {
            object.vertices.push((VertexHash::new(*header.obj.as_bytes()), decode(&plain)?));
        }
        ObjectKind::Bundle => {
            for (member, bytes) in members(keys, &plain)? {
                if member.kind == ObjectKind::Vertex {
                    let hash = VertexHash::new(*member.id.as_bytes());
                    object.vertices.push((hash, decode(bytes)?));
                }
                object.members.push(member);
            }
        }
        _ => {}
    }
    Ok(object)
}

/// The items of an unsealed bundle with their ids.
fn members<'a>(
    keys: &EpochKeys,
    plain: &'a [u8],
) -> Result<Vec<(BundleMember, &'a [u8])>, Problem> {
    let items = bundle::items(plain).map_err(Problem::Format)?;
    let member = |(kind, bytes): (ObjectKind, &'a [u8])| {
        if bytes.len() >= BUNDLED_LEN_MAX {
            return Err(Problem::Seal);
        }
        let id = item_id(keys, kind, bytes);
        Ok((BundleMember { id, kind, len: small(bytes.len()) }, bytes))
    };
    items.into_iter().map(member).collect()
}

/// The id of a bundle's item, recomputed.
pub(crate) fn item_id(keys: &EpochKeys, kind: ObjectKind, bytes: &[u8]) -> ObjectId {
    match kind {
        ObjectKind::Vertex => Vertex::hash_of(bytes).into(),
        ObjectKind::List => keys.list_hash(bytes).into(),
        _ => keys.chunk_hash(bytes).into(),
    }
}

/// Index entries of all whole frames, and an ordinal none of them has used.
pub(crate) fn entries(
    path: &str,
    keys: &EpochKeys,
    stream: &FrameStream,
) -> Result<(Vec<IndexEntry>, u64), StoreError> {
    let mut opener = Opener::new();
    let mut entries = Vec::new();
    let mut next_ordinal = 0;
    let bad = stream.frames(keys, 0, |place, header, frame| {
        if matches!(header.kind, ObjectKind::Bundle | ObjectKind::Pad) {
            let ordinal = header.obj.as_bytes().get(16..24).and_then(|bytes| bytes.first_chunk());
            next_ordinal =
                next_ordinal.max(ordinal.map_or(0, |n| u64::from_le_bytes(*n).saturating_add(1)));
        }
        let mut object =
            SealedObject { header, frame: Vec::new(), members: vec![], vertices: vec![] };
        match header.kind {
            ObjectKind::Pad => return Ok(()),
            ObjectKind::Bundle => {
                let bad = |problem| StoreError::corrupt(path, place.offset.into(), problem);
                let unsealed = keys.unseal(frame, &mut opener).map_err(|_| bad(Problem::Seal));
                let (_, plain) = unsealed?;
                let members = members(keys, &plain).map_err(bad)?;
                object.members = members.into_iter().map(|(member, _)| member).collect();
            }
            _ => {}
        }
        entries.extend(object.entries(place));
        Ok::<_, StoreError>(())
    })?;
    if let Some(offset) = bad {
        return Err(StoreError::corrupt(path, offset.into(), Problem::Seal));
    }
    Ok((entries, next_ordinal))
}

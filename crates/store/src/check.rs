//! Verifying what is on disk, and building the index anew.

use std::collections::BTreeSet;

use crypt::{EpochKeys, ObjectKind, Opener};
use model::hash::block_root;
use model::{BlockNumber, Content, List, Name, ObjectId, Vertex};

use crate::block::{IndexEntry, Place};
use crate::block_facts::{BlockFacts, versions};
use crate::bundle;
use crate::commit_table::check_commits;
use crate::error::{Problem, StoreError, block_file};
use crate::folder::blocks_in;
use crate::index::{LocalIndex, Location};
use crate::packed::PackedBlock;
use crate::recovery;
use crate::scan::{FrameStream, Scan, read_block, read_block_into};
use crate::store::{Damage, Inner, Store};

/// Called with bytes done and bytes in all; false asks to stop.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// A version whose content is affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// The missing or damaged object.
    pub object: ObjectId,
    /// The version that needs it.
    pub needed_by: ObjectId,
    /// The name of that version.
    pub name: Option<Name>,
}

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreReport {
    /// Blocks looked at.
    pub blocks: u64,
    /// Objects looked at.
    pub objects: u64,
    /// Bytes read and verified.
    pub bytes_verified: u64,
    /// Commits verified.
    pub commits: u64,
    /// Damaged or missing files.
    pub damage: Vec<Damage>,
    /// Versions that need what is damaged or missing.
    pub affected: Vec<Affected>,
    /// False when the caller stopped it.
    pub is_complete: bool,
}

/// Objects looked up at a time.
const PAGE_LEN: usize = 1024;

impl Store {
    /// Verifies structure, and every byte when `deep`; never writes.
    pub fn check(
        &self,
        deep: bool,
        on_progress: OnProgress<'_>,
    ) -> Result<StoreReport, StoreError> {
        let inner = self.inner();
        inner.drain()?;
        let mut report = StoreReport { damage: self.damage(), ..StoreReport::default() };
        let mut packed = Vec::new();
        report.is_complete = check_blocks(inner, deep, (&mut report, &mut packed), on_progress)?;
        if let Err(error) = inner.index().verify() {
            report.damage.push(Damage { file: "index".to_owned(), problem: error.problem_text() });
        }
        if report.is_complete {
            check_commits(inner, &packed, &mut report)?;
            check_versions(inner, &mut report)?;
        }
        report.damage.dedup();
        Ok(report)
    }

    /// Throws the index away and builds it anew from the blocks.
    pub fn rebuild(&self) -> Result<(), StoreError> {
        let inner = self.inner();
        inner.drain()?;
        let mut lane = inner.lane();
        while lane.is_syncing {
            lane = inner.wait(lane);
        }
        // As while a sync runs: the open block stays, nothing is packed.
        lane.is_syncing = true;
        drop(lane);
        let result = recovery::rebuild(inner);
        inner.lane().is_syncing = false;
        inner.changed.notify_all();
        result?;
        inner.checkpoint()
    }
}

fn check_blocks(
    inner: &Inner,
    deep: bool,
    (report, facts): (&mut StoreReport, &mut Vec<BlockFacts>),
    on_progress: OnProgress<'_>,
) -> Result<bool, StoreError> {
    let packed = blocks_in(&*inner.disk, "blocks")?;
    let open = blocks_in(&*inner.disk, "open")?;
    let bytes_total = packed.iter().chain(&open).map(|(_, len)| len).sum();
    let mut bytes_done = 0;
    let mut buffers = Buffers::default();
    let files = packed.iter().map(|entry| (true, entry)).chain(open.iter().map(|e| (false, e)));
    for (is_packed, (number, len)) in files {
        let result = match is_packed {
            true => check_packed(inner, *number, deep.then_some(&mut buffers), report)
                .map(|of_block| facts.push(of_block)),
            false => check_open(inner, *number, report),
        };
        match result {
            Ok(()) | Err(StoreError::NoKeys) => {}
            Err(StoreError::Disk(error)) if crate::folder::is_not_found(&error) => {}
            Err(error @ StoreError::Disk(_)) => return Err(error),
            Err(error) => {
                inner.distrust(*number);
                let dir = if is_packed { "blocks" } else { "open" };
                let file = block_file(dir, *number);
                report.damage.push(Damage { file, problem: error.problem_text() });
            }
        }
        report.blocks += 1;
        bytes_done += len;
        if !on_progress(bytes_done, bytes_total) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Memory for one block and its frames.
#[derive(Default)]
struct Buffers {
    file: Vec<u8>,
    frames: Vec<u8>,
}

/// Verifies every byte when `deep` brings the memory for it.
fn check_packed(
    inner: &Inner,
    number: BlockNumber,
    deep: Option<&mut Buffers>,
    report: &mut StoreReport,
) -> Result<BlockFacts, StoreError> {
    let block = PackedBlock::open(inner, number)?;
    let Ok(keys) = inner.keys_of(&block.header) else {
        // Another scope's, or of an epoch that is not held: its root covers every byte all the same.
        if let Some(buffers) = deep {
            read_block_into(&*inner.disk, &block.path, &mut buffers.file)?;
            check_root(&block, &buffers.file)?;
            report.bytes_verified += buffers.file.len() as u64;
        }
        return Err(StoreError::NoKeys);
    };
    let entries = block.entries(&keys)?;
    report.objects += entries.len() as u64;
    if let Some(buffers) = deep {
        read_block_into(&*inner.disk, &block.path, &mut buffers.file)?;
        check_bytes(&block, &keys, &entries, buffers)?;
        report.bytes_verified += buffers.file.len() as u64;
    }
    Ok(BlockFacts::new(&block.header, block.tail.root, block.tail.len, versions(&entries)))
}

/// The bytes of a packed block, every one of them verified.
pub(crate) fn check_whole(inner: &Inner, number: BlockNumber) -> Result<Vec<u8>, StoreError> {
    let block = PackedBlock::open(inner, number)?;
    let keys = inner.keys_of(&block.header)?;
    let entries = block.entries(&keys)?;
    let mut buffers = Buffers::default();
    read_block_into(&*inner.disk, &block.path, &mut buffers.file)?;
    check_bytes(&block, &keys, &entries, &mut buffers)?;
    Ok(buffers.file)
}

/// The root covers every byte, and the batches are whole. Needs no keys.
fn check_root(block: &PackedBlock, bytes: &[u8]) -> Result<Scan, StoreError> {
    let bad = |offset: u64, problem| StoreError::corrupt(&block.path, offset, problem);
    let number = block.header.number;
    let scan = Scan::new(&block.path, number, bytes)?.ok_or_else(|| bad(0, Problem::Short))?;
    if scan.end != block.trailer.offset || scan.lost.is_some() {
        return Err(bad(scan.end.into(), Problem::Seal));
    }
    let mut cells = scan.cells(bytes);
    let covered = usize::try_from(block.tail.len).unwrap_or(usize::MAX);
    let rest = bytes.get(scan.end as usize..covered);
    cells.update(rest.ok_or_else(|| bad(0, Problem::Short))?);
    if block_root(block.tail.len, &cells.finish()) != block.tail.root {
        return Err(bad(block.trailer.offset.into(), Problem::Seal));
    }
    Ok(scan)
}

/// What [`check_root`] does; and the index must name the frames there are.
fn check_bytes(
    block: &PackedBlock,
    keys: &EpochKeys,
    entries: &[IndexEntry],
    buffers: &mut Buffers,
) -> Result<(), StoreError> {
    let bytes = &buffers.file;
    let bad = |offset: u64, problem| StoreError::corrupt(&block.path, offset, problem);
    let scan = check_root(block, bytes)?;
    let mut places: BTreeSet<Place> = entries.iter().map(|entry| entry.place).collect();
    let buffer = core::mem::take(&mut buffers.frames);
    let stream = FrameStream::over(buffer, bytes, &scan.batches);
    let unreadable = stream.frames(keys, 0, |place, header, _| {
        if header.kind != ObjectKind::Pad && !places.remove(&place) {
            return Err(bad(place.offset.into(), Problem::Misplaced));
        }
        Ok(())
    })?;
    buffers.frames = stream.into_buffer();
    match unreadable.or_else(|| places.first().map(|place| place.offset)) {
        Some(offset) => Err(bad(offset.into(), Problem::Seal)),
        None => Ok(()),
    }
}

fn check_open(
    inner: &Inner,
    number: BlockNumber,
    report: &mut StoreReport,
) -> Result<(), StoreError> {
    let path = block_file("open", number);
    let bytes = read_block(&*inner.disk, &path)?;
    let Some(scan) = Scan::new(&path, number, &bytes)? else { return Ok(()) };
    if let Some(lost) = scan.lost {
        let problem = Problem::BatchLost { len: lost.len.into() };
        return Err(StoreError::corrupt(&path, lost.offset.into(), problem));
    }
    let covered = inner.coverage().open_upto(number);
    if covered > scan.end {
        let problem = Problem::BatchLost { len: u64::from(covered - scan.end) };
        return Err(StoreError::corrupt(&path, scan.end.into(), problem));
    }
    report.bytes_verified += u64::from(scan.end);
    Ok(())
}

/// Every version opens, and everything it refers to is there in a block that is whole.
fn check_versions(inner: &Inner, report: &mut StoreReport) -> Result<(), StoreError> {
    let mut after = None;
    let index = inner.index();
    let mut opener = Opener::new();
    loop {
        let page = index.objects(after.as_ref(), PAGE_LEN)?;
        for (id, location) in &page {
            if location.kind == ObjectKind::Vertex {
                check_version(inner, &index, (id, location), (&mut opener, report))?;
            }
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE_LEN => after = Some(*last),
            _ => return Ok(()),
        }
    }
}

fn check_version(
    inner: &Inner,
    index: &LocalIndex,
    (id, location): (&ObjectId, &Location),
    (opener, report): (&mut Opener, &mut StoreReport),
) -> Result<(), StoreError> {
    let plain = match read_plain(inner, opener, location) {
        Ok(plain) => plain,
        Err(StoreError::NoKeys) => return Ok(()),
        Err(error @ StoreError::Disk(_)) => return Err(error),
        Err(_) => {
            report.affected.push(Affected { object: *id, needed_by: *id, name: None });
            return Ok(());
        }
    };
    let Ok(vertex) = Vertex::decode(&plain) else {
        report.affected.push(Affected { object: *id, needed_by: *id, name: None });
        return Ok(());
    };
    let mut wanted: Vec<(ObjectId, bool)> = match &vertex.content {
        Content::Inline(_) => Vec::new(),
        Content::Chunks { entries, .. } => {
            entries.iter().map(|entry| (entry.hash.into(), false)).collect()
        }
        Content::Lists { root, .. } => vec![((*root).into(), true)],
    };
    while let Some((object, is_list)) = wanted.pop() {
        let found = index.locate(&object)?;
        let below = match (&found, is_list) {
            // What lies in a damaged block may itself be whole.
            (Some(found), false) if inner.is_distrusted(found.block) => {
                read_plain(inner, opener, found).ok().map(|_| Vec::new())
            }
            (Some(_), false) => Some(Vec::new()),
            (Some(found), true) => read_plain(inner, opener, found)
                .ok()
                .and_then(|plain| List::decode(&plain).ok())
                .map(|list| list_members(&list)),
            (None, _) => None,
        };
        match below {
            Some(below) => wanted.extend(below),
            None => {
                let name = vertex.name.clone();
                report.affected.push(Affected { object, needed_by: *id, name });
            }
        }
    }
    Ok(())
}

fn list_members(list: &List) -> Vec<(ObjectId, bool)> {
    match list {
        List::Chunks(entries) => entries.iter().map(|entry| (entry.hash.into(), false)).collect(),
        List::Lists { entries, .. } => {
            entries.iter().map(|(hash, _)| ((*hash).into(), true)).collect()
        }
    }
}

/// The verified cleartext of one object.
fn read_plain(
    inner: &Inner,
    opener: &mut Opener,
    location: &Location,
) -> Result<Vec<u8>, StoreError> {
    let path = inner.path_of(location.block);
    let bad = |problem| StoreError::corrupt(&path, location.place.offset.into(), problem);
    let frame = inner.read_frame(location.block, location.place)?;
    let plain = inner.keys.unseal(&frame, opener).map_err(|_| bad(Problem::Seal))?.plain;
    let Some(item) = location.item else { return Ok(plain) };
    let items = bundle::items(&plain).map_err(|error| bad(Problem::Format(error)))?;
    let item = items.get(usize::from(item)).ok_or_else(|| bad(Problem::Misplaced))?;
    Ok(item.1.to_vec())
}

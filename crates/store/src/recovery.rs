//! What opening does: go on after a clean close, or bring back what a crash left (rules 3, 4, 5, 10).

use std::collections::BTreeMap;
use std::sync::Arc;

use crypt::{EpochKeys, ObjectKind, Opener};
use model::{BlockNumber, EpochId};

use crate::block::{HEADER_LEN, Place, small};
use crate::error::{Problem, StoreError, block_file};
use crate::folder::{DAMAGED, blocks_in, is_not_found};
use crate::index::{IndexMeta, LocalIndex, Ranges};
use crate::lane::Frozen;
use crate::ledger::commit_rest;
use crate::object::SealedObject;
use crate::open_block::{OpenBlock, Resumed};
use crate::packed::{PackedBlock, indexed_objects};
use crate::released::Released;
use crate::reseal::Rewriting;
use crate::scan::{FrameStream, Scan, entries, read_block, read_object, whole_runs};
use crate::store::Inner;
use crate::superblock::{COPIES, CleanEnd};

/// Objects re-appended at a time.
const MOVE_BATCH: usize = 64;
/// Open blocks of other chains that stay open; more are packed.
const OTHERS_MAX: usize = 8;

pub(crate) fn recover(inner: &Inner) -> Result<(), StoreError> {
    settle_folders(inner)?;
    let packed = blocks_in(&*inner.disk, "blocks")?;
    let open = blocks_in(&*inner.disk, "open")?;
    let highest = packed.iter().chain(&open).map(|(number, _)| number.0).max().unwrap_or(0);
    {
        let mut superblock = inner.superblock();
        superblock.next_block.0 = superblock.next_block.0.max(highest + 1);
    }
    open_index(inner)?;
    let present: Vec<BlockNumber> = packed.iter().map(|(number, _)| *number).collect();
    find_missing(inner, &present, &open)?;
    commit_rest(inner, &present)?;
    replay_packed(inner, &present)?;
    let clean = inner.superblock().clean.clone();
    if let Some(ends) = &clean {
        check_clean(inner, ends, &present, &open)?;
    }
    let mut left = Vec::new();
    for (number, _) in &open {
        if present.contains(number) {
            // Packed and renamed; only the removal of the old file was lost.
            inner.disk.remove(&block_file("open", *number))?;
            continue;
        }
        let end = clean.as_ref().and_then(|ends| ends.iter().find(|end| end.number == *number));
        left.extend(recover_open(inner, *number, end)?);
    }
    move_objects(inner, left)
}

/// Renames and new files of a process that crashed may be in the page cache only. They become durable
/// before anything relies on them: removing the old name of a packed block would, and so would a
/// write under keys from a record.
fn settle_folders(inner: &Inner) -> Result<(), StoreError> {
    let is_settled = {
        let superblock = inner.superblock();
        superblock.clean.is_some() && superblock.generation > COPIES
    };
    if is_settled {
        return Ok(());
    }
    for folder in ["", "records", "index", "blocks", "open"] {
        inner.disk.sync_dir(folder)?;
    }
    match inner.disk.sync_dir(&inner.index_owner.dir()) {
        Err(error) if !is_not_found(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Opens the checkpoint the superblock names; a damaged or missing one is built anew from blocks.
fn open_index(inner: &Inner) -> Result<(), StoreError> {
    let checkpoint = inner.superblock().index_of(inner.index_owner);
    let Some(checkpoint) = checkpoint.filter(|_| !inner.options.rebuild) else { return Ok(()) };
    let opened = LocalIndex::open(
        (inner.disk.clone(), &inner.index_owner.dir()),
        inner.keys.local.clone(),
        inner.options.memory_bytes,
        checkpoint,
    );
    match opened {
        Ok((index, meta)) => inner.set_index(Arc::new(index), meta),
        Err(error @ StoreError::Index(_)) => {
            inner.note_damage("index".to_owned(), error.problem_text());
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Blocks that a checkpoint covers and that are gone, packed or open.
fn find_missing(
    inner: &Inner,
    present: &[BlockNumber],
    open: &[(BlockNumber, u64)],
) -> Result<(), StoreError> {
    let coverage = inner.coverage().clone();
    let mut released = None;
    let is_open = |number: u64| open.iter().any(|(open, _)| open.0 == number);
    for (first, last) in coverage.packed.iter().chain(coverage.locked.iter()) {
        let mut at = present.partition_point(|number| number.0 < first);
        for number in first..=last {
            if present.get(at).is_some_and(|present| present.0 == number) {
                at += 1;
            } else if !is_open(number) {
                let number = BlockNumber(number);
                if released_of(inner, &mut released)?.contains(number) {
                    let mut coverage = inner.coverage();
                    coverage.packed.remove(number);
                    coverage.locked.remove(number);
                    // What still says that it lies there is not deduplicated against.
                    inner.distrust(number);
                    continue;
                }
                inner.distrust(number);
                inner.note_damage(block_file("blocks", number), "missing");
            }
        }
    }
    let is_gone =
        |number: &BlockNumber| !is_open(number.0) && present.binary_search(number).is_err();
    let mut gone = coverage.open;
    gone.retain(|(number, end)| *end as usize > HEADER_LEN && is_gone(number));
    if gone.is_empty() {
        return Ok(());
    }
    let aside = match blocks_in(&*inner.disk, DAMAGED) {
        Err(StoreError::Disk(error)) if is_not_found(&error) => Vec::new(),
        aside => aside?,
    };
    for (number, _) in gone {
        if released_of(inner, &mut released)?.contains(number) {
            inner.coverage().open.retain(|(open, _)| *open != number);
            inner.distrust(number);
        } else if !aside.iter().any(|(aside, _)| *aside == number) {
            inner.distrust(number);
            inner.note_damage(block_file("open", number), "missing");
        }
    }
    Ok(())
}

/// What was released, read once and only when something is gone.
fn released_of<'a>(
    inner: &Inner,
    released: &'a mut Option<Released>,
) -> Result<&'a Released, StoreError> {
    let found = match released.take() {
        Some(found) => found,
        None => Released::read(&*inner.disk)?,
    };
    Ok(released.insert(found))
}

/// Folds packed blocks that the checkpoint does not cover.
fn replay_packed(inner: &Inner, present: &[BlockNumber]) -> Result<(), StoreError> {
    let held = inner.held_epochs();
    {
        let mut coverage = inner.coverage();
        if coverage.held != held {
            coverage.held = held;
            coverage.locked = Ranges::default();
        }
    }
    for number in present {
        if inner.coverage().knows(*number) {
            continue;
        }
        match replay_block(inner, *number) {
            Ok(()) => {}
            Err(StoreError::NoKeys) => inner.coverage().locked.insert(*number),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Missing { .. })) => {
                // The rest of the store stays readable; the block is named, by check as well.
                inner.distrust(*number);
                inner.note_damage(block_file("blocks", *number), error.problem_text());
                salvage_packed(inner, *number)?;
            }
            Err(error) => return Err(error),
        }
        if inner.index().fresh_bytes() >= REPLAY_CHECKPOINT_BYTES {
            inner.checkpoint()?;
        }
    }
    Ok(())
}

/// Index bytes in memory at which a replay writes a checkpoint.
const REPLAY_CHECKPOINT_BYTES: usize = 32 * 1024 * 1024;

fn replay_block(inner: &Inner, number: BlockNumber) -> Result<(), StoreError> {
    let block = PackedBlock::open(inner, number)?;
    let keys = inner.keys_of(&block.header)?;
    let objects = indexed_objects(inner, &block, &keys)?;
    inner.fold(number, &objects)?;
    inner.cover_packed(number);
    Ok(())
}

/// A packed block whose own index is damaged: its batches are read instead.
fn salvage_packed(inner: &Inner, number: BlockNumber) -> Result<(), StoreError> {
    let bytes = read_block(&*inner.disk, &block_file("blocks", number))?;
    let objects: Vec<_> =
        salvage(inner, &bytes).into_iter().map(|(place, object, _)| (place, object)).collect();
    inner.fold(number, &objects)
}

/// An object of a damaged file, and what it was sealed with.
type Salvaged = (Place, SealedObject, Arc<EpochKeys>);

/// Every object that any of the keys open, in any whole batch of a damaged file. One pass for each
/// epoch: the generation is looked for where a frame was found.
fn salvage(inner: &Inner, bytes: &[u8]) -> Vec<Salvaged> {
    let mut opener = Opener::new();
    let mut objects = Vec::new();
    for run in whole_runs(bytes) {
        let stream = FrameStream::new(bytes, &run);
        for sealing in &inner.keys.epochs {
            stream.salvage(sealing, |place, header, frame| {
                let Ok(opened) = inner.keys.unseal(frame, &mut opener) else { return false };
                let object = read_object(&opened.keys, &mut opener, header, frame);
                if header.kind != ObjectKind::Pad {
                    objects.extend(object.ok().map(|object| (place, object, opened.keys)));
                }
                true
            });
        }
    }
    objects
}

/// Makes what was saved durable again. What was sealed under other keys than those that are written with
/// is sealed anew, for a block holds one epoch and generation.
fn keep_salvaged(inner: &Inner, salvaged: Vec<Salvaged>) -> Result<(), StoreError> {
    let mut own = Vec::new();
    let mut others: BTreeMap<EpochId, Vec<(SealedObject, Arc<EpochKeys>)>> = BTreeMap::new();
    for (_, object, keys) in salvaged {
        match is_written_with(inner, keys.epoch(), keys.generation()) {
            true => own.push(object),
            false => others.entry(keys.generation()).or_default().push((object, keys)),
        }
    }
    move_objects(inner, own)?;
    let mut opener = Opener::new();
    for objects in others.into_values() {
        let Some((_, keys)) = objects.first() else { continue };
        let mut writing = Rewriting::new(inner, keys)?;
        for (object, keys) in objects {
            let unsealed = keys.unseal(&object.frame, &mut opener);
            let (_, plain) = unsealed.map_err(|_| StoreError::NoKeys)?;
            writing.add(object, &plain)?;
        }
        writing.finish()?;
    }
    Ok(())
}

/// Whether what is sealed under (`epoch`, `generation`) may go on in a block that is opened now.
fn is_written_with(inner: &Inner, epoch: EpochId, generation: EpochId) -> bool {
    let writing = &inner.writer.keys;
    epoch == writing.epoch() && generation == writing.generation()
}

/// Every object that unseals; those that do not are skipped.
fn whole_objects(
    keys: &crypt::EpochKeys,
    stream: &FrameStream,
    from: u32,
) -> Vec<(Place, SealedObject)> {
    let mut opener = Opener::new();
    let mut objects = Vec::new();
    let walked = stream.frames(keys, from, |place, header, frame| {
        if header.kind != ObjectKind::Pad
            && let Ok(object) = read_object(keys, &mut opener, header, frame)
        {
            objects.push((place, object));
        }
        Ok::<(), core::convert::Infallible>(())
    });
    let Ok(_) = walked;
    objects
}

/// After a clean close every open block is there and ends where it ended.
fn check_clean(
    inner: &Inner,
    ends: &[CleanEnd],
    packed: &[BlockNumber],
    open: &[(BlockNumber, u64)],
) -> Result<(), StoreError> {
    for end in ends {
        let path = block_file("open", end.number);
        let is_open = open.iter().any(|(number, _)| *number == end.number);
        if is_open || packed.contains(&end.number) {
            continue;
        }
        if !inner.options.accept_damage {
            return Err(StoreError::Missing { file: path });
        }
        inner.note_damage(path, "missing");
    }
    Ok(())
}

/// Whether a file of `open/` is left for its writer to go on with, as opposed to being packed: it is of
/// another chain and of the epoch that is written under now.
fn is_others(inner: &Inner, scan: &Scan) -> bool {
    scan.header.chain != inner.chain
        && scan.header.epoch == inner.writer.keys.epoch()
        && inner.lane().others.len() < OTHERS_MAX
}

/// Reads one file of `open/`. Returns objects that must be made durable again before anything is
/// served.
fn recover_open(
    inner: &Inner,
    number: BlockNumber,
    clean: Option<&CleanEnd>,
) -> Result<Vec<SealedObject>, StoreError> {
    let path = block_file("open", number);
    let bytes = read_block(&*inner.disk, &path)?;
    let scan = match Scan::new(&path, number, &bytes) {
        Ok(Some(scan)) => scan,
        Ok(None) if clean.is_none() => {
            inner.disk.remove(&path)?;
            return Ok(Vec::new());
        }
        Ok(None) => {
            let error = StoreError::corrupt(&path, 0, Problem::Short);
            return damaged_open(inner, number, &bytes, error);
        }
        Err(error) => return damaged_open(inner, number, &bytes, error),
    };
    let keys = match inner.keys_of(&scan.header) {
        Ok(keys) => keys,
        // Another identity's: left for it.
        Err(StoreError::NoKeys) => {
            inner.lane().others.extend(clean);
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let ended = clean.is_none_or(|clean| {
        clean.end <= scan.end && (clean.end != scan.end || clean.previous == scan.previous)
    });
    let covered = inner.coverage().open_upto(number);
    let known = clean.filter(|_| !ended).map_or(covered, |clean| clean.end.max(covered));
    let lost = scan.lost.map(|lost| (lost.offset, lost.len));
    let lost = lost.or_else(|| {
        (!ended || covered > scan.end).then(|| (scan.end, known.saturating_sub(scan.end)))
    });
    if let Some((offset, len)) = lost {
        let problem = Problem::BatchLost { len: len.into() };
        let error = StoreError::corrupt(&path, offset.into(), problem);
        return damaged_open(inner, number, &bytes, error);
    }
    let stream = FrameStream::new(&bytes, &scan.batches);
    let mut objects = whole_objects(&keys, &stream, covered);
    inner.fold(number, &objects)?;
    // A checkpoint covers nothing that a power loss can still take away.
    let durable = if clean.is_some() { scan.end } else { scan.durable.max(covered) };
    inner.cover_open(number, durable);
    let goes_on = clean
        .is_some_and(|clean| clean.end == scan.end && bytes.len() == scan.end as usize)
        && scan.header.chain == inner.chain
        && is_written_with(inner, scan.header.epoch, scan.header.generation)
        && inner.lane().open.is_none();
    if goes_on {
        resume(inner, &path, &scan, &bytes, &stream)?;
        return Ok(Vec::new());
    }
    if let Some(clean) = clean.filter(|_| is_others(inner, &scan)) {
        inner.lane().others.push(*clean);
        return Ok(Vec::new());
    }
    if clean.is_none() && !is_written_with(inner, scan.header.epoch, scan.header.generation) {
        // Its frames cannot go on in a block of another epoch: the whole batches are made durable as
        // they are, before anything is served.
        inner.mark_once(&mut inner.lane())?;
        inner.pack_file(number)?;
        return Ok(Vec::new());
    }
    inner.lane().frozen.push(Frozen { number, durable: Some(durable) });
    if clean.is_some() {
        return Ok(Vec::new());
    }
    // Rule 10b: what is not known to be durable is appended again, synced before serving.
    objects.retain(|(place, _)| place.offset >= scan.durable);
    if covered > scan.durable {
        objects = whole_objects(&keys, &stream, scan.durable);
    }
    Ok(objects.into_iter().map(|(_, object)| object).collect())
}

fn resume(
    inner: &Inner,
    path: &str,
    scan: &Scan,
    bytes: &[u8],
    stream: &FrameStream,
) -> Result<(), StoreError> {
    let keys = inner.keys_of(&scan.header)?;
    let (entries, next_ordinal) = entries(path, &keys, stream)?;
    let resumed = Resumed {
        header: scan.header,
        end: scan.end,
        next_batch: small(scan.batches.len()),
        previous: scan.previous,
        cells: scan.cells(bytes),
        entries,
        next_ordinal,
    };
    let open = OpenBlock::resume(&*inner.disk, resumed)?;
    inner.open_number.store(scan.header.number.0, std::sync::atomic::Ordering::Release);
    inner.open_written.store(scan.end.into(), std::sync::atomic::Ordering::Release);
    inner.lane().open = Some(open);
    Ok(())
}

/// Acknowledged bytes are lost. When the caller knows, what is whole goes on and the file is kept aside.
fn damaged_open(
    inner: &Inner,
    number: BlockNumber,
    bytes: &[u8],
    error: StoreError,
) -> Result<Vec<SealedObject>, StoreError> {
    if !inner.options.accept_damage {
        return Err(error);
    }
    inner.note_damage(block_file("open", number), error.problem_text());
    keep_salvaged(inner, salvage(inner, bytes))?;
    put_aside(inner, number)?;
    Ok(Vec::new())
}

fn put_aside(inner: &Inner, number: BlockNumber) -> Result<(), StoreError> {
    inner.disk.make_dir(DAMAGED)?;
    let to = block_file(DAMAGED, number);
    inner.disk.rename(&block_file("open", number), &to)?;
    inner.disk.sync_dir(DAMAGED)?;
    inner.disk.sync_dir("open")?;
    inner.coverage().open.retain(|(open, _)| *open != number);
    Ok(())
}

/// Appends objects to a fresh block and syncs them.
fn move_objects(inner: &Inner, objects: Vec<SealedObject>) -> Result<(), StoreError> {
    if objects.is_empty() {
        return Ok(());
    }
    let mut objects = objects.into_iter();
    loop {
        let batch: Vec<_> = objects.by_ref().take(MOVE_BATCH).collect();
        if batch.is_empty() {
            return inner.drain();
        }
        inner.append(batch)?;
    }
}

/// Folds every block into an empty index; open blocks are read from their files. The caller keeps
/// blocks where they are meanwhile.
///
/// # Errors
/// The index is the one before. If parts of the new one are on disk already, the store is read-only.
pub(crate) fn rebuild(inner: &Inner) -> Result<(), StoreError> {
    let named = inner.superblock().index_of(inner.index_owner);
    let empty = LocalIndex::empty(
        (inner.disk.clone(), &inner.index_owner.dir()),
        inner.keys.local.clone(),
        inner.options.memory_bytes,
        named.map_or(0, |(generation, _)| generation),
    );
    let (before, coverage) = (inner.index(), inner.coverage().clone());
    inner.set_index(Arc::new(empty), IndexMeta::default());
    let filled = refold(inner);
    if filled.is_err() {
        before.stage_all_of(&inner.index());
        inner.set_index(before, coverage);
        inner.lane().is_read_only |= inner.superblock().index_of(inner.index_owner) != named;
    }
    filled
}

fn refold(inner: &Inner) -> Result<(), StoreError> {
    let present: Vec<_> =
        blocks_in(&*inner.disk, "blocks")?.into_iter().map(|(number, _)| number).collect();
    commit_rest(inner, &present)?;
    replay_packed(inner, &present)?;
    // Not every file in `open/` counts: a dead one may show what no power loss will leave.
    let open: Vec<(BlockNumber, Option<u32>)> = {
        let lane = inner.lane();
        let frozen = lane.frozen.iter().map(|frozen| (frozen.number, frozen.durable));
        let others = lane.others.iter().map(|other| (other.number, Some(other.end)));
        frozen
            .chain(others)
            .chain(lane.open.iter().map(|open| (open.header.number, Some(open.durable))))
            .collect()
    };
    for (number, durable) in open {
        let path = block_file("open", number);
        let bytes = match read_block(&*inner.disk, &path) {
            // Renamed before the folder could not be synced: it was replayed as a packed block.
            Err(StoreError::Disk(error)) if is_not_found(&error) => continue,
            bytes => bytes?,
        };
        let Some(scan) = Scan::new(&path, number, &bytes)? else { continue };
        let keys = match inner.keys_of(&scan.header) {
            Err(StoreError::NoKeys) => continue,
            keys => keys?,
        };
        let durable = durable.unwrap_or(scan.end);
        if durable > scan.end {
            let problem = Problem::BatchLost { len: (durable - scan.end).into() };
            return Err(StoreError::corrupt(&path, scan.end.into(), problem));
        }
        let mut objects = whole_objects(&keys, &FrameStream::new(&bytes, &scan.batches), 0);
        objects.retain(|(place, _)| place.offset < durable);
        inner.fold(number, &objects)?;
        inner.cover_open(number, durable);
    }
    Ok(())
}

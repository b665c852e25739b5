//! The one path by which anything is written: appends to the open block, group commit, the change
//! to the next block, and what happens when the disk fails (rules 1, 2, 5 of `reliability`).

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use model::{BlockNonce, BlockNumber, ObjectId};

use crate::block::{BlockHeader, HEADER_LEN, Place, small};
use crate::disk::{Caching, DiskError};
use crate::error::StoreError;
use crate::index::Location;
use crate::object::SealedObject;
use crate::open_block::{BatchWrite, FRAME_LEN_MAX, OpenBlock, ordinal_id};
use crate::store::Inner;
use crate::superblock::CleanEnd;

/// Blocks that wait for their sync and rename at most; then appends wait.
const PACKING_MAX: usize = 2;
/// After a block whose batches were at least this long on average, the next one is written past the
/// page cache (rule 9).
const DIRECT_FROM_BYTES: u32 = 256 * 1024;

/// A place in the order of appends: all before it are durable once [`crate::Store::sync`] of it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(pub(crate) u64);

/// A file in `open/` that takes no more appends and is not packed yet: its writer crashed, or its
/// disk failed. Its whole batches are packed as they are into a fresh file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frozen {
    pub(crate) number: BlockNumber,
    /// What lies before this is durable here, the rest was appended again elsewhere; `None` for a
    /// finished file, which is durable as it is.
    pub(crate) durable: Option<u32>,
}

/// The state of the writing side, under one lock.
#[derive(Default)]
pub(crate) struct Lane {
    pub(crate) open: Option<OpenBlock>,
    /// Finished, waiting for sync and rename, oldest first.
    pub(crate) packing: VecDeque<OpenBlock>,
    pub(crate) frozen: Vec<Frozen>,
    /// Open blocks of other chains, closed cleanly: theirs to go on with.
    pub(crate) others: Vec<CleanEnd>,
    pub(crate) appended: u64,
    pub(crate) durable: u64,
    /// A sync is running: the open block stays where it is, and only the sync writes to it.
    pub(crate) is_syncing: bool,
    pub(crate) is_read_only: bool,
    /// The store is closing: the packer ends when nothing waits.
    pub(crate) is_closing: bool,
    /// A thread packs; without one whoever fills a block packs it.
    pub(crate) has_packer: bool,
    /// The superblock says that the store is in use.
    pub(crate) is_marked: bool,
    /// The last batch is durable and no later header says so.
    pub(crate) wants_watermark: bool,
    /// Whether the last block was filled by large batches.
    is_bulk: bool,
    /// The oldest finished block is being synced and renamed.
    is_packing: bool,
}

/// What sealing for the log needs.
#[derive(Debug, Clone, Copy)]
pub struct SealContext {
    /// Enters every seal.
    pub nonce: BlockNonce,
    header: BlockHeader,
    ordinal: u64,
}

impl SealContext {
    /// The id of the bundle that is sealed with this context; each context has its own.
    pub fn bundle_id(&self) -> ObjectId {
        ordinal_id(&self.header, self.ordinal)
    }
}

impl Lane {
    /// A finished block is not durable yet. Until it is, nothing of the next one may get to the disk: a
    /// power loss could leave that and take what it builds on.
    pub(crate) fn must_hold_back(&self) -> bool {
        self.packing.iter().any(|block| block.durable != block.written)
    }
}

type LaneGuard<'a> = MutexGuard<'a, Lane>;

impl Inner {
    pub(crate) fn lane(&self) -> LaneGuard<'_> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'a>(&self, lane: LaneGuard<'a>) -> LaneGuard<'a> {
        self.changed.wait(lane).unwrap_or_else(PoisonError::into_inner)
    }

    /// Context for sealing one bundle, or any number of other objects.
    pub(crate) fn seal_context(&self) -> Result<SealContext, StoreError> {
        let mut lane = self.lane();
        if lane.is_read_only {
            return Err(StoreError::ReadOnly);
        }
        self.ensure_open(&mut lane)?;
        let open = lane.open.as_mut().expect("a block was just opened");
        let ordinal = open.take_ordinal();
        Ok(SealContext { nonce: open.header.nonce, header: open.header, ordinal })
    }

    /// Takes objects in order; not durable yet, known to dedup at once.
    pub(crate) fn append(&self, objects: Vec<SealedObject>) -> Result<Position, StoreError> {
        let mut lane = self.lane();
        for object in objects {
            assert!(object.frame.len() <= FRAME_LEN_MAX, "a frame fits an empty block");
            lane = self.make_room(lane, &object)?;
            let number = lane.open.as_ref().map(|open| open.header.number);
            let appended = self.append_open(&mut lane, object);
            lane.appended += 1;
            if let Err(error) = appended {
                while lane.is_syncing {
                    lane = self.wait(lane);
                }
                // A failed sync may have replaced it meanwhile, and rescued this object too.
                if lane.open.as_ref().map(|open| open.header.number) == number {
                    self.replace_open(&mut lane, error)?;
                }
            }
        }
        Ok(Position(lane.appended))
    }

    /// Returns once the open block has room for `object`.
    fn make_room<'a>(
        &'a self,
        mut lane: LaneGuard<'a>,
        object: &SealedObject,
    ) -> Result<LaneGuard<'a>, StoreError> {
        loop {
            if lane.is_read_only {
                return Err(StoreError::ReadOnly);
            }
            self.ensure_open(&mut lane)?;
            let open = lane.open.as_ref().expect("a block was just opened");
            let (has_room, fills) = (open.has_room(object), open.fills_batch(object));
            let must_wait = lane.is_syncing || (lane.has_packer && lane.must_hold_back());
            if has_room && fills && must_wait {
                lane = self.wait(lane);
                continue;
            }
            if has_room {
                return Ok(lane);
            }
            lane = self.roll_over(lane)?;
        }
    }

    fn append_open(&self, lane: &mut Lane, object: SealedObject) -> Result<(), DiskError> {
        let open = lane.open.as_mut().expect("room was made in an open block");
        let before = open.entries.len();
        let number = open.header.number;
        let result = open.append(object);
        let entries = open.entries.get(before..).unwrap_or_default();
        let staged = entries.iter().map(|entry| (entry.id, Location::new(number, entry)));
        self.index().stage(staged);
        self.open_written.store(u64::from(open.written), Ordering::Release);
        result.map(|_| ())
    }

    /// Takes the clean mark away before anything is written, packing included.
    pub(crate) fn mark_once(&self, lane: &mut Lane) -> Result<(), StoreError> {
        if !lane.is_marked {
            self.mark_in_use()?;
            lane.is_marked = true;
        }
        Ok(())
    }

    fn ensure_open(&self, lane: &mut Lane) -> Result<(), StoreError> {
        self.mark_once(lane)?;
        if lane.open.is_some() {
            return Ok(());
        }
        let caching = if lane.is_bulk { Caching::Direct } else { Caching::Buffered };
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce);
        let header = BlockHeader {
            scope: self.writer.keys.scope(),
            epoch: self.writer.keys.epoch(),
            generation: self.writer.keys.generation(),
            nonce: BlockNonce::new(nonce),
            chain: self.chain,
            number: self.next_block_number(),
        };
        let renaming = self.renaming();
        let open = OpenBlock::create(&*self.disk, header, caching)?;
        drop(renaming);
        self.open_number.store(header.number.0, Ordering::Release);
        self.open_written.store(u64::from(open.written), Ordering::Release);
        let nonce = Some(header.nonce);
        *self.open_nonce.write().unwrap_or_else(PoisonError::into_inner) = nonce;
        lane.open = Some(open);
        Ok(())
    }

    /// Finishes the open block and hands it to packing.
    pub(crate) fn roll_over<'a>(
        &'a self,
        mut lane: LaneGuard<'a>,
    ) -> Result<LaneGuard<'a>, StoreError> {
        let number = lane.open.as_ref().map(|open| open.header.number);
        loop {
            if lane.is_read_only {
                return Err(StoreError::ReadOnly);
            }
            let must_wait = lane.is_syncing || (lane.has_packer && lane.must_hold_back());
            if !must_wait && lane.packing.len() < PACKING_MAX {
                break;
            }
            lane = if lane.has_packer || lane.is_syncing {
                self.wait(lane)
            } else {
                self.pack_front(lane)?
            };
        }
        self.mark_once(&mut lane)?;
        // Others may have done it meanwhile.
        let Some(mut open) = lane.open.take_if(|open| Some(open.header.number) == number) else {
            return Ok(lane);
        };
        match open.finish(&self.writer.keys) {
            Ok(_) => {
                lane.is_bulk = open.written / open.next_batch.max(1) >= DIRECT_FROM_BYTES;
                lane.packing.push_back(open);
                lane.wants_watermark = false;
            }
            Err(error) => {
                lane.open = Some(open);
                self.replace_open(&mut lane, error)?;
            }
        }
        self.changed.notify_all();
        if lane.has_packer { Ok(lane) } else { self.pack_front(lane) }
    }

    /// Makes the oldest finished block durable and packed, and folds what it holds.
    pub(crate) fn pack_front<'a>(
        &'a self,
        mut lane: LaneGuard<'a>,
    ) -> Result<LaneGuard<'a>, StoreError> {
        if lane.is_packing {
            return Ok(self.wait(lane));
        }
        let Some(front) = lane.packing.front() else { return Ok(lane) };
        let (file, number) = (Arc::clone(&front.file), front.header.number);
        lane.is_packing = true;
        drop(lane);
        let synced = file.sync();
        if synced.is_ok() {
            let mut lane = self.lane();
            if let Some(front) = lane.packing.front_mut() {
                front.durable = front.written;
            }
            self.changed.notify_all();
        }
        let renamed = if synced.is_ok() { self.publish_block(number) } else { Ok(false) };
        if matches!(renamed, Ok(true)) {
            self.commit_front(number);
        }
        let mut lane = self.lane();
        lane.is_read_only |= renamed.is_err();
        // Taken only once nothing can fail any more: waiting syncs watch this queue.
        let unsynced = match lane.packing.front_mut() {
            Some(front) if front.header.number == number => core::mem::take(&mut front.unsynced),
            _ => Vec::new(),
        };
        if let Err(error) = synced {
            lane.is_packing = false;
            let dead = lane.packing.pop_front();
            // What came later was held back and stays behind: the log keeps its order.
            let later = lane.open.take().map(|open| open.unsynced).unwrap_or_default();
            let unsynced = unsynced.into_iter().chain(later).collect();
            let result = self.rescue(&mut lane, dead, unsynced, error);
            self.changed.notify_all();
            return result.map(|()| lane);
        }
        drop(lane);
        let folded = self.fold(number, &unsynced);
        let mut lane = self.lane();
        lane.is_packing = false;
        lane.packing.pop_front();
        if matches!(renamed, Ok(true)) && folded.is_ok() {
            self.cover_packed(number);
        } else if matches!(renamed, Ok(false)) {
            lane.frozen.push(Frozen { number, durable: None });
        }
        self.changed.notify_all();
        folded.map(|()| lane)
    }

    /// Everything up to `position` is durable and folded when this returns.
    pub(crate) fn sync(&self, position: Position) -> Result<(), StoreError> {
        while self.sync_line.must_lead(position.0) {
            let synced = self.sync_for_all(position);
            self.sync_line.end(self.lane().durable);
            synced?;
        }
        Ok(())
    }

    /// Makes everything up to `position` durable, and what else was appended by then.
    fn sync_for_all(&self, position: Position) -> Result<(), StoreError> {
        let mut is_second_try = false;
        let mut lane = self.lane();
        loop {
            if lane.durable >= position.0 {
                return Ok(());
            }
            if lane.is_read_only {
                return Err(StoreError::ReadOnly);
            }
            if lane.is_syncing || (lane.has_packer && !lane.packing.is_empty()) {
                lane = self.wait(lane);
                continue;
            }
            if !lane.packing.is_empty() {
                lane = self.pack_front(lane)?;
                continue;
            }
            lane.is_syncing = true;
            let (guard, result) = self.lead_sync(lane);
            lane = guard;
            lane.is_syncing = false;
            self.changed.notify_all();
            match result {
                Ok(()) => {}
                Err(StoreError::Disk(error)) if !is_second_try => {
                    is_second_try = true;
                    self.replace_open(&mut lane, error)?;
                }
                Err(error) => {
                    lane.is_read_only = true;
                    self.changed.notify_all();
                    return Err(error);
                }
            }
        }
    }

    /// One sync for everyone who appended before it.
    fn lead_sync<'a>(&'a self, mut lane: LaneGuard<'a>) -> (LaneGuard<'a>, Result<(), StoreError>) {
        let target = lane.appended;
        let Some(open) = lane.open.as_mut().filter(|open| !open.is_synced()) else {
            lane.durable = target;
            return (lane, Ok(()));
        };
        let begun = open.begin_write(&self.writer.keys);
        let (file, number, count) =
            (Arc::clone(&open.file), open.header.number, open.unsynced.len());
        self.sync_line.covers(target);
        drop(lane);
        let synced = begun.and_then(|mut write| {
            write.as_mut().map_or(Ok(()), BatchWrite::run)?;
            file.sync()?;
            Ok(write)
        });
        let mut lane = self.lane();
        let write = match synced {
            Ok(write) => write,
            Err(error) => return (lane, Err(error.into())),
        };
        let open = lane.open.as_mut().expect("the open block stays while a sync runs");
        if let Some(write) = write {
            open.end_write(write);
        }
        let end = open.written;
        open.durable = end;
        let unsynced: Vec<_> = open.unsynced.drain(..count).collect();
        self.open_written.store(u64::from(end), Ordering::Release);
        lane.wants_watermark = true;
        drop(lane);
        let folded = self.fold(number, &unsynced);
        let mut lane = self.lane();
        if folded.is_ok() {
            self.cover_open(number, end);
            lane.durable = lane.durable.max(target);
        }
        (lane, folded)
    }

    /// The open block's file failed: its unsynced objects go to a fresh block from memory.
    fn replace_open(&self, lane: &mut Lane, error: DiskError) -> Result<(), StoreError> {
        let mut dead = lane.open.take();
        let unsynced = dead.as_mut().map(|dead| core::mem::take(&mut dead.unsynced));
        self.rescue(lane, dead, unsynced.unwrap_or_default(), error)
    }

    /// Rule 2: the file is dead, what was not synced is written again from memory, elsewhere; if that
    /// fails too nothing more is accepted.
    fn rescue(
        &self,
        lane: &mut Lane,
        dead: Option<OpenBlock>,
        unsynced: Vec<(Place, SealedObject)>,
        error: DiskError,
    ) -> Result<(), StoreError> {
        if let Some(dead) = dead {
            let number = dead.header.number;
            if dead.durable > small(HEADER_LEN) {
                lane.frozen.push(Frozen { number, durable: Some(dead.durable) });
            }
        }
        for (_, object) in unsynced {
            let moved = self.move_object(lane, object);
            if moved.is_err() {
                lane.is_read_only = true;
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn move_object(&self, lane: &mut Lane, object: SealedObject) -> Result<(), StoreError> {
        self.ensure_open(lane)?;
        let open = lane.open.as_mut().expect("a block was just opened");
        if !open.has_room(&object) {
            // As in a roll-over, but no other thread may run meanwhile: the block waits for its turn.
            let mut full = lane.open.take().expect("it is the open block");
            full.finish(&self.writer.keys)?;
            full.file.sync()?;
            full.durable = full.written;
            lane.packing.push_back(full);
            self.ensure_open(lane)?;
        }
        self.append_open(lane, object).map_err(StoreError::from)
    }

    /// Folds objects that are durable now and takes them off the stage.
    pub(crate) fn fold(
        &self,
        number: BlockNumber,
        objects: &[(Place, SealedObject)],
    ) -> Result<(), StoreError> {
        let index = self.index();
        let folded = index.apply(|changes| {
            for (place, object) in objects {
                changes.object(number, *place, object)?;
            }
            Ok(())
        });
        if let Err(error) = folded {
            // Durable but not in the index: only a rebuild can tell again what follows.
            self.lane().is_read_only = true;
            return Err(error);
        }
        index.unstage(objects.iter().flat_map(|(place, object)| {
            object.entries(*place).map(|entry| entry.id).collect::<Vec<_>>()
        }));
        Ok(())
    }

    /// Says in the log that the last batch is durable. A failure shows at the next sync.
    pub(crate) fn write_watermark(&self, lane: &mut Lane) {
        let Some(open) = lane.open.as_mut().filter(|open| open.is_synced()) else { return };
        if open.write_watermark(&self.writer.keys).is_err() {
            lane.is_read_only = true;
        }
        self.open_written.store(u64::from(open.written), Ordering::Release);
    }

    /// Waits until everything appended is durable and nothing waits for packing.
    pub(crate) fn drain(&self) -> Result<(), StoreError> {
        let position = Position(self.lane().appended);
        self.sync(position)?;
        let mut lane = self.lane();
        while !lane.packing.is_empty() {
            if lane.is_read_only {
                return Err(StoreError::ReadOnly);
            }
            lane = if lane.has_packer { self.wait(lane) } else { self.pack_front(lane)? };
        }
        Ok(())
    }

    /// Makes a watermark that was written since the last sync durable too, so that the clean mark can
    /// name the file's end.
    pub(crate) fn settle_watermark(&self) -> Result<(), StoreError> {
        let mut lane = self.lane();
        lane.wants_watermark = false;
        let Some(open) = lane.open.as_mut().filter(|open| open.durable != open.written) else {
            return Ok(());
        };
        open.file.sync()?;
        open.durable = open.written;
        Ok(())
    }
}

//! Sealing what is stored anew under the epoch that is written under now, so that who was removed can
//! no longer open it: every block of an older epoch becomes a new one, then the old file goes.
//!
//! Ids stay, and so does the generation that made them. A crash leaves old blocks, new ones, or both
//! with the same objects; the next call goes on.

use std::sync::Arc;

use crypt::{CompressionPolicy, EpochKeys, ObjectKind, Opener, Release, Sealer};
use model::{BlockNonce, BlockNumber, BlockRoot};

use crate::block::{BlockHeader, Place};
use crate::check::{OnProgress, check_whole};
use crate::disk::Caching;
use crate::error::{Problem, StoreError, block_file};
use crate::folder::{DAMAGED, blocks_in, is_not_found};
use crate::object::SealedObject;
use crate::open_block::{OpenBlock, ordinal_id};
use crate::packed::PackedBlock;
use crate::released::Released;
use crate::scan::{FrameStream, Scan, read_object};
use crate::store::{Inner, Store};

/// Blocks released at a time: the index on disk is brought up to date before each.
const RELEASE_BLOCKS: usize = 16;

/// What sealing anew did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resealed {
    /// Blocks of older epochs that are gone.
    pub blocks: u64,
    /// Objects they held.
    pub objects: u64,
    /// Bytes of the blocks written instead.
    pub bytes_written: u64,
    /// Blocks of older epochs that stay: damaged, or no key opens them.
    pub blocks_left: u64,
    /// False when the caller stopped it.
    pub is_complete: bool,
}

impl Store {
    /// Seals everything of older epochs anew under the epoch of the writer and releases the old blocks.
    /// Reads and puts go on meanwhile.
    pub fn reseal(&self, on_progress: OnProgress<'_>) -> Result<Resealed, StoreError> {
        self.flush()?;
        let inner = self.inner();
        let mut old = Vec::new();
        let mut done = Resealed { is_complete: true, ..Resealed::default() };
        for (number, len) in blocks_in(&*inner.disk, "blocks")? {
            match PackedBlock::open(inner, number) {
                Ok(block) if block.header.scope != inner.writer.keys.scope() => {}
                Ok(block) if block.header.epoch == inner.writer.keys.epoch() => {}
                Ok(block) => old.push((number, len, inner.keys_of(&block.header).ok())),
                Err(error @ StoreError::Disk(_)) => return Err(error),
                Err(_) => done.blocks_left += 1,
            }
        }
        let bytes_total = old.iter().map(|(_, len, _)| len).sum();
        let mut bytes_done = 0;
        let mut replaced = Vec::new();
        for (number, len, keys) in old {
            match keys.map(|keys| inner.reseal_block(number, &keys, &mut done)) {
                None => done.blocks_left += 1,
                Some(Ok(release)) => replaced.push((number, release)),
                Some(Err(StoreError::Corrupt { .. } | StoreError::Missing { .. })) => {
                    inner.distrust(number);
                    done.blocks_left += 1;
                }
                Some(Err(error)) => return Err(error),
            }
            if replaced.len() == RELEASE_BLOCKS {
                done.blocks += inner.release(&core::mem::take(&mut replaced))?;
            }
            bytes_done += len;
            if !on_progress(bytes_done, bytes_total) {
                done.is_complete = false;
                break;
            }
        }
        done.blocks += inner.release(&replaced)?;
        // What was put aside as damaged still opens for the old keys, as far as it is whole.
        match blocks_in(&*inner.disk, DAMAGED) {
            Err(StoreError::Disk(error)) if is_not_found(&error) => {}
            aside => done.blocks_left += aside?.len() as u64,
        }
        Ok(done)
    }
}

impl Inner {
    fn reseal_block(
        &self,
        number: BlockNumber,
        keys: &EpochKeys,
        done: &mut Resealed,
    ) -> Result<Release, StoreError> {
        // The old file goes away: nothing of it may be missed because it could not be read.
        let bytes = check_whole(self, number)?;
        let path = block_file("blocks", number);
        let scan = Scan::new(&path, number, &bytes)?
            .ok_or_else(|| StoreError::corrupt(&path, 0, Problem::Short))?;
        let mut writing = Rewriting::new(self, keys)?;
        let rewritten = rewrite(&path, (&bytes, &scan), keys, &mut writing);
        let root = PackedBlock::open(self, number)?.tail.root;
        match rewritten {
            Ok(0) => {
                writing.discard()?;
                Ok(Release { root, replaced_by: Vec::new() })
            }
            Ok(objects) => {
                let (bytes_written, mut replaced_by) = writing.finish()?;
                replaced_by.sort_unstable();
                done.bytes_written += bytes_written;
                done.objects += objects;
                Ok(Release { root, replaced_by })
            }
            Err(error) => {
                writing.discard()?;
                Err(error)
            }
        }
    }

    /// Removes blocks all of whose objects lie elsewhere, durably and known to the index.
    fn release(&self, replaced: &[(BlockNumber, Release)]) -> Result<u64, StoreError> {
        if replaced.is_empty() {
            return Ok(0);
        }
        let numbers: Vec<BlockNumber> = replaced.iter().map(|(number, _)| *number).collect();
        let mut releases: Vec<Release> =
            replaced.iter().map(|(_, release)| release.clone()).collect();
        releases.sort_unstable_by_key(|release| release.root);
        self.commit_releases(releases);
        self.sync_commits()?;
        // Whoever opens the folder next must not look for them: first the others, then this index.
        let mut released = Released::read(&*self.disk)?;
        numbers.iter().for_each(|number| released.insert(*number));
        released.write(&*self.disk)?;
        numbers.iter().for_each(|number| self.coverage().packed.remove(*number));
        self.checkpoint()?;
        for number in &numbers {
            self.disk.remove(&block_file("blocks", *number))?;
            self.files.forget(*number);
        }
        self.disk.sync_dir("blocks")?;
        Ok(numbers.len() as u64)
    }
}

/// Adds every object of a block to those that are written; how many there were.
fn rewrite(
    path: &str,
    (bytes, scan): (&[u8], &Scan),
    keys: &EpochKeys,
    writing: &mut Rewriting<'_>,
) -> Result<u64, StoreError> {
    let mut objects = 0;
    let mut opener = Opener::new();
    let stream = FrameStream::new(bytes, &scan.batches);
    let unreadable = stream.frames(keys, 0, |place, header, frame| {
        let bad = |problem| StoreError::corrupt(path, place.offset.into(), problem);
        if header.kind == ObjectKind::Pad {
            return Ok(());
        }
        let object = read_object(keys, &mut opener, header, frame).map_err(bad)?;
        let (_, plain) = keys.unseal(frame, &mut opener).map_err(|_| bad(Problem::Seal))?;
        objects += object.entry_count() as u64;
        writing.add(object, &plain)
    })?;
    if let Some(offset) = unreadable {
        return Err(StoreError::corrupt(path, offset.into(), Problem::Seal));
    }
    Ok(objects)
}

/// Blocks that are being written beside the log.
pub(crate) struct Rewriting<'a> {
    inner: &'a Inner,
    keys: Arc<EpochKeys>,
    sealer: Sealer,
    block: OpenBlock,
    written: u64,
    roots: Vec<BlockRoot>,
}

impl<'a> Rewriting<'a> {
    pub(crate) fn new(inner: &'a Inner, old: &EpochKeys) -> Result<Self, StoreError> {
        let writing = &inner.writer.keys;
        let keys = inner
            .keys
            .epoch(writing.scope(), writing.epoch(), old.generation())
            .ok_or(StoreError::NoKeys)?;
        let block = Self::create(inner, &keys)?;
        Ok(Self {
            inner,
            keys,
            sealer: Sealer::new(CompressionPolicy::Auto),
            block,
            written: 0,
            roots: Vec::new(),
        })
    }

    fn create(inner: &Inner, keys: &EpochKeys) -> Result<OpenBlock, StoreError> {
        inner.mark_once(&mut inner.lane())?;
        let mut nonce = [0; 16];
        inner.random.fill(&mut nonce);
        let header = BlockHeader {
            scope: keys.scope(),
            epoch: keys.epoch(),
            generation: keys.generation(),
            nonce: BlockNonce::new(nonce),
            chain: inner.chain,
            number: inner.next_block_number(),
        };
        let _turn = inner.renaming();
        Ok(OpenBlock::create(&*inner.disk, header, Caching::Direct)?)
    }

    /// Seals `object`, whose cleartext is `plain`, and appends it.
    pub(crate) fn add(&mut self, object: SealedObject, plain: &[u8]) -> Result<(), StoreError> {
        let mut sealed = SealedObject { frame: Vec::new(), ..object };
        self.seal(&mut sealed, plain);
        if !self.block.has_room(&sealed) {
            let next = Self::create(self.inner, &self.keys)?;
            let full = core::mem::replace(&mut self.block, next);
            self.publish(full)?;
            self.seal(&mut sealed, plain);
        }
        self.block.append(sealed)?;
        Ok(())
    }

    fn seal(&mut self, object: &mut SealedObject, plain: &[u8]) {
        let header = self.block.header;
        let id = match object.header.kind {
            ObjectKind::Bundle => ordinal_id(&header, self.block.take_ordinal()),
            _ => object.header.obj,
        };
        object.frame.clear();
        let (kind, nonce) = (object.header.kind, &header.nonce);
        object.header = self.keys.seal(kind, id, plain, &mut self.sealer, nonce, &mut object.frame);
    }

    /// Removes the block that was begun.
    fn discard(self) -> Result<(), StoreError> {
        let path = block_file("open", self.block.header.number);
        drop(self.block);
        self.inner.disk.remove(&path)?;
        Ok(self.inner.disk.sync_dir("open")?)
    }

    /// Makes the last block durable; the bytes and the roots of all of them.
    pub(crate) fn finish(mut self) -> Result<(u64, Vec<BlockRoot>), StoreError> {
        let (bytes, root) = publish(self.inner, &self.keys, self.block)?;
        self.roots.push(root);
        Ok((self.written + bytes, self.roots))
    }

    fn publish(&mut self, block: OpenBlock) -> Result<(), StoreError> {
        let (bytes, root) = publish(self.inner, &self.keys, block)?;
        self.written += bytes;
        self.roots.push(root);
        Ok(())
    }
}

/// Packs a block as the packer does, and folds what it holds.
fn publish(
    inner: &Inner,
    keys: &EpochKeys,
    mut block: OpenBlock,
) -> Result<(u64, BlockRoot), StoreError> {
    let number = block.header.number;
    let root = block.finish(keys)?;
    block.file.sync()?;
    if !inner.publish_block(number)? {
        // Durable under its old name: the next opening packs it.
        return Err(StoreError::ReadOnly);
    }
    let objects: Vec<(Place, SealedObject)> = core::mem::take(&mut block.unsynced);
    inner.fold(number, &objects)?;
    inner.cover_packed(number);
    inner.commit_packed(number)?;
    Ok((u64::from(block.written), root))
}

//! Reading frames out of block files, open or packed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::BlockNumber;
use model::limit::BATCH_LEN_MAX;

use crate::batch;
use crate::block::Place;
use crate::disk::{Access, Caching, DiskFile};
use crate::error::{Problem, StoreError, block_file};
use crate::folder::is_not_found;
use crate::open_block::BODY_LEN_MAX;
use crate::store::Inner;

impl Inner {
    /// The frame at `place`, without the batch headers inside it.
    pub(crate) fn read_frame(
        &self,
        block: BlockNumber,
        place: Place,
    ) -> Result<Vec<u8>, StoreError> {
        self.write_behind(block, place)?;
        let file = self.files.file(block, || self.open_file(block))?;
        let mut frame = vec![0; place.len as usize];
        let mut offset = u64::from(place.offset);
        let first = if place.gap == 0 { place.len } else { place.gap };
        let (head, mut rest) = frame.split_at_mut(first.min(place.len) as usize);
        self.read_exact(&*file, block, offset, head)?;
        offset += u64::from(first) + batch::HEADER_LEN as u64;
        while !rest.is_empty() {
            let (part, tail) = rest.split_at_mut(rest.len().min(BODY_LEN_MAX));
            self.read_exact(&*file, block, offset, part)?;
            offset += BATCH_LEN_MAX as u64;
            rest = tail;
        }
        Ok(frame)
    }

    fn read_exact(
        &self,
        file: &dyn DiskFile,
        block: BlockNumber,
        offset: u64,
        out: &mut [u8],
    ) -> Result<(), StoreError> {
        if file.read_at(offset, out)? == out.len() {
            return Ok(());
        }
        Err(StoreError::corrupt(&self.path_of(block), offset, Problem::Short))
    }

    /// Appended bytes may still wait in memory for their batch to fill.
    fn write_behind(&self, block: BlockNumber, place: Place) -> Result<(), StoreError> {
        let end = u64::from(place.offset)
            + u64::from(place.len)
            + if place.gap == 0 { 0 } else { 3 * batch::HEADER_LEN as u64 };
        let is_open = self.open_number.load(Ordering::Acquire) == block.0;
        if !is_open || end <= self.open_written.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut lane = self.lane();
        while !lane.is_read_only && (lane.is_syncing || (lane.has_packer && lane.must_hold_back()))
        {
            lane = self.wait(lane);
        }
        let keys = &self.writer.keys;
        if let Some(open) = lane.open.as_mut().filter(|open| open.header.number == block) {
            open.write_pending(keys)?;
            self.open_written.store(u64::from(open.written), Ordering::Release);
        }
        Ok(())
    }

    pub(crate) fn open_file(&self, block: BlockNumber) -> Result<Arc<dyn DiskFile>, StoreError> {
        for dir in ["blocks", "open", "blocks"] {
            match self.disk.open(&block_file(dir, block), Access::Read, Caching::Buffered) {
                Err(error) if is_not_found(&error) => {}
                result => return Ok(result?),
            }
        }
        self.distrust(block);
        Err(StoreError::Missing { file: block_file("blocks", block) })
    }

    /// The block's file as a reader of messages finds it.
    pub(crate) fn path_of(&self, block: BlockNumber) -> String {
        let is_open = self.open_number.load(Ordering::Acquire) == block.0;
        block_file(if is_open { "open" } else { "blocks" }, block)
    }
}

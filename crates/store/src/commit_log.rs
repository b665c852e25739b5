use std::collections::VecDeque;
use std::sync::Arc;

use crypt::{ChainHead, SignedCommit};
use model::ChainId;

use crate::commit_file::{CommitFile, commit_path, encode_frame};
use crate::disk::{Access, Caching, Disk, DiskError, DiskFile};
use crate::error::{Problem, StoreError};

/// Bytes written again at a time.
const WINDOW_LEN: usize = 1024 * 1024;

/// The end of the chain that this process writes.
pub(crate) struct CommitLog {
    path: String,
    file: Option<Arc<dyn DiskFile>>,
    /// Where the next frame goes.
    end: u64,
    /// Every byte before this is durable.
    durable: u64,
    /// The folder shows the file after a power loss too.
    is_named: bool,
    head: Option<ChainHead>,
    durable_head: Option<ChainHead>,
    /// Not written yet: the disk was full, or failed for a moment.
    waiting: VecDeque<SignedCommit>,
    /// A sync failed: nothing more is written to this file.
    is_dead: bool,
}

impl CommitLog {
    /// The log of `chain`, its torn tail left out. `is_clean`: the process before closed it.
    ///
    /// # Errors
    /// `Corrupt` when commits that were durable are damaged: the chain cannot be gone on with.
    pub(crate) fn open(
        disk: &dyn Disk,
        chain: ChainId,
        is_clean: bool,
    ) -> Result<Self, StoreError> {
        let mut log = Self {
            path: commit_path(chain),
            file: None,
            end: 0,
            durable: 0,
            is_named: false,
            head: None,
            durable_head: None,
            waiting: VecDeque::new(),
            is_dead: false,
        };
        let Some(file) = CommitFile::open(disk, chain)? else { return Ok(log) };
        let mut last = file.before(file.len())?;
        let is_whole = match &last {
            Some(last) => is_clean || file.is_whole(last.durable, last.end)?,
            None => file.len() == 0,
        };
        if !is_whole {
            let ending = file.ending()?;
            if ending.lost > 0 {
                let problem = Problem::BatchLost { len: ending.lost };
                return Err(StoreError::corrupt(&file.path, ending.end, problem));
            }
            last = file.before(ending.end)?;
        }
        if let Some(last) = &last {
            // Somebody may have put an older commit at the end.
            let commit = last.signed.commit();
            let before = file.before(last.start)?.map(|frame| frame.signed.commit().head());
            if !commit.follows(before.as_ref()) {
                let problem = Problem::OutOfOrder { seq: commit.seq };
                return Err(StoreError::corrupt(&file.path, last.start, problem));
            }
        }
        let is_settled = is_clean && is_whole;
        if let Some(last) = last {
            log.end = last.end;
            log.durable = if is_settled { last.end } else { last.durable.min(last.start) };
            log.head = Some(last.signed.commit().head());
        }
        log.durable_head = log.head.filter(|_| is_settled);
        log.is_named = is_clean;
        let file = disk.open(&log.path, Access::Update, Caching::Buffered)?;
        if !is_settled {
            log.settle(&*file)?;
        }
        log.file = Some(file);
        Ok(log)
    }

    /// The newest commit, durable or not.
    pub(crate) const fn head(&self) -> Option<&ChainHead> {
        self.head.as_ref()
    }

    /// The newest commit that a power loss leaves.
    pub(crate) const fn durable_head(&self) -> Option<&ChainHead> {
        self.durable_head.as_ref()
    }

    /// True when a sync would make something durable.
    pub(crate) fn is_due(&self) -> bool {
        self.durable != self.end || !self.waiting.is_empty()
    }

    /// Takes a commit that follows the head. Not durable before [`Self::sync`]; what the disk does not
    /// take now waits until then.
    pub(crate) fn append(&mut self, disk: &dyn Disk, signed: SignedCommit) {
        self.head = Some(signed.commit().head());
        self.waiting.push_back(signed);
        // A failure shows at the sync.
        let _ = self.write_waiting(disk);
    }

    /// Makes all commits durable.
    ///
    /// # Errors
    /// They may be, or not. The next opening commits what has no commit then.
    pub(crate) fn sync(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        if !self.is_due() {
            return Ok(());
        }
        self.write_waiting(disk)?;
        let Some(file) = &self.file else { return Ok(()) };
        let mut synced = file.sync();
        if synced.is_ok() && !self.is_named {
            synced = disk.sync_dir("records");
        }
        if let Err(error) = synced {
            self.is_dead = true;
            return Err(error.into());
        }
        self.is_named = true;
        self.durable = self.end;
        self.durable_head = self.head;
        Ok(())
    }

    fn write_waiting(&mut self, disk: &dyn Disk) -> Result<(), StoreError> {
        if self.is_dead {
            return Err(StoreError::ReadOnly);
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = disk.open(&self.path, Access::Create, Caching::Buffered)?;
                Arc::clone(self.file.insert(file))
            }
        };
        while let Some(signed) = self.waiting.front() {
            let frame = encode_frame(signed, self.durable);
            file.write_at(self.end, &frame)?;
            self.end += frame.len() as u64;
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Cuts the torn tail off, and writes again what a process before this one left behind `durable`:
    /// it may be in the page cache only.
    fn settle(&self, file: &dyn DiskFile) -> Result<(), DiskError> {
        file.set_len(self.end)?;
        let mut window = vec![0; WINDOW_LEN];
        let mut at = self.durable;
        while at < self.end {
            let rest = usize::try_from(self.end - at).unwrap_or(WINDOW_LEN).min(WINDOW_LEN);
            let part = window.get_mut(..rest).unwrap_or_default();
            let read = file.read_at(at, part)?.max(1);
            file.write_at(at, part.get(..read).unwrap_or_default())?;
            at += read as u64;
        }
        Ok(())
    }
}

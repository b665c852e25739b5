use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::BlockNumber;

use crate::disk::DiskFile;

/// Files kept open for reading at most.
const OPEN_MAX: usize = 48;

/// Block files that were read lately.
#[derive(Default)]
pub(crate) struct OpenFiles(Mutex<BTreeMap<BlockNumber, Entry>>);

struct Entry {
    file: Arc<dyn DiskFile>,
    used: u64,
}

impl OpenFiles {
    /// The file of a block, opened by `open` when it is not at hand.
    pub(crate) fn file<E>(
        &self,
        block: BlockNumber,
        open: impl FnOnce() -> Result<Arc<dyn DiskFile>, E>,
    ) -> Result<Arc<dyn DiskFile>, E> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = files.values().map(|entry| entry.used).max().unwrap_or(0) + 1;
        if let Some(entry) = files.get_mut(&block) {
            entry.used = turn;
            return Ok(Arc::clone(&entry.file));
        }
        let file = open()?;
        if files.len() >= OPEN_MAX {
            let oldest = files.iter().min_by_key(|(_, entry)| entry.used).map(|(block, _)| *block);
            oldest.and_then(|oldest| files.remove(&oldest));
        }
        files.insert(block, Entry { file: Arc::clone(&file), used: turn });
        Ok(file)
    }

    /// Forgets a file that was replaced or put aside.
    pub(crate) fn forget(&self, block: BlockNumber) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&block);
    }
}

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use model::Name;

use crate::engine::lock;

/// So many that 64 writers of different names rarely meet.
const STRIPES: usize = 4096;

/// Writers of one name take turns, so that each sees the head before it.
pub(crate) struct NameLocks {
    stripes: Vec<Mutex<()>>,
    hash: RandomState,
}

impl NameLocks {
    pub(crate) fn new() -> Self {
        let stripes = std::iter::repeat_with(Mutex::default).take(STRIPES).collect();
        Self { stripes, hash: RandomState::new() }
    }

    fn stripe(&self, name: &Name) -> usize {
        let slot = self.hash.hash_one(name) % STRIPES as u64;
        usize::try_from(slot).unwrap_or(0)
    }

    /// Waits for the turn of `name`.
    pub(crate) fn lock(&self, name: &Name) -> Option<MutexGuard<'_, ()>> {
        self.stripes.get(self.stripe(name)).map(lock)
    }

    /// Waits for the turn of all `names`, in an order that cannot deadlock.
    pub(crate) fn lock_all<'a>(
        &self,
        names: impl Iterator<Item = &'a Name>,
    ) -> Vec<MutexGuard<'_, ()>> {
        let mut stripes: Vec<usize> = names.map(|name| self.stripe(name)).collect();
        stripes.sort_unstable();
        stripes.dedup();
        stripes.into_iter().filter_map(|stripe| self.stripes.get(stripe)).map(lock).collect()
    }
}

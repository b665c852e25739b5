//! Unsealed pages in memory, bounded in bytes; CLOCK replacement, sharded by page.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::page::Page;

const SHARDS: usize = 8;
/// What an entry costs beside the page's bytes: map slot, ring slot, `Page`.
const ENTRY_OVERHEAD: usize = 176;

/// How the page cache did since the runs were opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Pages found.
    pub hits: u64,
    /// Pages read and unsealed.
    pub misses: u64,
    /// Memory held now.
    pub bytes: usize,
}

/// Tree pages and filter pages; the latter take at most a quarter.
#[derive(Debug)]
pub(super) struct Caches {
    pub(super) tree: Cache,
    pub(super) filter: Cache,
}

impl Caches {
    pub(super) fn new(bytes: usize) -> Self {
        let filter = bytes / 4;
        Self { tree: Cache::new(bytes - filter), filter: Cache::new(filter) }
    }

    pub(super) fn figures(&self) -> CacheFigures {
        let [tree, filter] = [&self.tree, &self.filter].map(Cache::figures);
        CacheFigures {
            hits: tree.hits + filter.hits,
            misses: tree.misses + filter.misses,
            bytes: tree.bytes + filter.bytes,
        }
    }
}

/// Names a page: serial number of the open run, slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PageKey(u64);

impl PageKey {
    pub(super) fn new(run: u32, slot: u32) -> Self {
        Self(u64::from(run) << 32 | u64::from(slot))
    }

    const fn mixed(self) -> u64 {
        let product = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ product >> 32
    }
}

/// Page keys are drawn by us, so one multiplication is enough.
#[derive(Debug, Default)]
struct PageKeyHasher(u64);

impl Hasher for PageKeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 << 8 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = PageKey(value).mixed();
    }
}

#[derive(Debug)]
pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    places: HashMap<PageKey, usize, BuildHasherDefault<PageKeyHasher>>,
    ring: Vec<Entry>,
    hand: usize,
    bytes: usize,
    hits: u64,
}

#[derive(Debug)]
struct Entry {
    key: PageKey,
    page: Arc<Page>,
    used: bool,
}

impl Cache {
    fn new(bytes: usize) -> Self {
        Self {
            shards: Default::default(),
            shard_bytes_max: bytes / SHARDS,
            misses: AtomicU64::new(0),
        }
    }

    fn shard(&self, key: PageKey) -> MutexGuard<'_, Shard> {
        let [.., top] = key.mixed().to_le_bytes();
        let [first, ..] = &self.shards;
        let shard = self.shards.get(usize::from(top) % SHARDS).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, key: PageKey) -> Option<Arc<Page>> {
        let mut shard = self.shard(key);
        let Some(&place) = shard.places.get(&key) else {
            drop(shard);
            self.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        shard.hits += 1;
        let entry = shard.ring.get_mut(place)?;
        entry.used = true;
        Some(Arc::clone(&entry.page))
    }

    /// Keeps the page, dropping pages unused since the hand last passed. A page larger than a shard
    /// is not kept.
    pub(super) fn keep(&self, key: PageKey, page: &Arc<Page>) {
        let cost = cost(page);
        if cost > self.shard_bytes_max {
            return;
        }
        let mut shard = self.shard(key);
        if shard.places.contains_key(&key) {
            return;
        }
        while shard.bytes + cost > self.shard_bytes_max && !shard.ring.is_empty() {
            shard.sweep();
        }
        let place = shard.ring.len();
        shard.places.insert(key, place);
        shard.ring.push(Entry { key, page: Arc::clone(page), used: false });
        shard.bytes += cost;
    }

    fn figures(&self) -> CacheFigures {
        let mut figures =
            CacheFigures { misses: self.misses.load(Ordering::Relaxed), ..CacheFigures::default() };
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            figures.hits += shard.hits;
            figures.bytes += shard.bytes;
        }
        figures
    }
}

impl Shard {
    /// Moves the hand by one entry: spares it once if used, else drops it.
    fn sweep(&mut self) {
        if self.hand >= self.ring.len() {
            self.hand = 0;
        }
        let Some(entry) = self.ring.get_mut(self.hand) else {
            return;
        };
        if entry.used {
            entry.used = false;
            self.hand += 1;
            return;
        }
        let dropped = self.ring.swap_remove(self.hand);
        self.places.remove(&dropped.key);
        self.bytes = self.bytes.saturating_sub(cost(&dropped.page));
        if let Some(moved) = self.ring.get(self.hand) {
            self.places.insert(moved.key, self.hand);
        }
    }
}

fn cost(page: &Page) -> usize {
    page.bytes.capacity() + ENTRY_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(len: usize) -> Arc<Page> {
        let mut bytes = vec![0; len];
        bytes[..4].copy_from_slice(&[1, 0, 1, 0]);
        Arc::new(Page::parse(bytes).unwrap())
    }

    #[test]
    fn stays_within_its_bytes_and_keeps_what_is_used() {
        let cache = Cache::new(SHARDS * 64 * 1024);
        let hot = PageKey::new(1, 1);
        cache.keep(hot, &page(4000));
        for slot in 2..10_000 {
            assert!(cache.find(hot).is_some(), "the hot page was dropped at {slot}");
            cache.keep(PageKey::new(1, slot), &page(4000));
        }
        let figures = cache.figures();
        assert!(figures.bytes <= SHARDS * 64 * 1024);
        assert!(figures.bytes >= SHARDS * 56 * 1024, "{figures:?}");
        assert!(cache.find(PageKey::new(1, 2)).is_none());
        assert!(cache.find(PageKey::new(1, 9_999)).is_some());
        assert!(cache.find(PageKey::new(2, 9_999)).is_none());
    }

    #[test]
    fn a_page_larger_than_a_shard_is_not_kept() {
        let cache = Cache::new(SHARDS * 5000);
        cache.keep(PageKey::new(1, 1), &page(5000));
        assert!(cache.find(PageKey::new(1, 1)).is_none());
        cache.keep(PageKey::new(1, 1), &page(5000 - ENTRY_OVERHEAD));
        assert!(cache.find(PageKey::new(1, 1)).is_some());
    }
}

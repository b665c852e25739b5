use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crypt::Random;
use store::disk::Disk;

/// Tells the time and lets it pass.
pub trait Clock: Send + Sync {
    /// Nanoseconds since 1970.
    fn now_ns(&self) -> u64;
    /// Waits.
    fn sleep(&self, time: Duration);
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> u64 {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Everything outside the process that a database touches.
#[derive(Clone)]
pub struct World {
    /// The data folder.
    pub disk: Arc<dyn Disk>,
    /// Where the key file lies.
    pub key_file: KeyPlace,
    /// Keys and nonces come from here.
    pub random: Arc<dyn Random>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where it is remembered how far the store's chains were seen; `None` = nowhere.
    pub frontier: Option<FrontierPlace>,
}

/// A folder outside the store, and which store is meant.
#[derive(Clone)]
pub struct FrontierPlace {
    /// The folder; it may serve many stores.
    pub disk: Arc<dyn Disk>,
    /// What tells this store from others: its path. A copy elsewhere is another one.
    pub store: Vec<u8>,
}

/// A key file's place.
#[derive(Clone)]
pub struct KeyPlace {
    /// Its folder.
    pub disk: Arc<dyn Disk>,
    /// Its name in that folder.
    pub name: String,
    /// The path a person knows it by.
    pub path: String,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("key_file", &self.key_file).finish_non_exhaustive()
    }
}

impl fmt::Debug for FrontierPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrontierPlace").finish_non_exhaustive()
    }
}

impl fmt::Debug for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPlace").field("path", &self.path).finish_non_exhaustive()
    }
}

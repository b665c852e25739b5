use std::sync::{Mutex, PoisonError};

/// Things that are costly to make and kept for the next user, up to a limit.
pub(crate) struct Pool<T> {
    idle: Mutex<Vec<T>>,
    limit: usize,
}

impl<T> Pool<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { idle: Mutex::new(Vec::new()), limit }
    }

    /// An idle one, else what `make` makes.
    pub(crate) fn take(&self, make: impl FnOnce() -> T) -> T {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(make)
    }

    /// Keeps `one` unless enough are idle.
    pub(crate) fn give(&self, one: T) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.limit {
            idle.push(one);
        }
    }
}

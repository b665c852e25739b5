use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::lock;

/// Wakes whoever watches for changes.
#[derive(Default)]
pub(crate) struct Feed {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Counts announcements.
    count: u64,
    closed: bool,
    /// Threads that wait.
    watchers: usize,
}

impl Feed {
    /// Something may have become visible.
    pub(crate) fn announce(&self) {
        let mut state = lock(&self.state);
        state.count += 1;
        let is_watched = state.watchers > 0;
        drop(state);
        // Waking nobody is a system call all the same, and every put comes here.
        if is_watched {
            self.changed.notify_all();
        }
    }

    /// Nothing will become visible any more.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Announcements so far.
    pub(crate) fn count(&self) -> u64 {
        lock(&self.state).count
    }

    /// Waits for more than `seen` announcements; false when it closed or `wait` is over first.
    pub(crate) fn wait(&self, seen: u64, wait: Option<Duration>) -> bool {
        let mut state = lock(&self.state);
        state.watchers += 1;
        let idle = |state: &mut State| state.count == seen && !state.closed;
        state = match wait {
            Some(wait) => {
                let waited = self.changed.wait_timeout_while(state, wait, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
        };
        state.watchers -= 1;
        state.count != seen
    }
}

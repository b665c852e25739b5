//! Who waits for a sync. One caller leads, the others wait beside the lane's lock and are woken
//! together, so that a sync costs each of them one wake-up and no turn at that lock.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Those who wait for a sync.
#[derive(Debug, Default)]
pub(crate) struct SyncLine {
    state: Mutex<State>,
    /// For those whom the sync that runs takes along, and for those behind them; in turn.
    ended: [Condvar; 2],
}

#[derive(Debug, Default)]
struct State {
    /// Everything up to this position is durable.
    durable: u64,
    is_led: bool,
    /// How far the sync that runs goes, once that is known.
    covered: Option<u64>,
    /// The last sync that ended.
    ended: Turn,
    waiting: [usize; 2],
    /// Woken by the end of a sync and not running yet. Who writes again and again is back in a moment:
    /// the next sync begins once the last of them has left, so that it takes the others along.
    waking: usize,
}

/// A sync, counted.
type Turn = usize;

impl State {
    /// The sync that makes `position` durable.
    fn turn_of(&self, position: u64) -> Turn {
        let is_late = self.is_led && self.covered.is_some_and(|covered| covered < position);
        self.ended.wrapping_add(if is_late { 2 } else { 1 })
    }

    fn waiting_for(&mut self, turn: Turn) -> &mut usize {
        let [even, odd] = &mut self.waiting;
        if turn.is_multiple_of(2) { even } else { odd }
    }
}

impl SyncLine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_of(&self, turn: Turn) -> &Condvar {
        let [even, odd] = &self.ended;
        if turn.is_multiple_of(2) { even } else { odd }
    }

    /// Returns once `position` is durable, or true once it is the caller's turn to make it so and then
    /// to call [`Self::end`].
    pub(crate) fn must_lead(&self, position: u64) -> bool {
        let mut state = self.state();
        let mut has_waited = false;
        while state.durable < position {
            if !state.is_led && state.waking == 0 {
                state.is_led = true;
                state.covered = None;
                return true;
            }
            let (turn, ended) = (state.turn_of(position), state.ended);
            *state.waiting_for(turn) += 1;
            state = self.end_of(turn).wait(state).unwrap_or_else(PoisonError::into_inner);
            has_waited = true;
            if state.ended.wrapping_sub(ended) >= turn.wrapping_sub(ended) {
                state.waking -= 1;
            } else {
                *state.waiting_for(turn) -= 1;
            }
        }
        if has_waited {
            self.hand_over(&state);
        }
        false
    }

    /// Wakes somebody to lead when nobody else will come to do so.
    fn hand_over(&self, state: &State) {
        if state.is_led || state.waking > 0 {
            return;
        }
        if let Some(turn) = state.waiting.iter().position(|waiting| *waiting > 0) {
            self.end_of(turn).notify_one();
        }
    }

    /// The sync that runs goes as far as `position`.
    pub(crate) fn covers(&self, position: u64) {
        self.state().covered = Some(position);
    }

    /// The sync that the caller led is over.
    pub(crate) fn end(&self, durable: u64) {
        let mut state = self.state();
        state.is_led = false;
        state.durable = state.durable.max(durable);
        let turn = state.ended.wrapping_add(1);
        state.ended = turn;
        state.waking += core::mem::take(state.waiting_for(turn));
        self.hand_over(&state);
        drop(state);
        self.end_of(turn).notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Log {
        line: SyncLine,
        appended: AtomicU64,
        durable: AtomicU64,
        leaders: AtomicUsize,
        syncs: AtomicUsize,
    }

    impl Log {
        fn sync(&self, position: u64, fails: bool) {
            while self.line.must_lead(position) {
                assert_eq!(self.leaders.fetch_add(1, Ordering::SeqCst), 0, "one leads");
                self.syncs.fetch_add(1, Ordering::SeqCst);
                let target = self.appended.load(Ordering::SeqCst);
                self.line.covers(target);
                thread::yield_now();
                if !fails {
                    self.durable.fetch_max(target, Ordering::SeqCst);
                }
                self.leaders.fetch_sub(1, Ordering::SeqCst);
                self.line.end(self.durable.load(Ordering::SeqCst));
                if fails {
                    return;
                }
            }
            assert!(self.durable.load(Ordering::SeqCst) >= position, "durable on return");
        }
    }

    fn run(writers: usize, puts: usize, fails: impl Fn(usize) -> bool + Send + Copy + 'static) {
        let log = Arc::new(Log::default());
        let threads: Vec<_> = (0..writers)
            .map(|writer| {
                let log = Arc::clone(&log);
                thread::spawn(move || {
                    for put in 0..puts {
                        let position = log.appended.fetch_add(1, Ordering::SeqCst) + 1;
                        log.sync(position, fails(writer + put));
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(log.syncs.load(Ordering::SeqCst) <= writers * puts);
    }

    #[test]
    fn everybody_returns_and_one_leads() {
        for writers in [1, 2, 3, 16, 64] {
            run(writers, 500, |_| false);
        }
    }

    #[test]
    fn a_leader_that_fails_leaves_the_lead_to_others() {
        run(16, 500, |n| n % 3 == 0);
    }

    #[test]
    fn what_is_durable_waits_for_nobody() {
        let line = SyncLine::default();
        assert!(line.must_lead(1));
        line.end(5);
        assert!(!line.must_lead(5));
        assert!(line.must_lead(6));
    }
}

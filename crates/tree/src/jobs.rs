use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Runs jobs on `threads` threads and collects what they make in the order they were produced in.
///
/// The first error stops the rest: jobs not begun are dropped, `produce` gets it back from its
/// `send`. Results that wait for an earlier one are held; they must be small.
pub(crate) fn in_order<J: Send, R: Send, E: Send>(
    threads: usize,
    produce: impl FnOnce(&mut dyn FnMut(J) -> Result<(), Stopped>) -> Result<(), Halt<E>>,
    work: impl Fn(J) -> Result<R, E> + Sync,
    mut collect: impl FnMut(R),
) -> Result<(), E> {
    let stop = AtomicBool::new(false);
    let threads = threads.max(1);
    let (jobs, queue) = sync_channel::<(u64, J)>(threads);
    // Shared by the workers alone: were they all to die, sending would fail, not wait.
    let queue = Arc::new(Mutex::new(queue));
    let (results, done) = channel();
    let mut ordered = Ordered { waiting: BTreeMap::new(), next: 0, error: None };
    let halt = thread::scope(|scope| {
        for _ in 0..threads {
            let results = results.clone();
            let queue = Arc::clone(&queue);
            let (work, stop) = (&work, &stop);
            scope.spawn(move || {
                while let Some((n, job)) = take(&queue) {
                    if stop.load(Ordering::Relaxed) {
                        continue;
                    }
                    let result = work(job);
                    if result.is_err() {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if results.send((n, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop((results, queue));
        let mut sent = 0;
        let halt = produce(&mut |job| {
            while let Ok((n, result)) = done.try_recv() {
                ordered.take(n, result, &mut collect);
            }
            if stop.load(Ordering::Relaxed) || jobs.send((sent, job)).is_err() {
                return Err(Stopped);
            }
            sent += 1;
            Ok(())
        });
        if halt.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        drop(jobs);
        while let Ok((n, result)) = done.recv() {
            ordered.take(n, result, &mut collect);
        }
        halt
    });
    match (ordered.error, halt) {
        (Some(error), _) | (None, Err(Halt::Failed(error))) => Err(error),
        (None, Ok(()) | Err(Halt::Stopped)) => Ok(()),
    }
}

/// A job has failed; its error is returned by [`in_order`].
#[derive(Debug)]
pub(crate) struct Stopped;

/// Why producing ended early.
#[derive(Debug)]
pub(crate) enum Halt<E> {
    /// A job has failed.
    Stopped,
    /// Producing has failed.
    Failed(E),
}

impl<E> From<Stopped> for Halt<E> {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

struct Ordered<R, E> {
    waiting: BTreeMap<u64, R>,
    next: u64,
    error: Option<E>,
}

impl<R, E> Ordered<R, E> {
    fn take(&mut self, n: u64, result: Result<R, E>, collect: &mut impl FnMut(R)) {
        match result {
            Ok(result) => {
                self.waiting.insert(n, result);
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        while let Some(result) = self.waiting.remove(&self.next) {
            collect(result);
            self.next += 1;
        }
    }
}

fn take<J>(queue: &Mutex<Receiver<(u64, J)>>) -> Option<(u64, J)> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whatever_thread_made_them() {
        let mut seen = Vec::new();
        let result: Result<(), ()> = in_order(
            4,
            |send| (0..1000u64).try_for_each(|n| Ok(send(n)?)),
            |n| {
                if n % 7 == 0 {
                    thread::yield_now();
                }
                Ok(n * 2)
            },
            |n| seen.push(n),
        );
        assert_eq!(result, Ok(()));
        assert_eq!(seen, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_comes_through() {
        let result = std::panic::catch_unwind(|| {
            in_order::<u64, (), ()>(
                3,
                |send| (0..1000).try_for_each(|n| Ok(send(n)?)),
                |n| if n > 10 { panic!("on purpose") } else { Ok(()) },
                |()| {},
            )
        });
        assert!(result.is_err());
    }

    #[test]
    fn the_first_error_stops_the_rest() {
        let mut collected = 0;
        let result = in_order(
            2,
            |send| (0..1_000_000u64).try_for_each(|n| Ok(send(n)?)),
            |n| if n == 10 { Err("ten") } else { Ok(()) },
            |()| collected += 1,
        );
        assert_eq!(result, Err("ten"));
        assert!(collected < 1_000_000);
    }
}

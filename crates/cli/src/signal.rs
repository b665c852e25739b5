//! SIGINT and SIGTERM: the first asks the work to stop at its next safe point, the second ends the
//! process at once. Ending at any moment leaves the store good; stopping is only tidier.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Kind;
use crate::failure::Failure;

/// How long work may take to stop: a read of stdin, for one, cannot be woken.
const GRACE: Duration = Duration::from_secs(2);

/// Whether this run was asked to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicI32>);

impl Stop {
    /// Watches from now on.
    pub(crate) fn watch() -> io::Result<Self> {
        let stop = Self::default();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let watched = stop.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if watched.0.swap(signal, Ordering::Relaxed) != 0 {
                    end(signal);
                }
                std::thread::spawn(move || {
                    std::thread::sleep(GRACE);
                    end(signal);
                });
            }
        })?;
        Ok(stop)
    }

    /// True once a signal came.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// How the run ends when it was asked to stop.
    pub(crate) fn kind(&self) -> Option<Kind> {
        kind_of(self.0.load(Ordering::Relaxed))
    }

    /// The failure to end with, once a signal came.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.kind() {
            Some(kind) => Err(Failure::new(kind, "stopped; what was stored stays")),
            None => Ok(()),
        }
    }
}

fn kind_of(signal: i32) -> Option<Kind> {
    match signal {
        0 => None,
        SIGTERM => Some(Kind::Terminated),
        _ => Some(Kind::Interrupted),
    }
}

fn end(signal: i32) {
    let code = kind_of(signal).unwrap_or(Kind::Interrupted).code();
    std::process::exit(i32::from(code));
}

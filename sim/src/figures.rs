//! Counts that commands print, findings, and the way to run many seeds on several threads.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something that must not be, and how to have it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Seed and everything drawn from it.
    pub place: String,
    /// What was seen.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// What a run did and found.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// By what was counted.
    pub counts: BTreeMap<String, u64>,
    /// What must not be.
    pub findings: Vec<Finding>,
}

impl Figures {
    /// Adds to a count.
    pub fn add(&mut self, what: &str, count: u64) {
        match self.counts.get_mut(what) {
            Some(sum) => *sum += count,
            None => {
                self.counts.insert(what.to_owned(), count);
            }
        }
    }

    /// A count, 0 when nothing was counted.
    pub fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Notes the outcome of one examination.
    pub fn note(&mut self, place: impl FnOnce() -> String, outcome: Result<(), String>) {
        if let Err(problem) = outcome {
            self.findings.push(Finding { place: place(), problem });
        }
    }

    /// Fails a test when anything was found.
    ///
    /// # Panics
    /// With the first findings and all counts.
    pub fn assert_clean(&self) {
        let first: Vec<_> = self.findings.iter().take(5).map(Finding::to_string).collect();
        assert!(first.is_empty(), "{}\n{:?}", first.join("\n"), self.counts);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: Self) {
        for (what, count) in other.counts {
            self.add(&what, count);
        }
        self.findings.extend(other.findings);
    }
}

/// Runs `examine`; a panic is an outcome like any other.
pub fn caught<T>(examine: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(examine)) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", text.unwrap_or("without words")))
        }
    }
}

/// Runs `each` for `first`, `first + 1`, .. on so many threads until `enough` or something was found.
pub fn in_parallel(
    threads: usize,
    first: u64,
    each: impl Fn(u64) -> Figures + Sync,
    enough: impl Fn(&Figures) -> bool + Sync,
) -> Figures {
    let next = AtomicU64::new(first);
    let sum = Mutex::new(Figures::default());
    let work = || {
        loop {
            let figures = each(next.fetch_add(1, Ordering::Relaxed));
            let mut sum = sum.lock().unwrap();
            sum.merge(figures);
            if enough(&sum) || !sum.findings.is_empty() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    sum.into_inner().unwrap()
}

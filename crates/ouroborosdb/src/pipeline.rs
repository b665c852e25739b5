//! Large contents: one thread reads and cuts, all others hash, compress and seal; when these fall
//! behind, the first helps. What is sealed is appended in the order of the content.
//!
//! ```text
//! source -> slab 4 MiB -> cut -> jobs -> [workers] -> done, by number -> append -> list of chunks
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crypt::{CompressionPolicy, Sealer};
use model::limit::CHUNK_LEN_MAX;
use model::{ChunkEntry, Content};

use crate::engine::lock;
use crate::error::Error;
use crate::intake::{Intake, Made, read_full};
use crate::list_tree::ListTree;

/// Content is read in pieces of this length.
pub(crate) const SLAB_LEN: usize = 4 * 1024 * 1024;
/// Content cut but not yet appended: so much in slabs, as much sealed.
const IN_FLIGHT_MAX: usize = 16 * 1024 * 1024;
/// Slabs that hold it, and the one being filled.
const SLABS_MAX: usize = IN_FLIGHT_MAX / SLAB_LEN + 2;

/// One chunk to be worked on.
struct Job {
    number: u64,
    slab: Arc<Vec<u8>>,
    range: Range<usize>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// No further job will come.
    is_closed: bool,
    failure: Option<Error>,
    done: BTreeMap<u64, (ChunkEntry, Made)>,
    /// Number of the next chunk to append.
    next: u64,
    is_appending: bool,
    /// Bytes cut but not yet appended.
    in_flight: usize,
}

/// One large content in flight.
struct Pipeline<'a> {
    intake: &'a Intake<'a>,
    state: Mutex<State>,
    changed: Condvar,
    tree: Mutex<ListTree>,
}

impl Intake<'_> {
    /// Takes in `head` and what follows it in `source`.
    pub(crate) fn pipelined(
        &self,
        head: &[u8],
        source: &mut (dyn Read + Send),
    ) -> Result<Content, Error> {
        let pipeline = Pipeline {
            intake: self,
            state: Mutex::default(),
            changed: Condvar::new(),
            tree: Mutex::default(),
        };
        // One thread waits for the disk while the others work.
        let workers = if self.engine.threads > 1 { self.engine.threads } else { 0 };
        let cut = std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| pipeline.work());
            }
            let mut sealer = self.engine.sealers.take(new_sealer);
            let result = pipeline.cut_all(head, source, &mut sealer);
            pipeline.close(result.as_ref().err().is_some());
            let helped = pipeline.help(&mut sealer, State::is_idle);
            self.engine.sealers.give(sealer);
            result.and(helped)
        });
        let state = pipeline.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = state.failure {
            return Err(failure);
        }
        cut?;
        let tree = pipeline.tree.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.finish_tree(tree)
    }
}

fn new_sealer() -> Sealer {
    Sealer::new(CompressionPolicy::Auto)
}

impl State {
    fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl Pipeline<'_> {
    /// Reads and cuts to the end of the source.
    fn cut_all(
        &self,
        head: &[u8],
        source: &mut dyn Read,
        sealer: &mut Sealer,
    ) -> Result<(), Error> {
        let mut ring: Vec<Arc<Vec<u8>>> = Vec::new();
        let mut carried = head.to_vec();
        let mut number = 0;
        loop {
            let mut slab = self.free_slab(&mut ring, sealer)?;
            let (len, is_last) = fill(&mut slab, &carried, source)?;
            let mut start = 0;
            while start < len && (is_last || len - start >= CHUNK_LEN_MAX) {
                let cut = self.intake.engine.chunker.cut(slab.get(start..len).unwrap_or_default());
                let range = start..start + cut;
                start = range.end;
                self.help(sealer, |state| state.in_flight < IN_FLIGHT_MAX)?;
                self.offer(Job { number, slab: Arc::clone(&slab), range }, cut)?;
                number += 1;
            }
            carried.clear();
            carried.extend_from_slice(slab.get(start..len).unwrap_or_default());
            ring.push(slab);
            if is_last {
                break;
            }
        }
        for slab in ring {
            if Arc::strong_count(&slab) == 1 {
                self.intake.engine.slabs.give(slab);
            }
        }
        Ok(())
    }

    /// A slab nobody reads any more; works on jobs until there is one.
    fn free_slab(
        &self,
        ring: &mut Vec<Arc<Vec<u8>>>,
        sealer: &mut Sealer,
    ) -> Result<Arc<Vec<u8>>, Error> {
        loop {
            let free = ring.iter().position(|slab| Arc::strong_count(slab) == 1);
            if let Some(free) = free {
                return Ok(ring.swap_remove(free));
            }
            if ring.len() < SLABS_MAX {
                let make = || Arc::new(vec![0; SLAB_LEN]);
                return Ok(self.intake.engine.slabs.take(make));
            }
            let is_any_free = || ring.iter().any(|slab| Arc::strong_count(slab) == 1);
            self.help(sealer, |_| is_any_free())?;
        }
    }

    fn offer(&self, job: Job, len: usize) -> Result<(), Error> {
        self.intake.note_read(len)?;
        let mut state = lock(&self.state);
        if state.failure.is_some() {
            return Err(Error::Interrupted);
        }
        state.in_flight += len;
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Ends the jobs; `is_aborted` drops those not begun.
    fn close(&self, is_aborted: bool) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        if is_aborted {
            state.jobs.clear();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// A worker's life.
    fn work(&self) {
        let mut sealer = self.intake.engine.sealers.take(new_sealer);
        loop {
            let state = lock(&self.state);
            let idle = |state: &mut State| state.jobs.is_empty() && !state.is_closed;
            let mut state =
                self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            let Some(job) = state.jobs.pop_front() else { break };
            drop(state);
            self.finish_job(job, &mut sealer);
        }
        self.intake.engine.sealers.give(sealer);
    }

    /// Works on jobs until `enough` holds, or nothing is left that could make it hold.
    fn help(&self, sealer: &mut Sealer, enough: impl Fn(&State) -> bool) -> Result<(), Error> {
        loop {
            let mut state = lock(&self.state);
            if state.failure.is_some() {
                return Err(Error::Interrupted);
            }
            if enough(&state) {
                return Ok(());
            }
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                self.finish_job(job, sealer);
                continue;
            }
            drop(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn finish_job(&self, job: Job, sealer: &mut Sealer) {
        let Job { number, slab, range } = job;
        let made = self.intake.chunk(slab.get(range).unwrap_or_default(), sealer);
        drop(slab);
        let mut state = lock(&self.state);
        match made {
            Ok(made) => {
                state.done.insert(number, made);
            }
            Err(error) => state.fail(error),
        }
        drop(state);
        self.changed.notify_all();
        self.append_done();
    }

    /// Appends what is next in the content; one thread at a time, the others go on.
    fn append_done(&self) {
        let mut state = lock(&self.state);
        if state.is_appending {
            return;
        }
        loop {
            let run = state.next_run();
            if run.is_empty() || state.failure.is_some() {
                state.is_appending = false;
                return;
            }
            state.is_appending = true;
            drop(state);
            let len: usize = run.iter().map(|(entry, _)| len_of(entry)).sum();
            let appended = self.append(run);
            state = lock(&self.state);
            state.in_flight = state.in_flight.saturating_sub(len);
            self.changed.notify_all();
            if let Err(error) = appended {
                state.fail(error);
            }
        }
    }

    fn append(&self, run: Vec<(ChunkEntry, Made)>) -> Result<(), Error> {
        let (entries, made): (Vec<_>, Vec<_>) = run.into_iter().unzip();
        self.intake.keep(made)?;
        let mut tree = lock(&self.tree);
        entries.into_iter().try_for_each(|entry| self.intake.push_entry(&mut tree, entry))
    }
}

impl State {
    /// The chunks that are done and next in the content.
    fn next_run(&mut self) -> Vec<(ChunkEntry, Made)> {
        let mut run = Vec::new();
        while let Some(done) = self.done.remove(&self.next) {
            run.push(done);
            self.next += 1;
        }
        run
    }

    /// Keeps the first failure and drops the work that is left.
    fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
        self.jobs.clear();
    }
}

fn len_of(entry: &ChunkEntry) -> usize {
    usize::try_from(entry.len).unwrap_or(usize::MAX)
}

/// Fills a slab with what was carried over and what comes next; the bytes in it, and whether the
/// source ended.
fn fill(
    slab: &mut Arc<Vec<u8>>,
    carried: &[u8],
    source: &mut dyn Read,
) -> Result<(usize, bool), Error> {
    let slab = Arc::get_mut(slab).expect("a free slab has one owner");
    let (front, rest) = slab.split_at_mut(carried.len());
    front.copy_from_slice(carried);
    let wanted = rest.len();
    let read = read_full(source, rest)?;
    Ok((carried.len() + read, read < wanted))
}

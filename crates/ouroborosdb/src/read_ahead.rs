//! Reads the next chunks of a content while the caller is busy with the last one. The caller
//! unseals as well when it gets ahead, so both have work.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use model::VertexHash;

use crate::chunk_map::{ChunkMap, PlacedChunk};
use crate::content::located;
use crate::engine::{Engine, lock};
use crate::error::Error;

/// Bytes of content read ahead.
const WINDOW_LEN: u64 = 8 * 1024 * 1024;

/// One content read in a row.
pub(crate) struct ReadAhead {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Where the planned chunks end.
    planned_until: Option<u64>,
}

struct Shared {
    engine: Arc<Engine>,
    needed_by: VertexHash,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    plan: VecDeque<Planned>,
    /// The thread has to end.
    is_over: bool,
}

struct Planned {
    chunk: PlacedChunk,
    progress: Unsealing,
}

enum Unsealing {
    Waiting,
    Begun,
    Done(Result<Vec<u8>, Error>),
}

impl State {
    /// Begins the first chunk that waits.
    fn begin(&mut self) -> Option<PlacedChunk> {
        let waiting = |planned: &&mut Planned| matches!(planned.progress, Unsealing::Waiting);
        let planned = self.plan.iter_mut().find(waiting)?;
        planned.progress = Unsealing::Begun;
        Some(planned.chunk)
    }

    fn finish(&mut self, chunk: PlacedChunk, bytes: Result<Vec<u8>, Error>) {
        if let Some(planned) = self.plan.iter_mut().find(|planned| planned.chunk == chunk) {
            planned.progress = Unsealing::Done(bytes);
        }
    }

    fn take_front(&mut self) -> Option<(PlacedChunk, Result<Vec<u8>, Error>)> {
        match self.plan.pop_front()? {
            Planned { chunk, progress: Unsealing::Done(bytes) } => Some((chunk, bytes)),
            planned => {
                self.plan.push_front(planned);
                None
            }
        }
    }
}

impl ReadAhead {
    /// Starts a thread; `None` when the system gives none.
    pub(crate) fn start(engine: &Arc<Engine>, needed_by: VertexHash) -> Option<Self> {
        let shared = Arc::new(Shared {
            engine: Arc::clone(engine),
            needed_by,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("read ahead".into());
        let thread = thread.spawn(move || its.run()).ok()?;
        Some(Self { shared, thread: Some(thread), planned_until: None })
    }

    /// The chunk at `offset`, which follows the last one asked for.
    pub(crate) fn next(
        &mut self,
        offset: u64,
        map: &mut ChunkMap,
    ) -> Result<(PlacedChunk, Vec<u8>), Error> {
        self.plan(offset, map)?;
        loop {
            let mut state = lock(&self.shared.state);
            if let Some((chunk, bytes)) = state.take_front() {
                return Ok((chunk, bytes?));
            }
            match state.begin() {
                Some(chunk) => {
                    drop(state);
                    self.shared.unseal(chunk);
                }
                None if state.plan.is_empty() => {
                    return Err(crate::engine::damaged(self.shared.needed_by.to_string()));
                }
                None => {
                    let changed = &self.shared.changed;
                    drop(changed.wait(state).unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// Plans the chunks up to a window behind `offset`.
    fn plan(&mut self, offset: u64, map: &mut ChunkMap) -> Result<(), Error> {
        let mut until = self.planned_until.unwrap_or(offset);
        while until < offset.saturating_add(WINDOW_LEN) {
            let chunk = match map.chunk_at(until)? {
                None if until == offset => located(map, offset, self.shared.needed_by)?,
                None => break,
                Some(chunk) => chunk,
            };
            until = chunk.end();
            lock(&self.shared.state)
                .plan
                .push_back(Planned { chunk, progress: Unsealing::Waiting });
            self.shared.changed.notify_one();
        }
        self.planned_until = Some(until);
        Ok(())
    }
}

impl Shared {
    fn unseal(&self, chunk: PlacedChunk) {
        let bytes = ChunkMap::read(&self.engine, self.needed_by, &chunk.entry);
        lock(&self.state).finish(chunk, bytes);
        self.changed.notify_all();
    }

    /// The thread's life.
    fn run(&self) {
        loop {
            let mut state = lock(&self.state);
            if state.is_over {
                return;
            }
            match state.begin() {
                Some(chunk) => {
                    drop(state);
                    self.unseal(chunk);
                }
                None => drop(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)),
            }
        }
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        lock(&self.shared.state).is_over = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It holds the engine; whoever drops the last handle must find it gone.
            let _ = thread.join();
        }
    }
}

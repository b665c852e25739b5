use model::Kind;
use ouroborosdb::Progress;

/// How an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Stored or restored.
    Done,
    /// Was there already, unchanged.
    Skipped,
    /// Not stored or not restored; the summary says why.
    Failed,
}

/// Watches a transfer and may stop it. Called from several threads.
pub trait Events: Send + Sync {
    /// What there is to do, as far as known: items of any kind and bytes.
    fn on_totals(&self, _items: u64, _bytes: u64) {}
    /// An item of `len` bytes begins. `path` is relative and may be any bytes.
    fn on_started(&self, _path: &[u8], _len: u64) {}
    /// So many bytes more were read (put) or written (get), or skipped because they are there.
    fn on_bytes(&self, _bytes: u64) {}
    /// So many bytes more were new to the store.
    fn on_new(&self, _bytes: u64) {}
    /// An item ended.
    fn on_finished(&self, _path: &[u8], _kind: Kind, _outcome: Outcome) {}
    /// True asks to stop: the store stays good, the transfer returns
    /// [`crate::TreeError::Interrupted`] soon.
    fn is_interrupted(&self) -> bool {
        false
    }
}

/// No one is watching.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Events for Unwatched {}

/// Passes the wish to stop on to the session.
pub(crate) struct StopOnly<'a>(pub(crate) &'a dyn Events);

impl Progress for StopOnly<'_> {
    fn on_progress(&self, _: u64, _: u64) -> bool {
        !self.0.is_interrupted()
    }
}

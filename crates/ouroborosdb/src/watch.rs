//! The change feed, as an iterator that waits.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::engine::Engine;
use crate::error::Error;
use crate::feed::Feed;
use crate::session::{Change, Cursor};

/// Changes asked for at a time.
const PAGE: usize = 1000;

/// Changes under a prefix, in the order they became visible. As an iterator it waits for the next
/// one, and ends when the last handle of the database is dropped.
pub struct Watch {
    engine: Weak<Engine>,
    feed: Arc<Feed>,
    prefix: String,
    cursor: Option<Cursor>,
    ready: VecDeque<Change>,
}

impl Watch {
    pub(crate) fn new(engine: &Arc<Engine>, prefix: &str, since: Option<Cursor>) -> Self {
        Self {
            engine: Arc::downgrade(engine),
            feed: Arc::clone(&engine.feed),
            prefix: prefix.to_owned(),
            cursor: since,
            ready: VecDeque::new(),
        }
    }

    /// The next change if there is one within `wait`.
    pub fn next_within(&mut self, wait: Duration) -> Result<Option<Change>, Error> {
        self.next_change(Some(wait))
    }

    fn next_change(&mut self, wait: Option<Duration>) -> Result<Option<Change>, Error> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(Some(change));
            }
            // Counted before looking, so that nothing slips in between.
            let seen = self.feed.count();
            let Some(engine) = self.engine.upgrade() else { return Ok(None) };
            let found = engine.changes(&self.prefix, self.cursor.as_ref(), PAGE)?;
            drop(engine);
            if let Some(last) = found.last() {
                self.cursor = Some(last.cursor.clone());
                self.ready.extend(found);
            } else if !self.feed.wait(seen, wait) {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Watch {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_change(None).transpose()
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Engine {
    /// Up to `limit` changes under `prefix` after `since`.
    pub(crate) fn changes(
        &self,
        prefix: &str,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        self.settle_all_names()?;
        let mut found = Vec::new();
        let mut since = since.cloned();
        while found.len() < limit {
            let after = since.as_ref().map(|cursor| cursor.0.as_slice());
            let page = self.store.changes(after, PAGE)?;
            let Some((last, _, _)) = page.last() else { break };
            since = Some(Cursor(last.clone()));
            let wanted = page.into_iter().filter(|(_, _, name)| match name {
                Some(name) => name.as_str().starts_with(prefix),
                None => prefix.is_empty(),
            });
            let changes =
                wanted.map(|(cursor, hash, name)| Change { cursor: Cursor(cursor), hash, name });
            found.extend(changes.take(limit - found.len()));
        }
        Ok(found)
    }
}

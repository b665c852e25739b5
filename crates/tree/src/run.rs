//! Which group a put of a tree fills: its own, or the one that a stopped put left open.
//!
//! Filling a group again is right only while it is known which names have a version in it: a
//! second version of a name that does not follow the first would be a second head. The cache
//! knows, but a crash may lose the end of it while the versions are durable. So a group is filled
//! again only after a put that stopped in order; after a crash a new one is begun, and what the
//! lost one holds is found again by deduplication alone.

use model::codec::{Reader, Writer};
use model::{FormatError, GroupId};
use ouroborosdb::{Error, Session};

use crate::skip::SourceKey;

/// What became of the put before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its group is closed, or there was none.
    Ended,
    /// Under way, or crashed.
    Running,
    /// Stopped in order: the cache knows what its group holds.
    Paused,
}

/// A put of a source under a name, as the cache remembers it.
pub(crate) struct Run {
    cache_key: Vec<u8>,
    /// Groups given up for good.
    abandoned: u64,
    pub(crate) group: GroupId,
}

impl Run {
    /// Begins a put.
    pub(crate) fn begin(session: &dyn Session, key: &SourceKey) -> Result<Self, Error> {
        let cache_key = key.run_key();
        let before = session.cached(&cache_key)?.and_then(|bytes| decode(&bytes).ok());
        let (before, abandoned) = before.unwrap_or((Phase::Ended, 0));
        let abandoned = match before {
            Phase::Running => abandoned.saturating_add(1),
            Phase::Ended | Phase::Paused => abandoned,
        };
        // Before the group: whoever finds the group in the cache finds this too.
        session.remember(&[(cache_key.clone(), encode(Phase::Running, abandoned))])?;
        if before == Phase::Paused {
            // Were this forgotten, the next put would trust a cache that knows too little.
            session.flush()?;
        }
        let group = session.group(&key.label(abandoned))?;
        Ok(Self { cache_key, abandoned, group })
    }

    /// The group was closed.
    pub(crate) fn end(&self, session: &dyn Session) -> Result<(), Error> {
        session.remember(&[(self.cache_key.clone(), encode(Phase::Ended, self.abandoned))])
    }

    /// Stops in order: everything so far becomes durable, then that it is.
    pub(crate) fn pause(&self, session: &dyn Session) -> Result<(), Error> {
        session.sync()?;
        session.remember(&[(self.cache_key.clone(), encode(Phase::Paused, self.abandoned))])?;
        session.flush()
    }
}

fn encode(phase: Phase, abandoned: u64) -> Vec<u8> {
    let tag = match phase {
        Phase::Ended => 0,
        Phase::Running => 1,
        Phase::Paused => 2,
    };
    let mut out = Writer::new();
    out.u8(tag).u64(abandoned);
    out.finish()
}

fn decode(bytes: &[u8]) -> Result<(Phase, u64), FormatError> {
    let mut reader = Reader::new("tree run", bytes);
    let phase = match reader.u8()? {
        0 => Phase::Ended,
        1 => Phase::Running,
        2 => Phase::Paused,
        _ => return Err(reader.invalid()),
    };
    let abandoned = reader.u64()?;
    reader.end()?;
    Ok((phase, abandoned))
}

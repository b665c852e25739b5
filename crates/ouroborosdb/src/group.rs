//! Groups that `put` can fill, and the local cache.

use model::hash::hash;
use model::{FormatError, GroupId, VertexHash};
use store::GroupState;

use crate::engine::Engine;
use crate::error::Error;

/// Bytes of a key of the local cache.
const CACHE_KEY_LEN_MAX: usize = 128;
/// Bytes of a value of the local cache.
const CACHE_VALUE_LEN_MAX: usize = 1024;

impl Engine {
    pub(crate) fn random_group(&self) -> GroupId {
        loop {
            let mut bytes = [0; GroupId::LEN];
            self.random.fill(&mut bytes);
            let group = GroupId::new(bytes);
            if group != GroupId::NONE {
                return group;
            }
        }
    }

    /// The group that was left open under `label`, else a new one.
    pub(crate) fn group(&self, label: &str) -> Result<GroupId, Error> {
        let mut key = b"group ".to_vec();
        key.extend_from_slice(&hash("group-label", &[label.as_bytes()]));
        if let Some(known) = self.store.cached(&key)? {
            let known = <[u8; GroupId::LEN]>::try_from(known.as_slice()).map(GroupId::new);
            if let Ok(group) = known
                && self.store.group_state(&group)? != GroupState::Closed
            {
                return Ok(group);
            }
        }
        let group = self.random_group();
        self.store.remember(&[(key, group.as_bytes().to_vec())]);
        Ok(group)
    }

    pub(crate) fn remember(&self, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
        let too_long = |value: usize, limit: usize| {
            let (value, limit) = (value as u64, limit as u64);
            Error::Argument(FormatError::TooLong { noun: "cache entry", value, limit })
        };
        for (key, value) in entries {
            if key.len() > CACHE_KEY_LEN_MAX {
                return Err(too_long(key.len(), CACHE_KEY_LEN_MAX));
            }
            if value.len() > CACHE_VALUE_LEN_MAX {
                return Err(too_long(value.len(), CACHE_VALUE_LEN_MAX));
            }
        }
        self.store.remember(entries);
        Ok(())
    }

    /// True when the vertex is stored, and in no open group but `group`.
    pub(crate) fn is_usable(&self, hash: &VertexHash, group: GroupId) -> Result<bool, Error> {
        if self.store.locate(&(*hash).into())?.is_none() {
            return Ok(false);
        }
        Ok(self.store.group_of(hash)?.is_none_or(|waits_in| waits_in == group))
    }
}

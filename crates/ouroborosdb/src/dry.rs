use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use model::{GroupId, ObjectId};

use crate::engine::lock;

/// What a dry run would have stored so far, so that it counts each object once.
pub(crate) type DryObjects = Arc<Mutex<HashSet<ObjectId>>>;

/// Dry runs over several puts are held together by their group.
#[derive(Default)]
pub(crate) struct DryRuns {
    runs: Mutex<HashMap<GroupId, DryObjects>>,
}

impl DryRuns {
    /// The objects of the run of `group`; a put without a group is a run of its own.
    pub(crate) fn of(&self, group: GroupId) -> DryObjects {
        if group == GroupId::NONE {
            return DryObjects::default();
        }
        Arc::clone(lock(&self.runs).entry(group).or_default())
    }

    /// Forgets a run.
    pub(crate) fn end(&self, group: GroupId) {
        lock(&self.runs).remove(&group);
    }
}

//! What a workload gave to a store: everything in order, and what of it was acknowledged when.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{ChunkEntry, GroupId, ObjectId, Vertex};

/// One object that was handed to a store.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its id.
    pub id: ObjectId,
    /// Its cleartext.
    pub plain: Arc<[u8]>,
    /// Present when it is a version.
    pub vertex: Option<Arc<Vertex>>,
    /// Disk operations before it was handed over: an earlier image cannot hold it.
    pub began_at: u64,
    /// The append said yes.
    pub is_taken: bool,
    /// Disk operations when the sync that covers it returned.
    pub acked_at: Option<u64>,
}

/// What must hold of an object in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Acknowledged.
    Must,
    /// Handed over, not acknowledged.
    May,
    /// Not handed over yet, or known to be lost.
    Never,
}

/// Everything that was given.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    /// In order of the first append.
    pub given: Vec<Given>,
    by_id: BTreeMap<ObjectId, usize>,
    /// Every value remembered for a key.
    pub remembered: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    /// Groups and their members, in order.
    pub groups: BTreeMap<GroupId, Vec<ObjectId>>,
    next_group: u8,
}

impl Oracle {
    /// Where an object stands in [`Self::given`].
    pub fn position(&self, id: &ObjectId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Notes an object that is about to be handed over.
    pub fn begin(&mut self, id: ObjectId, plain: &[u8], vertex: Option<&Vertex>, at: u64) {
        if self.by_id.contains_key(&id) {
            return;
        }
        self.by_id.insert(id, self.given.len());
        if let Some(vertex) = vertex.filter(|vertex| vertex.group != GroupId::NONE) {
            self.groups.entry(vertex.group).or_default().push(id);
        }
        self.given.push(Given {
            id,
            plain: plain.into(),
            vertex: vertex.cloned().map(Arc::new),
            began_at: at,
            is_taken: false,
            acked_at: None,
        });
    }

    /// The append of these said yes.
    pub fn taken(&mut self, ids: &[ObjectId]) {
        for id in ids {
            let at = self.by_id[id];
            self.given[at].is_taken = true;
        }
    }

    /// A sync behind everything taken so far returned.
    pub fn acked(&mut self, at: u64) {
        for given in self.given.iter_mut().filter(|given| given.is_taken) {
            given.acked_at.get_or_insert(at);
        }
    }

    /// Objects that are acknowledged.
    pub fn acked_count(&self) -> usize {
        self.given.iter().filter(|given| given.acked_at.is_some()).count()
    }

    /// What must hold in an image that follows `at` disk operations.
    pub fn expected(&self, at: u64) -> Vec<Status> {
        let status = |given: &Given| match given.acked_at {
            Some(acked) if acked <= at => Status::Must,
            _ if given.began_at <= at => Status::May,
            _ => Status::Never,
        };
        self.given.iter().map(status).collect()
    }

    /// The oracle of a store that was opened and held exactly what `present` says: from now on all of
    /// it must stay, and nothing else may come back.
    pub fn settled(&self, present: &[bool]) -> Self {
        let mut settled = Self { remembered: self.remembered.clone(), ..Self::default() };
        settled.next_group = self.next_group;
        for (given, _) in self.given.iter().zip(present).filter(|(_, present)| **present) {
            settled.begin(given.id, &[], given.vertex.as_deref(), 0);
            if let Some(last) = settled.given.last_mut() {
                *last = Given { acked_at: Some(0), began_at: 0, is_taken: true, ..given.clone() };
            }
        }
        settled
    }

    /// A group that no version belongs to.
    pub fn new_group(&mut self) -> GroupId {
        self.next_group += 1;
        GroupId::new([self.next_group; 16])
    }

    /// Groups with members and without a closing version.
    pub fn open_groups(&self) -> Vec<GroupId> {
        let closes = |group: &GroupId| self.vertices().any(|vertex| vertex.closes == *group);
        self.groups.keys().filter(|group| !closes(group)).copied().collect()
    }

    /// Versions, in order.
    pub fn vertices(&self) -> impl DoubleEndedIterator<Item = &Arc<Vertex>> {
        self.given.iter().filter_map(|given| given.vertex.as_ref())
    }

    /// Chunks that a new version can refer to.
    pub fn chunks(&self) -> Vec<ChunkEntry> {
        let chunks = self.given.iter().filter(|given| given.vertex.is_none() && given.is_taken);
        let entry = |given: &Given| ChunkEntry {
            hash: model::ChunkHash::new(*given.id.as_bytes()),
            len: u32::try_from(given.plain.len()).expect("chunks are short"),
        };
        chunks.map(entry).collect()
    }
}

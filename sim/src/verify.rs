//! Compares an opened store with what it was given.

use std::collections::{BTreeMap, BTreeSet};

use model::{Content, GroupId, Kind, Name, ObjectId, Vertex, VertexHash};
use store::{GroupState, HeadEntry, Store, StoreError};

use crate::material::{Keys, Reading};
use crate::oracle::{Oracle, Status};

/// More than any workload makes.
const ALL: usize = 1_000_000;

/// Holds the store against `expected`; which of the given objects are there, or what is wrong.
pub fn verify(
    store: &Store,
    keys: &Keys,
    oracle: &Oracle,
    expected: &[Status],
) -> Result<Vec<bool>, String> {
    let present = objects(store, keys, oracle, expected)?;
    let world = World::new(oracle, &present);
    world.causality(oracle, &present)?;
    let asked = |error: StoreError| format!("a question to the index: {error}");
    world.versions(store).map_err(asked)??;
    world.names(store).map_err(asked)??;
    world.edges(store).map_err(asked)??;
    world.groups(store, oracle).map_err(asked)??;
    world.feed(store).map_err(asked)??;
    for (key, values) in &oracle.remembered {
        let cached = store.cached(key).map_err(asked)?;
        if cached.is_some_and(|cached| !values.contains(&cached)) {
            return Err(format!("a remembered value that nobody gave: {key:?}"));
        }
    }
    Ok(present)
}

/// Verifies every byte; anything found is wrong.
pub fn check_deep(store: &Store) -> Result<(), String> {
    let report = store.check(true, &mut |_, _| true).map_err(|error| format!("check: {error}"))?;
    if report.damage.is_empty() && report.affected.is_empty() && report.is_complete {
        return Ok(());
    }
    Err(format!(
        "check finds damage where there is none: {:?} {:?}",
        report.damage, report.affected
    ))
}

fn objects(
    store: &Store,
    keys: &Keys,
    oracle: &Oracle,
    expected: &[Status],
) -> Result<Vec<bool>, String> {
    let mut reading = Reading::new(store, keys);
    let mut present = Vec::with_capacity(expected.len());
    for (given, status) in oracle.given.iter().zip(expected) {
        let id = given.id;
        let read = reading.plain(&id).map_err(|error| format!("{id:?} ({status:?}): {error}"))?;
        match (&read, status) {
            (Some(plain), _) if **plain != *given.plain => {
                return Err(format!("wrong bytes of {id:?}"));
            }
            (Some(_), Status::Never) => return Err(format!("from nowhere: {id:?}")),
            (None, Status::Must) => return Err(format!("lost: {id:?}")),
            _ => present.push(read.is_some()),
        }
        let trusted = store.locate(&id).map_err(|error| error.to_string())?;
        if trusted.is_some() != read.is_some() {
            return Err(format!("distrusted though whole: {id:?}"));
        }
    }
    Ok(present)
}

/// What follows from the versions that are there.
struct World<'a> {
    versions: BTreeMap<VertexHash, &'a Vertex>,
    closed: BTreeSet<GroupId>,
}

impl<'a> World<'a> {
    fn new(oracle: &'a Oracle, present: &[bool]) -> Self {
        let there = oracle.given.iter().zip(present).filter(|(_, present)| **present);
        let versions: BTreeMap<_, _> = there
            .filter_map(|(given, _)| {
                Some((VertexHash::new(*given.id.as_bytes()), given.vertex.as_deref()?))
            })
            .collect();
        let closed = versions.values().map(|vertex| vertex.closes).collect();
        Self { versions, closed }
    }

    fn is_visible(&self, vertex: &Vertex) -> bool {
        vertex.group == GroupId::NONE || self.closed.contains(&vertex.group)
    }

    fn visible(&self) -> impl Iterator<Item = (&VertexHash, &&'a Vertex)> {
        self.versions.iter().filter(|(_, vertex)| self.is_visible(vertex))
    }

    /// A version is there only with all it refers to, a closed group only whole.
    fn causality(&self, oracle: &Oracle, present: &[bool]) -> Result<(), String> {
        let is_there = |id: &ObjectId| oracle.position(id).is_some_and(|at| present[at]);
        for (hash, vertex) in &self.versions {
            let chunks = match &vertex.content {
                Content::Chunks { entries, .. } => entries.as_slice(),
                _ => &[],
            };
            let refers = vertex.parents.iter().map(|parent| ObjectId::from(*parent));
            let mut refers = refers.chain(chunks.iter().map(|entry| entry.hash.into()));
            if let Some(missing) = refers.find(|id| !is_there(id)) {
                return Err(format!("{hash:?} is there without {missing:?}"));
            }
        }
        for (group, members) in &oracle.groups {
            if self.closed.contains(group) && !members.iter().all(is_there) {
                return Err(format!("half visible: {group:?}"));
            }
        }
        Ok(())
    }

    fn versions(&self, store: &Store) -> Result<Result<(), String>, StoreError> {
        let found: BTreeSet<_> = store.vertices_with_prefix(&[], None, ALL)?.into_iter().collect();
        if !found.iter().eq(self.versions.keys()) {
            let known = self.versions.keys().copied().collect();
            let more: Vec<_> = found.symmetric_difference(&known).collect();
            return Ok(Err(format!("versions listed and versions there differ: {more:?}")));
        }
        Ok(Ok(()))
    }

    fn heads(&self) -> BTreeMap<Name, Vec<HeadEntry>> {
        let mut followed = BTreeSet::new();
        for (_, vertex) in self.visible() {
            followed.extend(vertex.parents.iter().map(|parent| (*parent, &vertex.name)));
        }
        let mut heads: BTreeMap<Name, Vec<HeadEntry>> = BTreeMap::new();
        for (hash, vertex) in self.visible() {
            let Some(name) = &vertex.name else { continue };
            if followed.contains(&(*hash, &vertex.name)) {
                continue;
            }
            heads.entry(name.clone()).or_default().push(HeadEntry {
                hash: *hash,
                depth: vertex.depth,
                hlc: vertex.hlc,
                len: vertex.content.len(),
                is_tombstone: vertex.meta.kind == Kind::Tombstone,
            });
        }
        heads
    }

    fn names(&self, store: &Store) -> Result<Result<(), String>, StoreError> {
        let mut found = BTreeMap::new();
        for (name, mut heads) in store.names("", None, ALL)? {
            heads.sort_unstable_by_key(|head| head.hash);
            found.insert(name, heads);
        }
        let wanted = self.heads();
        if found != wanted {
            return Ok(Err(format!("heads: found {found:?}, wanted {wanted:?}")));
        }
        Ok(Ok(()))
    }

    fn edges(&self, store: &Store) -> Result<Result<(), String>, StoreError> {
        let mut children: BTreeMap<VertexHash, BTreeSet<VertexHash>> = BTreeMap::new();
        for (hash, vertex) in &self.versions {
            for parent in &vertex.parents {
                children.entry(*parent).or_default().insert(*hash);
            }
        }
        for (parent, wanted) in &children {
            let found: BTreeSet<_> = store.children(parent)?.into_iter().collect();
            if found != *wanted {
                return Ok(Err(format!("children of {parent:?}: {found:?}, wanted {wanted:?}")));
            }
        }
        Ok(Ok(()))
    }

    fn groups(&self, store: &Store, oracle: &Oracle) -> Result<Result<(), String>, StoreError> {
        for (group, members) in &oracle.groups {
            let hashes = members.iter().map(|id| VertexHash::new(*id.as_bytes()));
            let there: Vec<_> = hashes.filter(|hash| self.versions.contains_key(hash)).collect();
            let wanted = match (self.closed.contains(group), there.is_empty()) {
                (true, _) => GroupState::Closed,
                (false, false) => GroupState::Open,
                (false, true) => GroupState::Unknown,
            };
            let found = store.group_state(group)?;
            if found != wanted {
                return Ok(Err(format!("{group:?} is {found:?}, wanted {wanted:?}")));
            }
            for hash in there {
                let waits = store.group_of(&hash)?;
                if waits.is_some() != (wanted == GroupState::Open) {
                    return Ok(Err(format!("{hash:?} waits in {waits:?}, {group:?} {wanted:?}")));
                }
            }
        }
        Ok(Ok(()))
    }

    /// Every visible version came up once, with its name.
    fn feed(&self, store: &Store) -> Result<Result<(), String>, StoreError> {
        let mut found: Vec<_> =
            store.changes(None, ALL)?.into_iter().map(|(_, hash, name)| (hash, name)).collect();
        found.sort_unstable();
        let wanted = self.visible().map(|(hash, vertex)| (*hash, vertex.name.clone()));
        if !found.iter().cloned().eq(wanted) {
            return Ok(Err(format!("the feed has {} entries of others", found.len())));
        }
        Ok(Ok(()))
    }
}

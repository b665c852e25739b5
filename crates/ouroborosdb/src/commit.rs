//! Makes versions: parents, clock, unchanged puts, and the moment a put becomes durable.

use std::io::Read;

use crypt::EpochKeys;
use model::limit::PARENTS_MAX;
use model::{Content, FormatError, GroupId, Hlc, Kind, Meta, Name, Vertex, VertexHash};
use store::HEADS_MAX;

use crate::bundle::Item;
use crate::engine::Engine;
use crate::error::Error;
use crate::graph::sort_heads;
use crate::intake::{Intake, Taken, Tally};
use crate::session::{Ack, Head, Progress, Put, PutRequest, Version};

/// What a new version needs to know of one it follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    pub(crate) hash: VertexHash,
    pub(crate) depth: u64,
    pub(crate) hlc: Hlc,
}

impl From<&Head> for Parent {
    fn from(head: &Head) -> Self {
        Self { hash: head.hash, depth: head.depth, hlc: head.hlc }
    }
}

/// Which heads a new version follows when the request names no parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// The winner: an unaware put never merges.
    Winner,
    /// All of them.
    AllHeads,
}

/// A version and what making it did.
pub(crate) struct Made {
    pub(crate) put: Put,
    pub(crate) version: Version,
}

impl Engine {
    pub(crate) fn put(
        &self,
        request: &PutRequest,
        source: &mut (dyn Read + Send),
        progress: &dyn Progress,
    ) -> Result<Made, Error> {
        check_request(request)?;
        self.check_may_write()?;
        let dry = request.dry_run.then(|| self.dry_runs.of(request.group));
        let taken = Intake::new(self, progress, dry).take_in(source)?;
        self.commit(request, taken, Follows::Winner)
    }

    /// A version with all heads as parents and the content of `take`.
    pub(crate) fn merge(
        &self,
        name: &Name,
        take: &VertexHash,
        request: &PutRequest,
    ) -> Result<Made, Error> {
        let heads = self.heads_now(name)?;
        if !heads.iter().any(|head| head.hash == *take) {
            return Err(Error::HashUnknown { hash: take.to_string() });
        }
        let Vertex { content, mut meta, .. } = self.vertex(take)?;
        // With one head there is nothing to merge, and the version is unchanged.
        if heads.len() > 1 && request.meta.message.is_some() {
            meta.message.clone_from(&request.meta.message);
        }
        let request = PutRequest { name: Some(name.clone()), meta, ..request.clone() };
        self.commit(&request, Taken::of(content), Follows::AllHeads)
    }

    /// A tombstone over all heads.
    pub(crate) fn delete(&self, name: &Name, request: &PutRequest) -> Result<Made, Error> {
        let heads = self.heads_now(name)?;
        if heads.iter().all(|head| head.is_tombstone) {
            return Err(Error::NameUnknown { name: name.clone() });
        }
        let message = request.meta.message.clone();
        let meta = Meta { kind: Kind::Tombstone, message, ..Meta::default() };
        let request = PutRequest { name: Some(name.clone()), meta, ..request.clone() };
        self.commit(&request, Taken::of(Content::EMPTY), Follows::AllHeads)
    }

    /// Makes the version and writes it behind its content.
    fn commit(&self, request: &PutRequest, taken: Taken, follows: Follows) -> Result<Made, Error> {
        let _turn = request.name.as_ref().and_then(|name| self.name_locks.lock(name));
        let heads = match &request.name {
            Some(name) => self.heads_or_none(name)?,
            None => Vec::new(),
        };
        check_expected(request, &heads)?;
        if let Some(unchanged) = self.unchanged(request, &taken.content, &heads)? {
            return Ok(unchanged.into_unchanged_put(&taken.tally));
        }
        let parents = self.parents(request, &heads, follows)?;
        check_head_count(&heads, &parents)?;
        let Taken { content, items, tally } = taken;
        let draft = Draft {
            name: request.name.clone(),
            parents,
            group: request.group,
            closes: request.closes,
            content,
            meta: request.meta.clone(),
        };
        self.write(request, draft.vertex(self)?, items, tally)
    }

    fn write(
        &self,
        request: &PutRequest,
        sealed: (Version, Item),
        mut items: Vec<Item>,
        tally: Tally,
    ) -> Result<Made, Error> {
        let (version, item) = sealed;
        let bytes_new = tally.bytes_new + item.bytes.len() as u64;
        items.push(item);
        let flush = request.ack > Ack::Deferred || request.closes != GroupId::NONE;
        let stored = if request.dry_run {
            if request.closes != GroupId::NONE {
                self.dry_runs.end(request.closes);
            }
            self.place_dry(items, flush)?
        } else {
            let placed = self.place(items, flush)?;
            match (request.ack, placed.position, &request.name) {
                (Ack::Local, Some(position), _) => self.sync(position)?,
                (Ack::Deferred, _, Some(name)) if request.group == GroupId::NONE => {
                    self.note_deferred(name)?;
                }
                _ => {}
            }
            placed.bytes_stored
        };
        let put = Put {
            hash: version.hash,
            is_new: true,
            level: request.ack,
            bytes_read: tally.bytes_read,
            bytes_new,
            bytes_stored: tally.bytes_stored + stored,
        };
        Ok(Made { put, version })
    }

    /// The single head, when it already is what is asked for.
    pub(crate) fn unchanged(
        &self,
        request: &PutRequest,
        content: &Content,
        heads: &[Head],
    ) -> Result<Option<Version>, Error> {
        let [head] = heads else { return Ok(None) };
        if !request.parents.is_empty() || head.len != content.len() {
            return Ok(None);
        }
        let vertex = self.vertex(&head.hash)?;
        let is_same = vertex.content == *content && vertex.meta == request.meta;
        Ok(is_same.then_some(Version { hash: head.hash, vertex }))
    }

    fn parents(
        &self,
        request: &PutRequest,
        heads: &[Head],
        follows: Follows,
    ) -> Result<Vec<Parent>, Error> {
        if request.parents.is_empty() {
            let taken = match follows {
                Follows::Winner => 1,
                Follows::AllHeads => PARENTS_MAX,
            };
            return Ok(heads.iter().take(taken).map(Parent::from).collect());
        }
        let parent = |hash: &VertexHash| {
            let Vertex { depth, hlc, .. } = self.vertex(hash)?;
            Ok(Parent { hash: *hash, depth, hlc })
        };
        request.parents.iter().map(parent).collect()
    }

    /// All heads of `name`, the winner first; none when it has none.
    pub(crate) fn heads_or_none(&self, name: &Name) -> Result<Vec<Head>, Error> {
        self.settle_name(name)?;
        let mut heads: Vec<Head> =
            self.store.heads(name)?.into_iter().map(crate::graph::head_of_entry).collect();
        sort_heads(&mut heads);
        Ok(heads)
    }

    /// All heads of `name`, the winner first.
    pub(crate) fn heads_now(&self, name: &Name) -> Result<Vec<Head>, Error> {
        let heads = self.heads_or_none(name)?;
        if heads.is_empty() { Err(Error::NameUnknown { name: name.clone() }) } else { Ok(heads) }
    }
}

/// A version before its author, clock and blind.
pub(crate) struct Draft {
    pub(crate) name: Option<Name>,
    pub(crate) parents: Vec<Parent>,
    pub(crate) group: GroupId,
    pub(crate) closes: GroupId,
    pub(crate) content: Content,
    pub(crate) meta: Meta,
}

impl Draft {
    /// The version, and its encoding to be sealed. Refuses what could not be read back.
    pub(crate) fn vertex(self, engine: &Engine) -> Result<(Version, Item), Error> {
        engine.check_may_write()?;
        let depth = self.parents.iter().map(|parent| parent.depth).max();
        let after = self.parents.iter().map(|parent| parent.hlc.0).max();
        let wall = engine.clock.now_ns();
        let vertex = Vertex {
            blind: [0; 16],
            parents: self.parents.into_iter().map(|parent| parent.hash).collect(),
            depth: depth.map_or(0, |depth| depth.saturating_add(1)),
            name: self.name,
            hlc: Hlc(after.map_or(wall, |after| wall.max(after.saturating_add(1)))),
            author: engine.author,
            group: self.group,
            closes: self.closes,
            content: self.content,
            meta: self.meta,
        };
        let keys: &EpochKeys = &engine.keys;
        let vertex = vertex.blinded(|unblinded| keys.blind(unblinded));
        let bytes = vertex.encode();
        Vertex::decode(&bytes)?;
        let hash = Vertex::hash_of(&bytes);
        let item = Item::of_vertex(hash, vertex.clone(), bytes);
        Ok((Version { hash, vertex }, item))
    }
}

impl Taken {
    /// A content that is stored already.
    pub(crate) fn of(content: Content) -> Self {
        Self { content, items: Vec::new(), tally: Tally::default() }
    }
}

impl Version {
    fn into_unchanged_put(self, tally: &Tally) -> Made {
        let put = Put {
            hash: self.hash,
            is_new: false,
            level: Ack::Local,
            bytes_read: tally.bytes_read,
            bytes_new: tally.bytes_new,
            bytes_stored: tally.bytes_stored,
        };
        Made { put, version: self }
    }
}

/// Refuses what cannot be meant before any content is read.
fn check_request(request: &PutRequest) -> Result<(), Error> {
    let limit = PARENTS_MAX as u64;
    let value = request.parents.len() as u64;
    if value > limit {
        return Err(FormatError::TooLong { noun: "parents", value, limit }.into());
    }
    if request.name.is_none() && request.expect_head.is_some() {
        return Err(FormatError::Invalid { noun: "expected head of no name" }.into());
    }
    Ok(())
}

/// Refuses one more concurrent version than a name can show.
fn check_head_count(heads: &[Head], parents: &[Parent]) -> Result<(), Error> {
    let replaces = |head: &Head| parents.iter().any(|parent| parent.hash == head.hash);
    if heads.len() < HEADS_MAX || heads.iter().any(replaces) {
        return Ok(());
    }
    let (value, limit) = (heads.len() as u64 + 1, HEADS_MAX as u64);
    Err(FormatError::TooLong { noun: "heads of a name", value, limit }.into())
}

fn check_expected(request: &PutRequest, heads: &[Head]) -> Result<(), Error> {
    match (request.expect_head, heads) {
        (None, _) => Ok(()),
        (Some(expected), [head]) if head.hash == expected => Ok(()),
        (Some(expected), heads) => {
            let heads = heads.iter().map(|head| head.hash).collect();
            Err(Error::HeadMoved { expected, heads })
        }
    }
}

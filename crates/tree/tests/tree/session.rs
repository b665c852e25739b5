//! A session in memory: names, heads and groups as they are specified, nothing durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::sync::{Mutex, MutexGuard};

use model::{ChunkEntry, ChunkHash, Content, EpochId, GroupId, Hlc, Kind, Meta, Name, UserId};
use model::{Vertex, VertexHash, hash::hash, limit::INLINE_LEN_MAX};
use ouroborosdb::{
    At, Change, CheckReport, CheckRequest, ContentReader, Cursor as Place, Error, Head, NameEntry,
    NamesQuery, Progress, Put, PutRequest, Session, Stats, Version,
};

#[derive(Default)]
pub(crate) struct MemorySession {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    vertices: BTreeMap<VertexHash, Vertex>,
    contents: BTreeMap<ChunkHash, Vec<u8>>,
    named: BTreeMap<Name, Vec<VertexHash>>,
    open_groups: BTreeMap<String, GroupId>,
    closed: BTreeSet<GroupId>,
    cache: BTreeMap<Vec<u8>, Vec<u8>>,
    clock: u64,
    puts: u64,
}

impl State {
    fn is_visible(&self, vertex: &Vertex) -> bool {
        vertex.group == GroupId::NONE || self.closed.contains(&vertex.group)
    }

    /// Visible versions of the name that no visible version of it follows, the winner first.
    fn heads(&self, name: &Name) -> Vec<Head> {
        let all = self.named.get(name).map(Vec::as_slice).unwrap_or_default();
        let visible: Vec<(&VertexHash, &Vertex)> = all
            .iter()
            .map(|hash| (hash, &self.vertices[hash]))
            .filter(|(_, vertex)| self.is_visible(vertex))
            .collect();
        let followed: BTreeSet<_> = visible.iter().flat_map(|(_, v)| v.parents.clone()).collect();
        let mut heads: Vec<Head> = visible
            .into_iter()
            .filter(|(hash, _)| !followed.contains(*hash))
            .map(|(hash, vertex)| Head {
                hash: *hash,
                depth: vertex.depth,
                hlc: vertex.hlc,
                len: vertex.content.len(),
                is_tombstone: vertex.meta.kind == Kind::Tombstone,
            })
            .collect();
        heads.sort_by_key(|head| (head.is_tombstone, std::cmp::Reverse((head.depth, head.hash))));
        heads
    }

    fn keep(&mut self, bytes: Vec<u8>) -> Content {
        if bytes.len() <= INLINE_LEN_MAX {
            return Content::Inline(bytes);
        }
        let chunk = ChunkHash::new(hash("test", &[&bytes]));
        let len = u32::try_from(bytes.len()).unwrap();
        self.contents.insert(chunk, bytes);
        let generation = EpochId::new([0; 32]);
        Content::Chunks { generation, entries: vec![ChunkEntry { hash: chunk, len }] }
    }

    fn store(&mut self, request: &PutRequest, content: Content, parents: Vec<VertexHash>) -> Put {
        let depth = parents.iter().map(|parent| self.vertices[parent].depth + 1).max();
        self.clock += 1;
        let vertex = Vertex {
            blind: [0; 16],
            parents,
            depth: depth.unwrap_or(0),
            name: request.name.clone(),
            hlc: Hlc(self.clock),
            author: UserId::new([0; 32]),
            group: request.group,
            closes: request.closes,
            content,
            meta: request.meta.clone(),
        };
        let hash = vertex.hash();
        let len = vertex.content.len();
        if !request.dry_run {
            if let Some(name) = &request.name {
                self.named.entry(name.clone()).or_default().push(hash);
            }
            if request.closes != GroupId::NONE {
                self.closed.insert(request.closes);
                self.open_groups.retain(|_, group| *group != request.closes);
            }
            self.vertices.insert(hash, vertex);
            self.puts += 1;
        }
        let level = request.ack;
        Put { hash, is_new: true, level, bytes_read: len, bytes_new: len, bytes_stored: len }
    }
}

impl MemorySession {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Versions stored so far.
    pub(crate) fn puts(&self) -> u64 {
        self.state().puts
    }

    /// Live names, in order.
    pub(crate) fn live(&self) -> Vec<String> {
        let query = NamesQuery { limit: usize::MAX, ..NamesQuery::default() };
        self.names(&query).unwrap().into_iter().map(|entry| entry.name.to_string()).collect()
    }

    /// The single head of a name.
    pub(crate) fn head(&self, name: &str) -> Head {
        let heads = self.heads(&Name::new(name).unwrap(), At::Now).unwrap();
        assert_eq!(heads.len(), 1, "heads of {name}");
        heads[0]
    }

    pub(crate) fn forget_cache(&self) {
        self.state().cache.clear();
    }
}

impl ContentReader for Bytes {
    fn len(&self) -> u64 {
        self.0.get_ref().len() as u64
    }
}

struct Bytes(Cursor<Vec<u8>>);

impl Read for Bytes {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        // Short reads are allowed and must be met with patience.
        let len = into.len().min(10_000);
        self.0.read(&mut into[..len])
    }
}

impl std::io::Seek for Bytes {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl Session for MemorySession {
    fn put(
        &self,
        request: &PutRequest,
        content: &mut (dyn Read + Send),
        progress: &dyn Progress,
    ) -> Result<Put, Error> {
        let mut bytes = Vec::new();
        let mut piece = [0; 8192];
        loop {
            if !progress.on_progress(bytes.len() as u64, 0) {
                return Err(Error::Interrupted);
            }
            match content.read(&mut piece).map_err(Error::Content)? {
                0 => break,
                len => bytes.extend_from_slice(&piece[..len]),
            }
        }
        let mut state = self.state();
        let heads = request.name.as_ref().map(|name| state.heads(name)).unwrap_or_default();
        if let Some(expected) = request.expect_head
            && heads.iter().map(|head| head.hash).ne([expected])
        {
            let heads = heads.iter().map(|head| head.hash).collect();
            return Err(Error::HeadMoved { expected, heads });
        }
        let content = state.keep(bytes);
        if let ([one], true) = (heads.as_slice(), request.parents.is_empty()) {
            let head = &state.vertices[&one.hash];
            if head.content == content && head.meta == request.meta {
                let bytes_read = content.len();
                let level = request.ack;
                let (hash, is_new) = (one.hash, false);
                return Ok(Put { hash, is_new, level, bytes_read, bytes_new: 0, bytes_stored: 0 });
            }
        }
        let parents = match request.parents.as_slice() {
            [] => heads.first().map(|head| head.hash).into_iter().collect(),
            given => given.to_vec(),
        };
        Ok(state.store(request, content, parents))
    }

    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }

    fn content(&self, hash: &VertexHash) -> Result<Box<dyn ContentReader>, Error> {
        let vertex = self.vertex(hash)?;
        let bytes = match vertex.content {
            Content::Inline(bytes) => bytes,
            Content::Chunks { entries, .. } => self.state().contents[&entries[0].hash].clone(),
            Content::Lists { .. } => unreachable!("not made here"),
        };
        Ok(Box::new(Bytes(Cursor::new(bytes))))
    }

    fn vertex(&self, hash: &VertexHash) -> Result<Vertex, Error> {
        let unknown = || Error::HashUnknown { hash: hash.to_string() };
        self.state().vertices.get(hash).cloned().ok_or_else(unknown)
    }

    fn heads(&self, name: &Name, _at: At) -> Result<Vec<Head>, Error> {
        let heads = self.state().heads(name);
        if heads.is_empty() {
            return Err(Error::NameUnknown { name: name.clone() });
        }
        Ok(heads)
    }

    fn names(&self, query: &NamesQuery) -> Result<Vec<NameEntry>, Error> {
        let state = self.state();
        let page = state
            .named
            .keys()
            .filter(|name| name.as_str().starts_with(&query.prefix))
            .filter(|name| query.after.as_ref().is_none_or(|after| *name > after))
            .map(|name| NameEntry { name: name.clone(), heads: state.heads(name) })
            .filter(|entry| entry.heads.first().is_some_and(|head| !head.is_tombstone))
            .take(query.limit);
        Ok(page.collect())
    }

    fn history(&self, _name: &Name) -> Result<Vec<Version>, Error> {
        unreachable!("not asked here")
    }

    fn children(&self, _hash: &VertexHash) -> Result<Vec<VertexHash>, Error> {
        unreachable!("not asked here")
    }

    fn resolve(&self, _prefix: &str) -> Result<VertexHash, Error> {
        unreachable!("not asked here")
    }

    fn merge(&self, _: &Name, _: &VertexHash, _: &PutRequest) -> Result<Put, Error> {
        unreachable!("not asked here")
    }

    fn delete(&self, name: &Name, request: &PutRequest) -> Result<Put, Error> {
        let mut state = self.state();
        let parents = state.heads(name).iter().map(|head| head.hash).collect();
        let meta = Meta { kind: Kind::Tombstone, ..Meta::default() };
        let request = PutRequest { name: Some(name.clone()), meta, ..request.clone() };
        Ok(state.store(&request, Content::EMPTY, parents))
    }

    fn changes(&self, _: &str, _: Option<&Place>, _: usize) -> Result<Vec<Change>, Error> {
        unreachable!("not asked here")
    }

    fn group(&self, label: &str) -> Result<GroupId, Error> {
        let mut state = self.state();
        state.clock += 1;
        let fresh = GroupId::new(u128::from(state.clock).to_le_bytes());
        Ok(*state.open_groups.entry(label.to_owned()).or_insert(fresh))
    }

    fn cached(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        assert!(key.len() <= 128);
        Ok(self.state().cache.get(key).cloned())
    }

    fn remember(&self, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
        assert!(entries.iter().all(|(key, value)| key.len() <= 128 && value.len() <= 1024));
        self.state().cache.extend(entries.iter().cloned());
        Ok(())
    }

    fn is_usable(&self, hash: &VertexHash, group: GroupId) -> Result<bool, Error> {
        let state = self.state();
        let vertex = state.vertices.get(hash);
        Ok(vertex.is_some_and(|vertex| vertex.group == group || state.is_visible(vertex)))
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats::default())
    }

    fn check(&self, _: &CheckRequest, _: &dyn Progress) -> Result<CheckReport, Error> {
        Ok(CheckReport::default())
    }
}

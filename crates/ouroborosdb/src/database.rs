//! The handle programs hold.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use model::{GroupId, Name, Vertex, VertexHash};
use store::Resealed;

use crate::authorship::Authorship;
use crate::batch::Batch;
use crate::content::StoredContent;
use crate::engine::Engine;
use crate::error::Error;
use crate::key::IdentitySummary;
use crate::open::{self, Created, Opened};
use crate::options::Options;
use crate::session::{
    At, Change, CheckReport, CheckRequest, ContentReader, Cursor, Head, NAMES_PAGE_MAX, NameEntry,
    NamesQuery, Progress, Put, PutRequest, Session, Silent, Stats, Version,
};
use crate::watch::Watch;
use crate::world::World;

/// A database in this process. Cheap to clone; every method may be called from many threads.
///
/// Closed when the last clone, batch and content reader is dropped.
#[derive(Clone)]
pub struct Database {
    engine: Arc<Engine>,
    created: Option<Arc<Created>>,
    summary: Arc<IdentitySummary>,
}

impl Database {
    /// Opens the database in the folder `path`, making what is missing unless `options` forbid it.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        let world = open::real_world(path.as_ref(), &options)?;
        Self::with(world, options)
    }

    /// Opens the database of `world`.
    #[expect(clippy::needless_pass_by_value, reason = "the passphrase ends with the options")]
    pub fn with(world: World, options: Options) -> Result<Self, Error> {
        let Opened { engine, created, summary } = open::open(world, &options)?;
        let engine = Arc::new(engine);
        Ok(Self { engine, created: created.map(Arc::new), summary: Arc::new(summary) })
    }

    pub(crate) const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What opening made; `None` when everything was there.
    pub fn created(&self) -> Option<&Created> {
        self.created.as_deref()
    }

    /// Who this is.
    pub fn identity_summary(&self) -> &IdentitySummary {
        &self.summary
    }

    /// Stores a version of `name`, durable on return. Equal to the single head: that one is
    /// returned and nothing is made.
    pub fn put(&self, name: &str, mut content: impl Read + Send) -> Result<Version, Error> {
        let request = PutRequest { name: Some(Name::new(name)?), ..PutRequest::default() };
        Ok(self.engine.put(&request, &mut content, &Silent)?.version)
    }

    /// The bytes of the winning head of `name`.
    pub fn get(&self, name: &str) -> Result<StoredContent, Error> {
        self.get_at(name, At::Now)
    }

    /// The bytes `name` had.
    pub fn get_at(&self, name: &str, at: At) -> Result<StoredContent, Error> {
        let name = Name::new(name)?;
        let heads = self.engine.heads(&name, at)?;
        match heads.first() {
            Some(head) if !head.is_tombstone => self.open_content(&head.hash),
            _ => Err(Error::NameUnknown { name }),
        }
    }

    /// Up to `len` bytes of `name` from `offset`.
    pub fn get_range(&self, name: &str, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut content = self.get(name)?;
        let rest = content.len().checked_sub(offset);
        let rest = rest.ok_or(Error::RangeOutside { offset, len: content.len() })?;
        let len = usize::try_from(rest).map_or(len, |rest| len.min(rest));
        let mut bytes = vec![0; len];
        let read = content.read_range(offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The bytes of a version.
    pub fn open_content(&self, hash: &VertexHash) -> Result<StoredContent, Error> {
        let Vertex { content, .. } = self.engine.vertex(hash)?;
        StoredContent::new(&self.engine, *hash, content)
    }

    /// Live names that begin with `prefix`, in byte order.
    pub fn list(&self, prefix: &str) -> Names<'_> {
        Names {
            database: self,
            prefix: prefix.to_owned(),
            page: Vec::new().into_iter(),
            after: None,
        }
    }

    /// The heads of `name`, the winner first; tombstones are included.
    pub fn heads(&self, name: &str) -> Result<Vec<Head>, Error> {
        self.engine.heads(&Name::new(name)?, At::Now)
    }

    /// All versions of `name`, newest first.
    pub fn history(&self, name: &str) -> Result<Vec<Version>, Error> {
        self.engine.history(&Name::new(name)?)
    }

    /// Who wrote each of `versions`, and what proves it; in their order.
    pub fn authorship(&self, versions: &[VertexHash]) -> Result<Vec<Authorship>, Error> {
        self.engine.authorship(versions)
    }

    /// Versions that list `hash` as a parent.
    pub fn children(&self, hash: &VertexHash) -> Result<Vec<VertexHash>, Error> {
        self.engine.children(hash)
    }

    /// Joins all heads of `name` in a version with the content of `take`, one of them.
    pub fn merge(&self, name: &str, take: &VertexHash) -> Result<Version, Error> {
        Ok(self.engine.merge(&Name::new(name)?, take, &PutRequest::default())?.version)
    }

    /// Hides `name`; its versions stay.
    pub fn delete(&self, name: &str) -> Result<Version, Error> {
        Ok(self.engine.delete(&Name::new(name)?, &PutRequest::default())?.version)
    }

    /// Changes of names that begin with `prefix` after `since` (`None` = from the beginning), those
    /// to come included.
    pub fn watch(&self, prefix: &str, since: Option<Cursor>) -> Result<Watch, Error> {
        Ok(Watch::new(&self.engine, prefix, since))
    }

    /// Many puts with one sync, visible together.
    pub fn batch(&self) -> Batch {
        Batch::new(&self.engine)
    }

    /// Makes all deferred puts durable.
    pub fn sync(&self) -> Result<(), Error> {
        self.engine.sync_all()
    }

    /// Packs the open blocks.
    pub fn flush(&self) -> Result<(), Error> {
        self.engine.flush()
    }

    /// Seals what was written under older epochs anew under the newest, so that who was removed from the
    /// scope can no longer open it; the old blocks are removed. Ids and history stay.
    pub fn reseal(&self, progress: &dyn Progress) -> Result<Resealed, Error> {
        self.engine.reseal(progress)
    }

    /// What the store holds.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.engine.stats()
    }

    /// Verifies, and rebuilds what is derived if asked.
    pub fn check(&self, request: &CheckRequest) -> Result<CheckReport, Error> {
        self.engine.check(request, &Silent)
    }

    /// Makes everything durable and closes the store, whoever else holds a handle: their calls fail
    /// from then on.
    pub fn close(self) -> Result<(), Error> {
        self.engine.close()
    }
}

/// Live names in byte order, read page by page.
#[derive(Debug)]
pub struct Names<'a> {
    database: &'a Database,
    prefix: String,
    page: std::vec::IntoIter<NameEntry>,
    after: Option<Name>,
}

impl Iterator for Names<'_> {
    type Item = Result<NameEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.page.next() {
            self.after = Some(entry.name.clone());
            return Some(Ok(entry));
        }
        let query = NamesQuery {
            prefix: self.prefix.clone(),
            after: self.after.clone(),
            limit: NAMES_PAGE_MAX / 10,
            ..NamesQuery::default()
        };
        match self.database.engine.names(&query) {
            Ok(page) => {
                self.page = page.into_iter();
                let entry = self.page.next()?;
                self.after = Some(entry.name.clone());
                Some(Ok(entry))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Session for Database {
    fn put(
        &self,
        request: &PutRequest,
        content: &mut (dyn Read + Send),
        progress: &dyn Progress,
    ) -> Result<Put, Error> {
        Ok(self.engine.put(request, content, progress)?.put)
    }

    fn sync(&self) -> Result<(), Error> {
        self.engine.sync_all()
    }

    fn content(&self, hash: &VertexHash) -> Result<Box<dyn ContentReader>, Error> {
        Ok(Box::new(self.open_content(hash)?))
    }

    fn vertex(&self, hash: &VertexHash) -> Result<Vertex, Error> {
        self.engine.vertex(hash)
    }

    fn heads(&self, name: &Name, at: At) -> Result<Vec<Head>, Error> {
        self.engine.heads(name, at)
    }

    fn names(&self, query: &NamesQuery) -> Result<Vec<NameEntry>, Error> {
        self.engine.names(query)
    }

    fn history(&self, name: &Name) -> Result<Vec<Version>, Error> {
        self.engine.history(name)
    }

    fn children(&self, hash: &VertexHash) -> Result<Vec<VertexHash>, Error> {
        self.engine.children(hash)
    }

    fn resolve(&self, prefix: &str) -> Result<VertexHash, Error> {
        self.engine.resolve(prefix)
    }

    fn merge(&self, name: &Name, take: &VertexHash, request: &PutRequest) -> Result<Put, Error> {
        Ok(self.engine.merge(name, take, request)?.put)
    }

    fn delete(&self, name: &Name, request: &PutRequest) -> Result<Put, Error> {
        Ok(self.engine.delete(name, request)?.put)
    }

    fn changes(
        &self,
        prefix: &str,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<Change>, Error> {
        self.engine.changes(prefix, since, limit)
    }

    fn group(&self, label: &str) -> Result<GroupId, Error> {
        self.engine.group(label)
    }

    fn cached(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.engine.store.cached(key)?)
    }

    fn remember(&self, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
        self.engine.remember(entries)
    }

    fn is_usable(&self, hash: &VertexHash, group: GroupId) -> Result<bool, Error> {
        self.engine.is_usable(hash, group)
    }

    fn flush(&self) -> Result<(), Error> {
        self.engine.flush()
    }

    fn stats(&self) -> Result<Stats, Error> {
        self.engine.stats()
    }

    fn check(&self, request: &CheckRequest, progress: &dyn Progress) -> Result<CheckReport, Error> {
        self.engine.check(request, progress)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("identity", &self.summary.user).finish_non_exhaustive()
    }
}

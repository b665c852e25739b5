//! What a program or a command can do with a database, wherever it runs: in this process
//! ([`crate::Database`]) or behind a daemon's socket.

use std::io::{Read, Seek};

use model::{GroupId, Hlc, Meta, Name, Vertex, VertexHash};

use crate::error::Error;

/// How safe a write is before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Ack {
    /// Appended, durable with the next write that asks for more. For members of a group.
    Deferred,
    /// Synced on this node.
    #[default]
    Local,
}

/// One version to be made.
#[derive(Debug, Clone, Default)]
pub struct PutRequest {
    /// The name it is a version of.
    pub name: Option<Name>,
    /// Replaces the heads as parents when not empty.
    pub parents: Vec<VertexHash>,
    /// Refuses the write unless this is the single head.
    pub expect_head: Option<VertexHash>,
    /// What is known about the bytes; its kind and times are taken as they are.
    pub meta: Meta,
    /// Becomes visible with the put that closes this group.
    pub group: GroupId,
    /// Makes this group visible.
    pub closes: GroupId,
    /// How safe before the call returns.
    pub ack: Ack,
    /// Does everything but write: the same numbers, nothing changed.
    pub dry_run: bool,
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// The version: new, or the unchanged head.
    pub hash: VertexHash,
    /// False when the single head already was exactly this; nothing was written then.
    pub is_new: bool,
    /// Level that was reached.
    pub level: Ack,
    /// Cleartext read.
    pub bytes_read: u64,
    /// Cleartext of chunks, lists and vertices the store did not have.
    pub bytes_new: u64,
    /// Bytes the log grew by for this put, sealing and headers included; padding shared by a
    /// batch is not attributed.
    pub bytes_stored: u64,
}

/// Which version of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// The winning head.
    #[default]
    Now,
    /// The winner among versions not younger than this.
    Time(Hlc),
}

/// A head of a name, as the index keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The version.
    pub hash: VertexHash,
    /// Its depth in the graph.
    pub depth: u64,
    /// When, as its author says.
    pub hlc: Hlc,
    /// Content length in bytes.
    pub len: u64,
    /// True when it deletes.
    pub is_tombstone: bool,
}

/// A name and its heads, the winner first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameEntry {
    /// The name.
    pub name: Name,
    /// At least one; the winner first (`cluster` section 6).
    pub heads: Vec<Head>,
}

/// A version with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its hash.
    pub hash: VertexHash,
    /// The version.
    pub vertex: Vertex,
}

/// A place in the change feed; opaque, survives restarts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub Vec<u8>);

/// A version that became visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Continue after it from here.
    pub cursor: Cursor,
    /// The version.
    pub hash: VertexHash,
    /// The name it is a version of.
    pub name: Option<Name>,
}

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the contract of `stats --json`")]
pub struct Stats {
    pub objects: u64,
    pub vertices: u64,
    pub names: u64,
    pub blocks_open: u64,
    pub blocks_packed: u64,
    pub bytes_content: u64,
    pub bytes_unique: u64,
    pub bytes_stored: u64,
    pub bytes_overhead: u64,
    pub bytes_index: u64,
    pub files_on_disk: u64,
}

/// How thorough a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckRequest {
    /// Read and verify every byte, not only structure.
    pub deep: bool,
    /// Throw away and rebuild everything derived first.
    pub rebuild: bool,
}

/// One thing a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// File of the store, relative, or hash of the object.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
    /// Names whose content is affected, as far as known.
    pub names: Vec<Name>,
}

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Blocks looked at.
    pub blocks: u64,
    /// Objects looked at.
    pub objects: u64,
    /// Bytes read and verified.
    pub bytes_verified: u64,
    /// Signed commits verified.
    pub commits: u64,
    /// Empty when all is well.
    pub findings: Vec<Finding>,
}

/// Called as long work moves on; returning false asks to stop at the next safe point
/// ([`Error::Interrupted`]).
pub trait Progress: Send + Sync {
    /// `bytes_done` of `bytes_total` (0 = unknown) so far.
    fn on_progress(&self, bytes_done: u64, bytes_total: u64) -> bool;
}

/// No one is watching.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn on_progress(&self, _: u64, _: u64) -> bool {
        true
    }
}

/// The bytes of one version: streams, seeks, verifies as it goes. A damaged chunk is an
/// [`std::io::Error`] whose inner error is [`Error`]; no wrong byte is ever returned.
pub trait ContentReader: Read + Seek + Send {
    /// Cleartext length in bytes.
    fn len(&self) -> u64;
    /// True when there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A database, near or far. Every method may be called from many threads.
pub trait Session: Send + Sync {
    /// Stores one version. A put whose content and metadata equal the single head makes nothing.
    /// `content` is read to its end.
    fn put(
        &self,
        request: &PutRequest,
        content: &mut (dyn Read + Send),
        progress: &dyn Progress,
    ) -> Result<Put, Error>;
    /// Makes all deferred puts durable.
    fn sync(&self) -> Result<(), Error>;
    /// Opens the bytes of a version.
    fn content(&self, hash: &VertexHash) -> Result<Box<dyn ContentReader>, Error>;
    /// One version.
    fn vertex(&self, hash: &VertexHash) -> Result<Vertex, Error>;
    /// The heads of a name, the winner first; [`Error::NameUnknown`] when there are none. Tombstones
    /// are included.
    fn heads(&self, name: &Name, at: At) -> Result<Vec<Head>, Error>;
    /// Up to `limit` live names with `prefix` after `after`, in byte order; `tombstones` adds deleted ones.
    fn names(&self, query: &NamesQuery) -> Result<Vec<NameEntry>, Error>;
    /// All versions of a name, newest first (greatest depth, then clock, then hash).
    fn history(&self, name: &Name) -> Result<Vec<Version>, Error>;
    /// Versions that list `hash` as a parent.
    fn children(&self, hash: &VertexHash) -> Result<Vec<VertexHash>, Error>;
    /// The one version whose hex begins with `prefix` (at least 8 digits);
    /// [`Error::HashUnknown`] or [`Error::HashAmbiguous`].
    fn resolve(&self, prefix: &str) -> Result<VertexHash, Error>;
    /// A version with all current heads as parents, with the content of one of them.
    fn merge(&self, name: &Name, take: &VertexHash, request: &PutRequest) -> Result<Put, Error>;
    /// A tombstone over all current heads.
    fn delete(&self, name: &Name, request: &PutRequest) -> Result<Put, Error>;
    /// Up to `limit` changes under `prefix` after `since` (`None` = from the beginning).
    fn changes(
        &self,
        prefix: &str,
        since: Option<&Cursor>,
        limit: usize,
    ) -> Result<Vec<Change>, Error>;
    /// A group that `put` can fill: for a source never seen new, else the one that was left open.
    fn group(&self, label: &str) -> Result<GroupId, Error>;
    /// A value of the local, sealed, rebuildable cache; `None` when unknown or lost.
    fn cached(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    /// Remembers values; durable whenever, lost without harm. Keys <= 128 B, values <= 1 KiB.
    fn remember(&self, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error>;
    /// True when the vertex is stored and the group it belongs to, if any, is `group` or closed.
    fn is_usable(&self, hash: &VertexHash, group: GroupId) -> Result<bool, Error>;
    /// Packs the open blocks.
    fn flush(&self) -> Result<(), Error>;
    /// What the store holds.
    fn stats(&self) -> Result<Stats, Error>;
    /// Verifies, and rebuilds what is derived if asked.
    fn check(&self, request: &CheckRequest, progress: &dyn Progress) -> Result<CheckReport, Error>;
}

/// Which names.
#[derive(Debug, Clone, Default)]
pub struct NamesQuery {
    /// Names that begin with these bytes.
    pub prefix: String,
    /// Only names greater than this.
    pub after: Option<Name>,
    /// At most so many, at most [`NAMES_PAGE_MAX`].
    pub limit: usize,
    /// As of when.
    pub at: At,
    /// Also names whose winner is a tombstone.
    pub with_deleted: bool,
}

/// Names one call returns at most.
pub const NAMES_PAGE_MAX: usize = 10_000;

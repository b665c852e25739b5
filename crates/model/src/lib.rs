//! The nouns of OuroborosDB: ids, byte formats, limits, chunking.
//!
//! Architecture invariant: nothing in this crate does IO, reads a clock, draws randomness or
//! knows what async is. Every value that arrives as bytes is parsed into a valid type or refused
//! with a [`FormatError`] that names what was malformed.

mod chunker;
pub mod codec;
mod error;
pub mod hash;
mod id;
pub mod limit;
mod list;
pub mod meta;
mod name;
mod vertex;

pub use chunker::Chunker;
pub use error::FormatError;
pub use id::{
    BlockNonce, BlockNumber, BlockRoot, ChainId, ChunkHash, EpochId, GroupId, Incarnation,
    ListHash, ObjectId, RecordId, ScopeId, StoreId, UserId, VertexHash,
};
pub use list::List;
pub use meta::{FileTime, Hole, Kind, Meta, Owner};
pub use name::Name;
pub use vertex::{ChunkEntry, Content, Hlc, Vertex};

//! OuroborosDB: versions of everything, sealed, deduplicated and durable, embedded in a program.
//!
//! ```no_run
//! use ouroborosdb::{Database, Options};
//!
//! let db = Database::open("data", Options::default())?;
//! db.put("notes/today", &b"hello"[..])?;
//! let mut text = String::new();
//! std::io::Read::read_to_string(&mut db.get("notes/today")?, &mut text)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Architecture invariant: straight-line, blocking code over the store; no async, no network, no
//! `std::fs`, no clock or randomness but what [`World`] brings. A version is placed in the log
//! behind everything it refers to, so what is visible is whole.

mod authorship;
mod batch;
mod bundle;
mod bundle_cache;
mod capsule;
mod capsule_writer;
mod care;
mod chunk_map;
mod commit;
mod content;
mod database;
mod dry;
mod engine;
mod error;
mod feed;
mod frontier_file;
mod graph;
mod group;
mod identity;
mod intake;
mod key;
mod list_tree;
mod member_signer;
mod name_locks;
mod open;
mod options;
mod pipeline;
mod pool;
mod read_ahead;
mod records;
mod scope;
mod scopes;
mod session;
mod watch;
mod world;

pub use authorship::Authorship;
pub use batch::{BATCH_PUTS_MAX, Batch};
pub use capsule::{Capsule, CapsuleSource};
pub use capsule_writer::CapsuleMade;
pub use content::StoredContent;
pub use database::{Database, Names};
pub use error::{Error, ErrorClass, KeyFileProblem};
pub use identity::{
    Installed, Occupied, install_identity, keep_legacy_keys, legacy_keys, sealed_copy,
    unlock_identity,
};
pub use key::{IdentitySummary, KeyFileKind, fingerprint, key_file_kind, rekey};
pub use open::{Created, KEY_FILE};
pub use options::{Options, Passphrase};
pub use scope::HOME;
pub use scopes::{Member, ScopeEntry, Scopes, Shared};
pub use session::{
    Ack, At, Change, CheckReport, CheckRequest, ContentReader, Cursor, Finding, Head,
    NAMES_PAGE_MAX, NameEntry, NamesQuery, Progress, Put, PutRequest, Session, Silent, Stats,
    Version,
};
pub use store::Proof;
pub use store::Resealed;
pub use watch::Watch;
pub use world::{Clock, FrontierPlace, KeyPlace, SystemClock, World};

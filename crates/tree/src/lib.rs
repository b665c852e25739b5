//! Folders in and out: walk, attributes, excludes, resume, the cache of unchanged files.
//!
//! Architecture invariant: user files are reached through [`Files`], versions through
//! [`ouroborosdb::Session`]; nothing here knows how a store works or what a terminal is.

mod attributes;
mod error;
mod events;
mod faulty_files;
mod files;
mod filter;
mod folder_stack;
mod get;
mod get_file;
mod get_folders;
mod get_links;
mod jobs;
mod list;
mod path;
mod put;
mod put_item;
mod request;
mod run;
mod skip;
mod source;
mod system_files;
mod walk;

pub use error::{Failure, Problem, TreeError};
pub use events::{Events, Outcome, Unwatched};
pub use faulty_files::{Effect, FaultyFiles, FileOperation, Traced};
pub use files::{FileKind, FileStat, Files, Target, Xattrs};
pub use filter::{PATTERNS_MAX, PathFilter};
pub use get::versions_of;
pub use request::{
    GetFile, GetSummary, GetTree, PutFile, PutOptions, PutSummary, PutTree, Transfer, TreeSource,
};
pub use system_files::SystemFiles;

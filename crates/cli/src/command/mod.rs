//! One file for each command: its flags, and what it asks of the session.

pub(crate) mod bench;
pub(crate) mod capsule;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod flush;
pub(crate) mod get;
pub(crate) mod heads;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod put;
pub(crate) mod scope;
pub(crate) mod show;
pub(crate) mod stats;
pub(crate) mod walk;

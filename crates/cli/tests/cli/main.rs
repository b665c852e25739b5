//! Drives the built program in temporary folders, one file for each command.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests have their own files and clock, and may fail"
)]

mod bad_input;
mod bench;
mod capsule;
mod care;
mod common;
mod diff;
mod generated;
mod get;
mod graph;
mod history;
mod identity;
mod interrupt;
mod key;
mod ls;
mod put;
mod scope;
mod tree;

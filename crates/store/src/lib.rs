//! One node's disk.

pub mod disk;
mod error;

pub use error::{Problem, StoreError};

//! One node's disk.

pub mod disk;
mod error;
pub mod runs;

pub use error::{Problem, StoreError};
pub mod sim_disk;
pub mod sim_random;

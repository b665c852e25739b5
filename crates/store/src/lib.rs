//! One node's disk.

pub mod aligned;
pub mod disk;
mod disk_path;
mod error;
pub mod fault_disk;
pub mod folder_disk;
pub mod runs;

pub use error::{Problem, StoreError};
pub mod sim_disk;
pub mod sim_random;

//! One node's disk.

pub mod disk;

//! Power loss, failing syncs, failing disks and damage over a [`store::Store`], all of it on a disk
//! in memory and all of it determined by one seed.
//!
//! Architecture invariant: nothing here is a dependency of the product. A finding is a [`Finding`]
//! that says how to have it again; a panic of the store is caught and is a finding too.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test bench: a panic is caught and reported with its seed"
)]

pub mod crash;
pub mod damage;
pub mod faults;
mod figures;
pub mod flip;
pub mod material;
pub mod oracle;
pub mod planted;
pub mod verify;
pub mod workload;

pub use figures::{Figures, Finding, caught, in_parallel};

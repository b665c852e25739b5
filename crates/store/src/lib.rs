//! One node's disk: open and packed blocks, the local index, recovery.
//!
//! Architecture invariant: the store takes sealed objects and never holds an identity; `std::fs` and
//! system calls are behind [`disk::Disk`]; there is one path that writes (`lane`), and recovery,
//! packing and rebuilding use it too.

pub mod aligned;
mod batch;
mod block;
mod block_facts;
pub mod bundle;
mod check;
mod commit_file;
mod commit_log;
mod commit_table;
pub mod disk;
mod disk_path;
mod error;
pub mod fault_disk;
mod files;
mod folder;
pub mod folder_disk;
mod index;
mod lane;
mod ledger;
mod object;
mod open_block;
mod packed;
mod packer;
mod read;
mod recovery;
mod released;
mod reseal;
pub mod runs;
mod scan;
mod signing;
pub mod sim_disk;
pub mod sim_random;
mod stats;
mod store;
mod superblock;
mod sync_line;
#[cfg(test)]
mod vectors;

pub use check::{Affected, OnProgress, StoreReport};
pub use commit_table::Proof;
pub use error::{Problem, StoreError};
pub use folder::{read_records, write_record};
pub use index::{FeedEntry, GroupState, HEADS_MAX, HeadEntry, Location};
pub use lane::{Position, SealContext};
pub use object::{BundleMember, SealedObject};
pub use reseal::Resealed;
pub use signing::{CommitSigner, Signing, chain_ends};
pub use stats::StoreStats;
pub use store::{Damage, Store, StoreOptions, Writer};

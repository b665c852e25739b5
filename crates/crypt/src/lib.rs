//! Keys and sealing: everything that is secret, and everything that is signed.
//!
//! Architecture invariant: nothing in this crate does IO or reads a clock; randomness is a
//! parameter ([`Random`]). A seal binds *what* an object is and which epoch it belongs to, never
//! *where* it lies; nothing depends on a counter, an offset or a clock. A failed unseal carries no
//! detail. Secrets are zeroized on drop and print nothing.

mod aead;
mod armour;
mod capsule;
mod chain;
mod commit;
mod compress;
mod endorsement;
mod epoch;
mod epoch_keys;
mod error;
mod fork_proof;
mod frontier;
mod genesis;
mod grant;
mod identity;
mod kdf;
pub mod key_file;
mod keyring;
mod legacy;
mod member_record;
mod membership;
mod membership_log;
mod object;
mod page;
mod public_identity;
mod random;
mod recovery;
mod root;
mod secret;
mod settings;
mod short_id;
mod signature;
mod store_keys;
#[cfg(test)]
mod timing;
mod wrap;

pub use capsule::{CAPSULE_HEAD_LEN, CapsuleHead};
pub use chain::{ChainHead, chain_id};
pub use commit::{
    COMMIT_LEN_MAX, Carry, Commit, CommittedBlock, Release, SignedCommit, leaves_root,
};
pub use compress::{CompressionPolicy, Opener, Sealer};
pub use endorsement::Endorsement;
pub use epoch::{EpochCore, EpochRecord};
pub use epoch_keys::EpochKeys;
pub use error::CryptError;
pub use fork_proof::ForkProof;
pub use frontier::{FRONTIER_LEN_MAX, Frontier};
pub use genesis::{Genesis, SignedGenesis};
pub use grant::{GRANT_LEN, GrantRecord};
pub use identity::Identity;
pub use keyring::Keyring;
pub use legacy::{
    LEGACY_CIPHERTEXT_LEN_MAX, LEGACY_CONTAINER_LEN_MAX, LEGACY_VERIFY_KEY_LEN, LegacyCiphertext,
    LegacyKeys, legacy_verify,
};
pub use member_record::{Change, MemberRecord, Pin, Rights, SignedRecord};
pub use membership::Membership;
pub use membership_log::MembershipLog;
pub use object::{Compression, FRAME_OVERHEAD, FRAME_PREFIX_LEN, ObjectHeader, ObjectKind};
pub use page::{PAGE_OVERHEAD, PageKeys};
pub use public_identity::{PUBLIC_IDENTITY_LEN, PublicIdentity};
pub use random::{OsRandom, Random, SeededRandom};
pub use root::Root;
pub use secret::EpochSecret;
pub use settings::Settings;
pub use short_id::ShortId;
pub use signature::{HybridSignature, SIGNATURE_LEN};
pub use store_keys::{StoreKeys, Unsealed};
pub use wrap::{WRAP_LEN, Wrap};

/// The one suite: BLAKE3-256, AES-256-GCM, X25519 + ML-KEM-1024, Ed25519 + ML-DSA-87, HKDF-SHA-512,
/// Argon2id. Any other value is refused; nothing is negotiated.
pub const SUITE: u8 = 1;

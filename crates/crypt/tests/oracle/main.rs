//! A second implementation from other hands (RustCrypto, dalek), written from
//! `docs/format-keys.md`: published cases and drawn ones must come out alike in both.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

mod differential;
mod legacy;
mod refusals;
mod second;
mod wycheproof;

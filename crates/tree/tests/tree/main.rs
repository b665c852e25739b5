//! Trees go in and come out as they were, whatever happens in between.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]
#![expect(clippy::disallowed_methods, reason = "the ground of these tests is made directly")]

mod again;
mod database;
mod faults;
mod filters;
mod ground;
mod resume;
mod round_trip;
mod session;

//! `flush`.

use clap::Args;

use crate::context::{Absent, Context};
use crate::failure::Failure;

/// Packs the open blocks, so that what the store grows by next goes to new files
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros flush")]
pub(crate) struct Flush {}

/// Packs.
pub(crate) fn run(context: &Context, _args: Flush) -> Result<(), Failure> {
    let session = context.open(Absent::Refuse)?;
    Ok(session.flush()?)
}

//! `bench`: measures this machine. The measurements themselves come with the performance goals.

use clap::Args;

use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;

/// Measures this machine against raw stages and raw disk of the same run
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros bench")]
pub(crate) struct Bench {}

/// Not measured yet.
pub(crate) fn run(_context: &Context, _args: Bench) -> Result<(), Failure> {
    Err(Failure::new(Kind::Refused, "this build measures nothing yet; nothing was done"))
}

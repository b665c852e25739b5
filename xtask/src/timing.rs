//! Whether the time of a refusal tells anything: a test of `crypt`, which reaches what is compared.

use crate::arguments::Arguments;
use crate::cargo_test::cargo_test;
use crate::failure::Failure;

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let samples = arguments.number("samples", 1_000_000)?;
    arguments.end()?;
    let settings = [("OUROBOROS_TIMING_SAMPLES", samples)];
    cargo_test(&["--lib", "timing::refusals", "--", "--ignored"], &settings, "timing ")
}

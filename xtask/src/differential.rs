//! The long form of a test of `crypt`: drawn cases, in two implementations.

use crate::arguments::Arguments;
use crate::cargo_test::cargo_test;
use crate::failure::Failure;

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let cases = arguments.number("cases", 10_000)?;
    let seed = arguments.number("seed", 1)?;
    arguments.end()?;
    let settings = [("OUROBOROS_DIFFERENTIAL_CASES", cases), ("OUROBOROS_DIFFERENTIAL_SEED", seed)];
    cargo_test(&["--test", "oracle", "differential"], &settings, "differential: ")
}

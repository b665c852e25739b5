//! `bench`: measures this machine. What is measured is in [`crate::bench`].

use std::path::PathBuf;

use clap::Args;

use crate::bench::child::Role;
use crate::bench::{self, Wish};
use crate::context::Context;
use crate::failure::Failure;

/// Measures this machine against raw stages and raw disk of the same run
///
/// Works in a folder of its own beside the data folder, which is removed afterwards. Prints one
/// line for each figure; a goal that is not reached is marked SHORT and is no failure.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros bench --size 256M P1 P4")]
pub(crate) struct Bench {
    /// Bytes of the large contents: a number with K, M or G, or `small`
    #[arg(long, value_name = "BYTES", default_value = "1G", value_parser = size)]
    size: u64,
    /// Also what takes an hour: 8 GiB streams, millions of objects, tenfold stores
    #[arg(long)]
    long: bool,
    /// Text to measure with: files below this folder [else the toolchain's, else made up]
    #[arg(long, value_name = "DIR")]
    text: Option<PathBuf>,
    /// What a process started by `bench` itself does
    #[arg(long, hide = true)]
    child: Option<Role>,
    /// How many bytes it does it with
    #[arg(long, hide = true, default_value_t = 0)]
    child_bytes: u64,
    /// Goals to measure, for example P1 [default: all]
    goals: Vec<String>,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: Bench) -> Result<(), Failure> {
    let Bench { size, long, text, child, child_bytes, goals } = args;
    if let Some(role) = child {
        return bench::child::run(context, role, child_bytes);
    }
    bench::run(context, Wish { size, is_long: long, text, goals })
}

/// Small enough for a test of the program.
const SIZE_SMALL: u64 = 8 * 1024 * 1024;
/// More would not fit the memory of the machines this is for.
const SIZE_MAX: u64 = 8 * 1024 * 1024 * 1024;

fn size(text: &str) -> Result<u64, String> {
    if text == "small" {
        return Ok(SIZE_SMALL);
    }
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (text.strip_suffix('K'), 1 << 10),
        Some(b'M') => (text.strip_suffix('M'), 1 << 20),
        Some(b'G') => (text.strip_suffix('G'), 1 << 30),
        _ => (Some(text), 1),
    };
    let bytes = digits.and_then(|digits| digits.parse::<u64>().ok());
    let bytes = bytes.and_then(|bytes| bytes.checked_mul(unit));
    match bytes {
        Some(bytes) if (SIZE_SMALL..=SIZE_MAX).contains(&bytes) => Ok(bytes),
        _ => Err("a size from 8M to 8G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("small"), Ok(8 << 20));
        assert_eq!(size("256M"), Ok(256 << 20));
        assert_eq!(size("8G"), Ok(8 << 30));
        assert_eq!(size("8388608"), Ok(8 << 20));
        for bad in ["", "M", "0", "8388607", "9G", "-1", "1T", "99999999999999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}

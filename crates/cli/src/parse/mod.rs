//! Words of a command line, parsed into values or refused with one clear line.

mod range;
mod target;
mod time;

pub(crate) use range::ByteRange;
pub(crate) use target::{HashWord, Target, Version, name, name_of_source};
pub(crate) use time::{hlc_text, time_text, timestamp};

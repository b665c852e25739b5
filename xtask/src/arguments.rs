use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::failure::Failure;

/// Words after the command: positions, `--key value` pairs and `--flag`s. Whatever a command does
/// not take is a usage error ([`Arguments::end`]).
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    positions: VecDeque<OsString>,
    options: BTreeMap<String, Option<String>>,
}

/// Options that stand alone.
const FLAGS: &[&str] = &["lower", "passwd", "sampled", "whole"];

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Self, Failure> {
        let mut arguments = Self::default();
        let mut words = words;
        while let Some(word) = words.next() {
            let Some(key) = word.to_str().and_then(|text| text.strip_prefix("--")) else {
                arguments.positions.push_back(word);
                continue;
            };
            let value = if FLAGS.contains(&key) {
                None
            } else {
                let value = words.next().and_then(|value| value.into_string().ok());
                Some(value.ok_or(Failure::Usage)?)
            };
            arguments.options.insert(key.to_owned(), value);
        }
        Ok(arguments)
    }

    pub(crate) fn path(&mut self) -> Result<PathBuf, Failure> {
        self.positions.pop_front().map(PathBuf::from).ok_or(Failure::Usage)
    }

    /// Bytes, with an optional unit: `4096`, `64KiB`, `16MiB`, `1GiB`.
    pub(crate) fn bytes(&mut self) -> Result<u64, Failure> {
        let word = self.positions.pop_front().ok_or(Failure::Usage)?;
        word.to_str().and_then(parse_bytes).ok_or(Failure::Usage)
    }

    /// `--key N`, or `default` when it is absent.
    pub(crate) fn number(&mut self, key: &str, default: u64) -> Result<u64, Failure> {
        match self.options.remove(key) {
            None => Ok(default),
            Some(value) => value.and_then(|text| text.parse().ok()).ok_or(Failure::Usage),
        }
    }

    /// `--key TEXT`, if it is there.
    pub(crate) fn word(&mut self, key: &str) -> Result<Option<String>, Failure> {
        self.options.remove(key).map(|value| value.ok_or(Failure::Usage)).transpose()
    }

    pub(crate) fn flag(&mut self, key: &str) -> bool {
        self.options.remove(key).is_some()
    }

    /// Refuses what no one asked for.
    pub(crate) fn end(self) -> Result<(), Failure> {
        let is_done = self.positions.is_empty() && self.options.is_empty();
        if is_done { Ok(()) } else { Err(Failure::Usage) }
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// True for the name that means a standard stream.
pub(crate) fn is_stream(path: &std::path::Path) -> bool {
    path.as_os_str() == OsStr::new("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments, Failure> {
        Arguments::parse(text.split(' ').map(OsString::from))
    }

    #[test]
    fn words_are_sorted_out() {
        let mut arguments = parse("file 64KiB --seed 7 --lower").unwrap();
        assert_eq!(arguments.path().unwrap(), PathBuf::from("file"));
        assert_eq!(arguments.bytes().unwrap(), 65_536);
        assert_eq!(arguments.number("seed", 1).unwrap(), 7);
        assert_eq!(arguments.number("edits", 200).unwrap(), 200);
        assert!(arguments.flag("lower"));
        assert!(arguments.end().is_ok());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(parse("a --seed").is_err(), "no value");
        assert!(parse("a --seed x").unwrap().number("seed", 1).is_err());
        assert!(parse("a b").unwrap().end().is_err(), "left over");
        assert!(parse("a --colour red").unwrap().end().is_err(), "unknown option");
        for bad in ["", "KiB", "1kb", "-1", "99999999999GiB"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }
}

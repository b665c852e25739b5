//! Files for measuring deduplication: incompressible ones, and the same after small edits.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::arguments::{Arguments, is_stream};
use crate::failure::Failure;
use crate::random::Random;

/// Bytes one edit inserts or deletes at most.
const EDIT_LEN_MAX: u64 = 64;
const BUFFER_LEN: usize = 1 << 20;

pub(crate) fn run_random(mut arguments: Arguments) -> Result<(), Failure> {
    let path = arguments.path()?;
    let len = arguments.bytes()?;
    let mut random = Random::new(arguments.number("seed", 1)?);
    arguments.end()?;
    let written = if is_stream(&path) {
        write_random(&mut random, len, &mut io::stdout().lock())
    } else {
        File::create(&path).and_then(|mut file| write_random(&mut random, len, &mut file))
    };
    written.map_err(Failure::at(&path))
}

fn write_random(random: &mut Random, len: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_LEN];
    let mut rest = len;
    while rest > 0 {
        let count = usize::try_from(rest).unwrap_or(BUFFER_LEN).min(BUFFER_LEN);
        let piece = buffer.split_at_mut(count).0;
        random.fill(piece);
        out.write_all(piece)?;
        rest -= count as u64;
    }
    out.flush()
}

pub(crate) fn run_edit(mut arguments: Arguments) -> Result<(), Failure> {
    let path = arguments.path()?;
    let edits = arguments.number("edits", 200)?;
    let seed = arguments.number("seed", 1)?;
    arguments.end()?;
    edit_file(&path, edits, seed).map_err(Failure::at(&path))
}

/// Replaces `path` by an edited copy of itself.
fn edit_file(path: &Path, edits: u64, seed: u64) -> io::Result<()> {
    let source = File::open(path)?;
    let len = source.metadata()?.len();
    let mut part = path.as_os_str().to_owned();
    part.push(".edit");
    let part = PathBuf::from(part);
    let mut out = BufWriter::with_capacity(BUFFER_LEN, File::create(&part)?);
    let mut source = BufReader::with_capacity(BUFFER_LEN, source);
    edit(&mut source, len, &mut out, &mut Random::new(seed), edits)?;
    out.into_inner()?.sync_all()?;
    std::fs::rename(&part, path)
}

/// Copies `len` bytes; at each of `edits` places, spread at random, inserts or deletes 1 to
/// [`EDIT_LEN_MAX`] bytes.
fn edit(
    source: &mut dyn Read,
    len: u64,
    out: &mut dyn Write,
    random: &mut Random,
    edits: u64,
) -> io::Result<()> {
    let mut places: Vec<u64> = (0..edits).map(|_| random.below(len + 1)).collect();
    places.sort_unstable();
    let mut at = 0;
    for place in places {
        at += io::copy(&mut source.take(place.saturating_sub(at)), out)?;
        let count = 1 + random.below(EDIT_LEN_MAX);
        if random.below(2) == 0 {
            let count = usize::try_from(count).expect("at most 64");
            out.write_all(&random.bytes(count))?;
        } else {
            at += io::copy(&mut source.take(count), &mut io::sink())?;
        }
    }
    io::copy(source, out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(source: &[u8], edits: u64, seed: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let len = source.len() as u64;
        edit(&mut &source[..], len, &mut out, &mut Random::new(seed), edits).unwrap();
        out
    }

    #[test]
    fn edits_change_a_little_and_the_same_each_time() {
        let source = Random::new(3).bytes(100_000);
        assert_eq!(edited(&source, 0, 1), source);
        let once = edited(&source, 1, 1);
        assert_ne!(once, source);
        assert!(once.len().abs_diff(source.len()) <= 64);
        let same_start = once.iter().zip(&source).take_while(|(a, b)| a == b).count();
        let same_end = once.iter().rev().zip(source.iter().rev()).take_while(|(a, b)| a == b);
        assert!(same_start + same_end.count() + 64 >= source.len(), "one place only");
        assert_eq!(edited(&source, 200, 9), edited(&source, 200, 9));
        assert_ne!(edited(&source, 200, 9), edited(&source, 200, 10));
    }

    #[test]
    fn random_files_have_the_length_asked_for() {
        for len in [0, 1, BUFFER_LEN as u64 - 1, BUFFER_LEN as u64 + 1] {
            let mut out = Vec::new();
            write_random(&mut Random::new(1), len, &mut out).unwrap();
            assert_eq!(out.len() as u64, len);
        }
    }
}

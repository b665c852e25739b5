//! What the tests share.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::io::Read;
use std::path::Path;

use model::hash::HashKey;
use ouroborosdb::{Database, Options};

/// Options that make tests fast and repeatable.
pub(crate) fn options() -> Options {
    Options { threads: 3, wait: std::time::Duration::ZERO, ..Options::default() }
}

pub(crate) fn open(path: &Path) -> Database {
    Database::open(path, options()).unwrap()
}

/// `len` bytes that look random and follow from `seed`.
pub(crate) fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    HashKey::new([0x51; 32]).expand(&[&seed.to_le_bytes()], &mut out);
    out
}

pub(crate) fn read(database: &Database, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    database.get(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Gives its bytes in pieces of changing length.
pub(crate) struct Drip<'a>(pub(crate) &'a [u8], pub(crate) usize);

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 * 7 % 65_521 + 1;
        let len = self.1.min(out.len()).min(self.0.len());
        let (now, later) = self.0.split_at(len);
        out.split_at_mut(len).0.copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

/// Gives an endless stream that follows from its seed, cut off at a length.
pub(crate) struct Stream {
    xof: blake3::OutputReader,
    left: u64,
}

impl Stream {
    pub(crate) fn new(seed: u64, len: u64) -> Self {
        Self { xof: blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof(), left: len }
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let len = usize::try_from(self.left).map_or(out.len(), |left| left.min(out.len()));
        self.xof.fill(out.split_at_mut(len).0);
        self.left -= len as u64;
        Ok(len)
    }
}

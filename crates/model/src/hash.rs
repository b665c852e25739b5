//! The two ways of hashing (`security` lines 2 and 4): labelled in the open, keyed over secrets.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::limit::CELL_LEN;
use crate::{BlockRoot, FormatError};

const PREFIX: &str = "ouro/1/";

/// `H(label, parts)`: BLAKE3 keyed by `BLAKE3("ouro/1/" || label)` over the concatenated parts.
///
/// The caller makes the concatenation unambiguous (fixed widths or length prefixes).
pub fn hash(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = labelled(label);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// A streaming `H(label, ..)`.
pub fn labelled(label: &str) -> blake3::Hasher {
    let mut key = blake3::Hasher::new();
    key.update(PREFIX.as_bytes());
    key.update(label.as_bytes());
    blake3::Hasher::new_keyed(key.finalize().as_bytes())
}

/// A secret hashing key. Zeroized on drop, prints nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// Takes the key material.
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// `P(k, parts)`: 32 bytes.
    pub fn keyed(&self, parts: &[&[u8]]) -> [u8; 32] {
        if let [one] = parts {
            return *blake3::keyed_hash(&self.0, one).as_bytes();
        }
        let mut hasher = self.hasher();
        for part in parts {
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    /// `XOF(k, parts)`: fills `out`.
    pub fn expand(&self, parts: &[&[u8]], out: &mut [u8]) {
        let mut hasher = self.hasher();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize_xof().fill(out);
    }

    /// `sub(k, label)`: a key with one use.
    pub fn sub(&self, label: &str) -> Self {
        Self(self.keyed(&[PREFIX.as_bytes(), label.as_bytes()]))
    }

    /// A streaming `P(k, ..)`.
    pub fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.0)
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

/// What a Merkle root is over; part of its top hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MerkleKind {
    /// The cells of a block.
    Block = 1,
    /// The sorted vertex ids of a block's index.
    Leaves = 2,
}

/// `MERKLE` of line 4: leaf = `H("leaf", kind || i || x)`, node = `H("node", l || r)`, an odd node is
/// promoted, root = `H("root", kind || count || top)`. `i` and `count` are u64 LE. The top of an
/// empty tree is 32 zero bytes.
pub fn merkle(kind: MerkleKind, leaves: &[[u8; 32]]) -> [u8; 32] {
    let kind = [kind as u8];
    let mut row: Vec<[u8; 32]> = (0u64..)
        .zip(leaves)
        .map(|(i, leaf)| hash("leaf", &[&kind, &i.to_le_bytes(), leaf]))
        .collect();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => hash("node", &[left, right]),
                [odd] => *odd,
                _ => [0; 32],
            })
            .collect();
    }
    let top = row.first().copied().unwrap_or([0; 32]);
    let count = leaves.len() as u64;
    hash("root", &[&kind, &count.to_le_bytes(), &top])
}

/// `H("cell", bytes)`: the hash of one cell of a block, or of a part of one.
pub fn cell(bytes: &[u8]) -> [u8; 32] {
    hash("cell", &[bytes])
}

/// Splits what lies at `offset` of a file where its cells end.
pub fn cell_parts(offset: u64, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let into = usize::try_from(offset % CELL_LEN as u64).unwrap_or(0);
    let (head, rest) = bytes.split_at(bytes.len().min((CELL_LEN - into) % CELL_LEN));
    let head = (!head.is_empty()).then_some(head);
    head.into_iter().chain(rest.chunks(CELL_LEN))
}

/// The cells of a file that is written from its beginning to its end.
#[derive(Debug, Clone)]
pub struct CellHasher {
    done: Vec<[u8; 32]>,
    running: blake3::Hasher,
    filled: usize,
}

impl Default for CellHasher {
    fn default() -> Self {
        Self { done: Vec::new(), running: labelled("cell"), filled: 0 }
    }
}

impl CellHasher {
    /// Bytes taken so far.
    pub fn len(&self) -> u64 {
        (self.done.len() * CELL_LEN + self.filled) as u64
    }

    /// True before the first byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for part in cell_parts(self.len(), bytes) {
            self.update_part(part, None);
        }
    }

    /// Takes one of the [`cell_parts`] of what follows; a whole cell whose [`cell`] hash is known is
    /// not hashed again.
    pub fn update_part(&mut self, part: &[u8], known: Option<[u8; 32]>) {
        if self.filled == 0 && part.len() == CELL_LEN {
            self.done.push(known.unwrap_or_else(|| cell(part)));
            return;
        }
        self.running.update(part);
        self.filled += part.len();
        assert!(self.filled <= CELL_LEN, "a part stays inside its cell");
        if self.filled == CELL_LEN {
            self.done.push(*self.running.finalize().as_bytes());
            self.running.reset();
            self.filled = 0;
        }
    }

    /// The hashes of all cells; the bytes taken are whole cells.
    pub fn finish(self) -> Vec<[u8; 32]> {
        assert!(self.filled == 0, "a packed block is whole cells");
        self.done
    }
}

/// `H("block", len || MERKLE(kind = block, cells))`.
pub fn block_root(len: u64, cells: &[[u8; 32]]) -> BlockRoot {
    BlockRoot::new(hash("block", &[&len.to_le_bytes(), &merkle(MerkleKind::Block, cells)]))
}

/// The length Padmé pads `len` to (Nikitin et al., PETS 2019): at most 12 % more, and only
/// `O(log log len)` bits of the length stay visible.
pub fn padme(len: u64) -> Result<u64, FormatError> {
    if len < 2 {
        return Ok(len);
    }
    let exponent = u64::from(len.ilog2());
    let significant = u64::from(exponent.ilog2_or_zero()) + 1;
    let mask = (1u64 << exponent.saturating_sub(significant)) - 1;
    len.checked_add(mask).map(|sum| sum & !mask).ok_or(FormatError::TooLong {
        noun: "padded length",
        value: len,
        limit: u64::MAX,
    })
}

trait Ilog2OrZero {
    fn ilog2_or_zero(self) -> u32;
}

impl Ilog2OrZero for u64 {
    fn ilog2_or_zero(self) -> u32 {
        self.checked_ilog2().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_do_not_depend_on_how_the_bytes_come() {
        let bytes: Vec<u8> = (0u8..251).cycle().take(4 * CELL_LEN).collect();
        let expected: Vec<_> = bytes.chunks(CELL_LEN).map(cell).collect();
        for step in [1000, CELL_LEN - 1, CELL_LEN, CELL_LEN + 1, bytes.len()] {
            let mut cells = CellHasher::default();
            bytes.chunks(step).for_each(|part| cells.update(part));
            assert_eq!(cells.len(), bytes.len() as u64);
            assert_eq!(cells.finish(), expected, "{step}");
        }
    }

    #[test]
    fn parts_follow_the_cells() {
        let bytes = vec![0; 3 * CELL_LEN];
        let lens = |offset| cell_parts(offset, &bytes).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(lens(0), [CELL_LEN; 3]);
        assert_eq!(lens(10), [CELL_LEN - 10, CELL_LEN, CELL_LEN, 10]);
    }

    #[test]
    fn padme_hides_and_stays_near() {
        for (len, padded) in [(0, 0), (1, 1), (9, 10), (1000, 1024), (1 << 20, 1 << 20)] {
            assert_eq!(padme(len), Ok(padded), "{len}");
        }
        for len in (1..1 << 20).step_by(997) {
            let padded = padme(len).unwrap();
            assert!(padded >= len && padded <= len + len / 8 + 1 && padme(padded) == Ok(padded));
        }
        assert!(padme(u64::MAX).is_err());
    }
}

//! Damage that only reads see.

use crate::disk::{DiskError, DiskFile};

/// Damage at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// The byte at `offset` is read with the bits of `mask` flipped.
    Flip {
        /// Of the byte.
        offset: u64,
        /// Bits to flip.
        mask: u8,
    },
    /// `old` is read from `offset` on: a write that never came, or any other content.
    Stale {
        /// Of the first byte.
        offset: u64,
        /// What is read.
        old: Vec<u8>,
    },
    /// `len` bytes from `offset` on are read from `source` of the same file; what lies past its end
    /// is read as zeros.
    Misdirected {
        /// Of the first byte.
        offset: u64,
        /// Bytes.
        len: usize,
        /// Where they are really read.
        source: u64,
    },
}

impl Overlay {
    fn range(&self) -> (u64, usize) {
        match self {
            Self::Flip { offset, .. } => (*offset, 1),
            Self::Stale { offset, old } => (*offset, old.len()),
            Self::Misdirected { offset, len, .. } => (*offset, *len),
        }
    }

    /// The part of `len` bytes at `at` that is damaged: start in those bytes, start in the damage,
    /// length.
    fn overlap(&self, at: u64, len: usize) -> Option<(usize, usize, usize)> {
        let (offset, damaged_len) = self.range();
        let first = at.max(offset);
        let in_read = usize::try_from(first - at).ok()?;
        let in_damage = usize::try_from(first - offset).ok()?;
        let len = len.checked_sub(in_read)?.min(damaged_len.checked_sub(in_damage)?);
        (len > 0).then_some((in_read, in_damage, len))
    }

    /// Damages what was read from `at`.
    pub(super) fn apply(
        &self,
        file: &dyn DiskFile,
        at: u64,
        read: &mut [u8],
    ) -> Result<(), DiskError> {
        let Some((in_read, in_damage, len)) = self.overlap(at, read.len()) else { return Ok(()) };
        let Some(place) = read.get_mut(in_read..in_read + len) else { return Ok(()) };
        match self {
            Self::Flip { mask, .. } => place.iter_mut().for_each(|byte| *byte ^= mask),
            Self::Stale { old, .. } => {
                place.iter_mut().zip(old.iter().skip(in_damage)).for_each(|(to, old)| *to = *old);
            }
            Self::Misdirected { source, .. } => {
                place.fill(0);
                file.read_at(source.saturating_add(in_damage as u64), place)?;
            }
        }
        Ok(())
    }
}

/// Damage by path.
#[derive(Debug, Default)]
pub(super) struct Overlays(Vec<(String, Overlay)>);

impl Overlays {
    pub(super) fn add(&mut self, path: &str, overlay: Overlay) {
        self.0.push((path.to_owned(), overlay));
    }

    pub(super) fn of(&self, path: &str) -> Vec<Overlay> {
        self.0.iter().filter(|(on, _)| on == path).map(|(_, overlay)| overlay.clone()).collect()
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.0.retain(|(on, _)| on != path);
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if from == to {
            return;
        }
        self.remove(to);
        for (on, _) in self.0.iter_mut().filter(|(on, _)| on == from) {
            to.clone_into(on);
        }
    }

    pub(super) fn write(&mut self, path: &str, offset: u64, len: usize) {
        self.0.retain(|(on, overlay)| on != path || overlay.overlap(offset, len).is_none());
    }
}

//! A byte buffer that direct writes can take.

use crate::disk::DIRECT_ALIGN;

/// A growing byte buffer whose first byte lies at a multiple of [`DIRECT_ALIGN`] in memory.
///
/// Only growth past the capacity allocates and copies; clearing keeps the memory.
#[derive(Debug, Default)]
pub struct AlignedBuf {
    /// `start` bytes of filler, then the content. Never grown through `Vec`, which would move it
    /// to an unaligned place.
    bytes: Vec<u8>,
    start: usize,
}

impl AlignedBuf {
    /// An empty buffer without memory.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0 }
    }

    /// An empty buffer that takes `capacity` bytes before it allocates again.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut buf = Self::new();
        buf.reserve(capacity);
        buf
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that can be held before the next allocation.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() - self.start
    }

    /// The content; its first byte is aligned.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The content, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }

    /// Makes room for `additional` more bytes.
    pub fn reserve(&mut self, additional: usize) {
        let needed = self.len().saturating_add(additional);
        if needed > self.capacity() {
            self.grow(needed.max(self.len().saturating_mul(2)));
        }
    }

    /// Appends `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Sets the length; new bytes are `fill`.
    pub fn resize(&mut self, len: usize, fill: u8) {
        self.reserve(len.saturating_sub(self.len()));
        self.bytes.resize(self.start + len, fill);
    }

    /// Appends zeros up to the next multiple of [`DIRECT_ALIGN`].
    pub fn pad(&mut self) {
        self.resize(self.len().next_multiple_of(DIRECT_ALIGN), 0);
    }

    /// Drops everything after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start.saturating_add(len));
    }

    /// Drops the content and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    #[cold]
    fn grow(&mut self, capacity: usize) {
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity.saturating_add(DIRECT_ALIGN - 1));
        let start = bytes.as_ptr().align_offset(DIRECT_ALIGN);
        bytes.resize(start, 0);
        bytes.extend_from_slice(self.as_slice());
        *self = Self { bytes, start };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(buf: &AlignedBuf) -> usize {
        buf.as_slice().as_ptr().addr()
    }

    #[test]
    fn stays_aligned_while_growing() {
        let mut buf = AlignedBuf::new();
        let mut expected = Vec::new();
        let mut moved = 0;
        let mut last = address(&buf);
        for i in 0..5000usize {
            let piece = vec![u8::try_from(i % 251).unwrap(); i % 97];
            buf.extend(&piece);
            expected.extend(piece);
            if buf.is_empty() {
                continue;
            }
            assert_eq!(address(&buf) % DIRECT_ALIGN, 0);
            moved += usize::from(address(&buf) != last);
            last = address(&buf);
        }
        assert_eq!(buf.as_slice(), expected);
        assert!(moved < 40, "grows by doubling, moved {moved} times");
    }

    #[test]
    fn steady_state_does_not_allocate() {
        let mut buf = AlignedBuf::with_capacity(100_000);
        buf.extend(&[1]);
        let first = address(&buf);
        assert!(buf.capacity() >= 100_000);
        for _ in 0..50 {
            buf.clear();
            buf.resize(99_999, 7);
            buf.extend(&[1]);
            assert_eq!((address(&buf), buf.len()), (first, 100_000));
        }
    }

    #[test]
    fn pads_to_the_next_boundary_only() {
        let mut buf = AlignedBuf::new();
        buf.pad();
        assert!(buf.is_empty());
        buf.extend(&[9; 4096]);
        buf.pad();
        assert_eq!(buf.len(), 4096);
        buf.extend(&[9]);
        buf.pad();
        assert_eq!(buf.len(), 8192);
        assert!(buf.as_slice()[4097..].iter().all(|&byte| byte == 0));
        buf.truncate(3);
        buf.as_mut_slice()[0] = 4;
        assert_eq!(buf.as_slice(), [4, 9, 9]);
    }
}

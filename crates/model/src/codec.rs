//! The canonical byte encoding (`security` line 3): fixed widths little-endian, lengths and counts
//! as minimal LEB128, every length bounded, nothing after the end.

use crate::FormatError;

/// Appends canonical fields to a buffer.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty buffer.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Continues an existing buffer.
    pub const fn over(buffer: Vec<u8>) -> Self {
        Self(buffer)
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// Two bytes LE.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Four bytes LE.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Eight bytes LE.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    /// Minimal LEB128.
    pub fn var(&mut self, mut value: u64) -> &mut Self {
        loop {
            let low = (value & 0x7f).to_le_bytes();
            let [low, ..] = low;
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    /// Bytes whose length the reader knows.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A `var` length, then the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.var(bytes.len() as u64).raw(bytes)
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The buffer.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads canonical fields; every refusal names `noun`.
#[derive(Debug)]
pub struct Reader<'a> {
    noun: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` as a `noun`.
    pub const fn new(noun: &'static str, bytes: &'a [u8]) -> Self {
        Self { noun, rest: bytes }
    }

    /// What is not yet read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(FormatError::Truncated { noun: self.noun });
        };
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(FormatError::Truncated { noun: self.noun });
        };
        self.rest = rest;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, FormatError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// Two bytes LE.
    pub fn u16(&mut self) -> Result<u16, FormatError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes LE.
    pub fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes LE.
    pub fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Minimal LEB128; a longer encoding of the same value is refused.
    pub fn var(&mut self) -> Result<u64, FormatError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << shift;
            if shifted >> shift != bits || (byte == 0 && shift > 0) {
                return Err(FormatError::NotCanonical { noun: self.noun });
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FormatError::NotCanonical { noun: self.noun })
    }

    /// A `var` that is at most `limit`.
    pub fn count(&mut self, limit: usize) -> Result<usize, FormatError> {
        let value = self.var()?;
        match usize::try_from(value) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(FormatError::TooLong { noun: self.noun, value, limit: limit as u64 }),
        }
    }

    /// A `var` length of at most `limit`, then that many bytes.
    pub fn bytes(&mut self, limit: usize) -> Result<&'a [u8], FormatError> {
        let len = self.count(limit)?;
        self.raw(len)
    }

    /// Refuses bytes after the end.
    pub fn end(self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(FormatError::Trailing { noun: self.noun })
    }

    /// The refusal for a value outside its domain.
    pub const fn invalid(&self) -> FormatError {
        FormatError::Invalid { noun: self.noun }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn var_has_one_encoding_per_value() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::new();
            writer.var(value);
            let bytes = writer.finish();
            let mut reader = Reader::new("test", &bytes);
            assert_eq!(reader.var(), Ok(value));
            assert_eq!(reader.end(), Ok(()));
        }
        let refused: [&[u8]; 3] = [&[0x80, 0], &[0xff, 0x80, 0], &[0xff; 11]];
        for bytes in refused {
            assert!(Reader::new("test", bytes).var().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn limits_hold_at_the_limit_and_one_past_it() {
        let mut writer = Writer::new();
        writer.bytes(&[7; 5]);
        let bytes = writer.finish();
        assert_eq!(Reader::new("test", &bytes).bytes(5), Ok(&[7u8; 5][..]));
        assert!(Reader::new("test", &bytes).bytes(4).is_err());
        assert!(Reader::new("test", &bytes[..5]).bytes(5).is_err());
    }
}

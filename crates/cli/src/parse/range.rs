//! `A-B`, `A-` and `-N`: bytes, inclusive.

use crate::exit::Kind;
use crate::failure::Failure;

/// Which bytes of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// From the first to the last, both included; without a last one to the end.
    From { first: u64, last: Option<u64> },
    /// The last so many; at least 1.
    Tail { len: u64 },
}

impl ByteRange {
    /// Parses `A-B`, `A-` or `-N`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let malformed = || {
            Failure::new(Kind::Malformed, format!("malformed range: {text}"))
                .hint("write A-B (inclusive), A- or -N, in bytes")
        };
        let (first, last) = text.split_once('-').ok_or_else(malformed)?;
        match (number(first), number(last)) {
            (None, Some(len)) if first.is_empty() && len > 0 => Ok(Self::Tail { len }),
            (Some(first), None) if last.is_empty() => Ok(Self::From { first, last: None }),
            (Some(first), Some(last)) if first <= last => {
                Ok(Self::From { first, last: Some(last) })
            }
            _ => Err(malformed()),
        }
    }

    /// Offset and length in a content of `len` bytes; an end past the content is clipped, a
    /// beginning past it refused.
    pub(crate) fn within(self, len: u64) -> Result<(u64, u64), Failure> {
        match self {
            Self::Tail { len: tail } => Ok((len.saturating_sub(tail), tail.min(len))),
            Self::From { first, last } if first < len => {
                let last = last.unwrap_or(u64::MAX).min(len - 1);
                Ok((first, last - first + 1))
            }
            Self::From { first, .. } => Err(Failure::new(
                Kind::RangeOutside,
                format!("the range begins at byte {first}, the content has {len} bytes"),
            )),
        }
    }
}

/// Decimal digits only: no sign, no spaces.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(text: &str, len: u64) -> Option<(u64, u64)> {
        ByteRange::parse(text).unwrap().within(len).ok()
    }

    #[test]
    fn ranges_select_bytes() {
        assert_eq!(within("0-0", 10), Some((0, 1)));
        assert_eq!(within("2-5", 10), Some((2, 4)));
        assert_eq!(within("2-", 10), Some((2, 8)));
        assert_eq!(within("-3", 10), Some((7, 3)));
        assert_eq!(within("9-9", 10), Some((9, 1)));
    }

    #[test]
    fn ends_are_clipped_and_beginnings_refused() {
        assert_eq!(within("5-99", 10), Some((5, 5)));
        assert_eq!(within("-99", 10), Some((0, 10)));
        assert_eq!(within("0-18446744073709551615", 10), Some((0, 10)));
        assert_eq!(within("10-", 10), None);
        assert_eq!(within("10-12", 10), None);
        assert_eq!(within("0-", 0), None);
        assert_eq!(within("-1", 0), Some((0, 0)));
    }

    #[test]
    fn malformed_ranges_are_refused() {
        for bad in
            ["", "-", "5", "a-b", "5-2", "-0", "1-2-3", "+1-2", " 1-2", "1-18446744073709551616"]
        {
            assert_eq!(ByteRange::parse(bad).unwrap_err().kind, Kind::Malformed, "{bad}");
        }
    }
}

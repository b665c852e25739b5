use thiserror::Error;

/// Bytes or text that are not what they claim to be. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The input ended inside a field.
    #[error("{noun}: input ends early")]
    Truncated {
        /// What was being read.
        noun: &'static str,
    },
    /// Bytes follow where the encoding must end.
    #[error("{noun}: bytes after the end")]
    Trailing {
        /// What was being read.
        noun: &'static str,
    },
    /// A length or count is above its limit.
    #[error("{noun}: {value} is above the limit of {limit}")]
    TooLong {
        /// What was being read.
        noun: &'static str,
        /// The refused value.
        value: u64,
        /// The limit from [`crate::limit`].
        limit: u64,
    },
    /// A second encoding of a value that has one canonical encoding, or fields out of order.
    #[error("{noun}: not in canonical form")]
    NotCanonical {
        /// What was being read.
        noun: &'static str,
    },
    /// A version, suite, type or tag this build does not know.
    #[error("{noun}: unknown value {value}")]
    Unknown {
        /// What was being read.
        noun: &'static str,
        /// The refused value.
        value: u64,
    },
    /// A value outside its domain.
    #[error("{noun}: invalid")]
    Invalid {
        /// What was being read.
        noun: &'static str,
    },
}

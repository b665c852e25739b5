use core::fmt;
use core::str::FromStr;

use crate::FormatError;
use crate::limit::NAME_LEN_MAX;

/// A path-like name inside a scope; bytes compare.
///
/// 1 to 4096 bytes of UTF-8, no control characters, no empty, `.` or `..` component, no leading or
/// trailing `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Checks `text`.
    pub fn new(text: impl Into<String>) -> Result<Self, FormatError> {
        let text = text.into();
        if text.len() > NAME_LEN_MAX {
            let value = text.len() as u64;
            return Err(FormatError::TooLong { noun: "name", value, limit: NAME_LEN_MAX as u64 });
        }
        let bad_component = text.split('/').any(|part| matches!(part, "" | "." | ".."));
        if bad_component || text.chars().any(char::is_control) {
            return Err(FormatError::Invalid { noun: "name" });
        }
        Ok(Self(text))
    }

    /// `self/path`.
    pub fn join(&self, path: &str) -> Result<Self, FormatError> {
        Self::new(format!("{}/{path}", self.0))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        let longest = "n".repeat(NAME_LEN_MAX);
        for good in ["a", "a/b", "ä/ö", "a b", "...", ".hidden", longest.as_str()] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        let past = "n".repeat(NAME_LEN_MAX + 1);
        for bad in
            ["", "/", "a/", "/a", "a//b", ".", "..", "a/./b", "a/../b", "a\0b", "a\nb", &past]
        {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}

//! What a person is told when something fails: what is wrong, what it did to the data, the next
//! command to try.

mod database;
mod tree;

pub(crate) use self::database::of_stored_content;
pub(crate) use self::tree::of_part;

use std::fmt::Display;
use std::io;
use std::path::Path;

use crate::exit::Kind;

/// One failure, ready to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// One line: what is wrong and, where it is not plain, what it did to the data.
    pub(crate) message: String,
    /// The next thing to try.
    pub(crate) hint: Option<String>,
    /// The name, hash or file it is about.
    pub(crate) object: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, object: None }
    }

    /// Flags or arguments that do not go together.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Adds the next thing to try.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what it is about.
    #[must_use]
    pub(crate) fn about(mut self, object: impl Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// A file of the user that could not be used.
    pub(crate) fn of_path(path: &Path, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Kind::SourceMissing,
            io::ErrorKind::PermissionDenied => Kind::Refused,
            io::ErrorKind::AlreadyExists => Kind::Exists,
            _ => of_io(error),
        };
        Self::new(kind, format!("{}: {}", path.display(), plain(error))).about(path.display())
    }

    /// Writing to stdout failed. A reader that went away is not a failure.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Kind::OutputClosed, "the reader of the output went away");
        }
        Self::new(of_io(error), format!("writing the output: {}", plain(error)))
    }
}

/// The kind of a failure that only the system knows more about.
pub(crate) fn of_io(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::DiskFull,
        io::ErrorKind::ReadOnlyFilesystem => Kind::ReadOnly,
        io::ErrorKind::Interrupted => Kind::Interrupted,
        _ => Kind::Unavailable,
    }
}

/// The system's words without its error number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(words, _)| words).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_failures_have_kinds() {
        let of = |kind: io::ErrorKind| Failure::of_path(Path::new("f"), &kind.into()).kind;
        assert_eq!(of(io::ErrorKind::NotFound), Kind::SourceMissing);
        assert_eq!(of(io::ErrorKind::PermissionDenied), Kind::Refused);
        assert_eq!(of(io::ErrorKind::StorageFull), Kind::DiskFull);
        assert_eq!(Failure::of_output(&io::ErrorKind::BrokenPipe.into()).kind, Kind::OutputClosed);
    }

    #[test]
    fn system_words_are_plain() {
        assert_eq!(plain(&io::Error::from_raw_os_error(28)), "no space left on device");
    }
}

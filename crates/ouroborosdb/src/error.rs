use crypt::CryptError;
use model::{FormatError, Name, VertexHash};
use store::StoreError;
use thiserror::Error;

/// Why a call failed and what it did: unless a variant says otherwise, nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No version bears this name (at that time).
    #[error("no such name: {name}")]
    NameUnknown {
        /// The name.
        name: Name,
    },
    /// No version has this hash or prefix.
    #[error("no such version: {hash}")]
    HashUnknown {
        /// What was asked for.
        hash: String,
    },
    /// Several versions begin with this prefix.
    #[error("several versions begin with {hash}")]
    HashAmbiguous {
        /// What was asked for.
        hash: String,
    },
    /// An argument is malformed or outside its domain.
    #[error(transparent)]
    Argument(#[from] FormatError),
    /// The range begins past the end of the content.
    #[error("range begins at {offset}, the content has {len} bytes")]
    RangeOutside {
        /// First byte asked for.
        offset: u64,
        /// Content length in bytes.
        len: u64,
    },
    /// `expect_head` is not the single head.
    #[error("the head is not {expected}")]
    HeadMoved {
        /// What was expected.
        expected: VertexHash,
        /// What is there.
        heads: Vec<VertexHash>,
    },
    /// The caller asked to stop; what was acknowledged stays.
    #[error("interrupted")]
    Interrupted,
    /// The content could not be read; nothing of this version is visible.
    #[error("reading the content")]
    Content(#[source] std::io::Error),
    /// The store: disk, format, corruption, refusal.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// Keys: wrong passphrase, damaged key file, unknown suite.
    #[error(transparent)]
    Crypt(#[from] crypt::CryptError),
    /// The identity can read no scope of this store.
    #[error("this identity can read nothing in this store")]
    NoScope,
    /// No scope that the identity can read is called so.
    #[error("no such scope: {scope}")]
    ScopeUnknown {
        /// What was asked for.
        scope: String,
    },
    /// Several scopes that the identity can read are called so.
    #[error("several scopes are called {scope}")]
    ScopeAmbiguous {
        /// What was asked for.
        scope: String,
    },
    /// The identity may not do this in the scope.
    #[error("this identity may not {what} in the scope {scope}")]
    NotAllowed {
        /// What was asked.
        what: &'static str,
        /// Where.
        scope: String,
    },
    /// Nobody of this name or id is a member.
    #[error("no such member: {member}")]
    MemberUnknown {
        /// Who was asked for.
        member: String,
    },
    /// A key file that is missing, or readable by others.
    #[error("key file {path}: {problem}")]
    KeyFile {
        /// Where it was looked for.
        path: String,
        /// What is wrong with it.
        problem: KeyFileProblem,
    },
    /// What was remembered of the store's chains is damaged, or of another identity.
    #[error("{file} is damaged: how far the store was seen is not known")]
    Frontier {
        /// Its name in the folder for such files.
        file: String,
    },
    /// A version refers to something the store does not have.
    #[error("{object} is missing, needed by {needed_by}")]
    Missing {
        /// The missing object.
        object: String,
        /// The version that needs it.
        needed_by: VertexHash,
    },
}

impl Error {
    /// Which class of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NameUnknown { .. }
            | Self::HashUnknown { .. }
            | Self::ScopeUnknown { .. }
            | Self::MemberUnknown { .. } => ErrorClass::NotFound,
            Self::HashAmbiguous { .. }
            | Self::ScopeAmbiguous { .. }
            | Self::Argument(_)
            | Self::RangeOutside { .. } => ErrorClass::Usage,
            Self::HeadMoved { .. }
            | Self::KeyFile { .. }
            | Self::NoScope
            | Self::NotAllowed { .. } => ErrorClass::Refused,
            Self::Interrupted => ErrorClass::Interrupted,
            Self::Content(_) => ErrorClass::Unavailable,
            Self::Store(error) => class_of_store(error),
            Self::Crypt(error) => class_of_crypt(error),
            Self::Missing { .. } | Self::Frontier { .. } => ErrorClass::Corrupt,
        }
    }
}

fn class_of_store(error: &StoreError) -> ErrorClass {
    match error {
        error if error.is_unavailable() => ErrorClass::Unavailable,
        StoreError::NotAStore | StoreError::NewerFormat { .. } | StoreError::NoKeys => {
            ErrorClass::Refused
        }
        _ => ErrorClass::Corrupt,
    }
}

fn class_of_crypt(error: &CryptError) -> ErrorClass {
    match error {
        CryptError::Format(_) | CryptError::Unseal | CryptError::Signature { .. } => {
            ErrorClass::Corrupt
        }
        CryptError::UnknownWord { .. }
        | CryptError::WordCount { .. }
        | CryptError::Checksum { .. } => ErrorClass::Usage,
        CryptError::SelfTest { .. } => ErrorClass::Internal,
        _ => ErrorClass::Refused,
    }
}

/// What is wrong with a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFileProblem {
    /// The data folder has a store, and no key file is there.
    Missing,
    /// Group or others can read it.
    TooOpen,
    /// Another file is in its place: of another identity, under another passphrase, or damaged.
    Occupied,
}

impl std::fmt::Display for KeyFileProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::TooOpen => "readable by others; run chmod 600 on it",
            Self::Occupied => "is there already, and is not the same",
        })
    }
}

/// The four classes of failures, and who can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Not there.
    NotFound,
    /// Malformed or outside its domain: the caller.
    Usage,
    /// Try again: the system.
    Unavailable,
    /// Damaged: repair.
    Corrupt,
    /// Access, limits, conditions: the user.
    Refused,
    /// Stopped by the caller.
    Interrupted,
    /// A defect of ours.
    Internal,
}

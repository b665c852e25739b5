//! What the library says, in the words of a person at a terminal.

use std::io;

use crypt::CryptError;
use ouroborosdb::{Error, ErrorClass, KeyFileProblem};
use store::StoreError;

use super::{Failure, of_io, plain};
use crate::exit::Kind;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        of_error(&error)
    }
}

/// What the library could not do.
pub(crate) fn of_error(error: &Error) -> Failure {
    match error {
        Error::NameUnknown { name } => {
            Failure::new(Kind::NameUnknown, format!("no such name: {name}"))
                .hint("ouroboros ls -r lists all names")
                .about(name)
        }
        Error::HashUnknown { hash } => {
            Failure::new(Kind::HashUnknown, format!("no such version: {hash}"))
                .hint("ouroboros log NAME lists the versions of a name")
                .about(hash)
        }
        Error::HashAmbiguous { hash } => {
            Failure::new(Kind::HashAmbiguous, format!("several versions begin with {hash}"))
                .hint("write more digits")
                .about(hash)
        }
        Error::Argument(error) => Failure::new(Kind::Malformed, error.to_string()),
        Error::RangeOutside { offset, len } => Failure::new(
            Kind::RangeOutside,
            format!("the range begins at byte {offset}, the content has {len} bytes"),
        ),
        Error::HeadMoved { expected, heads } => of_moved_head(&expected.to_string(), heads),
        Error::Interrupted => Failure::new(Kind::Interrupted, "stopped; what was stored stays"),
        Error::Content(error) => inner(error).unwrap_or_else(|| {
            Failure::new(
                of_io(error),
                format!("reading the content: {}; nothing was stored", plain(error)),
            )
        }),
        Error::Store(error) => of_store(error),
        Error::Crypt(error) => of_crypt(*error),
        Error::KeyFile { path, problem } => of_key_file(path, *problem),
        Error::NoScope | Error::NotAllowed { .. } => {
            Failure::new(Kind::Refused, format!("{error}; nothing was done"))
                .hint("an admin of the scope gives access: ouroboros scope share NAME --to FILE")
        }
        Error::ScopeUnknown { scope } => Failure::new(Kind::ScopeUnknown, error.to_string())
            .hint("ouroboros scope list shows the scopes there are")
            .about(scope),
        Error::ScopeAmbiguous { scope } => Failure::new(Kind::ScopeAmbiguous, error.to_string())
            .hint("name it by the beginning of its id: ouroboros scope list")
            .about(scope),
        Error::MemberUnknown { member } => Failure::new(Kind::MemberUnknown, error.to_string())
            .hint("ouroboros scope members NAME lists them")
            .about(member),
        Error::Missing { object, needed_by } => Failure::new(
            Kind::Corrupt,
            format!("{object} is missing from the store; version {needed_by} needs it"),
        )
        .hint("ouroboros check --deep names everything that is affected")
        .about(object),
        Error::Frontier { file } => Failure::new(
            Kind::Corrupt,
            format!("{file} is damaged: it told how far this store was seen"),
        )
        .hint("ouroboros check --accept-rollback takes the store as it is now")
        .about(file),
        other => of_class(other),
    }
}

/// The library's own failure travels inside the system's.
fn inner(error: &io::Error) -> Option<Failure> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(of_error)
}

/// Reading a stored content failed.
pub(crate) fn of_stored_content(error: &io::Error) -> Failure {
    inner(error).unwrap_or_else(|| {
        Failure::new(of_io(error), format!("reading the store: {}", plain(error)))
    })
}

fn of_moved_head(expected: &str, heads: &[model::VertexHash]) -> Failure {
    let found = match heads {
        [] => "there is none".to_owned(),
        [head] => format!("it is {head}"),
        heads => format!("there are {}", heads.len()),
    };
    Failure::new(
        Kind::HeadMoved,
        format!("the head is not {expected}: {found}; nothing was stored"),
    )
    .hint("ouroboros heads NAME shows the heads")
    .about(expected)
}

fn of_store(error: &StoreError) -> Failure {
    match error {
        StoreError::Disk(error) => of_disk(error),
        StoreError::Busy => {
            Failure::new(Kind::StoreBusy, "the store is open in another process; nothing was done")
                .hint("wait for it to end, or give --wait SECONDS")
        }
        StoreError::NotAStore => {
            Failure::new(Kind::StoreMissing, "there is no store in the data folder")
                .hint("ouroboros put FILE makes one; --data DIR names another folder")
        }
        StoreError::NewerFormat { found, known } => Failure::new(
            Kind::NewerFormat,
            format!("the store has format {found}, this program knows {known}; nothing was done"),
        )
        .hint("use the version of ouroboros that wrote it, or a later one"),
        StoreError::Corrupt { file, .. } | StoreError::Missing { file } => {
            let hint = if file.starts_with("open/") {
                "ouroboros check --rebuild goes on with what can be read of it and names the rest"
            } else {
                "ouroboros check --deep names everything that is affected"
            };
            Failure::new(Kind::Corrupt, error.to_string()).hint(hint).about(file)
        }
        StoreError::RolledBack { chain, known, have } => Failure::new(
            Kind::Corrupt,
            format!(
                "the store is older than what was seen of it: its chain ends at commit {have}, not \
                 {known}; nothing was done"
            ),
        )
        .hint("bring the newer one back, or ouroboros check --accept-rollback goes on with this one")
        .about(chain),
        StoreError::Forked { chain, seq } => Failure::new(
            Kind::Corrupt,
            format!("the store has another commit {seq} than the one that was seen; nothing was done"),
        )
        .hint("bring the other one back, or ouroboros check --accept-rollback goes on with this one")
        .about(chain),
        StoreError::ReadOnly => Failure::new(
            Kind::Unavailable,
            "a write to the store failed; what was reported as stored is safe, nothing more is taken",
        )
        .hint("look at the disk, then run the command again"),
        StoreError::NoKeys => Failure::new(Kind::Refused, "the keys of this scope are not at hand"),
        StoreError::Index(_) => Failure::new(Kind::Corrupt, "the index is damaged; no content is")
            .hint("ouroboros check --rebuild makes a new one"),
        other => {
            let kind = if other.is_unavailable() { Kind::Unavailable } else { Kind::Internal };
            Failure::new(kind, other.to_string())
        }
    }
}

fn of_disk(error: &store::disk::DiskError) -> Failure {
    let (tried, why) = (format!("{} {}", error.operation, error.path), plain(&error.source));
    let kind = match (of_io(&error.source), error.source.kind()) {
        (_, io::ErrorKind::PermissionDenied) => Kind::ReadOnly,
        (kind, _) => kind,
    };
    let message = match kind {
        Kind::ReadOnly => {
            format!("the data folder cannot be written ({tried}: {why}); nothing was done")
        }
        Kind::DiskFull => {
            format!("no space left on device ({tried}); what was reported as stored is safe")
        }
        _ => format!("the data folder: {tried}: {why}"),
    };
    let hint = match kind {
        Kind::ReadOnly => "look at who owns it and how it is mounted",
        Kind::DiskFull => "make room and run it again",
        _ => "run it again; --data DIR names another folder",
    };
    Failure::new(kind, message).hint(hint).about(&error.path)
}

fn of_crypt(error: CryptError) -> Failure {
    match error {
        CryptError::WrongPassphrase => {
            Failure::new(Kind::WrongPassphrase, "wrong passphrase; nothing was done")
        }
        CryptError::PassphraseNeeded => {
            Failure::new(Kind::PassphraseNeeded, "the key file needs its passphrase")
                .hint("run at a terminal, or set OUROBOROS_KEY_PASSPHRASE_FILE")
        }
        CryptError::NewerVersion { .. } => Failure::new(Kind::NewerFormat, error.to_string())
            .hint("use the version of ouroboros that wrote it, or a later one"),
        CryptError::NotAuthorised { .. } | CryptError::NoKey { .. } => {
            Failure::new(Kind::Refused, error.to_string())
        }
        CryptError::UnknownWord { .. }
        | CryptError::WordCount { .. }
        | CryptError::Checksum { .. } => Failure::new(Kind::Malformed, error.to_string()),
        CryptError::SelfTest { .. } => Failure::new(Kind::Internal, error.to_string()),
        error => Failure::new(Kind::Corrupt, error.to_string())
            .hint("restore the key file from a copy; ouroboros check names damaged data"),
    }
}

fn of_key_file(path: &str, problem: KeyFileProblem) -> Failure {
    let failure = |words: &str| Failure::new(Kind::KeyFile, format!("key file {path} {words}"));
    match problem {
        KeyFileProblem::Missing => failure("is missing; nothing was done")
            .hint("bring it back from a copy, or give --identity FILE: no one can make it anew"),
        KeyFileProblem::TooOpen => {
            failure("can be read by others; nothing was done").hint(format!("chmod 600 {path}"))
        }
        KeyFileProblem::Occupied => {
            let mut failure =
                failure("is there and is not proven to be the same; nothing was done");
            failure.kind = Kind::Exists;
            failure.hint("move it away, or --force, which keeps a key file under a name in .old")
        }
    }
    .about(path)
}

/// Variants this program does not know yet.
fn of_class(error: &Error) -> Failure {
    let kind = match error.class() {
        ErrorClass::NotFound => Kind::HashUnknown,
        ErrorClass::Usage => Kind::Usage,
        ErrorClass::Unavailable => Kind::Unavailable,
        ErrorClass::Corrupt => Kind::Corrupt,
        ErrorClass::Refused => Kind::Refused,
        ErrorClass::Interrupted => Kind::Interrupted,
        ErrorClass::Internal => Kind::Internal,
    };
    Failure::new(kind, error.to_string())
}

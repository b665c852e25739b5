use model::FormatError;
use thiserror::Error;

/// What a key, a seal or a signature was refused for. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CryptError {
    /// Bytes that are not what they claim to be.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An object, page or wrap that does not open under these keys. Deliberately without detail.
    #[error("unseal failed")]
    Unseal,
    /// A signature that does not hold, or is by someone else.
    #[error("{noun}: signature refused")]
    Signature {
        /// What was signed.
        noun: &'static str,
    },
    /// A public key no honest identity has.
    #[error("{noun}: weak public key refused")]
    WeakKey {
        /// Which key.
        noun: &'static str,
    },
    /// A text that somebody wrote, typed or sent arrived with a mistake in it.
    #[error("{noun}: the checksum does not match; something was left out or mistyped")]
    Checksum {
        /// What was being read.
        noun: &'static str,
    },
    /// A recovery word that is not in the list. The word itself is not repeated.
    #[error("word {position} is not a recovery word")]
    UnknownWord {
        /// Its place, from 1.
        position: usize,
    },
    /// Too few or too many recovery words.
    #[error("24 recovery words are needed, {found} were given")]
    WordCount {
        /// How many there are.
        found: usize,
    },
    /// The primitives of this build disagree with each other; the identity is not usable here.
    #[error("self-test of {noun} failed")]
    SelfTest {
        /// Which primitive.
        noun: &'static str,
    },
    /// Written by a later version.
    #[error("{noun}: version {version} is newer than this build")]
    NewerVersion {
        /// What was being read.
        noun: &'static str,
        /// Its version.
        version: u8,
    },
    /// The key file is sound and the passphrase is not its own.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The key file is protected by a passphrase and none was given.
    #[error("a passphrase is needed")]
    PassphraseNeeded,
    /// The identity lacks the right for what it asked or did.
    #[error("{noun}: not authorised")]
    NotAuthorised {
        /// What was asked.
        noun: &'static str,
    },
    /// The epoch has no wrap for this identity, or no secret of that parent.
    #[error("{noun}: no key for this identity")]
    NoKey {
        /// Whose key.
        noun: &'static str,
    },
    /// Sound, but beyond what this build can decide.
    #[error("{noun}: not supported by this build")]
    Unsupported {
        /// What is missing.
        noun: &'static str,
    },
}

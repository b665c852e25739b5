use model::FormatError;
use thiserror::Error;

/// What a key, a seal or a signature was refused for. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CryptError {
    /// Bytes that are not what they claim to be.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// An object or page that does not open under these keys. Deliberately without detail.
    #[error("unseal failed")]
    Unseal,
}

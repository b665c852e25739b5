use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use clap::Args;
use crypt::{
    LEGACY_CIPHERTEXT_LEN_MAX, LEGACY_CONTAINER_LEN_MAX, LEGACY_VERIFY_KEY_LEN, LegacyCiphertext,
    LegacyKeys, legacy_verify,
};
use ouroborosdb::{Error, legacy_keys};
use serde_json::json;

use super::unlock;
use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;
use crate::local_file;

/// A signature in Base64 with a line break is shorter.
const SIGNATURE_FILE_LEN_MAX: usize = 8 * 1024;

/// Decrypts what ouroboros-crypt encrypted
///
/// FILE is what encoding/json of Go makes of the library's result (EncapsulatedKey, Nonce,
/// Ciphertext), or those three one behind the other (1,568 bytes, 12, the rest). The keys are those
/// that import took from a container, or those in --keys. Nothing is written unless all of it is
/// authentic.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros key open-legacy old.json notes.txt")]
pub(super) struct OpenLegacy {
    /// What was encrypted; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the content goes; it must not be there yet
    #[arg(value_name = "DEST", default_value = "-")]
    dest: PathBuf,
    /// A key container to use instead of the keys that were imported
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

/// Tells whether a signature of ouroboros-crypt holds
///
/// SIGNATURE has 4,627 bytes, or is Base64 of them. A signature with bytes behind its end does not
/// hold, although old versions of ouroboros-crypt took it. Exit code 0 means that it holds.
#[derive(Debug, Args)]
#[command(
    before_help = "Example: ouroboros key verify-legacy notes.txt notes.sig --signer them.pub"
)]
pub(super) struct VerifyLegacy {
    /// What was signed; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The signature
    #[arg(value_name = "SIGNATURE")]
    signature: PathBuf,
    /// The signer's ML-DSA-87 public key (2,592 bytes, or Base64 of them) or key container;
    /// without it, the keys that were imported
    #[arg(long, value_name = "FILE")]
    signer: Option<PathBuf>,
}

pub(super) fn open(context: &Context, args: &OpenLegacy) -> Result<(), Failure> {
    let keys = match &args.keys {
        Some(path) => container(path)?,
        None => imported(context)?,
    };
    let bytes = local_file::read_bytes(&args.file, LEGACY_CIPHERTEXT_LEN_MAX)?;
    let opened = LegacyCiphertext::decode(&bytes).and_then(|ciphertext| keys.open(&ciphertext));
    let plain = opened.map_err(|_| {
        let message =
            format!("{} does not open with these keys; nothing was written", args.file.display());
        Failure::new(Kind::Corrupt, message)
            .hint("is it another identity's, or changed?")
            .about(args.file.display())
    })?;
    if args.dest == Path::new("-") {
        return context.output.raw(&plain);
    }
    local_file::write_new(&args.dest, &plain)?;
    let (dest, len) = (args.dest.display().to_string(), plain.len());
    context.output.result(|| dest.clone(), || json!({"path": dest, "bytes": len}))
}

pub(super) fn verify(context: &Context, args: &VerifyLegacy) -> Result<(), Failure> {
    let key = match &args.signer {
        Some(path) => signer(path)?,
        None => *imported(context)?.verify_key(),
    };
    let message = local_file::read_bytes(&args.file, LEGACY_CIPHERTEXT_LEN_MAX)?;
    let written = local_file::read_bytes(&args.signature, SIGNATURE_FILE_LEN_MAX)?;
    let decoded = of_base64(&written);
    legacy_verify(&key, &message, decoded.as_deref().unwrap_or(&written)).map_err(|_| {
        Failure::new(Kind::Corrupt, "the signature does not hold: other content, or another signer")
            .about(args.file.display())
    })?;
    context.output.result(|| "holds".to_owned(), || json!({"holds": true}))
}

fn imported(context: &Context) -> Result<LegacyKeys, Failure> {
    let (path, identity) = unlock(context)?;
    legacy_keys(&path, &identity).map_err(|error| match error {
        Error::KeyFile { path, .. } => {
            Failure::new(Kind::KeyFile, format!("no legacy keys in {path}"))
                .hint("ouroboros key import CONTAINER keeps them, --keys and --signer name a file")
                .about(path)
        }
        other => other.into(),
    })
}

fn container(path: &Path) -> Result<LegacyKeys, Failure> {
    let bytes = local_file::read_bytes(path, LEGACY_CONTAINER_LEN_MAX)?;
    LegacyKeys::from_json(&bytes).map_err(|error| {
        Failure::new(Kind::Corrupt, format!("{}: {error}", path.display())).about(path.display())
    })
}

fn signer(path: &Path) -> Result<[u8; LEGACY_VERIFY_KEY_LEN], Failure> {
    let bytes = local_file::read_bytes(path, LEGACY_CONTAINER_LEN_MAX)?;
    if bytes.starts_with(b"{") {
        return Ok(*container(path)?.verify_key());
    }
    let decoded = of_base64(&bytes);
    decoded.as_deref().unwrap_or(&bytes).try_into().map_err(|_other_length| {
        let message = format!("{} is no ML-DSA-87 public key", path.display());
        Failure::new(Kind::Malformed, message).about(path.display())
    })
}

fn of_base64(bytes: &[u8]) -> Option<Vec<u8>> {
    Base64::decode_vec(core::str::from_utf8(bytes).ok()?.trim()).ok()
}

use std::path::{Path, PathBuf};

use clap::Args;
use crypt::{LEGACY_CONTAINER_LEN_MAX, LegacyKeys, PublicIdentity, key_file};
use ouroborosdb::{Error, KeyFileKind, Occupied, install_identity, keep_legacy_keys, sealed_copy};
use serde_json::json;

use super::{show, tell_installed, unlock};
use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;
use crate::{local_file, passphrase};

/// No key file and no text of a public identity is longer.
const FILE_LEN_MAX: usize = LEGACY_CONTAINER_LEN_MAX;

/// Writes a copy of the key file, or of the public identity
///
/// A copy has the protection of the original, unless --passwd asks for its own; an empty passphrase
/// takes the protection away. FILE must not be there yet, and is for its owner alone. With --public
/// there is no secret in it, and - is stdout.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros key export --passwd usb/identity.key")]
pub(super) struct Export {
    /// Where the copy goes
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public identity as text, for others
    #[arg(long, conflicts_with = "passwd")]
    public: bool,
    /// Protects the copy by a passphrase of its own
    #[arg(long)]
    passwd: bool,
}

/// Takes a key file, the keys of ouroboros-crypt, or looks at a public identity
///
/// FILE is a copy that export wrote; it becomes the key file, with the protection that the copy
/// has. A key container of ouroboros-crypt (JSON) has no seeds to make an identity from: its keys
/// are kept beside the key file, sealed for this identity, for open-legacy and verify-legacy. Of a
/// public identity the id is printed and nothing is kept. - is stdin.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros key import usb/identity.key")]
pub(super) struct Import {
    /// What is taken
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Puts a key file that is there aside, under a name in .old; replaces other legacy keys
    #[arg(long)]
    force: bool,
}

pub(super) fn export(context: &Context, args: &Export) -> Result<(), Failure> {
    let file = &args.file;
    if args.public {
        let (_, identity) = unlock(context)?;
        let text = identity.public().to_text();
        if file == Path::new("-") {
            return context.output.raw(text.as_bytes());
        }
        local_file::write_new(file, text.as_bytes())?;
        return show::describe(context, identity.public());
    }
    if file == Path::new("-") {
        return Err(Failure::usage("a key is not written to stdout").hint("give a FILE"));
    }
    let path = context.key_file()?;
    if args.passwd {
        let (_, identity) = unlock(context)?;
        let new = passphrase::new_one()?;
        local_file::write_new(file, &sealed_copy(identity.root(), new.as_ref())?)?;
    } else {
        ouroborosdb::key_file_kind(&path)?;
        local_file::write_new(file, &local_file::read_bytes(&path, FILE_LEN_MAX)?)?;
    }
    let kind = ouroborosdb::key_file_kind(file)?;
    let is_protected = kind != KeyFileKind::LocalFile;
    if !is_protected {
        context.output.note("the copy has no passphrase: who has the file is this identity");
    }
    context.output.result(
        || file.display().to_string(),
        || json!({"path": file.display().to_string(), "is_protected": is_protected}),
    )
}

pub(super) fn import(context: &Context, args: &Import) -> Result<(), Failure> {
    let bytes = local_file::read_bytes(&args.file, FILE_LEN_MAX)?;
    let occupied = if args.force { Occupied::PutAside } else { Occupied::Refuse };
    if bytes.starts_with(b"{") {
        return import_container(context, &bytes, occupied);
    }
    if let Some(text) = public_text(&bytes) {
        let public = PublicIdentity::from_text(text).map_err(of_input(&args.file))?;
        return show::describe(context, &public);
    }
    let kind = key_file::kind(&bytes).map_err(of_input(&args.file))?;
    let passphrase = match kind {
        KeyFileKind::LocalFile => None,
        _ => Some(passphrase::for_opening(&args.file.display().to_string())?),
    };
    let opened = key_file::open(&bytes, passphrase.as_ref().map(ouroborosdb::Passphrase::expose));
    let root = opened.map_err(of_input(&args.file))?;
    let path = context.key_file()?;
    let installed = install_identity(&path, root, passphrase.as_ref(), occupied)?;
    tell_installed(context, &path, &installed, passphrase.is_some())
}

fn import_container(context: &Context, bytes: &[u8], occupied: Occupied) -> Result<(), Failure> {
    let keys = LegacyKeys::from_json(bytes).map_err(Error::from)?;
    let (path, identity) = unlock(context)?;
    let kept = keep_legacy_keys(&path, &identity, &keys, occupied)?;
    let node: String = keys.node_id().iter().map(|byte| format!("{byte:02x}")).collect();
    context.output.note(
        "these keys open and verify what ouroboros-crypt made; the container itself is in the \
         clear: delete it when you no longer need it",
    );
    context.output.result(|| format!("{node} {kept}"), || json!({"node_id": node, "path": kept}))
}

/// Text between its first and last line, as people send it.
fn public_text(bytes: &[u8]) -> Option<&str> {
    let text = core::str::from_utf8(bytes).ok()?;
    text.trim_start().starts_with("-----BEGIN ").then_some(text)
}

/// A damaged input is the user's file, not the store's.
fn of_input(file: &Path) -> impl Fn(crypt::CryptError) -> Failure {
    let file = file.to_owned();
    move |error| {
        let failure = Failure::from(Error::from(error));
        if failure.kind != Kind::Corrupt {
            return failure;
        }
        Failure::new(Kind::Corrupt, format!("{}: {error}; nothing was done", file.display()))
            .hint("is it a key file, a key container of ouroboros-crypt, or a public identity?")
            .about(file.display())
    }
}

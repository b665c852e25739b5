//! `share` and `open`: one version for one person, as a file.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use crypt::CryptError;
use model::Name;
use ouroborosdb::{
    At, Capsule, CapsuleMade, Database, Error, KeyFileKind, Session, key_file_kind, unlock_identity,
};
use serde_json::json;
use tree::{Files, SystemFiles, versions_of};

use super::diff::version_of;
use super::get::place::{part_of, rename};
use super::get::{Destination, write_version};
use super::scope::identity_of;
use crate::context::{Absent, Context};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::local_file;
use crate::parse::{Target, Version};
use crate::passphrase;
use crate::progress::Bar;

/// What a capsule is called: the version's last component and this.
const SUFFIX: &str = ".capsule";
/// Tells the part of a capsule from other parts.
const TAG: &str = "capsule";
/// Permissions of a capsule.
const MODE: u16 = 0o600;
/// Bytes written at a time.
const BUFFER_LEN: usize = 1024 * 1024;

/// Seals one version for one person, as a file
///
/// The file holds everything that is needed to open it, and cannot be taken back. A folder goes along with
/// all that is in it. Nothing else of the scope can be read with it.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros share holiday/beach.jpg --to bob.public")]
pub(crate) struct Share {
    /// A name, or a hash of 64 digits
    #[arg(value_name = "NAME|HASH")]
    target: OsString,
    /// File to write [default: the last component of NAME and .capsule]
    file: Option<PathBuf>,
    /// For whom: a file with the text of `ouroboros key show --public`, or that text
    #[arg(long, value_name = "IDENTITY")]
    to: String,
    /// As of a time (RFC 3339, YYYY-MM-DD, an age such as 2h), or one version by its hash
    #[arg(long, value_name = "TIME|HASH")]
    at: Option<String>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

/// Opens what somebody shared with you
///
/// Says who made it; compare the fingerprint with that person. DEST is as for `get`.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros open beach.jpg.capsule .")]
pub(crate) struct Open {
    /// The file
    file: PathBuf,
    /// File or folder to write; `-` is stdout
    dest: Option<OsString>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn share(context: &Context, args: Share) -> Result<(), Failure> {
    let reader = identity_of(&args.to)?;
    let target = Target::parse(&args.target)?;
    let at = args.at.as_deref().map(|text| Version::parse(text, context.now)).transpose()?;
    let database = context.open_database(Absent::Refuse)?;
    let hash = match (target, at) {
        (Target::Hash(_), Some(_)) => {
            return Err(Failure::usage("a hash is one version already; --at goes with a name"));
        }
        (Target::Hash(hash), None) => hash,
        (Target::Name(name), Some(version)) => version_of(&database, &name, &version)?,
        (Target::Name(name), None) => newest(&database, &name)?,
    };
    let vertex = Session::vertex(&database, &hash)?;
    let last = vertex.name.as_ref().map_or_else(|| hash.to_string(), last_of);
    let file = args.file.unwrap_or_else(|| PathBuf::from(format!("{last}{SUFFIX}")));
    let bar = Bar::bytes(context, "sealing");
    let versions = versions_of(&database, &hash)?;
    let write = |out: &mut dyn Write| database.write_capsule(&versions, &reader, out, &bar);
    let made = write_file(&file, args.force, write);
    bar.clear();
    let made = made?;
    context.output.result(
        || format!("{hash} {}", file.display()),
        || {
            json!({
                "hash": hash.to_string(),
                "file": file.to_string_lossy(),
                "versions": made.versions,
                "bytes_content": made.bytes_content,
                "bytes_written": made.bytes_written,
            })
        },
    )
}

fn newest(database: &Database, name: &Name) -> Result<model::VertexHash, Failure> {
    let heads = Session::heads(database, name, At::Now)?;
    match heads.first() {
        Some(head) if !head.is_tombstone => Ok(head.hash),
        _ => Err(Error::NameUnknown { name: name.clone() }.into()),
    }
}

fn last_of(name: &Name) -> String {
    name.as_str().rsplit('/').next().unwrap_or_default().to_owned()
}

/// Writes through a part that takes its name when it is whole; nothing is left of one that fails.
fn write_file(
    file: &Path,
    force: bool,
    write: impl FnOnce(&mut dyn Write) -> Result<CapsuleMade, Error>,
) -> Result<CapsuleMade, Failure> {
    if file.symlink_metadata().is_ok() && !force {
        return Err(Failure::new(
            Kind::Exists,
            format!("{} exists; it is as it was", file.display()),
        )
        .hint("--force replaces it")
        .about(file.display()));
    }
    let of_path = |error| Failure::of_path(file, &error);
    let part =
        part_of(file, TAG).ok_or_else(|| Failure::usage("the name of the file is too long"))?;
    let parent = part.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = SystemFiles.open_folder(parent.unwrap_or(Path::new("."))).map_err(of_path)?;
    let name = part.file_name().unwrap_or_default().as_bytes();
    SystemFiles.remove_at(&folder, name).ok();
    let target = SystemFiles.create_at(&folder, name, MODE).map_err(of_path)?;
    let mut offset = 0;
    let mut out = io::BufWriter::with_capacity(
        BUFFER_LEN,
        Sink(|bytes: &[u8]| {
            let count = SystemFiles.write_at(&target, offset, bytes)?;
            offset += count as u64;
            Ok(count)
        }),
    );
    let made = write(&mut out).map_err(|error| match error {
        Error::Content(error) => of_path(error),
        error => error.into(),
    });
    let made = made.and_then(|made| out.flush().map(|()| made).map_err(of_path));
    drop(out);
    let renamed = made.and_then(|made| rename(&part, file, force).map(|()| made));
    if renamed.is_err() {
        SystemFiles.remove_at(&folder, name).ok();
    }
    renamed
}

/// A writer out of a function.
struct Sink<F>(F);

impl<F: FnMut(&[u8]) -> io::Result<usize>> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn open(context: &Context, args: Open) -> Result<(), Failure> {
    let key_file = context.key_file()?;
    let passphrase = match passphrase::of_environment(passphrase::VARIABLE)? {
        None if key_file_kind(&key_file)? != KeyFileKind::LocalFile => {
            passphrase::prompt("Passphrase")?
        }
        given => given,
    };
    let source = local_file::open_file(&args.file)?;
    let capsule = unlock_identity(&key_file, passphrase.as_ref())
        .and_then(|identity| Capsule::open(source, &identity))
        .map_err(|error| not_opened(error, &args.file))?;
    let sharer = ouroborosdb::fingerprint(&capsule.sharer().user_id());
    context.output.note(&format!("{} is from {sharer}", args.file.display()));
    let to = Destination { dest: args.dest, force: args.force };
    write_version(context, &capsule, capsule.shared(), to)
}

fn not_opened(error: Error, file: &Path) -> Failure {
    let file = file.display();
    match error {
        Error::Crypt(CryptError::NoKey { .. }) => {
            Failure::new(Kind::Refused, format!("{file} is sealed for somebody else"))
                .hint("ouroboros key show tells who you are; --identity FILE names another key")
                .about(file)
        }
        Error::Crypt(
            error @ (CryptError::Format(_) | CryptError::Unseal | CryptError::Signature { .. }),
        ) => Failure::new(Kind::Corrupt, format!("{file} is damaged or no capsule: {error}"))
            .hint("ask for it again; nothing of it was written")
            .about(file),
        error => error.into(),
    }
}

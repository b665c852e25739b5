//! `scope share` and `scope revoke`.

use std::path::Path;

use clap::{Args, ValueEnum};
use crypt::{PublicIdentity, Rights};
use serde_json::json;

use super::{line_of, object_of};
use crate::context::{Absent, Context};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::local_file;

/// Gives somebody access to a scope, its history included
#[derive(Debug, Args)]
#[command(
    before_help = "Example: ouroboros scope share photos --to bob.public --as Bob --role writer"
)]
pub(crate) struct Share {
    /// The scope: its name or the beginning of its id [default: --scope]
    scope: Option<String>,
    /// Whom: a file with the text of `ouroboros key show --public`, or that text
    #[arg(long, value_name = "IDENTITY")]
    to: String,
    /// What it may do; each role includes those before it
    #[arg(long, value_name = "ROLE", default_value = "reader")]
    role: Role,
    /// What members will see it called
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Reader,
    Writer,
    Deleter,
    Admin,
}

impl Role {
    const fn rights(self) -> Rights {
        match self {
            Self::Reader => Rights::READER,
            Self::Writer => Rights::READER.and(Rights::WRITER),
            Self::Deleter => Rights::READER.and(Rights::WRITER).and(Rights::DELETER),
            Self::Admin => Rights::ALL,
        }
    }
}

/// Takes access back: nothing first written afterwards opens for the removed one
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros scope revoke photos Bob")]
pub(crate) struct Revoke {
    /// The scope [default: --scope], then the member: its name, its fingerprint or the beginning of its id
    #[arg(required = true, num_args = 1..=2, value_name = "SCOPE> <MEMBER")]
    words: Vec<String>,
}

pub(super) fn share(context: &Context, args: &Share) -> Result<(), Failure> {
    let subject = identity_of(&args.to)?;
    let scope = args.scope.as_deref().unwrap_or(&context.global.scope);
    let mut scopes = context.open_records()?;
    let shared = scopes.share(scope, &subject, args.role.rights(), args.name.as_deref())?;
    context.output.result(
        || line_of(&shared.member),
        || {
            let mut object = object_of(&shared.member);
            if let Some(fields) = object.as_object_mut() {
                fields.insert("grants".to_owned(), shared.grants.into());
                fields.insert("bytes_written".to_owned(), shared.bytes_written.into());
            }
            object
        },
    )
}

pub(super) fn revoke(context: &Context, args: &Revoke) -> Result<(), Failure> {
    let (scope, member) = match args.words.as_slice() {
        [member] => (context.global.scope.as_str(), member),
        [scope, member] => (scope.as_str(), member),
        _ => return Err(Failure::usage("which member?")),
    };
    // What it could read is all there is by now: readers get the history.
    let database = context.open_scope(scope, Absent::Refuse)?;
    let readable = database.stats()?;
    database.close()?;
    let removed = context.open_records()?.revoke(scope, member)?;
    context.output.result(
        || {
            format!(
                "{}\nit could read {} names, {} versions, {} bytes of content, and may have kept them; \
                 it cannot open what is first written from now on\n\
                 what lies in this store from before still opens for its keys until: \
                 ouroboros scope reseal {scope}",
                line_of(&removed),
                readable.names,
                readable.vertices,
                readable.bytes_content
            )
        },
        || {
            let mut object = object_of(&removed);
            if let Some(fields) = object.as_object_mut() {
                fields.insert(
                    "could_read".to_owned(),
                    json!({
                        "names": readable.names,
                        "vertices": readable.vertices,
                        "bytes_content": readable.bytes_content,
                    }),
                );
            }
            object
        },
    )
}

/// Whom a word means: the text itself, or the file that holds it.
pub(crate) fn identity_of(word: &str) -> Result<PublicIdentity, Failure> {
    let text =
        if word.contains('\n') { word.to_owned() } else { local_file::read_text(Path::new(word))? };
    PublicIdentity::from_text(&text).map_err(|error| {
        Failure::new(Kind::Malformed, format!("{word} is not a public identity: {error}"))
            .hint("ouroboros key show --public prints one")
    })
}

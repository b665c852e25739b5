use clap::Args;
use crypt::{PublicIdentity, ShortId};
use ouroborosdb::{KeyFileKind, key_file_kind, rekey};
use serde_json::json;

use super::unlock;
use crate::context::{Absent, Context};
use crate::failure::Failure;
use crate::passphrase;

/// Shows whose key it is, where it lies and how it is protected
///
/// The id names the identity in one line; compare it, or the fingerprint, over the telephone. Who
/// shares a scope with this identity needs its public keys: --public prints them, as text that may
/// go through mail and chats.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros key show --public > me.txt")]
pub(super) struct Show {
    /// The public identity as text, for others
    #[arg(long)]
    public: bool,
}

pub(super) fn show(context: &Context, args: &Show) -> Result<(), Failure> {
    if args.public {
        let (_, identity) = unlock(context)?;
        let text = identity.public().to_text();
        return context.output.result(
            || text.trim_end().to_owned(),
            || {
                json!({
                    "id": ShortId::from(identity.user_id()).to_string(),
                    "user": identity.user_id().to_string(),
                    "public": text,
                })
            },
        );
    }
    let database = context.open_database(Absent::Refuse)?;
    let summary = database.identity_summary();
    let id = ShortId::from(summary.user);
    let scopes: Vec<String> = summary.scopes.iter().map(ToString::to_string).collect();
    let protection = protection(summary.kind);
    context.output.result(
        || {
            format!(
                "id           {id}\nuser         {}\nfingerprint  {}\nkey file     {}\n\
                 protection   {protection}\nscopes       {}",
                summary.user,
                summary.fingerprint,
                summary.key_file,
                scopes.join(" "),
            )
        },
        || {
            json!({
                "id": id.to_string(),
                "user": summary.user.to_string(),
                "fingerprint": summary.fingerprint,
                "path": summary.key_file,
                "protection": protection,
                "scopes": scopes,
            })
        },
    )
}

fn protection(kind: KeyFileKind) -> &'static str {
    match kind {
        KeyFileKind::LocalFile => "none",
        _ => "passphrase",
    }
}

/// The old passphrase is asked for first, so that a wrong one ends it before anything is typed
/// twice.
pub(super) fn passwd(context: &Context) -> Result<(), Failure> {
    let path = context.key_file()?;
    let old = match key_file_kind(&path)? {
        KeyFileKind::LocalFile => None,
        _ => Some(passphrase::for_opening("the key file")?),
    };
    let new = passphrase::new_one()?;
    rekey(&path, old.as_ref(), new.as_ref())?;
    let protection = if new.is_some() { "a passphrase" } else { "nothing but its permissions" };
    context.output.note(&format!(
        "{} is protected by {protection}; copies you made still have the old protection",
        path.display()
    ));
    Ok(())
}

/// Whom a text of others names.
pub(super) fn describe(context: &Context, public: &PublicIdentity) -> Result<(), Failure> {
    let id = ShortId::from(public.user_id());
    context.output.result(
        || format!("{id}"),
        || json!({"id": id.to_string(), "user": public.user_id().to_string()}),
    )
}

//! Giving a restored item its owner, extended attributes, permissions and time.

use std::io;

use model::Meta;

use crate::files::{Files, Target};

/// Permission bits that lend the owner's or the group's rights to who runs the file.
const SET_UID: u16 = 0o4000;
const SET_GID: u16 = 0o2000;

/// Applies what is known. Owner and attributes that may not be set are left out, with the
/// permission bits that would then lend the rights of someone else.
///
/// The order matters: a change of owner clears the set-id bits and capabilities, attributes need
/// the right to write, and every change but the last would move the time.
pub(crate) fn apply<F: Files>(files: &F, target: Target<'_, F>, meta: &Meta) -> io::Result<()> {
    let mut mode = meta.mode;
    if let Some(wanted) = meta.owner {
        let dropped = match target {
            Target::File(file) => set_owner(files, target, wanted, files.stat(file)?.owner)?,
            Target::Folder(folder) => {
                set_owner(files, target, wanted, files.stat_folder(folder)?.owner)?
            }
            Target::Symlink(folder, name) => {
                set_owner(files, target, wanted, files.stat_at(folder, name)?.owner)?
            }
        };
        mode = mode.map(|mode| mode & !dropped);
    }
    for (name, value) in &meta.xattrs {
        permitted(files.set_xattr(target, name, value))?;
    }
    if let Some(mode) = mode {
        files.set_mode(target, mode)?;
    }
    if let Some(modified) = meta.modified {
        files.set_modified(target, modified)?;
    }
    Ok(())
}

/// The permission bits to leave out.
fn set_owner<F: Files>(
    files: &F,
    target: Target<'_, F>,
    wanted: model::Owner,
    current: model::Owner,
) -> io::Result<u16> {
    if wanted == current || permitted(files.set_owner(target, wanted))? {
        return Ok(0);
    }
    // Who is not privileged may still choose among its own groups.
    let group_only = model::Owner { uid: current.uid, gid: wanted.gid };
    let has_group = wanted.gid == current.gid || permitted(files.set_owner(target, group_only))?;
    let user_bit = if wanted.uid == current.uid { 0 } else { SET_UID };
    Ok(user_bit | if has_group { 0 } else { SET_GID })
}

/// False when it was not permitted or is not supported here, which is no failure.
fn permitted(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::Unsupported
                    | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

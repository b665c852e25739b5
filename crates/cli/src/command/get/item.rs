//! One item: to stdout, to a file, or a range of it.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use model::Kind as VertexKind;
use ouroborosdb::Session;
use tree::{Files, GetFile, SystemFiles};

use super::Item;
use super::place::{Place, part_of, rename};
use super::report;
use crate::context::{Context, transfer};
use crate::exit::Kind;
use crate::failure::{Failure, of_stored_content};
use crate::parse::ByteRange;
use crate::progress::Bar;

/// Bytes read and written at a time.
const STEP_LEN: usize = 1024 * 1024;
/// Tells the part of a range from the part of a whole.
const RANGE_TAG: &str = "range";
/// Permissions of a file that holds a range.
const RANGE_MODE: u16 = 0o600;

/// How to write it.
pub(super) struct Order {
    pub(super) range: Option<ByteRange>,
    pub(super) force: bool,
    pub(super) dry_run: bool,
}

/// Writes the item.
pub(super) fn write(
    context: &Context,
    session: &dyn Session,
    item: &Item,
    (place, order): (&Place, &Order),
) -> Result<(), Failure> {
    match place {
        Place::Path(dest) if order.range.is_none() => {
            let bar = Bar::bytes(context, "restoring");
            let request = GetFile {
                hash: item.hash,
                dest: dest.clone(),
                force: order.force,
                dry_run: order.dry_run,
            };
            let summary = transfer(session, &bar).get_file(&request);
            bar.clear();
            report::item(context, item, dest, (&summary?, order.dry_run))
        }
        _ if item.vertex.meta.kind == VertexKind::Symlink => {
            Err(Failure::usage("a symbolic link has no bytes").hint("give a DEST to make it there"))
        }
        Place::Path(dest) => range_to_file(context, session, item, (dest, order)),
        Place::Stdout => {
            let (mut reader, len) = open(session, item, order.range)?;
            if order.dry_run {
                context.output.note(&format!("{len} bytes; dry run: nothing was written"));
                return Ok(());
            }
            // A bar would mix with what a terminal shows of the content.
            copy(context, &mut *reader, len, &mut |bytes| context.output.raw(bytes))
        }
    }
}

/// A reader of the bytes wanted, and how many they are.
fn open(
    session: &dyn Session,
    item: &Item,
    range: Option<ByteRange>,
) -> Result<(Box<dyn Read>, u64), Failure> {
    let mut content = session.content(&item.hash)?;
    let Some(range) = range else {
        let len = content.len();
        return Ok((Box::new(content), len));
    };
    let (offset, len) = range.within(content.len())?;
    content.seek(SeekFrom::Start(offset)).map_err(|error| of_stored_content(&error))?;
    Ok((Box::new(content.take(len)), len))
}

/// Copies all of it; content that ends early is damaged.
fn copy(
    context: &Context,
    reader: &mut dyn Read,
    len: u64,
    write: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut step = vec![0; STEP_LEN];
    let mut done = 0;
    loop {
        context.stop.check()?;
        let count = reader.read(&mut step).map_err(|error| of_stored_content(&error))?;
        let Some(bytes) = step.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        write(bytes)?;
        done += bytes.len() as u64;
    }
    if done == len {
        return Ok(());
    }
    Err(Failure::new(Kind::Corrupt, format!("the content ends after {done} of {len} bytes"))
        .hint("ouroboros check --deep names everything that is affected"))
}

/// Through a part that is renamed at the end. A part of something else is written anew.
fn range_to_file(
    context: &Context,
    session: &dyn Session,
    item: &Item,
    (dest, order): (&Path, &Order),
) -> Result<(), Failure> {
    if dest.symlink_metadata().is_ok() && !order.force {
        return Err(Failure::new(
            Kind::Exists,
            format!("{} exists; it is as it was", dest.display()),
        )
        .hint("--force replaces it")
        .about(dest.display()));
    }
    let (mut reader, len) = open(session, item, order.range)?;
    if order.dry_run {
        context
            .output
            .note(&format!("{}: {len} bytes; dry run: nothing was written", dest.display()));
        return Ok(());
    }
    let part = part_of(dest, RANGE_TAG)
        .ok_or_else(|| Failure::usage("the last component of DEST is too long"))?;
    let of_path = |error| Failure::of_path(dest, &error);
    let parent = part.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = SystemFiles.open_folder(parent.unwrap_or(Path::new("."))).map_err(of_path)?;
    let name = part.file_name().unwrap_or_default().as_bytes();
    SystemFiles.remove_at(&folder, name).ok();
    let file = SystemFiles.create_at(&folder, name, RANGE_MODE).map_err(of_path)?;
    let mut offset = 0;
    copy(context, &mut *reader, len, &mut |mut bytes| {
        while !bytes.is_empty() {
            let count = SystemFiles.write_at(&file, offset, bytes).map_err(of_path)?;
            offset += count as u64;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    })?;
    rename(&part, dest, order.force)?;
    report::range(context, item, dest, len)
}

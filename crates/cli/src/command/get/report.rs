//! What a get tells afterwards: nothing on stdout for people, one object for programs.

use std::path::Path;

use serde_json::json;
use tree::GetSummary;

use super::Item;
use crate::context::Context;
use crate::failure::{Failure, of_part};

/// One item in a file.
pub(super) fn item(
    context: &Context,
    item: &Item,
    dest: &Path,
    (summary, is_dry_run): (&GetSummary, bool),
) -> Result<(), Failure> {
    if is_dry_run {
        let len = item.vertex.content.len();
        context
            .output
            .note(&format!("{}: {len} bytes; dry run: nothing was written", dest.display()));
    }
    object(context, Some(item), dest, (summary, is_dry_run))
}

/// A range in a file.
pub(super) fn range(context: &Context, item: &Item, dest: &Path, len: u64) -> Result<(), Failure> {
    let summary = GetSummary { files: 1, bytes_written: len, ..GetSummary::default() };
    object(context, Some(item), dest, (&summary, false))
}

/// A folder, with one line on stderr for each path that was not restored.
pub(super) fn folder(
    context: &Context,
    dest: &Path,
    summary: &GetSummary,
    is_dry_run: bool,
) -> Result<(), Failure> {
    if is_dry_run || context.output.is_verbose() || context.output.shows_progress() {
        let end = if is_dry_run { "; dry run: nothing was written" } else { "" };
        context.output.note(&format!(
            "{}: {} files ({} there already), {} folders, {} links, {} written{end}",
            dest.display(),
            summary.files,
            summary.skipped,
            summary.folders,
            summary.symlinks,
            indicatif::HumanBytes(summary.bytes_written),
        ));
    }
    object(context, None, dest, (summary, is_dry_run))?;
    summary.failed.iter().for_each(|failure| context.output.fail(&of_part(failure)));
    Ok(())
}

fn object(
    context: &Context,
    item: Option<&Item>,
    dest: &Path,
    (summary, is_dry_run): (&GetSummary, bool),
) -> Result<(), Failure> {
    if !context.output.is_json() {
        return Ok(());
    }
    let object = json!({
        "hash": item.map(|item| item.hash.to_string()),
        "name": item.and_then(|item| item.name.as_ref()).map(|name| name.as_str()),
        "path": dest.to_string_lossy(),
        "files": summary.files,
        "folders": summary.folders,
        "symlinks": summary.symlinks,
        "links": summary.links,
        "skipped": summary.skipped,
        "failed": summary.failed.len(),
        "bytes_written": summary.bytes_written,
        "bytes_continued": summary.bytes_continued,
        "is_dry_run": is_dry_run,
    });
    context.output.result(String::new, || object)
}

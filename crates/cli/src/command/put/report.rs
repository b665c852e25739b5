//! What a put tells afterwards.

use model::{Name, VertexHash};
use ouroborosdb::{Ack, Put};
use serde_json::json;
use tree::PutSummary;

use crate::context::Context;
use crate::exit::Kind;
use crate::failure::{Failure, of_part};

/// One source that was stored.
#[derive(Debug)]
pub(crate) struct Stored {
    hash: Option<VertexHash>,
    summary: PutSummary,
}

impl Stored {
    /// A folder or a file with its attributes.
    pub(crate) fn of_tree(summary: PutSummary) -> Self {
        Self { hash: summary.hash, summary }
    }

    /// A stream.
    pub(crate) fn of_stream(put: Put) -> Self {
        let summary = PutSummary {
            hash: Some(put.hash),
            is_new: put.is_new,
            level: put.level,
            files: 1,
            bytes_read: put.bytes_read,
            bytes_new: put.bytes_new,
            bytes_stored: put.bytes_stored,
            ..PutSummary::default()
        };
        Self { hash: Some(put.hash), summary }
    }
}

/// `HASH NAME` on stdout, then one line on stderr for each path that was not stored exactly.
pub(crate) fn print(
    context: &Context,
    name: Option<&Name>,
    stored: &Stored,
    is_dry_run: bool,
) -> Result<(), Failure> {
    let summary = &stored.summary;
    let hash = stored.hash.map(|hash| hash.to_string()).unwrap_or_default();
    context.output.result(
        || name.map_or_else(|| hash.clone(), |name| format!("{hash} {name}")),
        || {
            json!({
                "hash": hash,
                "name": name.map(Name::as_str),
                "level": level(summary.level),
                "files": summary.files,
                "folders": summary.folders,
                "symlinks": summary.symlinks,
                "skipped": summary.skipped,
                "special_skipped": summary.special_skipped,
                "excluded": summary.excluded,
                "failed": summary.failed.len(),
                "changed_while_read": summary.changed_while_read.len(),
                "deleted": summary.tombstones,
                "is_new": summary.is_new,
                "is_dry_run": is_dry_run,
                "bytes_read": summary.bytes_read,
                "bytes_new": summary.bytes_new,
                "bytes_stored": summary.bytes_stored,
            })
        },
    )?;
    // Stored is stored: whatever happens to the next source, this line is out.
    context.output.flush()?;
    if is_dry_run || context.output.is_verbose() || context.output.shows_progress() {
        context.output.note(&sentence(summary, is_dry_run));
    }
    for failure in &summary.failed {
        context.output.fail(&of_part(failure));
    }
    for path in &summary.changed_while_read {
        context.output.fail(
            &Failure::new(
                Kind::Partial,
                format!("{}: changed while it was read; stored as read", path.display()),
            )
            .hint("put it again when nothing writes to it")
            .about(path.display()),
        );
    }
    Ok(())
}

fn level(level: Ack) -> &'static str {
    match level {
        Ack::Deferred => "deferred",
        Ack::Local => "local",
    }
}

/// The figures for people.
fn sentence(summary: &PutSummary, is_dry_run: bool) -> String {
    let size = |bytes| indicatif::HumanBytes(bytes).to_string();
    let mut words = format!(
        "{} files ({} unchanged), {} read, {} new, {} added",
        summary.files,
        summary.skipped,
        size(summary.bytes_read),
        size(summary.bytes_new),
        size(summary.bytes_stored),
    );
    for (count, what) in [
        (summary.special_skipped, "sockets, FIFOs or devices left out"),
        (summary.excluded, "excluded"),
        (summary.tombstones, "gone names deleted"),
    ] {
        if count > 0 {
            words.push_str(&format!(", {count} {what}"));
        }
    }
    if is_dry_run {
        words.push_str("; dry run: nothing was stored");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_tells_what_happened() {
        let summary =
            PutSummary { files: 3, skipped: 1, bytes_read: 2048, ..PutSummary::default() };
        let words = sentence(&summary, true);
        assert!(words.starts_with("3 files (1 unchanged), 2.00 KiB read"), "{words}");
        assert!(words.ends_with("nothing was stored"), "{words}");
        assert!(!words.contains("FIFO"), "{words}");
    }
}

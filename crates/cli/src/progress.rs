//! Bars on a terminal, and the wish to stop passed on to whoever works.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::Kind;
use ouroborosdb::Progress;
use serde_json::json;
use tree::{Events, Outcome};

use crate::command::show::kind as kind_noun;
use crate::context::Context;
use crate::output::Output;
use crate::signal::Stop;

/// Redraws a second at most.
const REDRAWS_HZ: u8 = 10;

/// A bar that nobody sees when stderr is no terminal, or with `-q` or `--json`.
#[derive(Debug)]
pub(crate) struct Bar<'a> {
    bar: ProgressBar,
    output: &'a Output,
    stop: Stop,
    items: AtomicU64,
    items_total: AtomicU64,
    bytes_new: AtomicU64,
    tells_new: bool,
}

impl<'a> Bar<'a> {
    /// For work that is counted in bytes only.
    pub(crate) fn bytes(context: &'a Context, verb: &'static str) -> Self {
        Self::new(context, verb, false)
    }

    /// For puts: also tells what was new to the store.
    pub(crate) fn put(context: &'a Context) -> Self {
        Self::new(context, "storing", true)
    }

    fn new(context: &'a Context, verb: &'static str, tells_new: bool) -> Self {
        let bar = if context.output.shows_progress() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS_HZ))
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style(false, context.output.is_coloured()));
        bar.set_prefix(verb);
        Self {
            bar,
            output: &context.output,
            stop: context.stop.clone(),
            items: AtomicU64::new(0),
            items_total: AtomicU64::new(0),
            bytes_new: AtomicU64::new(0),
            tells_new,
        }
    }

    /// So much is expected.
    pub(crate) fn expect(&self, bytes_total: u64) {
        if bytes_total > 0 && self.bar.length() != Some(bytes_total) {
            self.bar.set_length(bytes_total);
            self.bar.set_style(style(true, self.output.is_coloured()));
        }
    }

    /// So many bytes more are done.
    pub(crate) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Takes the bar away before anything else is printed.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// With `-v` a line for each item.
    fn print(&self, path: &[u8], kind: Kind, outcome: Outcome) {
        let path = String::from_utf8_lossy(path);
        let outcome = match outcome {
            Outcome::Done => "done",
            Outcome::Skipped => "unchanged",
            _ => "failed",
        };
        // Where stdout is gone the result line, printed last, tells.
        self.output
            .result(
                || format!("{outcome} {path}"),
                || json!({"path": path, "kind": kind_noun(kind), "outcome": outcome}),
            )
            .ok();
    }

    fn tell(&self) {
        if self.bar.is_hidden() {
            return;
        }
        let (items, total) =
            (self.items.load(Ordering::Relaxed), self.items_total.load(Ordering::Relaxed));
        let files = if total > 0 { format!("{items}/{total}") } else { format!("{items} items") };
        let new = HumanBytes(self.bytes_new.load(Ordering::Relaxed));
        self.bar.set_message(if self.tells_new { format!("{files}, {new} new") } else { files });
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// With a known total there is a bar and a time left.
fn style(has_total: bool, is_coloured: bool) -> ProgressStyle {
    let template = match (has_total, is_coloured) {
        (false, _) => "{prefix} {bytes} {bytes_per_sec} {elapsed} {wide_msg}",
        (true, false) => {
            "{prefix} [{bar:12}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left {wide_msg}"
        }
        (true, true) => {
            "{prefix} [{bar:12.cyan}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left {wide_msg}"
        }
    };
    ProgressStyle::with_template(template)
        .expect("the templates are constants")
        .progress_chars("=> ")
}

impl Progress for Bar<'_> {
    fn on_progress(&self, bytes_done: u64, bytes_total: u64) -> bool {
        self.expect(bytes_total);
        self.bar.set_position(bytes_done);
        !self.stop.is_asked()
    }
}

impl Events for Bar<'_> {
    fn on_totals(&self, items: u64, bytes: u64) {
        self.items_total.store(items, Ordering::Relaxed);
        self.expect(bytes);
    }

    fn on_bytes(&self, bytes: u64) {
        self.advance(bytes);
    }

    fn on_new(&self, bytes: u64) {
        self.bytes_new.fetch_add(bytes, Ordering::Relaxed);
    }

    fn on_finished(&self, path: &[u8], kind: Kind, outcome: Outcome) {
        if self.output.is_verbose() {
            self.bar.suspend(|| self.print(path, kind, outcome));
        }
        self.items.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    fn is_interrupted(&self) -> bool {
        self.stop.is_asked()
    }
}

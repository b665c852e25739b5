//! Lines for people and objects for programs: results on stdout, everything else on stderr.

use std::fmt::Write as _;
use std::io::{BufWriter, IsTerminal, Stdout, Write};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::args::Colour;
use crate::exit::{Kind, winner};
use crate::failure::Failure;

/// Bytes of result lines that are held back at most.
const BUFFER_LEN: usize = 64 * 1024;

/// How this run speaks, and what went wrong so far.
#[derive(Debug)]
pub(crate) struct Output {
    is_json: bool,
    is_quiet: bool,
    is_verbose: bool,
    is_stdout_terminal: bool,
    is_coloured: bool,
    /// Many lines become one write, except on a terminal.
    stdout: Mutex<BufWriter<Stdout>>,
    codes: Mutex<Vec<u8>>,
}

/// What decides how a run speaks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) is_json: bool,
    pub(crate) is_quiet: bool,
    pub(crate) is_verbose: bool,
    pub(crate) colour: Colour,
}

impl Output {
    /// Looks at the terminal and `NO_COLOR`.
    pub(crate) fn new(manner: Manner) -> Self {
        let is_coloured = match manner.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                std::io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Self {
            is_json: manner.is_json,
            is_quiet: manner.is_quiet,
            is_verbose: manner.is_verbose,
            is_stdout_terminal: std::io::stdout().is_terminal(),
            is_coloured,
            stdout: Mutex::new(BufWriter::with_capacity(BUFFER_LEN, std::io::stdout())),
            codes: Mutex::default(),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    pub(crate) fn is_verbose(&self) -> bool {
        self.is_verbose && !self.is_quiet
    }

    /// True where a bar may be drawn.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.is_json && !self.is_quiet && std::io::stderr().is_terminal()
    }

    pub(crate) fn is_coloured(&self) -> bool {
        self.is_coloured
    }

    /// One result: `text` for people, `object` for programs.
    pub(crate) fn result(
        &self,
        text: impl FnOnce() -> String,
        object: impl FnOnce() -> Value,
    ) -> Result<(), Failure> {
        let mut line = if self.is_json { object().to_string() } else { self.for_stdout(text()) };
        line.push('\n');
        self.raw(line.as_bytes())
    }

    /// Bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock().expect("no code panics with this lock");
        let written = stdout.write_all(bytes);
        let written =
            if self.is_stdout_terminal { written.and_then(|()| stdout.flush()) } else { written };
        written.map_err(|error| Failure::of_output(&error))
    }

    /// Hands over what is buffered; a full disk behind stdout shows here at the latest.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock().expect("no code panics with this lock");
        stdout.flush().map_err(|error| Failure::of_output(&error))
    }

    /// Something worth knowing that is not a failure; `-q` hides it.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_quiet {
            self.stderr("note", "36", text, || json!({"note": {"message": text}}));
        }
    }

    /// Something that may not be what was meant; `-q` hides it.
    pub(crate) fn warn(&self, text: &str) {
        if !self.is_quiet {
            self.stderr("warning", "33", text, || json!({"warning": {"message": text}}));
        }
    }

    /// Tells a failure and remembers its exit code.
    pub(crate) fn fail(&self, failure: &Failure) {
        self.codes.lock().expect("no code panics with this lock").push(failure.kind.code());
        if failure.kind == Kind::OutputClosed {
            return;
        }
        let mut text = failure.message.clone();
        if let Some(hint) = &failure.hint {
            write!(text, " (hint: {hint})").ok();
        }
        self.stderr("error", "31", &text, || {
            json!({"error": {
                "kind": failure.kind.name(),
                "code": failure.kind.code(),
                "message": failure.message,
                "hint": failure.hint,
                "object": failure.object,
            }})
        });
    }

    /// The exit code of everything that went wrong.
    pub(crate) fn exit_code(&self) -> u8 {
        winner(&self.codes.lock().expect("no code panics with this lock"))
    }

    fn stderr(&self, label: &str, colour: &str, text: &str, object: impl FnOnce() -> Value) {
        let line = if self.is_json {
            object().to_string()
        } else if self.is_coloured {
            format!("\x1b[{colour};1m{label}:\x1b[0m {}", shown(text))
        } else {
            format!("{label}: {}", shown(text))
        };
        // What was said before stays before it; a stdout that is gone shows at the end.
        self.flush().ok();
        // Nobody is left to tell that stderr is gone.
        writeln!(std::io::stderr(), "{line}").ok();
    }

    /// Control characters never reach a terminal; a pipe gets the bytes.
    fn for_stdout(&self, text: String) -> String {
        if self.is_stdout_terminal { shown(&text) } else { text }
    }
}

/// Text with control characters and what turns writing around made visible.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_bidi = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && c != '\t') || is_bidi {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(shown("a\x1b[31mb"), "a\\u{1b}[31mb");
        assert_eq!(shown("a\u{202e}b\u{9b}"), "a\\u{202e}b\\u{9b}");
        assert_eq!(shown("ä b"), "ä b");
    }

    #[test]
    fn a_run_ends_with_the_code_that_wins() {
        let output = Output::new(Manner { is_quiet: true, ..Manner::default() });
        assert_eq!(output.exit_code(), 0);
        output.fail(&Failure::new(Kind::Partial, "test"));
        output.fail(&Failure::new(Kind::Corrupt, "test"));
        assert_eq!(output.exit_code(), 4);
    }
}

//! `ls [PREFIX]`.

use std::ffi::OsString;

use clap::Args;
use model::Name;
use ouroborosdb::{At, Head, NAMES_PAGE_MAX, NameEntry, NamesQuery, Session};
use serde_json::{Value, json};

use super::heads;
use crate::context::{Absent, Context};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::parse::{hlc_text, timestamp};

/// Greater than what follows a `/` in nearly every name.
const LAST_CHARACTER: char = '\u{10ffff}';

/// Lists names
///
/// Without -r one level is listed, like a folder: what lies deeper shows as one line that ends in
/// `/`. PREFIX is the beginning of the names; with a `/` at its end it lists what is below it.
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros ls -l documents/")]
pub(crate) struct Ls {
    /// What the names begin with
    prefix: Option<OsString>,
    /// Also hash, size, time and number of heads
    #[arg(short, long)]
    long: bool,
    /// All names, however deep
    #[arg(short, long)]
    recursive: bool,
    /// As of a time: RFC 3339, YYYY-MM-DD (local, end of day) or an age such as 2h or 3d
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// One name of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    has_below: bool,
    /// The winner first; empty when only names below it exist.
    heads: Vec<Head>,
}

/// One line per name.
pub(crate) fn run(context: &Context, args: Ls) -> Result<(), Failure> {
    let at = args.at.as_deref().map(|text| timestamp(text, context.now)).transpose()?;
    let query = NamesQuery {
        prefix: prefix(args.prefix)?,
        after: None,
        limit: NAMES_PAGE_MAX,
        at: at.map_or(At::Now, At::Time),
        with_deleted: false,
    };
    let session = context.open(Absent::Refuse)?;
    let mut print = |row: Row| {
        context.stop.check()?;
        context.output.result(|| row.text(args.long), || row.object())
    };
    if args.recursive {
        all(&*session, query, &mut print)
    } else {
        level(&*session, query, &mut print)
    }
}

fn prefix(word: Option<OsString>) -> Result<String, Failure> {
    word.unwrap_or_default()
        .into_string()
        .map_err(|_| Failure::new(Kind::Malformed, "malformed prefix: it is not UTF-8"))
}

type Print<'a> = dyn FnMut(Row) -> Result<(), Failure> + 'a;

fn all(session: &dyn Session, mut query: NamesQuery, print: &mut Print<'_>) -> Result<(), Failure> {
    loop {
        let page = session.names(&query)?;
        query.after = page.last().map(|entry| entry.name.clone());
        let is_last = page.len() < query.limit;
        for NameEntry { name, heads } in page {
            print(Row { name: name.as_str().to_owned(), has_below: false, heads })?;
        }
        if is_last || query.after.is_none() {
            return Ok(());
        }
    }
}

/// Names with a further `/` after the prefix become one row. After such a row the rest of what is
/// below it is stepped over.
fn level(
    session: &dyn Session,
    mut query: NamesQuery,
    print: &mut Print<'_>,
) -> Result<(), Failure> {
    let depth = query.prefix.len();
    let mut waiting = Waiting::default();
    loop {
        let page = session.names(&query)?;
        let is_last = page.len() < query.limit;
        let (mut after, mut has_stepped) = (None, false);
        for NameEntry { name, heads } in page {
            let text = name.as_str();
            let below =
                text.get(depth..).and_then(|rest| rest.find('/')).map(|slash| depth + slash);
            match below.and_then(|end| text.get(..end)) {
                Some(folder) => {
                    waiting.add_below(folder, print)?;
                    after = Some(past(folder).unwrap_or(name));
                    has_stepped = true;
                    break;
                }
                None => {
                    waiting.add(Row { name: text.to_owned(), has_below: false, heads }, print)?;
                    after = Some(name);
                }
            }
        }
        match after {
            Some(name) if has_stepped || !is_last => query.after = Some(name),
            _ => return waiting.flush(print),
        }
    }
}

/// A name that follows nearly all below `folder`; those it does not are collapsed all the same.
fn past(folder: &str) -> Option<Name> {
    Name::new(format!("{folder}/{LAST_CHARACTER}")).ok()
}

/// Rows that may still turn out to have something below them: `a` comes before `a-b`, and `a/c`
/// after both.
#[derive(Debug, Default)]
struct Waiting(Vec<Row>);

impl Waiting {
    fn add(&mut self, row: Row, print: &mut Print<'_>) -> Result<(), Failure> {
        if self.0.first().is_some_and(|first| !row.name.starts_with(&first.name)) {
            self.flush(print)?;
        }
        self.0.push(row);
        Ok(())
    }

    fn add_below(&mut self, folder: &str, print: &mut Print<'_>) -> Result<(), Failure> {
        if let Some(row) = self.0.iter_mut().rev().find(|row| row.name == folder) {
            row.has_below = true;
            return Ok(());
        }
        self.add(Row { name: folder.to_owned(), has_below: true, heads: Vec::new() }, print)
    }

    fn flush(&mut self, print: &mut Print<'_>) -> Result<(), Failure> {
        self.0.drain(..).try_for_each(print)
    }
}

impl Row {
    fn text(&self, is_long: bool) -> String {
        let slash = if self.has_below { "/" } else { "" };
        let name = format!("{}{slash}", self.name);
        if !is_long {
            return name;
        }
        match self.heads.first() {
            Some(head) => format!(
                "{} {:>12} {} {:>2} {name}",
                head.hash,
                head.len,
                hlc_text(head.hlc),
                self.heads.len()
            ),
            None => format!("{:64} {:>12} {:25} {:>2} {name}", "-", "-", "-", "-"),
        }
    }

    fn object(&self) -> Value {
        let heads: Vec<Value> = self
            .heads
            .iter()
            .enumerate()
            .map(|(place, head)| heads::object(head, place == 0))
            .collect();
        let winner = self.heads.first();
        json!({
            "name": self.name,
            "has_below": self.has_below,
            "hash": winner.map(|head| head.hash.to_string()),
            "bytes": winner.map(|head| head.len),
            "time": winner.map(|head| hlc_text(head.hlc)),
            "time_ns": winner.map(|head| head.hlc.0),
            "heads": heads,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[(&str, bool)]) -> Vec<String> {
        let mut printed = Vec::new();
        let mut print = |row: Row| {
            printed.push(row.text(false));
            Ok(())
        };
        let mut waiting = Waiting::default();
        for (name, is_below) in names {
            if *is_below {
                waiting.add_below(name, &mut print).unwrap();
            } else {
                let row = Row { name: (*name).to_owned(), has_below: false, heads: Vec::new() };
                waiting.add(row, &mut print).unwrap();
            }
        }
        waiting.flush(&mut print).unwrap();
        printed
    }

    #[test]
    fn a_name_and_what_is_below_it_are_one_row() {
        let names =
            [("a", false), ("a-b", false), ("a", true), ("b", true), ("b", true), ("c", false)];
        assert_eq!(rows(&names), ["a/", "a-b", "b/", "c"]);
    }

    #[test]
    fn rows_come_out_in_order() {
        assert_eq!(rows(&[("a", false), ("ab", false), ("b", false)]), ["a", "ab", "b"]);
    }
}

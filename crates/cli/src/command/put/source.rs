//! Which words of a put are sources, what they are, and under which names they are stored.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use model::Name;

use crate::exit::Kind;
use crate::failure::Failure;
use crate::parse::{name, name_of_source};

/// Stands for stdin.
const STDIN: &str = "-";
/// `--into` without a prefix.
const NO_PREFIX: &str = ".";

/// What was written.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) words: Vec<OsString>,
    pub(super) into: Option<OsString>,
    pub(super) is_recursive: bool,
    /// A source without a NAME stays nameless.
    pub(super) is_nameless: bool,
}

/// What a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Bytes without attributes: stdin (`-`), a FIFO, a device.
    Stream(PathBuf),
    File(PathBuf),
    /// A folder is never nameless: what is in it is named after it.
    Folder(PathBuf, Name),
}

/// One source and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) source: Source,
    pub(super) name: Option<Name>,
}

/// What a put is going to do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) jobs: Vec<Job>,
    /// Sources that cannot be stored.
    pub(super) refused: Vec<Failure>,
    /// What the person may not have meant.
    pub(super) notes: Vec<String>,
}

/// Reads the words; nothing is opened but looked at.
pub(super) fn plan(words: Words) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let (sources, named) = split(&words, &mut plan)?;
    let prefix = match words.into.as_deref() {
        Some(prefix) if prefix == NO_PREFIX => None,
        Some(prefix) => Some(name(prefix)?),
        None => None,
    };
    for word in sources {
        match job(word, named.as_ref(), prefix.as_ref(), &words) {
            Ok(job) => plan.jobs.push(job),
            Err(failure) if is_about_source(&failure) => plan.refused.push(failure),
            Err(failure) => return Err(failure),
        }
    }
    let mut names = BTreeSet::new();
    match plan.jobs.iter().filter_map(|job| job.name.as_ref()).find(|name| !names.insert(*name)) {
        Some(twice) => Err(Failure::usage(format!("two sources have the name {twice}"))
            .hint("put them one by one, each with its NAME")),
        None => Ok(plan),
    }
}

/// The sources, and the NAME when there is one.
fn split<'a>(words: &'a Words, plan: &mut Plan) -> Result<(&'a [OsString], Option<Name>), Failure> {
    match words.words.as_slice() {
        [source, second] if words.into.is_none() => {
            let named = name(second)?;
            if second != source && second != STDIN && Path::new(second).exists() {
                plan.notes.push(format!(
                    "{named} is taken as the NAME; --into . stores both {} and {named}",
                    source.display(),
                ));
            }
            Ok((std::slice::from_ref(source), Some(named)))
        }
        sources => Ok((sources, None)),
    }
}

fn job(
    word: &OsStr,
    named: Option<&Name>,
    prefix: Option<&Name>,
    words: &Words,
) -> Result<Job, Failure> {
    let found = look(word, words.is_recursive)?;
    let name = match (named, &found) {
        (Some(named), _) => Some(named.clone()),
        (None, Found::Stream(_) | Found::File(_)) if words.is_nameless && prefix.is_none() => None,
        (None, Found::File(path) | Found::Folder(path)) => Some(default_name(path, prefix)?),
        (None, Found::Stream(_)) => {
            return Err(Failure::usage("what comes from a stream needs a NAME")
                .hint("ouroboros put - NAME"));
        }
    };
    let source = match (found, &name) {
        (Found::Stream(path), _) => Source::Stream(path),
        (Found::File(path), _) => Source::File(path),
        (Found::Folder(path), Some(name)) => Source::Folder(path, name.clone()),
        (Found::Folder(_), None) => return Err(Failure::usage("a folder needs a NAME")),
    };
    Ok(Job { source, name })
}

fn default_name(resolved: &Path, prefix: Option<&Name>) -> Result<Name, Failure> {
    let last = name_of_source(resolved)?;
    match prefix {
        Some(prefix) => prefix.join(last.as_str()).map_err(|_| {
            Failure::new(Kind::Malformed, "malformed name: it is longer than 4096 bytes")
        }),
        None => Ok(last),
    }
}

/// What is at a path.
enum Found {
    Stream(PathBuf),
    File(PathBuf),
    Folder(PathBuf),
}

/// What is at a path, links followed.
fn look(word: &OsStr, is_recursive: bool) -> Result<Found, Failure> {
    let path = Path::new(word);
    if word == STDIN {
        return Ok(Found::Stream(path.to_path_buf()));
    }
    let of_path = |error| Failure::of_path(path, &error);
    let meta = path.metadata().map_err(of_path)?;
    if meta.is_dir() && !is_recursive {
        return Err(Failure::usage(format!("{} is a folder; nothing was stored", path.display()))
            .hint("-r stores it with all that is in it"));
    }
    if !meta.is_dir() && !meta.is_file() {
        return Ok(Found::Stream(path.to_path_buf()));
    }
    let resolved = path.canonicalize().map_err(of_path)?;
    Ok(if meta.is_dir() { Found::Folder(resolved) } else { Found::File(resolved) })
}

/// True when one source is at fault, and others can still be stored.
pub(super) fn is_about_source(failure: &Failure) -> bool {
    matches!(failure.kind, Kind::SourceMissing | Kind::Refused | Kind::Partial)
}

/// The failure of one source of several.
pub(super) fn in_part(failure: Failure) -> Failure {
    Failure {
        kind: Kind::Partial,
        message: format!("{}; the rest is stored", failure.message),
        ..failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&Path], into: Option<&str>) -> Words {
        Words {
            words: list.iter().map(|path| path.as_os_str().to_owned()).collect(),
            into: into.map(OsString::from),
            is_recursive: false,
            is_nameless: false,
        }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.jobs.iter().filter_map(|job| job.name.as_ref()).map(Name::as_str).collect()
    }

    fn files() -> (tempfile::TempDir, [PathBuf; 3]) {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
        for path in &paths {
            #[expect(clippy::disallowed_methods, reason = "a test's own files")]
            std::fs::write(path, "x").unwrap();
        }
        (folder, paths)
    }

    #[test]
    fn one_word_names_itself_and_a_second_is_the_name() {
        let (_folder, [a, ..]) = files();
        assert_eq!(names(&plan(words(&[&a], None)).unwrap()), ["a"]);
        assert_eq!(names(&plan(words(&[&a, Path::new("x/y")], None)).unwrap()), ["x/y"]);
    }

    #[test]
    fn three_words_are_sources_and_into_makes_all_of_them_sources() {
        let (_folder, [a, b, c]) = files();
        assert_eq!(names(&plan(words(&[&a, &b, &c], None)).unwrap()), ["a", "b", "c"]);
        assert_eq!(names(&plan(words(&[&a, &b], Some("p"))).unwrap()), ["p/a", "p/b"]);
        assert_eq!(names(&plan(words(&[&a, &b], Some("."))).unwrap()), ["a", "b"]);
    }

    #[test]
    fn equal_names_and_folders_without_r_are_refused() {
        let (folder, [a, ..]) = files();
        assert_eq!(plan(words(&[&a, &a, &a], None)).unwrap_err().kind, Kind::Usage);
        assert_eq!(plan(words(&[folder.path()], None)).unwrap_err().kind, Kind::Usage);
    }

    #[test]
    fn a_missing_source_is_refused_alone() {
        let (folder, [a, b, _]) = files();
        let missing = folder.path().join("missing");
        let plan = plan(words(&[&a, &missing, &b], None)).unwrap();
        assert_eq!(names(&plan), ["a", "b"]);
        assert_eq!(plan.refused[0].kind, Kind::SourceMissing);
    }

    #[test]
    fn streams_need_a_name_unless_they_have_parents() {
        let stdin = Path::new("-");
        assert_eq!(plan(words(&[stdin], None)).unwrap_err().kind, Kind::Usage);
        assert_eq!(names(&plan(words(&[stdin, Path::new("n")], None)).unwrap()), ["n"]);
        let nameless = Words { is_nameless: true, ..words(&[stdin], None) };
        assert_eq!(plan(nameless).unwrap().jobs[0].name, None);
    }
}

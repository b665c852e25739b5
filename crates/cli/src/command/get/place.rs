//! Where a get writes to.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tree::{Files, SystemFiles};

use crate::failure::Failure;

/// Stands for stdout.
const STDOUT: &str = "-";
/// Around the name of what is not complete yet.
const PART: (&str, &str) = (".", ".ouro-part");
/// Bytes of one component of a path on usual filesystems.
const COMPONENT_LEN_MAX: usize = 255;

/// Where an item goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Stdout,
    Path(PathBuf),
}

impl Place {
    /// An existing folder receives the item under `last`. `None` without a word.
    pub(crate) fn of(word: Option<&OsStr>, last: &OsStr) -> Result<Option<Self>, Failure> {
        let Some(word) = word else { return Ok(None) };
        if word == STDOUT {
            return Ok(Some(Self::Stdout));
        }
        if word.is_empty() {
            return Err(Failure::usage("DEST is empty"));
        }
        let path = Path::new(word);
        let path = if path.is_dir() { path.join(last) } else { path.to_path_buf() };
        Ok(Some(Self::Path(path)))
    }
}

/// `.NAME.TAG.ouro-part` beside `dest`; `None` where that name would be too long. The tag tells
/// apart what would not be the same when it is complete.
pub(crate) fn part_of(dest: &Path, tag: &str) -> Option<PathBuf> {
    let name = dest.file_name()?;
    let mut part = OsString::from(PART.0);
    part.push(name);
    part.push(".");
    part.push(tag);
    part.push(PART.1);
    if part.len() > COMPONENT_LEN_MAX { None } else { Some(dest.with_file_name(part)) }
}

/// The part is complete and takes its name; what appeared there meanwhile stays.
pub(crate) fn finish(part: &Path, dest: &Path) -> Result<(), Failure> {
    rename(part, dest, false)
}

/// Renames within one folder.
pub(crate) fn rename(from: &Path, to: &Path, replaces: bool) -> Result<(), Failure> {
    let of_path = |error| Failure::of_path(to, &error);
    let parent = from.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = SystemFiles.open_folder(parent.unwrap_or(Path::new("."))).map_err(of_path)?;
    let name = |path: &'_ Path| path.file_name().unwrap_or_default().as_bytes().to_vec();
    SystemFiles.rename_at(&folder, &name(from), &name(to), replaces).map_err(of_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_receives_the_item_under_its_last_component() {
        let folder = tempfile::tempdir().unwrap();
        let of = |word: &OsStr| Place::of(Some(word), OsStr::new("item")).unwrap().unwrap();
        assert_eq!(of(OsStr::new("-")), Place::Stdout);
        assert_eq!(of(folder.path().as_os_str()), Place::Path(folder.path().join("item")));
        let new = folder.path().join("new");
        assert_eq!(of(new.as_os_str()), Place::Path(new.clone()));
        assert!(Place::of(Some(OsStr::new("")), OsStr::new("item")).is_err());
        assert_eq!(Place::of(None, OsStr::new("item")).unwrap(), None);
    }

    #[test]
    fn parts_lie_beside_their_place() {
        let part = part_of(Path::new("a/b"), "12");
        assert_eq!(part, Some(PathBuf::from("a/.b.12.ouro-part")));
        let len = |bytes| {
            part_of(&PathBuf::from("n".repeat(bytes)), "12").map(|part| part.as_os_str().len())
        };
        assert_eq!(len(241), Some(255));
        assert_eq!(len(242), None);
    }
}

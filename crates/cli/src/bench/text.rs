//! Text to measure with: what people wrote, where there is some, else words of our own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tree::{FileKind, Files, SystemFiles};

use super::data::Noise;
use super::lab::Lab;
use crate::failure::Failure;

/// Longer files are likely to be data.
const FILE_LEN_MAX: u64 = 4 * 1024 * 1024;
/// What counts as text.
const ENDINGS: [&str; 14] = [
    ".rs", ".md", ".toml", ".txt", ".c", ".h", ".html", ".js", ".css", ".py", ".json", ".go",
    ".java", ".sh",
];

/// At most `len` bytes of text: the files of the folder that was named, else those of the
/// toolchain, else words by a seed. Each file is preceded by its path.
pub(crate) fn text(lab: &Lab<'_>, len: usize) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let folder = lab.text.clone().or_else(toolchain_text);
    if let Some(folder) = &folder {
        gather(folder, len, &mut out)
            .map_err(|error| Failure::of_path(folder, &error).hint("--text DIR names another"))?;
    }
    if out.len() < len && lab.text.is_none() {
        words(len, &mut out);
    }
    Ok(out)
}

/// Where the text comes from, for the table.
pub(crate) fn origin(lab: &Lab<'_>) -> String {
    match &lab.text {
        Some(folder) => folder.display().to_string(),
        None if toolchain_text().is_some() => "toolchain".to_owned(),
        None => "synthetic".to_owned(),
    }
}

fn toolchain_text() -> Option<PathBuf> {
    let told = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let root = PathBuf::from(String::from_utf8(told.stdout).ok()?.trim());
    let folders = ["lib/rustlib/src", "share/doc"].map(|folder| root.join(folder));
    folders.into_iter().find(|folder| folder.is_dir())
}

/// Appends files below `root` in the order of their names.
fn gather(root: &Path, len: usize, out: &mut Vec<u8>) -> std::io::Result<()> {
    let files = SystemFiles;
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let folder = files.open_folder(&path)?;
        let mut names = files.list(&folder)?;
        names.sort();
        let mut folders = Vec::new();
        for name in names {
            let at = path.join(OsStr::from_bytes(&name));
            let stat = files.stat_at(&folder, &name)?;
            match stat.kind {
                FileKind::Folder => folders.push(at),
                FileKind::File if is_text(&name) && stat.len <= FILE_LEN_MAX => {
                    let relative = at.strip_prefix(root).unwrap_or(&at);
                    out.extend_from_slice(relative.as_os_str().as_bytes());
                    out.push(b'\n');
                    append(&files, &files.open_at(&folder, &name)?, out)?;
                }
                _ => {}
            }
            if out.len() >= len {
                out.truncate(len);
                return Ok(());
            }
        }
        waiting.extend(folders.into_iter().rev());
    }
    Ok(())
}

fn append(
    files: &SystemFiles,
    file: &<SystemFiles as Files>::File,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let mut piece = vec![0; 64 * 1024];
    let mut offset = 0;
    loop {
        let len = files.read_at(file, offset, &mut piece)?;
        if len == 0 {
            return Ok(());
        }
        out.extend_from_slice(piece.get(..len).unwrap_or_default());
        offset += len as u64;
    }
}

fn is_text(name: &[u8]) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()))
}

/// Words of a small language, common ones more often.
fn words(len: usize, out: &mut Vec<u8>) {
    let mut noise = Noise::new(5);
    let mut letters = |count| {
        let letter = |noise: &mut Noise| b'a' + u8::try_from(noise.below(26)).unwrap_or(0);
        (0..count).map(|_| letter(&mut noise)).collect::<Vec<u8>>()
    };
    let vocabulary: Vec<Vec<u8>> = (0..4000).map(|n| letters(2 + n % 9)).collect();
    let mut noise = Noise::new(6);
    while out.len() < len {
        let rank = noise.below(vocabulary.len());
        let rank = noise.below(rank + 1);
        out.extend_from_slice(vocabulary.get(rank).map_or(&[], Vec::as_slice));
        out.extend_from_slice(if noise.below(12) == 0 { b"\n    " } else { b" " });
    }
    out.truncate(len);
}

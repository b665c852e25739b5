//! The content and metadata of a user's file.

use std::io::{self, Read};

use model::limit::META_LEN_MAX;
use model::meta::{FIELDS_MAX, HOLES_MAX};
use model::{Hole, Kind, Meta};

use crate::events::Events;
use crate::files::{FileKind, FileStat, Files, Target, Xattrs};

/// A file as content: exactly the bytes that were there when it was opened, at most `len`, with
/// zeros where the holes were, so that content and holes agree whatever happens to the file.
pub(crate) struct FileContent<'a, F: Files> {
    pub(crate) files: &'a F,
    pub(crate) file: &'a F::File,
    pub(crate) events: &'a dyn Events,
    pub(crate) holes: &'a [Hole],
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl<F: Files> Read for FileContent<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.holes.first().is_some_and(|hole| hole.offset + hole.len <= self.offset) {
            self.holes = self.holes.get(1..).unwrap_or_default();
        }
        let hole = self.holes.first();
        let in_hole = hole.is_some_and(|hole| hole.offset <= self.offset);
        let end = match hole {
            Some(hole) if in_hole => hole.offset + hole.len,
            Some(hole) => hole.offset,
            None => self.len,
        };
        let left = usize::try_from(end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let wanted = left.min(into.len());
        let into = into.get_mut(..wanted).unwrap_or_default();
        if into.is_empty() {
            return Ok(0);
        }
        let len = if in_hole {
            into.fill(0);
            wanted
        } else {
            self.files.read_at(self.file, self.offset, into)?
        };
        self.offset += len as u64;
        self.events.on_bytes(len as u64);
        Ok(len)
    }
}

/// The holes of a file, as far as the filesystem tells them.
pub(crate) fn holes<F: Files>(files: &F, file: &F::File, stat: &FileStat) -> Vec<Hole> {
    let mut holes = Vec::new();
    if stat.allocated >= stat.len {
        return holes;
    }
    let mut at = 0;
    while at < stat.len && holes.len() < HOLES_MAX {
        // A filesystem that cannot tell has no holes.
        let Ok(data) = files.next_data(file, at) else { break };
        let data = data.map_or(stat.len, |data| data.min(stat.len));
        if data > at {
            holes.push(Hole { offset: at, len: data - at });
        }
        if data >= stat.len {
            break;
        }
        match files.next_hole(file, data) {
            Ok(next) if next > data => at = next,
            _ => break,
        }
    }
    holes
}

/// Metadata of what a stat describes.
pub(crate) fn meta_of(stat: &FileStat) -> Meta {
    let kind = match stat.kind {
        FileKind::File | FileKind::Special => Kind::File,
        FileKind::Folder => Kind::Folder,
        FileKind::Symlink => Kind::Symlink,
    };
    Meta {
        kind,
        mode: (stat.kind != FileKind::Symlink).then_some(stat.mode),
        modified: Some(stat.modified),
        owner: Some(stat.owner),
        ..Meta::default()
    }
}

/// Adds extended attributes; false when they do not all fit.
pub(crate) fn add_xattrs(meta: &mut Meta, xattrs: Xattrs) -> bool {
    if xattrs.is_empty() {
        return true;
    }
    meta.xattrs = xattrs;
    let mut fits = true;
    while meta.xattrs.len() > FIELDS_MAX || meta.encoded_len() > META_LEN_MAX {
        fits = false;
        let largest = meta.xattrs.iter().max_by_key(|(_, value)| value.len());
        let Some(name) = largest.map(|(name, _)| name.clone()) else { break };
        meta.xattrs.remove(&name);
    }
    fits
}

/// Extended attributes; what may not be read is none.
pub(crate) fn xattrs_of<F: Files>(files: &F, target: Target<'_, F>) -> Xattrs {
    files.xattrs(target).unwrap_or_default()
}

/// True when nothing was written between two looks at a file.
pub(crate) fn is_same(before: &FileStat, after: &FileStat) -> bool {
    before.len == after.len
        && before.modified == after.modified
        && before.changed == after.changed
        && (before.device, before.inode) == (after.device, after.inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_attributes_that_do_not_fit_are_left_out_largest_first() {
        let mut meta = Meta::default();
        let small = (b"user.small".to_vec(), vec![1; 10]);
        let large = (0..5u8).map(|n| (vec![b'u', n], vec![n; 64 * 1024 - usize::from(n)]));
        assert!(!add_xattrs(&mut meta, large.chain([small.clone()]).collect()));
        assert!(meta.encoded_len() <= META_LEN_MAX);
        assert!(meta.xattrs.contains_key(&small.0) && meta.xattrs.len() == 4);
        let mut meta = Meta::default();
        assert!(add_xattrs(&mut meta, [small].into()));
    }
}

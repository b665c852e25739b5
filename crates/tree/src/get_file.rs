//! One file, symbolic link or empty folder on its way out.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use model::{Content, Hole, Kind, Meta, Vertex};
use ouroborosdb::Error;

use crate::TreeError;
use crate::attributes::apply;
use crate::error::Problem;
use crate::events::Outcome;
use crate::files::{FileKind, FileStat, Files, Target};
use crate::get::{GetRules, JobResult, Leaf};
use crate::get_folders::{make_folder, writing};
use crate::get_links::LateLink;
use crate::list::stored;
use crate::path::{join, part_name, split};
use crate::put_item::ItemError;
use crate::request::{GetSummary, Transfer};

/// Bytes read and written at once.
const PIECE_LEN: usize = 256 * 1024;
/// Mode of a file whose mode is not known, less what the user's mask takes.
const MODE_UNKNOWN: u16 = 0o666;
const MODE_PART: u16 = 0o600;

/// Bytes in order, wherever they are.
trait Bytes: Read + Seek {}

impl<T: Read + Seek + ?Sized> Bytes for T {}

/// What is at the place of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InTheWay {
    Nothing,
    /// It looks like what is to be restored.
    Same,
    /// It may be replaced.
    Other,
}

impl<F: Files> Transfer<'_, F> {
    /// Restores what has no entries of its own.
    pub(crate) fn get_leaf(
        &self,
        leaf: &Leaf<F>,
        vertex: Vertex,
        rules: &GetRules,
        result: &mut JobResult,
    ) -> Result<Outcome, ItemError> {
        let path = leaf.entry.path.as_slice();
        self.events.on_started(path, vertex.content.len());
        match vertex.meta.kind {
            Kind::File | Kind::Blob => {
                if vertex.meta.link != 0 && !self.is_first_link(leaf, &vertex, rules) {
                    let entry = leaf.entry.clone();
                    result.late_links.push(LateLink { entry, vertex: Box::new(vertex) });
                    return Ok(Outcome::Done);
                }
                self.get_content(leaf, vertex, rules, &mut result.summary)
            }
            Kind::Symlink => self.get_symlink(leaf, &vertex.meta, rules, &mut result.summary),
            Kind::Folder | Kind::Tree => {
                if let Some(parent) = leaf.parent.as_deref()
                    && !rules.dry_run
                {
                    make_folder(self.files, parent, split(path).1, rules.force)
                        .map_err(|error| at(path, error))?;
                    result.folders.push((path.to_vec(), vertex.meta));
                }
                result.summary.folders += 1;
                Ok(Outcome::Done)
            }
            Kind::Tombstone => Err(Problem::WrongKind.into()),
        }
    }

    /// Restores a regular file.
    pub(crate) fn get_content(
        &self,
        leaf: &Leaf<F>,
        vertex: Vertex,
        rules: &GetRules,
        summary: &mut GetSummary,
    ) -> Result<Outcome, ItemError> {
        let path = leaf.entry.path.as_slice();
        let (folder_path, name) = split(path);
        let len = vertex.content.len();
        let (mut inline, mut reader);
        let bytes: &mut dyn Bytes = if let Content::Inline(bytes) = vertex.content {
            inline = Cursor::new(bytes);
            &mut inline
        } else {
            let content = self.session.content(&leaf.entry.hash);
            reader = content.map_err(|error| ItemError::Problem(Problem::Stored(error)))?;
            &mut reader
        };
        let in_the_way = self.in_the_way(leaf, &vertex.meta, len, rules)?;
        if in_the_way == InTheWay::Same
            && (!rules.force || self.has_content(leaf, name, bytes).unwrap_or(false))
        {
            summary.files += 1;
            summary.skipped += 1;
            self.events.on_bytes(len);
            return Ok(Outcome::Skipped);
        }
        let hole_len: u64 = vertex.meta.holes.iter().map(|hole| hole.len).sum();
        let Some(parent) = leaf.parent.as_deref().filter(|_| !rules.dry_run) else {
            summary.files += 1;
            summary.bytes_written += len.saturating_sub(hole_len);
            return Ok(Outcome::Done);
        };
        let part = part_name(name, |part| rules.part_like.contains(&join(folder_path, part)));
        let mode = if vertex.meta.mode.is_some() { MODE_PART } else { MODE_UNKNOWN };
        let failed = |error| writing(path, error);
        let (file, part_len) = self.open_part(parent, &part, mode).map_err(failed)?;
        let job = Writing { path, file: &file, meta: &vertex.meta, len, part_len };
        self.write(&job, bytes, summary)?;
        apply(self.files, Target::File(&file), &vertex.meta).map_err(failed)?;
        drop(file);
        self.put_in_place(parent, &part, path, in_the_way != InTheWay::Nothing)?;
        summary.files += 1;
        Ok(Outcome::Done)
    }

    /// Looks at what is there already; [`Problem::Exists`] when it may not be replaced.
    pub(crate) fn in_the_way(
        &self,
        leaf: &Leaf<F>,
        meta: &Meta,
        len: u64,
        rules: &GetRules,
    ) -> Result<InTheWay, ItemError> {
        let Some(parent) = leaf.parent.as_deref().filter(|_| !leaf.is_fresh) else {
            return Ok(InTheWay::Nothing);
        };
        let (_, name) = split(&leaf.entry.path);
        let there = match self.files.stat_at(parent, name) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(InTheWay::Nothing),
            Err(error) => return Err(writing(&leaf.entry.path, error)),
        };
        if looks_restored(&there, meta, len) {
            return Ok(InTheWay::Same);
        }
        if rules.force && there.kind != FileKind::Folder {
            return Ok(InTheWay::Other);
        }
        Err(Problem::Exists.into())
    }

    /// True when the file that is there has exactly these bytes; `bytes` is at its start after.
    fn has_content(&self, leaf: &Leaf<F>, name: &[u8], bytes: &mut dyn Bytes) -> io::Result<bool> {
        let Some(parent) = leaf.parent.as_deref() else { return Ok(false) };
        let file = self.files.open_at(parent, name)?;
        let mut offset = 0;
        let mut piece = vec![0; PIECE_LEN];
        let is_equal = loop {
            let read = bytes.read(&mut piece)?;
            let expected = piece.get(..read).unwrap_or_default();
            if read == 0 {
                break true;
            }
            if !self.holds(&file, offset, expected)? {
                break false;
            }
            offset += read as u64;
        };
        bytes.seek(SeekFrom::Start(0))?;
        Ok(is_equal)
    }

    /// True when the file has these bytes there.
    fn holds(&self, file: &F::File, mut offset: u64, mut expected: &[u8]) -> io::Result<bool> {
        let mut found = vec![0; expected.len()];
        while !expected.is_empty() {
            let into = found.get_mut(..expected.len()).unwrap_or_default();
            let read = self.files.read_at(file, offset, into)?;
            let (Some(start), Some(rest)) = (expected.get(..read), expected.get(read..)) else {
                return Ok(false);
            };
            if read == 0 || into.get(..read) != Some(start) {
                return Ok(false);
            }
            offset += read as u64;
            expected = rest;
        }
        Ok(true)
    }

    /// The part to write to, and how much an earlier get left in it.
    fn open_part(&self, parent: &F::Folder, part: &[u8], mode: u16) -> io::Result<(F::File, u64)> {
        match self.files.create_at(parent, part, mode) {
            Ok(file) => return Ok((file, 0)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        if let Ok(file) = self.files.reopen_at(parent, part) {
            let stat = self.files.stat(&file)?;
            // With a second name, writing to it would write to something else too.
            if stat.kind == FileKind::File && !stat.is_linked {
                return Ok((file, stat.len));
            }
        }
        self.files.remove_at(parent, part)?;
        Ok((self.files.create_at(parent, part, mode)?, 0))
    }

    /// Writes the content, verifying and keeping what the part has of it.
    fn write(
        &self,
        job: &Writing<'_, F>,
        bytes: &mut dyn Bytes,
        summary: &mut GetSummary,
    ) -> Result<(), ItemError> {
        let mut piece = vec![0; PIECE_LEN.min(usize::try_from(job.len).unwrap_or(PIECE_LEN))];
        let mut part_len = job.part_len;
        let mut holes: &[Hole] = &job.meta.holes;
        let mut offset = 0;
        while offset < job.len {
            if self.events.is_interrupted() {
                return Err(ItemError::Fatal(TreeError::Interrupted));
            }
            let mut end = job.len;
            if let Some((hole, rest)) = holes.split_first() {
                let hole_end = hole.offset.saturating_add(hole.len).min(job.len);
                if hole.offset <= offset {
                    part_len = self.cut(job, part_len, offset)?;
                    bytes.seek(SeekFrom::Start(hole_end)).map_err(unreadable)?;
                    self.events.on_bytes(hole_end - offset);
                    offset = hole_end;
                    holes = rest;
                    continue;
                }
                end = hole.offset.min(job.len);
            }
            let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX).min(piece.len());
            let read = bytes.read(piece.get_mut(..wanted).unwrap_or_default());
            let read = match read {
                Ok(0) => return Err(unreadable(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error)),
            };
            let data = piece.get(..read).unwrap_or_default();
            if offset < part_len && self.holds(job.file, offset, data).unwrap_or(false) {
                summary.bytes_continued += read as u64;
            } else {
                part_len = self.cut(job, part_len, offset)?;
                self.write_all(job, offset, data)?;
                summary.bytes_written += read as u64;
            }
            offset += read as u64;
            self.events.on_bytes(read as u64);
        }
        let ends_in_hole = job.meta.holes.last().is_some_and(|h| h.offset + h.len >= job.len);
        if part_len > job.len || ends_in_hole {
            self.files.set_len(job.file, job.len).map_err(|error| writing(job.path, error))?;
        }
        Ok(())
    }

    /// Cuts what the part has from `offset` on: it is not of this content. Returns what is left.
    fn cut(&self, job: &Writing<'_, F>, part_len: u64, offset: u64) -> Result<u64, ItemError> {
        if part_len <= offset {
            return Ok(part_len);
        }
        self.files.set_len(job.file, offset).map_err(|error| writing(job.path, error))?;
        Ok(offset)
    }

    fn write_all(
        &self,
        job: &Writing<'_, F>,
        mut offset: u64,
        mut data: &[u8],
    ) -> Result<(), ItemError> {
        while !data.is_empty() {
            let written = self.files.write_at(job.file, offset, data);
            let written = written.map_err(|error| writing(job.path, error))?;
            if written == 0 {
                return Err(writing(job.path, io::ErrorKind::WriteZero.into()));
            }
            data = data.get(written..).unwrap_or_default();
            offset += written as u64;
        }
        Ok(())
    }

    /// Renames a finished part.
    pub(crate) fn put_in_place(
        &self,
        parent: &F::Folder,
        part: &[u8],
        path: &[u8],
        replace: bool,
    ) -> Result<(), ItemError> {
        let renamed = self.files.rename_at(parent, part, split(path).1, replace);
        renamed.map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                // Someone else was faster; the part is of no more use.
                let _ = self.files.remove_at(parent, part);
                return Problem::Exists.into();
            }
            writing(path, error)
        })
    }

    fn get_symlink(
        &self,
        leaf: &Leaf<F>,
        meta: &Meta,
        rules: &GetRules,
        summary: &mut GetSummary,
    ) -> Result<Outcome, ItemError> {
        let path = leaf.entry.path.as_slice();
        let (folder_path, name) = split(path);
        let target = meta.target.as_deref().ok_or(Problem::WrongKind)?;
        let Some(parent) = leaf.parent.as_deref() else {
            summary.symlinks += 1;
            return Ok(Outcome::Done);
        };
        let failed = |error| writing(path, error);
        let mut replace = false;
        if !leaf.is_fresh
            && let Ok(there) = self.files.stat_at(parent, name)
        {
            let is_same = there.kind == FileKind::Symlink
                && self.files.symlink_target_at(parent, name).is_ok_and(|found| found == target);
            if is_same && Some(there.modified) == meta.modified {
                summary.symlinks += 1;
                summary.skipped += 1;
                return Ok(Outcome::Skipped);
            }
            if there.kind == FileKind::Folder || !(is_same || rules.force) {
                return Err(Problem::Exists.into());
            }
            replace = true;
        }
        if !rules.dry_run {
            let part = part_name(name, |part| rules.part_like.contains(&join(folder_path, part)));
            if let Err(error) = self.files.make_symlink_at(parent, &part, target) {
                if error.kind() != io::ErrorKind::AlreadyExists {
                    return Err(failed(error));
                }
                self.files.remove_at(parent, &part).map_err(failed)?;
                self.files.make_symlink_at(parent, &part, target).map_err(failed)?;
            }
            apply(self.files, Target::Symlink(parent, &part), meta).map_err(failed)?;
            self.put_in_place(parent, &part, path, replace)?;
        }
        summary.symlinks += 1;
        Ok(Outcome::Done)
    }
}

/// A file being written.
struct Writing<'a, F: Files> {
    path: &'a [u8],
    file: &'a F::File,
    meta: &'a Meta,
    len: u64,
    part_len: u64,
}

/// True when a file looks like a restored one: same length, time and permissions.
fn looks_restored(there: &FileStat, meta: &Meta, len: u64) -> bool {
    there.kind == FileKind::File
        && there.len == len
        && meta.modified == Some(there.modified)
        && meta.mode.is_none_or(|mode| mode == there.mode)
}

fn unreadable(error: io::Error) -> ItemError {
    match stored(error) {
        Error::Interrupted => ItemError::Fatal(TreeError::Interrupted),
        error => ItemError::Problem(Problem::Stored(error)),
    }
}

fn at(path: &[u8], error: ItemError) -> ItemError {
    match error {
        ItemError::Problem(Problem::Unwritable(source)) => writing(path, source),
        other => other,
    }
}

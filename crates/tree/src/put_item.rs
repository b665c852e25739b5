//! One file, folder or symbolic link on its way in.

use std::sync::{Mutex, PoisonError};

use model::Meta;
use ouroborosdb::{Error, Put, PutRequest};

use crate::TreeError;
use crate::error::Problem;
use crate::events::StopOnly;
use crate::files::{FileKind, FileStat, Files, Target};
use crate::request::{PutSummary, Transfer};
use crate::source::{FileContent, add_xattrs, holes, is_same, meta_of, xattrs_of};

/// Files above this length use all cores by themselves and are put one at a time.
const LARGE_LEN: u64 = 1024 * 1024;

/// Why an item is not stored: its own problem, or one that stops the whole put.
#[derive(Debug)]
pub(crate) enum ItemError {
    Problem(Problem),
    Fatal(TreeError),
}

impl From<Problem> for ItemError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Error> for ItemError {
    fn from(error: Error) -> Self {
        match error {
            Error::Content(source) => Self::Problem(Problem::reading(source)),
            Error::Interrupted => Self::Fatal(TreeError::Interrupted),
            other => Self::Fatal(other.into()),
        }
    }
}

/// Where an item lies.
pub(crate) struct Place<'a, F: Files> {
    pub(crate) parent: &'a F::Folder,
    /// Last component of its path.
    pub(crate) name: &'a [u8],
    /// The whole path, for reports.
    pub(crate) path: &'a [u8],
}

/// What became of an item.
pub(crate) struct Stored {
    pub(crate) put: Put,
    /// As it was when it was read.
    pub(crate) stat: FileStat,
    pub(crate) is_settled: bool,
}

impl<F: Files> Transfer<'_, F> {
    /// Puts a regular file, a second time when it changes while it is read.
    pub(crate) fn put_content(
        &self,
        place: &Place<'_, F>,
        request: &mut PutRequest,
        large: &Mutex<()>,
        summary: &mut PutSummary,
    ) -> Result<Stored, ItemError> {
        let link = request.meta.link;
        let message = request.meta.message.take();
        let mut is_retry = false;
        loop {
            let file = self.files.open_at(place.parent, place.name).map_err(Problem::reading)?;
            let stat = self.files.stat(&file).map_err(Problem::reading)?;
            if stat.kind != FileKind::File {
                return Err(Problem::NotAFile.into());
            }
            let holes = holes(self.files, &file, &stat);
            request.meta = Meta { link, message: message.clone(), holes, ..meta_of(&stat) };
            let target = Target::File(&file);
            let is_whole = add_xattrs(&mut request.meta, xattrs_of(self.files, target));
            let put = self.put_open(&file, &stat, request, large)?;
            summary.count_bytes(&put);
            self.events.on_new(put.bytes_new);
            let is_settled = self.files.stat(&file).is_ok_and(|after| is_same(&stat, &after));
            if is_settled || is_retry {
                if !is_whole {
                    summary
                        .failed
                        .push(crate::Failure::new(place.path, Problem::AttributesLeftOut));
                }
                if !is_settled {
                    summary.changed_while_read.push(crate::error::native(place.path).into());
                }
                return Ok(Stored { put, stat, is_settled });
            }
            is_retry = true;
            if put.is_new && !request.dry_run {
                // Inside a group the first reading is no head yet: name it, or both would be.
                request.parents = vec![put.hash];
                request.expect_head = None;
            }
        }
    }

    fn put_open(
        &self,
        file: &F::File,
        stat: &FileStat,
        request: &PutRequest,
        large: &Mutex<()>,
    ) -> Result<Put, ItemError> {
        let one_at_a_time =
            (stat.len > LARGE_LEN).then(|| large.lock().unwrap_or_else(PoisonError::into_inner));
        let mut content = FileContent {
            files: self.files,
            file,
            events: self.events,
            holes: &request.meta.holes,
            offset: 0,
            len: stat.len,
        };
        let put = self.session.put(request, &mut content, &StopOnly(self.events))?;
        drop(one_at_a_time);
        Ok(put)
    }

    /// Metadata of a folder, opened or not; false when its attributes do not all fit.
    pub(crate) fn folder_meta(&self, folder: Option<&F::Folder>, stat: &FileStat) -> (Meta, bool) {
        let mut meta = meta_of(stat);
        let xattrs = folder.map(|folder| xattrs_of(self.files, Target::Folder(folder)));
        let is_whole = add_xattrs(&mut meta, xattrs.unwrap_or_default());
        (meta, is_whole)
    }

    /// Puts a folder.
    pub(crate) fn put_folder(
        &self,
        path: &[u8],
        meta: (Meta, bool),
        request: &mut PutRequest,
        summary: &mut PutSummary,
    ) -> Result<Put, ItemError> {
        let (meta, is_whole) = meta;
        if !is_whole {
            summary.failed.push(crate::Failure::new(path, Problem::AttributesLeftOut));
        }
        request.meta = meta;
        let put = self.session.put(request, &mut std::io::empty(), &StopOnly(self.events))?;
        summary.count_bytes(&put);
        Ok(put)
    }

    /// Puts a symbolic link.
    pub(crate) fn put_symlink(
        &self,
        place: &Place<'_, F>,
        stat: &FileStat,
        request: &mut PutRequest,
        summary: &mut PutSummary,
    ) -> Result<Put, ItemError> {
        let target =
            self.files.symlink_target_at(place.parent, place.name).map_err(Problem::reading)?;
        request.meta = Meta { target: Some(target), ..meta_of(stat) };
        let put = self.session.put(request, &mut std::io::empty(), &StopOnly(self.events))?;
        summary.count_bytes(&put);
        Ok(put)
    }
}

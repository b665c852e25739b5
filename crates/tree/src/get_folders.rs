//! The folders of a tree on its way out: made when something is written to them, finished last.

use std::io;
use std::sync::Arc;

use model::{Meta, VertexHash};

use crate::attributes::apply;
use crate::error::{Failure, Problem, TreeError};
use crate::files::{FileKind, Files, Target};
use crate::folder_stack::{FolderStack, is_below};
use crate::list::ListEntry;
use crate::path::{compare, join};
use crate::put_item::ItemError;
use crate::request::GetSummary;

/// What writing failed with: a full or read-only filesystem stops everything.
pub(crate) fn writing(path: &[u8], source: io::Error) -> ItemError {
    match source.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem => ItemError::Fatal(TreeError::Destination {
            path: crate::error::native(path).to_path_buf(),
            source,
        }),
        _ => ItemError::Problem(Problem::Unwritable(source)),
    }
}

/// Makes and opens the folders that files are written to.
pub(crate) struct Folders<'a, F: Files> {
    files: &'a F,
    root: Option<Arc<F::Folder>>,
    stack: Option<FolderStack<'a, F>>,
    /// For each folder on the stack whether this get made it; the root first.
    is_fresh: Vec<bool>,
    /// Folders of the list above the current place, outermost first.
    announced: Vec<ListEntry>,
    /// The folder that could not be made last: all below it fails.
    blocked: Option<Vec<u8>>,
    /// Folders that were made or found, and their versions.
    pub(crate) made: Vec<(Vec<u8>, Option<VertexHash>)>,
    pub(crate) summary: GetSummary,
    counted: Vec<u8>,
}

impl<'a, F: Files> Folders<'a, F> {
    pub(crate) fn new(files: &'a F, root: Option<Arc<F::Folder>>, is_fresh: bool) -> Self {
        Self {
            files,
            stack: root.clone().map(|root| FolderStack::new(files, root)),
            root,
            is_fresh: vec![is_fresh],
            announced: Vec::new(),
            blocked: None,
            made: Vec::new(),
            summary: GetSummary::default(),
            counted: Vec::new(),
        }
    }

    pub(crate) fn root(&self) -> Option<Arc<F::Folder>> {
        self.root.clone()
    }

    /// Takes note of a folder with entries.
    pub(crate) fn announce(&mut self, entry: ListEntry) {
        while self.announced.last().is_some_and(|above| !is_below(&entry.path, &above.path)) {
            self.announced.pop();
        }
        self.announced.push(entry);
    }

    fn announced_hash(&self, path: &[u8]) -> Option<VertexHash> {
        self.announced.iter().find(|entry| entry.path == path).map(|entry| entry.hash)
    }

    /// Counts the folders on the way to `path` without making them.
    pub(crate) fn count(&mut self, path: &[u8]) {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let is_new = |above: &[u8]| self.counted != above && !is_below(&self.counted, above);
        let above = ends.chain([path.len()]).filter_map(|end| path.get(..end));
        let new = above.filter(|above| !above.is_empty() && is_new(above)).count();
        self.summary.folders += new as u64;
        self.counted = path.to_vec();
    }

    /// The folder at `path`, made when missing, and whether this get made it.
    pub(crate) fn enter(
        &mut self,
        path: &[u8],
        force: bool,
    ) -> Result<(Arc<F::Folder>, bool), ItemError> {
        if let Some(blocked) = &self.blocked
            && (path == blocked || is_below(path, blocked))
        {
            return Err(Problem::Exists.into());
        }
        let Some(stack) = &mut self.stack else {
            return Err(Problem::Unwritable(io::ErrorKind::NotFound.into()).into());
        };
        stack.pop_to(path);
        let depth = stack.depth();
        self.is_fresh.truncate(depth + 1);
        let start = if depth == 0 { 0 } else { stack.path().len() + 1 };
        let names = path.get(start..).unwrap_or_default();
        for name in names.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            self.step_into(name, force)?;
        }
        let Some(stack) = &mut self.stack else {
            return Err(Problem::Unwritable(io::ErrorKind::NotFound.into()).into());
        };
        let folder = stack.current().map_err(|error| writing(path, error))?;
        Ok((folder, self.is_fresh.last().copied().unwrap_or(false)))
    }

    fn step_into(&mut self, name: &[u8], force: bool) -> Result<(), ItemError> {
        let Some(stack) = &mut self.stack else { return Ok(()) };
        let path = join(stack.path(), name);
        let parent = stack.current().map_err(|error| writing(&path, error))?;
        match make_folder(self.files, &parent, name, force) {
            Ok((folder, is_fresh)) => {
                stack.push(name, Arc::new(folder));
                self.is_fresh.push(is_fresh);
                let hash = self.announced_hash(&path);
                self.made.push((path, hash));
                self.summary.folders += 1;
                Ok(())
            }
            Err(error) => {
                let error = at(&path, error);
                if let ItemError::Problem(problem) = error {
                    self.summary.failed.push(Failure::new(&path, problem));
                    self.blocked = Some(path);
                    return Err(Problem::Exists.into());
                }
                Err(error)
            }
        }
    }
}

fn at(path: &[u8], error: ItemError) -> ItemError {
    match error {
        ItemError::Problem(Problem::Unwritable(source)) => writing(path, source),
        other => other,
    }
}

/// Makes a folder, or opens the one that is there, with the right to fill it; true when made.
pub(crate) fn make_folder<F: Files>(
    files: &F,
    parent: &F::Folder,
    name: &[u8],
    force: bool,
) -> Result<(F::Folder, bool), ItemError> {
    let failed = |error| ItemError::Problem(Problem::Unwritable(error));
    let mut is_fresh = true;
    if let Err(error) = files.make_folder_at(parent, name) {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(failed(error));
        }
        let there = files.stat_at(parent, name).map_err(failed)?;
        if there.kind == FileKind::Folder {
            is_fresh = false;
            if there.mode & 0o700 != 0o700 {
                files.unlock_folder_at(parent, name).map_err(failed)?;
            }
        } else if force {
            files.remove_at(parent, name).map_err(failed)?;
            files.make_folder_at(parent, name).map_err(failed)?;
        } else {
            return Err(Problem::Exists.into());
        }
    }
    let folder = files.open_folder_at(parent, name).map_err(failed)?;
    Ok((folder, is_fresh))
}

/// Opens a folder below a root, never through a link.
pub(crate) fn open_path<F: Files>(
    files: &F,
    root: &Arc<F::Folder>,
    path: &[u8],
) -> io::Result<Arc<F::Folder>> {
    let mut folder = Arc::clone(root);
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        folder = Arc::new(files.open_folder_at(&folder, name)?);
    }
    Ok(folder)
}

/// Gives folders their attributes, the deepest first: a folder that may not be entered any more is
/// done with.
pub(crate) fn finish_folders<F: Files>(
    files: &F,
    root: &Arc<F::Folder>,
    mut metas: Vec<(Vec<u8>, Meta)>,
    summary: &mut GetSummary,
) {
    metas.sort_by(|a, b| compare(&b.0, &a.0));
    for (path, meta) in metas {
        let finished = open_path(files, root, &path)
            .and_then(|folder| apply(files, Target::<F>::Folder(&folder), &meta));
        if let Err(error) = finished {
            summary.failed.push(Failure::new(&path, Problem::Unwritable(error)));
        }
    }
}

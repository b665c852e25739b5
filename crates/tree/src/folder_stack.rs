use std::io;
use std::sync::Arc;

use crate::files::Files;

/// Folders of one stack that stay open; the ones above are opened again when needed.
const OPEN_MAX: usize = 64;

/// The folder where a walk is, and those above it, as open handles: the depth of a tree may
/// exceed the number of files a process may open.
pub(crate) struct FolderStack<'a, F: Files> {
    files: &'a F,
    root: Arc<F::Folder>,
    path: Vec<u8>,
    levels: Vec<Level<F>>,
}

struct Level<F: Files> {
    /// Length of the path before this component, its slash included.
    start: usize,
    handle: Option<Arc<F::Folder>>,
}

impl<'a, F: Files> FolderStack<'a, F> {
    /// At the root.
    pub(crate) fn new(files: &'a F, root: Arc<F::Folder>) -> Self {
        Self { files, root, path: Vec::new(), levels: Vec::new() }
    }

    /// Path of the current folder; empty at the root.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Folders between the root and the current one, it included.
    pub(crate) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Steps into a folder.
    pub(crate) fn push(&mut self, name: &[u8], handle: Arc<F::Folder>) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.levels.push(Level { start: self.path.len(), handle: Some(handle) });
        self.path.extend_from_slice(name);
        if let Some(at) = self.levels.len().checked_sub(OPEN_MAX + 1)
            && let Some(level) = self.levels.get_mut(at)
        {
            level.handle = None;
        }
    }

    /// Steps out to the folder above; stays at the root.
    pub(crate) fn pop(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.path.truncate(level.start.saturating_sub(1));
        }
    }

    /// The current folder.
    pub(crate) fn current(&mut self) -> io::Result<Arc<F::Folder>> {
        let open = self.levels.iter().rposition(|level| level.handle.is_some());
        let mut handle = open
            .and_then(|at| self.levels.get(at)?.handle.clone())
            .unwrap_or_else(|| Arc::clone(&self.root));
        let next = open.map_or(0, |at| at + 1);
        if next < self.levels.len() {
            let start = self.levels.get(next).map_or(0, |level| level.start);
            let names = self.path.get(start..).unwrap_or_default();
            for name in names.split(|byte| *byte == b'/') {
                handle = Arc::new(self.files.open_folder_at(&handle, name)?);
            }
            if let Some(level) = self.levels.last_mut() {
                level.handle = Some(Arc::clone(&handle));
            }
        }
        Ok(handle)
    }

    /// Steps out until the current folder is `path` or lies above it.
    pub(crate) fn pop_to(&mut self, path: &[u8]) {
        while !self.path.is_empty() && !is_below(path, &self.path) && path != self.path {
            self.pop();
        }
    }
}

/// True when `path` lies in `folder`, at any depth.
pub(crate) fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Problem;
use crate::files::{FileKind, FileStat, Files};
use crate::filter::PathFilter;
use crate::folder_stack::FolderStack;
use crate::path::{PATH_LEN_MAX, join};

const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
/// Source: the Cache Directory Tagging Specification.
const CACHE_TAG_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// What a walk leaves out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WalkRules<'a> {
    pub(crate) excludes: &'a PathFilter,
    pub(crate) exclude_caches: bool,
    pub(crate) one_file_system: bool,
}

/// Something below the root.
pub(crate) struct WalkItem<F: Files> {
    /// The folder it lies in.
    pub(crate) parent: Arc<F::Folder>,
    /// Relative to the root.
    pub(crate) path: Vec<u8>,
    pub(crate) stat: FileStat,
    /// An opened folder; `None` for what is no folder, or cannot be opened.
    pub(crate) folder: Option<Arc<F::Folder>>,
}

/// One step of a walk.
pub(crate) enum Step<F: Files> {
    /// A path to store.
    Item(WalkItem<F>),
    /// A path that a rule leaves out.
    Excluded,
    /// A path that cannot be stored; `hides_below` when it may have entries that were not seen.
    Failed { path: Vec<u8>, problem: Problem, hides_below: bool },
}

/// Walks a folder in the order of [`crate::path::compare`], without recursion, never through a link.
pub(crate) struct Walk<'a, F: Files> {
    files: &'a F,
    rules: WalkRules<'a>,
    device: u64,
    stack: FolderStack<'a, F>,
    /// Names not yet visited of each folder on the stack, the next one last.
    names: Vec<Vec<Vec<u8>>>,
    ready: VecDeque<Step<F>>,
}

impl<'a, F: Files> Walk<'a, F> {
    /// Begins below `root`.
    pub(crate) fn new(
        files: &'a F,
        rules: WalkRules<'a>,
        root: Arc<F::Folder>,
        device: u64,
    ) -> Self {
        let stack = FolderStack::new(files, Arc::clone(&root));
        let mut walk =
            Self { files, rules, device, stack, names: Vec::new(), ready: VecDeque::new() };
        walk.list(&root);
        walk
    }

    /// Reads the names of the current folder.
    fn list(&mut self, folder: &F::Folder) {
        let mut names = match self.files.list(folder) {
            Ok(names) => names,
            Err(error) => {
                let path = self.stack.path().to_vec();
                let problem = Problem::reading(error);
                self.ready.push_back(Step::Failed { path, problem, hides_below: true });
                Vec::new()
            }
        };
        if self.rules.exclude_caches && self.is_cache(folder, &names) {
            let before = names.len();
            names.retain(|name| name == CACHE_TAG);
            self.ready.extend((names.len()..before).map(|_| Step::Excluded));
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        self.names.push(names);
    }

    fn is_cache(&self, folder: &F::Folder, names: &[Vec<u8>]) -> bool {
        if !names.iter().any(|name| name == CACHE_TAG) {
            return false;
        }
        let mut start = [0; CACHE_TAG_SIGNATURE.len()];
        let read = self
            .files
            .open_at(folder, CACHE_TAG)
            .and_then(|file| self.files.read_at(&file, 0, &mut start));
        read.is_ok() && start == *CACHE_TAG_SIGNATURE
    }

    fn visit(&mut self, name: &[u8]) -> Step<F> {
        let path = join(self.stack.path(), name);
        match self.look_at(name, &path) {
            Ok(step) => step,
            Err(problem) => {
                let hides_below = !matches!(problem, Problem::Vanished);
                Step::Failed { path, problem, hides_below }
            }
        }
    }

    fn look_at(&mut self, name: &[u8], path: &[u8]) -> Result<Step<F>, Problem> {
        if path.len() > PATH_LEN_MAX {
            return Err(Problem::NotNameable);
        }
        let parent = self.stack.current().map_err(Problem::reading)?;
        let stat = self.files.stat_at(&parent, name).map_err(Problem::reading)?;
        let is_folder = stat.kind == FileKind::Folder;
        if self.rules.excludes.matches(path, is_folder) {
            return Ok(Step::Excluded);
        }
        let is_elsewhere = self.rules.one_file_system && stat.device != self.device;
        if is_elsewhere && !is_folder {
            return Ok(Step::Excluded);
        }
        let mut folder = None;
        if is_folder && !is_elsewhere {
            match self.files.open_folder_at(&parent, name) {
                Ok(opened) => {
                    let opened = Arc::new(opened);
                    self.stack.push(name, Arc::clone(&opened));
                    self.list(&opened);
                    folder = Some(opened);
                }
                Err(error) => {
                    let (path, problem) = (path.to_vec(), Problem::reading(error));
                    self.ready.push_back(Step::Failed { path, problem, hides_below: true });
                }
            }
        }
        Ok(Step::Item(WalkItem { parent, path: path.to_vec(), stat, folder }))
    }
}

impl<F: Files> Iterator for Walk<'_, F> {
    type Item = Step<F>;

    fn next(&mut self) -> Option<Step<F>> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            match self.names.last_mut()?.pop() {
                Some(name) => return Some(self.visit(&name)),
                None => {
                    self.names.pop();
                    self.stack.pop();
                }
            }
        }
    }
}

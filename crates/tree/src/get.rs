use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use model::{Kind, Meta, Name, VertexHash};
use ouroborosdb::{At, ContentReader, Error, NAMES_PAGE_MAX, NamesQuery, Session};

use crate::error::{Failure, Problem, TreeError};
use crate::events::Outcome;
use crate::files::Files;
use crate::folder_stack::is_below;
use crate::get_folders::{Folders, finish_folders, open_path};
use crate::get_links::{LateLink, LateLinks, Links};
use crate::jobs::{Halt, Stopped, in_order};
use crate::list::{ListEntry, ListError, ListReader};
use crate::path::{check, compare, looks_like_part, split, unescape};
use crate::put_item::ItemError;
use crate::request::{GetFile, GetSummary, GetTree, Transfer, TreeSource};

/// Items a worker takes at once.
const JOB_ITEMS: usize = 32;

/// What decides how items are restored.
pub(crate) struct GetRules {
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
    /// Paths of the tree that could be taken for the part of another file.
    pub(crate) part_like: BTreeSet<Vec<u8>>,
    pub(crate) links: Mutex<Links>,
}

/// An item without entries of its own: file, link or empty folder.
pub(crate) struct Leaf<F: Files> {
    /// `None` when it does not exist, in a dry run.
    pub(crate) parent: Option<Arc<F::Folder>>,
    /// True when the folder was made by this get: nothing can be in the way.
    pub(crate) is_fresh: bool,
    pub(crate) entry: ListEntry,
}

/// What one job made.
#[derive(Default)]
pub(crate) struct JobResult {
    pub(crate) summary: GetSummary,
    /// Folders to be finished when nothing is written to them any more.
    pub(crate) folders: Vec<(Vec<u8>, Meta)>,
    pub(crate) late_links: Vec<LateLink>,
}

impl GetSummary {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.folders += other.folders;
        self.symlinks += other.symlinks;
        self.links += other.links;
        self.skipped += other.skipped;
        self.failed.extend(other.failed);
        self.bytes_written += other.bytes_written;
        self.bytes_continued += other.bytes_continued;
    }
}

impl<F: Files> Transfer<'_, F> {
    /// Restores a folder. Paths that cannot be restored are in the summary; the rest is there.
    pub fn get_tree(&self, request: &GetTree) -> Result<GetSummary, TreeError> {
        let root_meta = self.root_meta(&request.source)?;
        let mut entries = Entries::open(self, &request.source)?;
        let part_like = self.part_like(&entries)?;
        let (items, bytes) = entries.totals();
        self.events.on_totals(items, bytes);
        let failed_early = std::mem::take(&mut entries.failed);
        let dest_error = |source| TreeError::Destination { path: request.dest.clone(), source };
        let (root, is_fresh) = self.open_dest(request).map_err(dest_error)?;
        let rules = GetRules {
            force: request.force,
            dry_run: request.dry_run,
            part_like,
            links: Mutex::default(),
        };
        let mut getting = GettingTree {
            transfer: self,
            request,
            rules: &rules,
            folders: Folders::new(self.files, root.clone(), is_fresh),
        };
        let mut done = JobResult::default();
        in_order(
            self.thread_count(),
            |send| getting.produce(&mut entries, send),
            |job| self.get_job(job, &rules, &request.dest),
            |result: JobResult| {
                done.summary.add(result.summary);
                done.folders.extend(result.folders);
                done.late_links.extend(result.late_links);
            },
        )?;
        if self.events.is_interrupted() {
            return Err(TreeError::Interrupted);
        }
        let folders = getting.folders;
        done.summary.add(folders.summary);
        done.summary.failed.extend(failed_early);
        done.summary.folders += 1;
        if let Some(root) = &root
            && !request.dry_run
        {
            let late = std::mem::take(&mut done.late_links);
            let summary = &mut done.summary;
            let mut links = LateLinks { transfer: self, root, rules: &rules, summary };
            late.into_iter()
                .try_for_each(|link| links.make(link))
                .map_err(|error| at_dest(error, &request.dest))?;
            let mut metas = std::mem::take(&mut done.folders);
            self.read_folders(folders.made, &mut metas, &mut done.summary)?;
            finish_folders(self.files, root, metas, &mut done.summary);
            if let Some(meta) = root_meta {
                let target = crate::Target::<F>::Folder(root);
                crate::attributes::apply(self.files, target, &meta).map_err(dest_error)?;
            }
        } else {
            done.summary.links += done.late_links.len() as u64;
            done.summary.files += done.late_links.len() as u64;
        }
        done.summary.failed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(done.summary)
    }

    /// Restores one file or symbolic link.
    pub fn get_file(&self, request: &GetFile) -> Result<GetSummary, TreeError> {
        let dest_error = |source| TreeError::Destination { path: request.dest.clone(), source };
        let Some(name) = request.dest.file_name() else {
            return Err(dest_error(io::ErrorKind::IsADirectory.into()));
        };
        let folder = request.dest.parent().filter(|folder| *folder != Path::new(""));
        let folder = self.files.open_folder(folder.unwrap_or(Path::new(".")));
        let folder = Arc::new(folder.map_err(dest_error)?);
        let rules = GetRules {
            force: request.force,
            dry_run: request.dry_run,
            part_like: BTreeSet::new(),
            links: Mutex::default(),
        };
        let entry = ListEntry { path: name.as_bytes().to_vec(), hash: request.hash };
        let leaf = Leaf::<F> { parent: Some(folder), is_fresh: false, entry };
        let mut vertex = self.session.vertex(&request.hash)?;
        vertex.meta.link = 0;
        self.events.on_totals(1, vertex.content.len());
        let mut result = JobResult::default();
        let outcome = match vertex.meta.kind {
            Kind::Folder | Kind::Tree => Err(Problem::WrongKind.into()),
            _ => self.get_leaf(&leaf, vertex, &rules, &mut result),
        };
        match outcome {
            Ok(_) => Ok(result.summary),
            Err(ItemError::Fatal(error)) => Err(at_dest(error, &request.dest)),
            Err(ItemError::Problem(Problem::Stored(error))) => Err(error.into()),
            Err(ItemError::Problem(problem)) => {
                Err(TreeError::Item { path: request.dest.clone(), problem })
            }
        }
    }

    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(2, usize::from),
            threads => threads,
        }
    }

    /// The destination, and whether it was made now; none when a dry run would make it.
    fn open_dest(&self, request: &GetTree) -> io::Result<(Option<Arc<F::Folder>>, bool)> {
        match self.files.open_folder(&request.dest) {
            Ok(folder) => Ok((Some(Arc::new(folder)), false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if request.dry_run {
                    return Ok((None, true));
                }
                self.files.make_folder(&request.dest)?;
                Ok((Some(Arc::new(self.files.open_folder(&request.dest)?)), true))
            }
            Err(error) => Err(error),
        }
    }

    fn root_meta(&self, source: &TreeSource) -> Result<Option<Meta>, TreeError> {
        let hash = match source {
            TreeSource::Root(hash) => *hash,
            TreeSource::Names { prefix, at } => match self.session.heads(prefix, *at) {
                Ok(heads) => match heads.first() {
                    Some(head) if !head.is_tombstone => head.hash,
                    _ => return Ok(None),
                },
                Err(Error::NameUnknown { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            },
        };
        let vertex = self.session.vertex(&hash)?;
        match (source, vertex.meta.kind) {
            (TreeSource::Root(_), Kind::Tree)
            | (TreeSource::Names { .. }, Kind::Tree | Kind::Folder) => Ok(Some(vertex.meta)),
            (TreeSource::Root(_), _) => Err(TreeError::NotATree { hash }),
            (TreeSource::Names { .. }, _) => Ok(None),
        }
    }

    /// Paths of the tree that could be taken for the part of another file.
    fn part_like(&self, entries: &Entries) -> Result<BTreeSet<Vec<u8>>, TreeError> {
        let hash = match &entries.from {
            EntriesFrom::List(hash, _) => hash,
            EntriesFrom::Names(entries) => {
                let paths = entries.as_slice().iter().map(|entry| entry.path.clone());
                return Ok(paths.filter(|path| looks_like_part(path)).collect());
            }
        };
        let mut found = BTreeSet::new();
        let mut list = open_list(self.session, hash)?;
        while let Some(entry) = list.next_entry().map_err(|error| list_error(hash, error))? {
            if looks_like_part(&entry.path) {
                found.insert(entry.path);
            }
        }
        Ok(found)
    }

    fn get_job(
        &self,
        job: Vec<Leaf<F>>,
        rules: &GetRules,
        dest: &Path,
    ) -> Result<JobResult, TreeError> {
        let mut result = JobResult::default();
        for leaf in job {
            if self.events.is_interrupted() {
                return Err(TreeError::Interrupted);
            }
            let vertex = match self.session.vertex(&leaf.entry.hash) {
                Ok(vertex) => vertex,
                Err(error) => {
                    result.fail(&leaf.entry.path, Problem::Stored(error));
                    continue;
                }
            };
            let kind = vertex.meta.kind;
            let outcome = match self.get_leaf(&leaf, vertex, rules, &mut result) {
                Ok(outcome) => outcome,
                Err(ItemError::Problem(problem)) => {
                    result.fail(&leaf.entry.path, problem);
                    Outcome::Failed
                }
                Err(ItemError::Fatal(error)) => return Err(at_dest(error, dest)),
            };
            self.events.on_finished(&leaf.entry.path, kind, outcome);
        }
        Ok(result)
    }

    /// Fetches the metadata of folders that were made for what lies in them.
    fn read_folders(
        &self,
        made: Vec<(Vec<u8>, Option<VertexHash>)>,
        metas: &mut Vec<(Vec<u8>, Meta)>,
        summary: &mut GetSummary,
    ) -> Result<(), TreeError> {
        for (path, hash) in made {
            let Some(hash) = hash else {
                metas.push((path, Meta { mode: Some(0o755), ..Meta::default() }));
                continue;
            };
            match self.session.vertex(&hash) {
                Ok(vertex) if matches!(vertex.meta.kind, Kind::Folder | Kind::Tree) => {
                    metas.push((path, vertex.meta));
                }
                Ok(_) => summary.failed.push(Failure::new(&path, Problem::WrongKind)),
                Err(Error::Interrupted) => return Err(TreeError::Interrupted),
                Err(error) => summary.failed.push(Failure::new(&path, Problem::Stored(error))),
            }
        }
        Ok(())
    }
}

impl JobResult {
    fn fail(&mut self, path: &[u8], problem: Problem) {
        self.summary.failed.push(Failure::new(path, problem));
    }
}

/// Names the place below `dest` that an error is about.
fn at_dest(error: TreeError, dest: &Path) -> TreeError {
    match error {
        TreeError::Destination { path, source } if !path.is_absolute() && dest != path => {
            let below = dest.join(OsStr::from_bytes(path.as_os_str().as_bytes()));
            TreeError::Destination { path: below, source }
        }
        other => other,
    }
}

type List = ListReader<Box<dyn ContentReader>>;

/// Every version that a folder is made of, its root first; of anything else that version alone. What
/// must go along when it is given away.
pub fn versions_of(session: &dyn Session, hash: &VertexHash) -> Result<Vec<VertexHash>, TreeError> {
    let mut versions = vec![*hash];
    if session.vertex(hash)?.meta.kind == Kind::Tree {
        let mut list = open_list(session, hash)?;
        while let Some(entry) = list.next_entry().map_err(|error| list_error(hash, error))? {
            versions.push(entry.hash);
        }
    }
    Ok(versions)
}

fn open_list(session: &dyn Session, hash: &VertexHash) -> Result<List, TreeError> {
    let content = session.content(hash)?;
    ListReader::new(content).map_err(|error| list_error(hash, error))
}

fn list_error(hash: &VertexHash, error: ListError) -> TreeError {
    match error {
        ListError::Stored(error) => error.into(),
        ListError::Malformed(source) => TreeError::List { hash: *hash, source },
    }
}

/// The paths to restore, in order.
struct Entries {
    from: EntriesFrom,
    failed: Vec<Failure>,
}

enum EntriesFrom {
    List(VertexHash, Box<List>),
    Names(std::vec::IntoIter<ListEntry>),
}

impl Entries {
    fn open<F>(transfer: &Transfer<'_, F>, source: &TreeSource) -> Result<Self, TreeError> {
        match source {
            TreeSource::Root(hash) => {
                let list = Box::new(open_list(transfer.session, hash)?);
                Ok(Self { from: EntriesFrom::List(*hash, list), failed: Vec::new() })
            }
            TreeSource::Names { prefix, at } => Self::named(transfer, prefix, *at),
        }
    }

    fn named<F>(transfer: &Transfer<'_, F>, root: &Name, at: At) -> Result<Self, TreeError> {
        let prefix = format!("{root}/");
        let (mut entries, mut failed) = (Vec::new(), Vec::new());
        let mut query = NamesQuery {
            prefix: prefix.clone(),
            after: None,
            limit: NAMES_PAGE_MAX,
            at,
            with_deleted: false,
        };
        loop {
            let page = transfer.session.names(&query)?;
            let Some(last) = page.last() else { break };
            query.after = Some(last.name.clone());
            for entry in page {
                let Some(head) = entry.heads.first().filter(|head| !head.is_tombstone) else {
                    continue;
                };
                let path = unescape(entry.name.as_str().get(prefix.len()..).unwrap_or_default());
                match check(&path) {
                    Ok(()) => entries.push(ListEntry { path, hash: head.hash }),
                    Err(_) => failed.push(Failure::new(&path, Problem::UnsafePath)),
                }
            }
        }
        if entries.is_empty() && transfer.session.heads(root, at).is_err() {
            return Err(Error::NameUnknown { name: root.clone() }.into());
        }
        entries.sort_by(|a, b| compare(&a.path, &b.path));
        Ok(Self { from: EntriesFrom::Names(entries.into_iter()), failed })
    }

    /// Items with the root, and bytes as far as known.
    fn totals(&self) -> (u64, u64) {
        match &self.from {
            EntriesFrom::List(_, list) => (list.left.saturating_add(1), list.bytes_total),
            EntriesFrom::Names(entries) => (entries.len() as u64 + 1, 0),
        }
    }

    fn next(&mut self) -> Result<Option<ListEntry>, TreeError> {
        match &mut self.from {
            EntriesFrom::List(hash, list) => {
                list.next_entry().map_err(|error| list_error(hash, error))
            }
            EntriesFrom::Names(entries) => Ok(entries.next()),
        }
    }
}

/// A tree on its way out.
struct GettingTree<'a, F: Files> {
    transfer: &'a Transfer<'a, F>,
    request: &'a GetTree,
    rules: &'a GetRules,
    folders: Folders<'a, F>,
}

impl<F: Files> GettingTree<'_, F> {
    fn produce(
        &mut self,
        entries: &mut Entries,
        send: &mut dyn FnMut(Vec<Leaf<F>>) -> Result<(), Stopped>,
    ) -> Result<(), Halt<TreeError>> {
        let mut job = Vec::with_capacity(JOB_ITEMS);
        let mut next = entries.next().map_err(Halt::Failed)?;
        while let Some(entry) = next {
            if self.transfer.events.is_interrupted() {
                return Err(Halt::Failed(TreeError::Interrupted));
            }
            next = entries.next().map_err(Halt::Failed)?;
            if next.as_ref().is_some_and(|next| is_below(&next.path, &entry.path)) {
                self.folders.announce(entry);
                continue;
            }
            if !self.is_included(&entry).map_err(Halt::Failed)? {
                continue;
            }
            if let Some(leaf) = self.place(entry).map_err(Halt::Failed)? {
                job.push(leaf);
            }
            if job.len() == JOB_ITEMS {
                send(std::mem::replace(&mut job, Vec::with_capacity(JOB_ITEMS)))?;
            }
        }
        if !job.is_empty() {
            send(job)?;
        }
        Ok(())
    }

    fn is_included(&self, entry: &ListEntry) -> Result<bool, TreeError> {
        let include = &self.request.include;
        if include.is_empty() || include.covers(&entry.path, false) {
            return Ok(true);
        }
        if !include.covers(&entry.path, true) {
            return Ok(false);
        }
        // Matched as a folder only; whether it is one, its version tells.
        Ok(self.transfer.session.vertex(&entry.hash)?.meta.kind == Kind::Folder)
    }

    fn place(&mut self, entry: ListEntry) -> Result<Option<Leaf<F>>, TreeError> {
        let (parent, _) = split(&entry.path);
        if self.rules.dry_run {
            self.folders.count(parent);
            let root = self.folders.root();
            let parent = root.and_then(|root| open_path(self.transfer.files, &root, parent).ok());
            return Ok(Some(Leaf { parent, is_fresh: false, entry }));
        }
        match self.folders.enter(parent, self.rules.force) {
            Ok((parent, is_fresh)) => Ok(Some(Leaf { parent: Some(parent), is_fresh, entry })),
            Err(ItemError::Problem(problem)) => {
                self.folders.summary.failed.push(Failure::new(&entry.path, problem));
                Ok(None)
            }
            Err(ItemError::Fatal(error)) => Err(at_dest(error, &self.request.dest)),
        }
    }
}

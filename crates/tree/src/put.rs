use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

use model::hash::hash;
use model::{GroupId, Kind, Meta, Name, VertexHash};
use ouroborosdb::{Ack, At, Error, Put, PutRequest, Silent};

use crate::error::{Failure, Problem, TreeError};
use crate::events::{Outcome, StopOnly};
use crate::files::{FileKind, FileStat, Files};
use crate::jobs::{Halt, in_order};
use crate::list::ListBuilder;
use crate::path::{escape, split};
use crate::put_item::{ItemError, Place, Stored};
use crate::request::{PutFile, PutOptions, PutSummary, PutTree, Transfer};
use crate::run::Run;
use crate::skip::{CachedFile, KnownNames, SourceKey};
use crate::walk::{Step, Walk, WalkItem, WalkRules};

/// Items a worker takes at once: enough that handing over costs nothing, few enough that two
/// workers end together.
const JOB_ITEMS: usize = 32;

/// The hard links inside one tree: (device, inode) to its number, for files met more than once.
type Links = BTreeMap<(u64, u64), u64>;

impl<F: Files> Transfer<'_, F> {
    /// Stores a folder. Paths that cannot be read are in the summary; the rest is stored.
    pub fn put_tree(&self, request: &PutTree) -> Result<PutSummary, TreeError> {
        let source_error = |source| TreeError::Source { path: request.source.clone(), source };
        let source = self.files.resolve(&request.source).map_err(source_error)?;
        let handle = Arc::new(self.files.open_folder(&source).map_err(source_error)?);
        let stat = self.files.stat_folder(&handle).map_err(source_error)?;
        let root = RootFolder { handle, stat };
        self.check_head(&request.name, &request.options)?;
        let key = SourceKey::new(&source, &request.name);
        let known = KnownNames::load(self.session, &request.name)?;
        let links = self.scan(&request.options, &root)?;
        let run =
            if request.options.dry_run { None } else { Some(Run::begin(self.session, &key)?) };
        let putting = PuttingTree {
            transfer: self,
            options: &request.options,
            name: &request.name,
            key,
            group: run.as_ref().map_or_else(|| key.dry_group(), |run| run.group),
            known,
            links,
            large: Mutex::new(()),
        };
        let result = putting.run(&root);
        if let Some(run) = run {
            match &result {
                Ok(_) => run.end(self.session)?,
                // The reason to stop is what the caller must know; without this the next try
                // reads more, nothing else.
                Err(_) => run.pause(self.session).unwrap_or_default(),
            }
        }
        result
    }

    /// Stores one regular file with its attributes.
    pub fn put_file(&self, request: &PutFile) -> Result<PutSummary, TreeError> {
        let options = &request.options;
        let source_error = |source| TreeError::Source { path: request.source.clone(), source };
        let source = self.files.resolve(&request.source).map_err(source_error)?;
        let (Some(folder), Some(name)) = (source.parent(), source.file_name()) else {
            return Err(source_error(io::ErrorKind::IsADirectory.into()));
        };
        let folder = self.files.open_folder(folder).map_err(source_error)?;
        let place = Place { parent: &folder, name: name.as_bytes(), path: name.as_bytes() };
        let stat = self.files.stat_at(place.parent, place.name).map_err(source_error)?;
        self.events.on_totals(1, stat.len);
        self.events.on_started(place.path, stat.len);
        let mut put = PutRequest {
            name: request.name.clone(),
            parents: options.parents.clone(),
            expect_head: options.expect_head,
            meta: Meta { message: options.message.clone(), ..Meta::default() },
            ack: options.ack,
            dry_run: options.dry_run,
            ..PutRequest::default()
        };
        let mut summary = PutSummary { files: 1, ..PutSummary::default() };
        let stored = self.put_content(&place, &mut put, &Mutex::new(()), &mut summary);
        let stored = stored.map_err(|error| match error {
            ItemError::Fatal(error) => error,
            ItemError::Problem(Problem::Unreadable(source)) => source_error(source),
            ItemError::Problem(Problem::Vanished) => source_error(io::ErrorKind::NotFound.into()),
            ItemError::Problem(problem) => {
                TreeError::Item { path: request.source.clone(), problem }
            }
        })?;
        self.events.on_finished(place.path, Kind::File, Outcome::Done);
        summary.close(&stored.put);
        Ok(summary)
    }

    /// Fails early when the root could not be put in the end.
    fn check_head(&self, name: &Name, options: &PutOptions) -> Result<(), TreeError> {
        let Some(expected) = options.expect_head else { return Ok(()) };
        let heads = match self.session.heads(name, At::Now) {
            Ok(heads) => heads.iter().map(|head| head.hash).collect(),
            Err(Error::NameUnknown { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        if heads == [expected] {
            return Ok(());
        }
        Err(Error::HeadMoved { expected, heads }.into())
    }

    fn walk<'b>(&'b self, options: &'b PutOptions, root: &RootFolder<F>) -> Walk<'b, F> {
        let rules = WalkRules {
            excludes: &options.excludes,
            exclude_caches: options.exclude_caches,
            one_file_system: options.one_file_system,
        };
        Walk::new(self.files, rules, Arc::clone(&root.handle), root.stat.device)
    }

    /// Counts what is there and finds hard links.
    fn scan(&self, options: &PutOptions, root: &RootFolder<F>) -> Result<Links, TreeError> {
        let (mut items, mut bytes) = (1, 0u64);
        let mut first_paths: BTreeMap<(u64, u64), (Vec<u8>, bool)> = BTreeMap::new();
        for step in self.walk(options, root) {
            if self.events.is_interrupted() {
                return Err(TreeError::Interrupted);
            }
            let Step::Item(item) = step else { continue };
            items += 1;
            if item.stat.kind == FileKind::File {
                bytes = bytes.saturating_add(item.stat.len);
                if item.stat.is_linked {
                    first_paths
                        .entry((item.stat.device, item.stat.inode))
                        .and_modify(|(_, is_repeated)| *is_repeated = true)
                        .or_insert((item.path, false));
                }
            }
        }
        self.events.on_totals(items, bytes);
        let repeated = first_paths.into_iter().filter(|(_, (_, is_repeated))| *is_repeated);
        Ok(repeated.map(|(file, (path, _))| (file, link_number(&path))).collect())
    }
}

/// The number of a group of hard links: of its first path, so that other groups do not change it.
/// 48 bits; restoring compares contents before it links, so chance does no harm.
fn link_number(first_path: &[u8]) -> u64 {
    let [a, b, c, d, e, f, ..] = hash("tree-link", &[first_path]);
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0]).max(1)
}

impl PutSummary {
    fn close(&mut self, put: &Put) {
        self.hash = Some(put.hash);
        self.is_new = put.is_new;
        self.level = put.level;
    }

    fn fail(&mut self, path: &[u8], problem: Problem) {
        self.failed.push(Failure::new(path, problem));
    }
}

/// The folder that is put.
struct RootFolder<F: Files> {
    handle: Arc<F::Folder>,
    stat: FileStat,
}

/// A tree on its way in.
struct PuttingTree<'a, F: Files> {
    transfer: &'a Transfer<'a, F>,
    options: &'a PutOptions,
    name: &'a Name,
    key: SourceKey,
    group: GroupId,
    known: KnownNames,
    links: Links,
    /// Held while a large file is put.
    large: Mutex<()>,
}

/// What one job made.
#[derive(Default)]
struct JobResult {
    /// Path, version, bytes.
    entries: Vec<(Vec<u8>, VertexHash, u64)>,
    summary: PutSummary,
    members_new: u64,
    remembered: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the walk itself found.
#[derive(Default)]
struct Walked {
    summary: PutSummary,
    /// Folders whose entries are not known.
    unread: BTreeSet<String>,
}

impl<F: Files> PuttingTree<'_, F> {
    fn run(&self, root: &RootFolder<F>) -> Result<PutSummary, TreeError> {
        let mut walked = Walked::default();
        let mut list = ListBuilder::default();
        let mut summary = PutSummary { folders: 1, ..PutSummary::default() };
        let mut members_new = 0;
        in_order(
            self.transfer.thread_count(),
            |send| self.produce(root, &mut walked, send),
            |job| self.put_job(job),
            |result: JobResult| {
                members_new += result.members_new;
                summary.add(result.summary);
                result.entries.iter().for_each(|(path, hash, len)| list.push(path, hash, *len));
            },
        )?;
        if self.transfer.events.is_interrupted() {
            return Err(TreeError::Interrupted);
        }
        summary.add(walked.summary);
        if !self.options.keep_missing {
            summary.tombstones = self.delete_missing(&walked.unread)?;
        }
        let has_members = members_new + summary.tombstones > 0;
        self.put_root(root, &list, has_members, &mut summary)?;
        summary.failed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(summary)
    }

    fn produce(
        &self,
        root: &RootFolder<F>,
        walked: &mut Walked,
        send: &mut dyn FnMut(Vec<WalkItem<F>>) -> Result<(), crate::jobs::Stopped>,
    ) -> Result<(), Halt<TreeError>> {
        let mut job = Vec::with_capacity(JOB_ITEMS);
        let transfer = self.transfer;
        for step in transfer.walk(self.options, root) {
            if transfer.events.is_interrupted() {
                return Err(Halt::Failed(TreeError::Interrupted));
            }
            match step {
                Step::Item(item) => job.push(item),
                Step::Excluded => walked.summary.excluded += 1,
                Step::Failed { path, problem, hides_below } => {
                    if let Ok(name) = self.member_name(&path) {
                        self.known.mark_seen(&name);
                    }
                    walked.summary.fail(&path, problem);
                    if hides_below {
                        walked.unread.insert(escape(&path));
                    }
                }
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

    fn member_name(&self, path: &[u8]) -> Result<Name, Problem> {
        self.name.join(&escape(path)).map_err(|_| Problem::NotNameable)
    }

    fn put_job(&self, job: Vec<WalkItem<F>>) -> Result<JobResult, TreeError> {
        let mut result = JobResult::default();
        let done = job.iter().try_for_each(|item| self.put_step(item, &mut result));
        // Also when it was stopped: a later try must know what is in the group already, or the
        // same name would get two heads.
        if !result.remembered.is_empty() && !self.options.dry_run {
            self.transfer.session.remember(&result.remembered)?;
        }
        result.remembered.clear();
        done.map(|()| result)
    }

    fn put_step(&self, item: &WalkItem<F>, result: &mut JobResult) -> Result<(), TreeError> {
        if self.transfer.events.is_interrupted() {
            return Err(TreeError::Interrupted);
        }
        let kind = match item.stat.kind {
            FileKind::File => Kind::File,
            FileKind::Folder => Kind::Folder,
            FileKind::Symlink => Kind::Symlink,
            FileKind::Special => {
                result.summary.special_skipped += 1;
                return Ok(());
            }
        };
        let outcome = match self.put_item(item, result) {
            Ok(outcome) => outcome,
            Err(ItemError::Problem(problem)) => {
                result.summary.fail(&item.path, problem);
                Outcome::Failed
            }
            Err(ItemError::Fatal(error)) => return Err(error),
        };
        self.transfer.events.on_finished(&item.path, kind, outcome);
        Ok(())
    }

    fn put_item(&self, item: &WalkItem<F>, result: &mut JobResult) -> Result<Outcome, ItemError> {
        let name = self.member_name(&item.path)?;
        self.known.mark_seen(&name);
        let link = self.links.get(&(item.stat.device, item.stat.inode)).copied().unwrap_or(0);
        let link = if item.stat.kind == FileKind::File { link } else { 0 };
        let key = self.key.cache_key(&item.path);
        let mut request = PutRequest {
            group: self.group,
            ack: Ack::Deferred,
            dry_run: self.options.dry_run,
            meta: Meta { link, ..Meta::default() },
            ..PutRequest::default()
        };
        let cached = self.transfer.session.cached(&key)?;
        if let Some(cached) = cached.and_then(|bytes| CachedFile::decode(&bytes).ok()) {
            let is_pending = cached.group == self.group
                && self.transfer.session.is_usable(&cached.hash, self.group)?;
            let is_unchanged = !self.options.force && cached.is_unchanged(&item.stat, link);
            if is_unchanged && (is_pending || self.known.is_head(&name, &cached.hash)) {
                self.skip(item, &cached.hash, result);
                return Ok(Outcome::Skipped);
            }
            if is_pending && !self.options.dry_run {
                // Put by a try that did not end: no head yet, but it will be one.
                request.parents = vec![cached.hash];
            }
        }
        request.name = Some(name);
        let now = (self.transfer.clock)();
        self.transfer.events.on_started(&item.path, item.stat.len);
        let stored = self.put_new(item, &mut request, &mut result.summary)?;
        let cached = CachedFile {
            // What was there before is no member of this group.
            group: if stored.put.is_new { self.group } else { GroupId::NONE },
            ..CachedFile::new(&stored.stat, link, stored.put.hash, now)
        };
        let is_settled = cached.is_settled && stored.is_settled;
        result.remembered.push((key, CachedFile { is_settled, ..cached }.encode()));
        result.members_new += u64::from(stored.put.is_new);
        let len = if stored.stat.kind == FileKind::File { stored.stat.len } else { 0 };
        result.entries.push((item.path.clone(), stored.put.hash, len));
        Ok(Outcome::Done)
    }

    fn skip(&self, item: &WalkItem<F>, hash: &VertexHash, result: &mut JobResult) {
        let mut len = 0;
        match item.stat.kind {
            FileKind::Folder => result.summary.folders += 1,
            FileKind::Symlink => result.summary.symlinks += 1,
            FileKind::File | FileKind::Special => {
                len = item.stat.len;
                result.summary.files += 1;
                result.summary.skipped += 1;
                self.transfer.events.on_bytes(len);
            }
        }
        result.entries.push((item.path.clone(), *hash, len));
    }

    fn put_new(
        &self,
        item: &WalkItem<F>,
        request: &mut PutRequest,
        summary: &mut PutSummary,
    ) -> Result<Stored, ItemError> {
        let transfer = self.transfer;
        let place = Place { parent: &*item.parent, name: split(&item.path).1, path: &item.path };
        let put = match item.stat.kind {
            FileKind::File | FileKind::Special => {
                let stored = transfer.put_content(&place, request, &self.large, summary)?;
                summary.files += 1;
                return Ok(stored);
            }
            FileKind::Folder => {
                let meta = transfer.folder_meta(item.folder.as_deref(), &item.stat);
                let put = transfer.put_folder(&item.path, meta, request, summary)?;
                summary.folders += 1;
                put
            }
            FileKind::Symlink => {
                let put = transfer.put_symlink(&place, &item.stat, request, summary)?;
                summary.symlinks += 1;
                put
            }
        };
        Ok(Stored { put, stat: item.stat, is_settled: true })
    }

    /// Tombstones for names whose paths are gone.
    fn delete_missing(&self, unread: &BTreeSet<String>) -> Result<u64, TreeError> {
        let session = self.transfer.session;
        let mut tombstones = 0;
        self.known.each_missing(session, unread, |name| {
            let request = PutRequest {
                meta: Meta { kind: Kind::Tombstone, ..Meta::default() },
                group: self.group,
                ack: Ack::Deferred,
                dry_run: self.options.dry_run,
                ..PutRequest::default()
            };
            tombstones += 1;
            session.delete(name, &request).map(drop)
        })?;
        Ok(tombstones)
    }

    fn put_root(
        &self,
        root: &RootFolder<F>,
        list: &ListBuilder,
        has_members: bool,
        summary: &mut PutSummary,
    ) -> Result<(), TreeError> {
        let (meta, is_whole) = self.transfer.folder_meta(Some(&root.handle), &root.stat);
        if !is_whole {
            summary.fail(&[], Problem::AttributesLeftOut);
        }
        let message = self.options.message.clone();
        let mut request = PutRequest {
            name: Some(self.name.clone()),
            parents: self.options.parents.clone(),
            expect_head: self.options.expect_head,
            meta: Meta { kind: Kind::Tree, message, ..meta },
            closes: self.group,
            ack: self.options.ack,
            dry_run: self.options.dry_run,
            ..PutRequest::default()
        };
        let session = self.transfer.session;
        let watch = StopOnly(self.transfer.events);
        let mut put = session.put(&request, &mut list.content(), &watch)?;
        summary.count_bytes(&put);
        if !put.is_new && has_members && !self.options.dry_run {
            // The root is what it was, but something must close the group.
            request.parents = vec![put.hash];
            request.expect_head = None;
            put = session.put(&request, &mut list.content(), &Silent)?;
            summary.count_bytes(&put);
        }
        summary.close(&put);
        Ok(())
    }
}

//! What is on a simulated disk: what surely survives, what reads see, and what lies in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use rustix::io::Errno;

use crate::disk::{DirEntry, Space};
use crate::disk_path::split_path;

use super::AfterFailedSync;
use super::content::{Content, SIM_FILE_LEN_MAX};
use super::image::Moment;

pub(super) type Inode = u64;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(Inode),
}

/// Names and contents as one observer sees them. Cloning shares everything.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub(super) names: Arc<BTreeMap<Arc<str>, Node>>,
    pub(super) files: Arc<BTreeMap<Inode, Arc<Content>>>,
}

/// One name that comes to stand for something else, or for nothing.
#[derive(Debug, Clone)]
pub(super) struct EntryChange {
    pub(super) path: Arc<str>,
    pub(super) node: Option<Node>,
}

/// One change that no sync has made durable yet.
#[derive(Debug)]
pub(super) enum Unsynced {
    Write {
        inode: Inode,
        offset: usize,
        data: Arc<[u8]>,
    },
    SetLen {
        inode: Inode,
        len: usize,
    },
    /// Survives a crash wholly or not at all.
    Entries(Vec<EntryChange>),
}

impl Unsynced {
    /// The file whose content changes.
    pub(super) const fn inode(&self) -> Option<Inode> {
        match self {
            Self::Write { inode, .. } | Self::SetLen { inode, .. } => Some(*inode),
            Self::Entries(_) => None,
        }
    }
}

impl View {
    pub(super) fn node(&self, path: &str) -> Option<Node> {
        if path.is_empty() { Some(Node::Dir) } else { self.names.get(path).copied() }
    }

    /// `None` for a file without any durable content yet.
    pub(super) fn content(&self, inode: Inode) -> Option<&Arc<Content>> {
        self.files.get(&inode)
    }

    pub(super) fn content_mut(&mut self, inode: Inode) -> &mut Content {
        Arc::make_mut(Arc::make_mut(&mut self.files).entry(inode).or_default())
    }

    pub(super) fn apply(&mut self, change: &Unsynced) {
        match change {
            Unsynced::Write { inode, offset, data } => {
                self.content_mut(*inode).write_shared(*offset, data);
            }
            Unsynced::SetLen { inode, len } => self.content_mut(*inode).set_len(*len),
            Unsynced::Entries(changes) => changes.iter().for_each(|change| self.name(change)),
        }
    }

    /// Entries of an existing folder, sorted by name.
    pub(super) fn entries_of(&self, dir: &str) -> Vec<DirEntry> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let below = self.names.range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded));
        below
            .map_while(|(path, node)| Some((path.strip_prefix(&prefix)?, node)))
            .filter(|(name, _)| !name.contains('/'))
            .map(|(name, node)| {
                let (len, is_dir) = match node {
                    Node::File(inode) => (self.content(*inode).map_or(0, |c| c.len()), false),
                    Node::Dir => (0, true),
                };
                DirEntry { name: name.to_owned(), len: len as u64, is_dir }
            })
            .collect()
    }

    /// Lets a name stand for something else.
    fn name(&mut self, change: &EntryChange) {
        let names = Arc::make_mut(&mut self.names);
        match change.node {
            Some(node) => names.insert(Arc::clone(&change.path), node),
            None => names.remove(&change.path),
        };
    }

    /// Drops names whose folder is gone and contents without a name.
    pub(super) fn prune(&mut self) {
        let mut lost = BTreeSet::new();
        let mut named = BTreeSet::new();
        for (path, node) in &*self.names {
            // A folder sorts before all that lies in it.
            let dir = split_path(path).0;
            if lost.contains(dir) || self.node(dir) != Some(Node::Dir) {
                lost.insert(Arc::clone(path));
            } else if let Node::File(inode) = node {
                named.insert(*inode);
            }
        }
        if !lost.is_empty() {
            Arc::make_mut(&mut self.names).retain(|path, _| !lost.contains(path));
        }
        if self.files.keys().any(|inode| !named.contains(inode)) {
            Arc::make_mut(&mut self.files).retain(|inode, _| named.contains(inode));
        }
    }
}

/// Everything behind one simulated disk.
#[derive(Debug)]
pub(super) struct State {
    pub(super) moment: Moment,
    /// What reads see.
    pub(super) cache: View,
    pub(super) next_inode: Inode,
    pub(super) locks: BTreeSet<Inode>,
    pub(super) operations: u64,
    pub(super) crash_at: Option<u64>,
    pub(super) bytes_total: u64,
    /// Moments by the operation that led to them; none while nothing is recorded.
    pub(super) recorded: Option<Vec<Moment>>,
}

impl State {
    /// A disk just switched on: `cache` may hold more than is durable only after a process crash.
    pub(super) const fn started(moment: Moment, cache: View, next_inode: Inode) -> Self {
        Self {
            moment,
            cache,
            next_inode,
            locks: BTreeSet::new(),
            operations: 0,
            crash_at: None,
            bytes_total: 1 << 40,
            recorded: None,
        }
    }

    /// Counts one operation and fails it when the crash has come.
    pub(super) fn step(&mut self) -> io::Result<()> {
        if self.crash_at.is_some_and(|at| self.operations + 1 >= at) {
            return Err(io::Error::other("simulated power loss"));
        }
        self.operations += 1;
        Ok(())
    }

    /// Keeps the present moment when recording.
    pub(super) fn keep(&mut self) {
        self.moment.operations = self.operations;
        if let Some(recorded) = &mut self.recorded {
            recorded.push(self.moment.kept(&self.cache));
        }
    }

    /// Lets reads see a change, which stays unsynced.
    pub(super) fn change(&mut self, change: Unsynced) {
        self.cache.apply(&change);
        Arc::make_mut(&mut self.moment.unsynced).push(Arc::new(change));
        self.keep();
    }

    pub(super) fn entries<const N: usize>(&mut self, changes: [(&str, Option<Node>); N]) {
        let changes = changes.map(|(path, node)| EntryChange { path: path.into(), node });
        self.change(Unsynced::Entries(changes.into()));
    }

    /// Makes what is unsynced of a file durable.
    pub(super) fn sync(&mut self, inode: Inode) {
        let moment = &mut self.moment;
        if moment.estranged.contains(&inode) {
            for change in moment.unsynced.iter().filter(|change| change.inode() == Some(inode)) {
                moment.durable.apply(change);
            }
        } else if let Some(content) = self.cache.content(inode) {
            Arc::make_mut(&mut moment.durable.files).insert(inode, Arc::clone(content));
        }
        moment.forget(inode);
        self.keep();
    }

    /// Makes the unsynced entries of a folder durable. The half of a rename that lies in another
    /// folder stays unsynced.
    pub(super) fn sync_dir(&mut self, dir: &str) {
        let moment = &mut self.moment;
        for change in moment.take_entries(dir) {
            moment.durable.name(&change);
        }
        self.keep();
    }

    /// Marks the unsynced pages of a file clean without saving them.
    pub(super) fn lose_unsynced(&mut self, inode: Inode, after: AfterFailedSync) {
        if after == AfterFailedSync::StillDirty {
            return;
        }
        if after == AfterFailedSync::CleanOld {
            // The length lives in the inode, which stays as it is.
            let len = self.cache.content(inode).map_or(0, |content| content.len());
            let mut old = self.moment.durable.content(inode).cloned().unwrap_or_default();
            Arc::make_mut(&mut old).set_len(len);
            Arc::make_mut(&mut self.cache.files).insert(inode, old);
        }
        self.moment.forget(inode);
        self.moment.estranged.insert(inode);
        self.keep();
    }

    pub(super) fn file(&self, path: &str) -> io::Result<Inode> {
        match self.cache.node(path) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Dir) => Err(Errno::ISDIR.into()),
            None => Err(self.missing(path)),
        }
    }

    /// Why a path leads nowhere.
    fn missing(&self, path: &str) -> io::Error {
        match self.cache.node(split_path(path).0) {
            Some(Node::File(_)) => Errno::NOTDIR.into(),
            Some(Node::Dir) | None => Errno::NOENT.into(),
        }
    }

    pub(super) fn dir(&self, dir: &str) -> io::Result<()> {
        match self.cache.node(dir) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(Errno::NOTDIR.into()),
            None => Err(Errno::NOENT.into()),
        }
    }

    pub(super) fn create(&mut self, path: &str) -> io::Result<Inode> {
        match self.cache.node(path) {
            Some(_) => return Err(Errno::EXIST.into()),
            None => self.dir(split_path(path).0)?,
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        Arc::make_mut(&mut self.cache.files).insert(inode, Arc::default());
        self.entries([(path, Some(Node::File(inode)))]);
        Ok(inode)
    }

    pub(super) fn space(&self) -> Space {
        let used = |inode| self.cache.content(inode).map_or(0, |content| content.len() as u64);
        let bytes_used: u64 = self
            .cache
            .names
            .values()
            .map(|node| match node {
                Node::File(inode) => used(*inode),
                Node::Dir => 0,
            })
            .sum();
        let bytes_total = self.bytes_total;
        Space { bytes_free: bytes_total.saturating_sub(bytes_used), bytes_total }
    }

    /// Checks that a file may become `len` bytes long.
    pub(super) fn check_len(&self, inode: Inode, len: u64) -> io::Result<usize> {
        if len > SIM_FILE_LEN_MAX {
            return Err(Errno::FBIG.into());
        }
        let old = self.cache.content(inode).map_or(0, |content| content.len() as u64);
        if len > old && len - old > self.space().bytes_free {
            return Err(Errno::NOSPC.into());
        }
        usize::try_from(len).map_err(|_| Errno::FBIG.into())
    }
}

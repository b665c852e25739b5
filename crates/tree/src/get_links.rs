//! Hard links on their way out: the first path of a group is restored as a file, the others are
//! linked to it when all files are there.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};

use model::Vertex;

use crate::TreeError;
use crate::error::Failure;
use crate::files::Files;
use crate::get::{GetRules, Leaf};
use crate::get_file::InTheWay;
use crate::get_folders::{open_path, writing};
use crate::list::ListEntry;
use crate::path::{join, part_name, split};
use crate::put_item::ItemError;
use crate::request::{GetSummary, Transfer};

/// The first path of each group.
pub(crate) type Links = BTreeMap<u64, ListEntry>;

/// Another path of a group.
pub(crate) struct LateLink {
    pub(crate) entry: ListEntry,
    pub(crate) vertex: Box<Vertex>,
}

impl<F: Files> Transfer<'_, F> {
    /// True for the path of a group that is restored as a file.
    pub(crate) fn is_first_link(&self, leaf: &Leaf<F>, vertex: &Vertex, rules: &GetRules) -> bool {
        let mut links = rules.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.contains_key(&vertex.meta.link) {
            return false;
        }
        links.insert(vertex.meta.link, leaf.entry.clone());
        true
    }
}

/// Makes the links that had to wait.
pub(crate) struct LateLinks<'a, F: Files> {
    pub(crate) transfer: &'a Transfer<'a, F>,
    pub(crate) root: &'a Arc<F::Folder>,
    pub(crate) rules: &'a GetRules,
    pub(crate) summary: &'a mut GetSummary,
}

impl<F: Files> LateLinks<'_, F> {
    /// Links a path to the first of its group, or restores it by itself when that cannot be.
    pub(crate) fn make(&mut self, link: LateLink) -> Result<(), TreeError> {
        if self.transfer.events.is_interrupted() {
            return Err(TreeError::Interrupted);
        }
        let LateLink { entry, vertex } = link;
        let done = match self.first_of(&vertex) {
            Some(first) => match self.link(&first, &entry, &vertex) {
                Err(LinkError::NotPossible) => self.copy(entry.clone(), *vertex),
                Err(LinkError::Item(error)) => Err(error),
                Ok(()) => Ok(()),
            },
            None => self.copy(entry.clone(), *vertex),
        };
        match done {
            Ok(()) => Ok(()),
            Err(ItemError::Problem(problem)) => {
                self.summary.failed.push(Failure::new(&entry.path, problem));
                Ok(())
            }
            Err(ItemError::Fatal(error)) => Err(error),
        }
    }

    /// The first path of the group, when it truly is the same file: numbers may meet by chance.
    fn first_of(&self, vertex: &Vertex) -> Option<ListEntry> {
        let links = self.rules.links.lock().unwrap_or_else(PoisonError::into_inner);
        let first = links.get(&vertex.meta.link).cloned()?;
        drop(links);
        let other = self.transfer.session.vertex(&first.hash).ok()?;
        (other.content == vertex.content && other.meta == vertex.meta).then_some(first)
    }

    fn link(
        &mut self,
        first: &ListEntry,
        entry: &ListEntry,
        vertex: &Vertex,
    ) -> Result<(), LinkError> {
        let files = self.transfer.files;
        let not_possible = |_| LinkError::NotPossible;
        let (from_path, from_name) = split(&first.path);
        let (to_path, to_name) = split(&entry.path);
        let from = open_path(files, self.root, from_path).map_err(not_possible)?;
        let to = open_path(files, self.root, to_path).map_err(not_possible)?;
        let source = files.stat_at(&from, from_name).map_err(not_possible)?;
        let leaf = Leaf { parent: Some(Arc::clone(&to)), is_fresh: false, entry: entry.clone() };
        let len = vertex.content.len();
        let in_the_way = self.transfer.in_the_way(&leaf, &vertex.meta, len, self.rules)?;
        self.transfer.events.on_bytes(len);
        if let Ok(there) = files.stat_at(&to, to_name)
            && (there.device, there.inode) == (source.device, source.inode)
        {
            self.summary.files += 1;
            self.summary.skipped += 1;
            return Ok(());
        }
        let is_taken = |part: &[u8]| self.rules.part_like.contains(&join(to_path, part));
        let part = part_name(to_name, is_taken);
        if let Err(error) = files.make_link_at((&from, from_name), (&to, &part)) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(LinkError::NotPossible);
            }
            files.remove_at(&to, &part).map_err(not_possible)?;
            files.make_link_at((&from, from_name), (&to, &part)).map_err(not_possible)?;
        }
        let replace = in_the_way != InTheWay::Nothing;
        self.transfer.put_in_place(&to, &part, &entry.path, replace)?;
        self.summary.files += 1;
        self.summary.links += 1;
        Ok(())
    }

    fn copy(&mut self, entry: ListEntry, vertex: Vertex) -> Result<(), ItemError> {
        let (folder, _) = split(&entry.path);
        let parent = open_path(self.transfer.files, self.root, folder)
            .map_err(|error| writing(&entry.path, error))?;
        let leaf = Leaf { parent: Some(parent), is_fresh: false, entry };
        self.transfer.get_content(&leaf, vertex, self.rules, self.summary).map(drop)
    }
}

/// Why a path was not linked.
enum LinkError {
    /// The filesystem does not, or the first path is not there: a copy does it too.
    NotPossible,
    Item(ItemError),
}

impl From<ItemError> for LinkError {
    fn from(error: ItemError) -> Self {
        Self::Item(error)
    }
}

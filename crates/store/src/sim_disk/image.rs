//! What a crash leaves of a simulated disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::disk_path::split_path;
use crate::sim_random::SimRandom;

use super::content::Content;
use super::state::{EntryChange, Inode, Unsynced, View};

/// Which unsynced changes survive a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageKind {
    /// The process dies and the machine lives on: reads see everything, and what was unsynced
    /// still is, so that a later crash of the machine can take it.
    Process,
    /// Only what was synced.
    None,
    /// Everything.
    All,
    /// The first so many changes, over all files and folders in order.
    Prefix,
    /// Any set of 512-byte sectors of the writes; file lengths survive on their own.
    Sector512,
    /// Any set of 4096-byte sectors of the writes; file lengths survive on their own.
    Sector4096,
    /// Any set of single bytes of the writes; file lengths survive on their own.
    ByteSubset,
    /// Any set of whole changes, over all files and folders, in any order.
    Reorder,
    /// Lengths and entries survive, data does not: where a file grew there are zeros or garbage.
    SizeWithoutData,
    /// Data survives, creations, renames and removals are lost one by one.
    LostDirEntry,
}

impl ImageKind {
    /// Every kind in which the machine crashes.
    pub const MACHINE: [Self; 9] = [
        Self::None,
        Self::All,
        Self::Prefix,
        Self::Sector512,
        Self::Sector4096,
        Self::ByteSubset,
        Self::Reorder,
        Self::SizeWithoutData,
        Self::LostDirEntry,
    ];
}

/// What is needed to make images of a disk as it is after one operation.
#[derive(Debug, Clone, Default)]
pub(super) struct Moment {
    pub(super) operations: u64,
    /// What surely survives.
    pub(super) durable: View,
    /// What may survive, oldest first.
    pub(super) unsynced: Arc<Vec<Arc<Unsynced>>>,
    /// Files of which reads see what no sync will ever save: one failed and the pages were marked
    /// clean.
    pub(super) estranged: BTreeSet<Inode>,
    /// What reads see, where that is not simply everything durable and unsynced together.
    pub(super) cache: Option<View>,
    /// The same for the entries of any folder.
    pub(super) names_estranged: bool,
}

impl Moment {
    /// This moment for the record.
    pub(super) fn kept(&self, cache: &View) -> Self {
        let strange = self.names_estranged || !self.estranged.is_empty();
        Self { cache: strange.then(|| cache.clone()), ..self.clone() }
    }

    /// Drops the unsynced changes of a file's content.
    pub(super) fn forget(&mut self, inode: Inode) {
        if self.unsynced.iter().any(|change| change.inode() == Some(inode)) {
            Arc::make_mut(&mut self.unsynced).retain(|change| change.inode() != Some(inode));
        }
    }

    /// Takes the unsynced entry changes of one folder out.
    pub(super) fn take_entries(&mut self, dir: &str) -> Vec<EntryChange> {
        let mut taken = Vec::new();
        let inside = |change: &EntryChange| split_path(&change.path).0 == dir;
        let mut left = Vec::with_capacity(self.unsynced.len());
        for change in &*self.unsynced {
            match &**change {
                Unsynced::Entries(changes) if changes.iter().any(inside) => {
                    let (here, elsewhere): (Vec<_>, Vec<_>) =
                        changes.iter().cloned().partition(inside);
                    taken.extend(here);
                    if !elsewhere.is_empty() {
                        left.push(Arc::new(Unsynced::Entries(elsewhere)));
                    }
                }
                _ => left.push(Arc::clone(change)),
            }
        }
        if !taken.is_empty() {
            self.unsynced = Arc::new(left);
        }
        taken
    }

    /// Drops the unsynced changes that touch entries of one folder; false when there are none.
    pub(super) fn forget_entries(&mut self, dir: &str) -> bool {
        let touches = |change: &Unsynced| match change {
            Unsynced::Entries(changes) => {
                changes.iter().any(|change| split_path(&change.path).0 == dir)
            }
            _ => false,
        };
        let is_any = self.unsynced.iter().any(|change| touches(change));
        if is_any {
            Arc::make_mut(&mut self.unsynced).retain(|change| !touches(change));
        }
        is_any
    }

    /// What the machine finds after a crash of this kind.
    pub(super) fn survivors(&self, kind: ImageKind, random: &mut SimRandom) -> View {
        let mut view = self.durable.clone();
        match kind {
            ImageKind::None => {}
            ImageKind::All | ImageKind::Process => self.apply_first(&mut view, usize::MAX),
            ImageKind::Prefix => {
                self.apply_first(&mut view, random.below(self.unsynced.len() + 1));
            }
            ImageKind::Sector512 => self.pieces(&mut view, Piece::Sector(512), random),
            ImageKind::Sector4096 => self.pieces(&mut view, Piece::Sector(4096), random),
            ImageKind::ByteSubset => self.pieces(&mut view, Piece::Byte, random),
            ImageKind::Reorder => self.reorder(&mut view, random),
            ImageKind::SizeWithoutData => self.sizes(&mut view, random),
            ImageKind::LostDirEntry => self.lose_entries(&mut view, random),
        }
        view.prune();
        view
    }

    fn apply_first(&self, view: &mut View, count: usize) {
        self.unsynced.iter().take(count).for_each(|change| view.apply(change));
    }

    fn entry_changes(&self) -> usize {
        self.unsynced.iter().filter(|change| change.inode().is_none()).count()
    }

    fn pieces(&self, view: &mut View, piece: Piece, random: &mut SimRandom) {
        let density = Density::draw(random);
        let mut entries_left = random.below(self.entry_changes() + 1);
        for change in &*self.unsynced {
            match &**change {
                Unsynced::Write { inode, offset, data } => {
                    piece.survive(view.content_mut(*inode), (*offset, data), density, random);
                }
                Unsynced::SetLen { .. } if random.chance(4) => view.apply(change),
                Unsynced::Entries(_) if entries_left > 0 => {
                    entries_left -= 1;
                    view.apply(change);
                }
                Unsynced::SetLen { .. } | Unsynced::Entries(_) => {}
            }
        }
        self.settle_lengths(view, random);
    }

    fn reorder(&self, view: &mut View, random: &mut SimRandom) {
        let density = Density::draw(random);
        let mut kept: Vec<_> =
            self.unsynced.iter().filter(|_| random.chance(density.eighths())).collect();
        random.shuffle(&mut kept);
        kept.into_iter().for_each(|change| view.apply(change));
        self.settle_lengths(view, random);
    }

    fn sizes(&self, view: &mut View, random: &mut SimRandom) {
        let lengths = self.lengths();
        let victim = random.below(lengths.len());
        let garbage = random.chance(4).then(|| {
            let mut page = vec![0; GARBAGE_LEN];
            random.fill(&mut page);
            Arc::<[u8]>::from(page)
        });
        for (nth, (inode, lengths)) in lengths.iter().enumerate() {
            if nth != victim && random.chance(2) {
                let data = self.unsynced.iter().filter(|change| change.inode() == Some(*inode));
                data.for_each(|change| view.apply(change));
                continue;
            }
            let content = view.content_mut(*inode);
            let old_len = content.len();
            content.set_len(lengths.last().copied().unwrap_or(old_len));
            if let Some(garbage) = &garbage {
                spill(content, old_len, garbage);
            }
        }
        for change in self.unsynced.iter().filter(|change| change.inode().is_none()) {
            view.apply(change);
        }
    }

    fn lose_entries(&self, view: &mut View, random: &mut SimRandom) {
        let victim = random.below(self.entry_changes());
        let mut nth = 0;
        for change in &*self.unsynced {
            if change.inode().is_none() {
                nth += 1;
                if nth - 1 == victim || random.chance(4) {
                    continue;
                }
            }
            view.apply(change);
        }
    }

    /// The durable length of every changed file and its length after each unsynced change.
    fn lengths(&self) -> BTreeMap<Inode, Vec<usize>> {
        let mut all: BTreeMap<Inode, Vec<usize>> = BTreeMap::new();
        for change in &*self.unsynced {
            let Some(inode) = change.inode() else { continue };
            let lengths = all.entry(inode).or_insert_with(|| {
                vec![self.durable.content(inode).map_or(0, |content| content.len())]
            });
            let last = lengths.last().copied().unwrap_or(0);
            lengths.push(match &**change {
                Unsynced::Write { offset, data, .. } => last.max(offset + data.len()),
                Unsynced::SetLen { len, .. } => *len,
                Unsynced::Entries(_) => last,
            });
        }
        all
    }

    /// Gives half of the changed files a length they had at some time since the last sync.
    fn settle_lengths(&self, view: &mut View, random: &mut SimRandom) {
        for (inode, lengths) in self.lengths() {
            if random.chance(4)
                && let Some(len) = lengths.get(random.below(lengths.len()))
            {
                view.content_mut(inode).set_len(*len);
            }
        }
    }
}

const GARBAGE_LEN: usize = 64 * 1024;

/// Overwrites a file from `offset` to its end.
fn spill(content: &mut Content, offset: usize, garbage: &Arc<[u8]>) {
    let end = content.len();
    for at in (offset..end).step_by(GARBAGE_LEN) {
        match garbage.get(..end - at) {
            Some(tail) => content.write(at, tail),
            None => content.write_shared(at, garbage),
        }
    }
}

/// How much of a torn write survives.
#[derive(Debug, Clone, Copy)]
enum Density {
    Few,
    Half,
    Most,
}

impl Density {
    fn draw(random: &mut SimRandom) -> Self {
        match random.below(3) {
            0 => Self::Few,
            1 => Self::Half,
            _ => Self::Most,
        }
    }

    const fn eighths(self) -> u8 {
        match self {
            Self::Few => 2,
            Self::Half => 4,
            Self::Most => 6,
        }
    }

    /// 64 draws.
    const fn bits(self, random: &mut SimRandom) -> u64 {
        match self {
            Self::Few => random.bits() & random.bits(),
            Self::Half => random.bits(),
            Self::Most => random.bits() | random.bits(),
        }
    }
}

/// The unit in which a torn write survives.
#[derive(Debug, Clone, Copy)]
enum Piece {
    Sector(usize),
    Byte,
}

impl Piece {
    fn survive(
        self,
        content: &mut Content,
        (offset, data): (usize, &Arc<[u8]>),
        density: Density,
        random: &mut SimRandom,
    ) {
        match self {
            Self::Sector(len) => {
                let (mut at, mut rest) = (offset, &**data);
                while !rest.is_empty() {
                    let (sector, tail) = rest.split_at((len - at % len).min(rest.len()));
                    if random.chance(density.eighths()) {
                        content.write(at, sector);
                    }
                    at += sector.len();
                    rest = tail;
                }
            }
            Self::Byte => {
                let mut mixed = vec![0; data.len()];
                content.read(offset, &mut mixed);
                for (old, new) in mixed.chunks_mut(64).zip(data.chunks(64)) {
                    mix(old, new, density.bits(random));
                }
                content.write_shared(offset, &mixed.into());
            }
        }
    }
}

/// Takes byte `i` of at most 64 from `new` where bit `i` is set.
fn mix(old: &mut [u8], new: &[u8], mut bits: u64) {
    for (old, new) in old.iter_mut().zip(new) {
        let mask = if bits & 1 == 1 { u8::MAX } else { 0 };
        *old = (*old & !mask) | (new & mask);
        bits >>= 1;
    }
}

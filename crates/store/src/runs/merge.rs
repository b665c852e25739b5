//! Several runs read as one, and the choice of runs to merge.

use std::ops::Range;

use super::RunsError;
use super::run::Cursor;

/// Runs of one size that are merged into one of the next.
const FANOUT: usize = 8;
/// Runs of one merge; bounds its memory and open files.
const MERGE_RUNS_MAX: usize = 64;
/// Below this all runs are one size: 64 KiB, hardly more than what an empty run takes.
const SMALL_SLOTS: u32 = 16;

/// Cursors over several runs, newest first: where keys are equal the newest entry counts.
pub(super) struct Merged {
    cursors: Vec<Cursor>,
}

impl Merged {
    pub(super) const fn new(newest_first: Vec<Cursor>) -> Self {
        Self { cursors: newest_first }
    }

    /// The cursor at the lowest key; among equals the newest.
    pub(super) fn head(&self) -> Option<(usize, &Cursor)> {
        let mut head: Option<(usize, &Cursor, &[u8])> = None;
        for (i, cursor) in self.cursors.iter().enumerate() {
            let Some(key) = cursor.key() else { continue };
            if head.is_none_or(|(_, _, lowest)| key < lowest) {
                head = Some((i, cursor, key));
            }
        }
        head.map(|(i, cursor, _)| (i, cursor))
    }

    /// Moves on from the head `i`, past the older entries of its key.
    pub(super) fn step(&mut self, i: usize) -> Result<(), RunsError> {
        let Some((head, older)) = self.cursors.get_mut(i..).and_then(<[_]>::split_first_mut) else {
            return Ok(());
        };
        for cursor in older {
            if cursor.key() == head.key() {
                cursor.advance()?;
            }
        }
        head.advance()
    }
}

/// Entries in key order, newest first among runs; a deletion is `None`.
pub struct ScanRaw {
    merged: Merged,
    prefix: Vec<u8>,
    /// The head that was handed out and not yet left.
    given: Option<usize>,
    ended: bool,
}

impl ScanRaw {
    pub(super) const fn new(merged: Merged, prefix: Vec<u8>) -> Self {
        Self { merged, prefix, given: None, ended: false }
    }
}

/// A key with its value; `None` for a deletion.
pub type RawEntry = (Vec<u8>, Option<Vec<u8>>);

impl Iterator for ScanRaw {
    type Item = Result<RawEntry, RunsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if let Some(given) = self.given.take()
            && let Err(error) = self.merged.step(given)
        {
            self.ended = true;
            return Some(Err(error));
        }
        let entry = self.merged.head().and_then(|(i, cursor)| {
            let (key, value) = cursor.entry()?;
            let covered = key.starts_with(&self.prefix);
            covered.then(|| (i, (key.to_vec(), value.map(<[u8]>::to_vec))))
        });
        let Some((i, entry)) = entry else {
            self.ended = true;
            return None;
        };
        self.given = Some(i);
        Some(Ok(entry))
    }
}

/// Entries in key order, without what was deleted.
pub struct Scan(pub(super) ScanRaw);

impl Iterator for Scan {
    type Item = Result<(Vec<u8>, Vec<u8>), RunsError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.find_map(|entry| match entry {
            Ok((key, value)) => value.map(|value| Ok((key, value))),
            Err(error) => Some(Err(error)),
        })
    }
}

/// Size class: runs of one class differ by less than [`FANOUT`] times.
fn tier(slots: u32) -> u32 {
    (slots / SMALL_SLOTS).checked_ilog2().map_or(0, |log| 1 + log / FANOUT.ilog2())
}

/// The neighbours to merge among runs of these sizes, newest first: the smallest class of which
/// [`FANOUT`] runs lie side by side, with no larger one between them; smaller ones go along. Only
/// neighbours may merge, or an older entry would hide a newer one.
pub(super) fn due(slots: &[u32]) -> Option<Range<usize>> {
    let tiers: Vec<u32> = slots.iter().map(|slots| tier(*slots)).collect();
    let highest = *tiers.iter().max()?;
    (0..=highest).find_map(|class| {
        let mut start = 0;
        tiers.split(|tier| *tier > class).find_map(|window| {
            let range = start..start + window.len();
            start = range.end + 1;
            let of_class = window.iter().filter(|tier| **tier == class).count();
            (of_class >= FANOUT)
                .then(|| range.start.max(range.end.saturating_sub(MERGE_RUNS_MAX))..range.end)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_neighbours_of_a_class_are_due() {
        assert_eq!(due(&[]), None);
        assert_eq!(due(&[4; 7]), None);
        assert_eq!(due(&[4; 8]), Some(0..8));
        assert_eq!(due(&[4, 4, 4, 4, 1000, 4, 4, 4, 4]), None, "a larger run lies between");
        assert_eq!(due(&[4, 100, 100, 4, 100, 100, 100, 100, 100, 100]), Some(0..10));
        assert_eq!(due(&[1000, 4, 4, 4, 4, 4, 4, 4, 4]), Some(1..9));
        assert_eq!(due(&[4; 100]), Some(36..100));
        let ladder = [[4; 7], [100; 7], [1000; 7]].concat();
        assert_eq!(due(&ladder), None);
    }

    /// 256 checkpoints of equal size: how often is an entry written, how many runs stay?
    #[test]
    fn merging_writes_little_and_keeps_few_runs() {
        for size in [4, 100, 2000] {
            let mut runs: Vec<u32> = Vec::new();
            let (mut written, mut most) = (0u64, 0);
            for _ in 0..256 {
                runs.insert(0, size);
                written += u64::from(size);
                while let Some(range) = due(&runs) {
                    let merged: u32 = runs[range.clone()].iter().sum();
                    written += u64::from(merged);
                    runs.splice(range, [merged]);
                }
                most = most.max(runs.len());
            }
            let amplification = written / (256 * u64::from(size));
            assert!(amplification <= 5, "size {size}: written {amplification} times");
            assert!(most <= 22, "size {size}: {most} runs");
        }
    }
}

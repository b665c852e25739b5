//! Grows the list of a content's chunks into a tree of lists when it gets too long for a vertex.

use model::limit::LIST_ENTRIES_MAX;
use model::{ChunkEntry, Content, EpochId, List, ListHash};

use crate::error::Error;

/// Stores one finished list.
pub(crate) type KeepList<'a> = dyn FnMut(List) -> Result<ListHash, Error> + 'a;

/// Chunks in order; lists are full except the last of each level.
#[derive(Default)]
pub(crate) struct ListTree {
    entries: Vec<ChunkEntry>,
    /// Lists of level 0, 1, .. that no list holds yet.
    levels: Vec<Vec<(ListHash, u64)>>,
}

impl ListTree {
    /// Adds the next chunk.
    pub(crate) fn push(&mut self, entry: ChunkEntry, keep: &mut KeepList<'_>) -> Result<(), Error> {
        if self.entries.len() == LIST_ENTRIES_MAX {
            self.close_chunks(keep)?;
        }
        self.entries.push(entry);
        Ok(())
    }

    /// What a vertex says of all the chunks.
    pub(crate) fn finish(
        mut self,
        generation: EpochId,
        keep: &mut KeepList<'_>,
    ) -> Result<Content, Error> {
        if self.levels.is_empty() {
            let entries = self.entries;
            return Ok(Content::Chunks { generation, entries });
        }
        self.close_chunks(keep)?;
        let mut level = 0;
        loop {
            let is_top = level + 1 == self.levels.len();
            match self.levels.get(level).map(Vec::as_slice) {
                Some(&[(root, len)]) if is_top => {
                    return Ok(Content::Lists { generation, root, len });
                }
                _ => self.close_lists(level, keep)?,
            }
            level += 1;
        }
    }

    fn close_chunks(&mut self, keep: &mut KeepList<'_>) -> Result<(), Error> {
        let entries = std::mem::take(&mut self.entries);
        let len = entries.iter().map(|entry| u64::from(entry.len)).sum();
        let hash = keep(List::Chunks(entries))?;
        self.push_list(0, (hash, len), keep)
    }

    fn close_lists(&mut self, level: usize, keep: &mut KeepList<'_>) -> Result<(), Error> {
        let entries = self.levels.get_mut(level).map(std::mem::take).unwrap_or_default();
        let len = entries.iter().map(|(_, len)| len).sum();
        let above = u8::try_from(level + 1).expect("no content has 2^64 bytes");
        let hash = keep(List::Lists { level: above, entries })?;
        self.push_list(level + 1, (hash, len), keep)
    }

    fn push_list(
        &mut self,
        level: usize,
        list: (ListHash, u64),
        keep: &mut KeepList<'_>,
    ) -> Result<(), Error> {
        if self.levels.get(level).is_some_and(|lists| lists.len() == LIST_ENTRIES_MAX) {
            self.close_lists(level, keep)?;
        }
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        if let Some(lists) = self.levels.get_mut(level) {
            lists.push(list);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ChunkHash;
    use std::collections::HashMap;

    fn content(chunks: usize) -> (Content, HashMap<ListHash, List>) {
        let mut lists = HashMap::new();
        let mut keep = |list: List| {
            assert_eq!(List::decode(&list.encode()).as_ref(), Ok(&list));
            let hash = ListHash::new(model::hash::hash("test", &[&list.encode()]));
            lists.insert(hash, list);
            Ok(hash)
        };
        let mut tree = ListTree::default();
        for i in 0..chunks {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&i.to_le_bytes());
            tree.push(ChunkEntry { hash: ChunkHash::new(hash), len: 70_000 }, &mut keep).unwrap();
        }
        let content = tree.finish(EpochId::new([1; 32]), &mut keep).unwrap();
        (content, lists)
    }

    #[test]
    fn up_to_the_limit_the_vertex_lists_the_chunks() {
        let (content, lists) = content(LIST_ENTRIES_MAX);
        assert!(matches!(content, Content::Chunks { entries, .. } if entries.len() == 8192));
        assert!(lists.is_empty());
    }

    #[test]
    fn one_past_the_limit_is_a_tree_of_two_lists() {
        let (content, lists) = content(LIST_ENTRIES_MAX + 1);
        assert_eq!(content.len(), 70_000 * 8193);
        let Content::Lists { root, .. } = content else { panic!("{content:?}") };
        let List::Lists { level: 1, entries } = &lists[&root] else { panic!("no inner list") };
        let lens: Vec<u64> = entries.iter().map(|(_, len)| *len).collect();
        assert_eq!(lens, [70_000 * 8192, 70_000]);
        assert_eq!(lists.len(), 3);
    }
}

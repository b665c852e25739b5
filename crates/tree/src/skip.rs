//! What makes putting a tree again cheap: the local cache of unchanged files, and the names the
//! store has below the root.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{FileTime, FormatError, GroupId, Name, VertexHash};
use ouroborosdb::{At, Error, NAMES_PAGE_MAX, NameEntry, NamesQuery, Session};

use crate::files::FileStat;

const VERSION: u8 = 1;
/// A file changed less than this before it was read may change again without a trace: filesystem
/// clocks tick in up to 10 ms, those of some network and FAT filesystems in 2 s.
const SETTLE_SECONDS: i64 = 2;

/// What was read of a path, and what it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CachedFile {
    /// The group it was put in: until that is closed its version has no name.
    pub(crate) group: GroupId,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) len: u64,
    pub(crate) modified: FileTime,
    pub(crate) changed: FileTime,
    /// Hard link number it was stored with.
    pub(crate) link: u64,
    /// False when it had changed just before it was read.
    pub(crate) is_settled: bool,
    pub(crate) hash: VertexHash,
}

impl CachedFile {
    pub(crate) fn new(stat: &FileStat, link: u64, hash: VertexHash, now: FileTime) -> Self {
        let is_old = |time: FileTime| {
            let age_ns = i128::from(now.seconds - SETTLE_SECONDS) * 1_000_000_000
                + i128::from(now.nanos)
                - i128::from(time.seconds) * 1_000_000_000
                - i128::from(time.nanos);
            age_ns >= 0
        };
        // Programs may set `modified` to the future; the system alone sets `changed`.
        let is_future = stat.modified.seconds > now.seconds + SETTLE_SECONDS;
        Self {
            group: GroupId::NONE,
            device: stat.device,
            inode: stat.inode,
            len: stat.len,
            modified: stat.modified,
            changed: stat.changed,
            link,
            is_settled: is_old(stat.changed) && (is_future || is_old(stat.modified)),
            hash,
        }
    }

    /// True when the path certainly holds what it held then.
    pub(crate) fn is_unchanged(&self, stat: &FileStat, link: u64) -> bool {
        self.is_settled
            && (self.device, self.inode, self.len) == (stat.device, stat.inode, stat.len)
            && (self.modified, self.changed) == (stat.modified, stat.changed)
            && self.link == link
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(VERSION).raw(self.group.as_bytes()).u64(self.device).u64(self.inode).u64(self.len);
        for time in [self.modified, self.changed] {
            out.raw(&time.seconds.to_le_bytes()).u32(time.nanos);
        }
        out.u64(self.link).u8(self.is_settled.into()).raw(self.hash.as_bytes());
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("cached file", bytes);
        if reader.u8()? != VERSION {
            return Err(reader.invalid());
        }
        let group = GroupId::new(reader.array()?);
        let (device, inode, len) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let mut time = || -> Result<FileTime, FormatError> {
            Ok(FileTime { seconds: i64::from_le_bytes(reader.array()?), nanos: reader.u32()? })
        };
        let (modified, changed) = (time()?, time()?);
        let link = reader.u64()?;
        let is_settled = reader.u8()? == 1;
        let hash = VertexHash::new(reader.array()?);
        reader.end()?;
        Ok(Self { group, device, inode, len, modified, changed, link, is_settled, hash })
    }
}

/// One source under one name: what the cache and the group are keyed by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceKey([u8; 32]);

impl SourceKey {
    pub(crate) fn new(source: &Path, name: &Name) -> Self {
        let source = source.as_os_str().as_bytes();
        let len = (source.len() as u64).to_le_bytes();
        Self(hash("tree-source", &[&len, source, name.as_str().as_bytes()]))
    }

    /// Key of a path below it in the cache.
    pub(crate) fn cache_key(&self, path: &[u8]) -> Vec<u8> {
        hash("tree-skip", &[&self.0, path]).to_vec()
    }

    /// Key in the cache of what became of the last put.
    pub(crate) fn run_key(&self) -> Vec<u8> {
        hash("tree-run", &[&self.0]).to_vec()
    }

    /// Label of its group, when `abandoned` ones were given up before.
    pub(crate) fn label(&self, abandoned: u64) -> String {
        format!("tree {} {abandoned}", VertexHash::new(self.0))
    }

    /// A group for dry runs, which leave nothing behind.
    pub(crate) fn dry_group(&self) -> GroupId {
        let [bytes @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.0;
        GroupId::new(bytes)
    }
}

/// The names the store has below a root: 49 bytes each in memory.
pub(crate) struct KnownNames {
    prefix: String,
    /// Sorted by the hash of the name.
    heads: Vec<KnownHead>,
    seen: Vec<AtomicBool>,
}

struct KnownHead {
    name: u128,
    /// The single head; `None` when there are several.
    hash: Option<VertexHash>,
}

impl KnownNames {
    /// Reads them all.
    pub(crate) fn load(session: &dyn Session, root: &Name) -> Result<Self, Error> {
        let prefix = format!("{root}/");
        let mut heads = Vec::new();
        each_name(session, &prefix, |entry| {
            let hash = match entry.heads.as_slice() {
                [one] => Some(one.hash),
                _ => None,
            };
            heads.push(KnownHead { name: name_hash(&entry.name), hash });
            Ok(())
        })?;
        heads.sort_unstable_by_key(|head| head.name);
        let seen = heads.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { prefix, heads, seen })
    }

    /// Takes note that the name's path is still there.
    pub(crate) fn mark_seen(&self, name: &Name) {
        if let Ok(at) = self.find(name)
            && let Some(seen) = self.seen.get(at)
        {
            seen.store(true, Ordering::Relaxed);
        }
    }

    /// True when `hash` is all the store has under the name.
    pub(crate) fn is_head(&self, name: &Name, hash: &VertexHash) -> bool {
        let head = self.find(name).ok().and_then(|at| self.heads.get(at));
        head.is_some_and(|head| head.hash.as_ref() == Some(hash))
    }

    fn find(&self, name: &Name) -> Result<usize, usize> {
        if self.heads.is_empty() {
            return Err(0);
        }
        let name = name_hash(name);
        self.heads.binary_search_by_key(&name, |head| head.name)
    }

    /// Calls `delete` for each name that was not seen, but not below `unread` folders.
    pub(crate) fn each_missing(
        &self,
        session: &dyn Session,
        unread: &BTreeSet<String>,
        mut delete: impl FnMut(&Name) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.seen.iter().all(|seen| seen.load(Ordering::Relaxed)) {
            return Ok(());
        }
        each_name(session, &self.prefix, |entry| {
            let is_missing = self
                .find(&entry.name)
                .ok()
                .and_then(|at| self.seen.get(at))
                .is_some_and(|seen| !seen.load(Ordering::Relaxed));
            let path = entry.name.as_str().get(self.prefix.len()..).unwrap_or_default();
            let is_hidden = unread.contains("")
                || path
                    .match_indices('/')
                    .any(|(at, _)| unread.contains(path.get(..at).unwrap_or_default()));
            if is_missing && !is_hidden { delete(&entry.name) } else { Ok(()) }
        })
    }
}

fn name_hash(name: &Name) -> u128 {
    let [bytes @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
        hash("tree-name", &[name.as_str().as_bytes()]);
    u128::from_le_bytes(bytes)
}

fn each_name(
    session: &dyn Session,
    prefix: &str,
    mut visit: impl FnMut(&NameEntry) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut query = NamesQuery {
        prefix: prefix.to_owned(),
        after: None,
        limit: NAMES_PAGE_MAX,
        at: At::Now,
        with_deleted: false,
    };
    loop {
        let page = session.names(&query)?;
        page.iter().try_for_each(&mut visit)?;
        match page.into_iter().next_back() {
            Some(last) => query.after = Some(last.name),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::FileKind;
    use model::Owner;

    fn stat(changed: i64) -> FileStat {
        FileStat {
            kind: FileKind::File,
            device: 1,
            inode: 2,
            len: 3,
            allocated: 4096,
            is_linked: false,
            mode: 0o644,
            owner: Owner { uid: 0, gid: 0 },
            modified: FileTime { seconds: changed, nanos: 5 },
            changed: FileTime { seconds: changed, nanos: 5 },
        }
    }

    fn cached(stat: &FileStat, now: FileTime) -> CachedFile {
        CachedFile::new(stat, 0, VertexHash::new([7; 32]), now)
    }

    #[test]
    fn a_file_is_trusted_two_seconds_after_its_last_change() {
        let stat = stat(100);
        let young = cached(&stat, FileTime { seconds: 102, nanos: 4 });
        assert!(!young.is_unchanged(&stat, 0));
        let settled = cached(&stat, FileTime { seconds: 102, nanos: 5 });
        assert!(settled.is_unchanged(&stat, 0));
    }

    #[test]
    fn any_difference_makes_a_file_changed() {
        let before = stat(100);
        let settled = cached(&before, FileTime { seconds: 200, nanos: 0 });
        let differing = [
            FileStat { device: 9, ..before },
            FileStat { inode: 9, ..before },
            FileStat { len: 9, ..before },
            FileStat { modified: FileTime { seconds: 100, nanos: 6 }, ..before },
            FileStat { changed: FileTime { seconds: 100, nanos: 6 }, ..before },
        ];
        differing.iter().for_each(|after| assert!(!settled.is_unchanged(after, 0)));
        assert!(!settled.is_unchanged(&before, 1), "its hard link number changed");
    }

    #[test]
    fn a_time_in_the_future_does_not_hinder_skipping() {
        let mut stat = stat(100);
        stat.modified.seconds = 10_000;
        assert!(cached(&stat, FileTime { seconds: 200, nanos: 0 }).is_settled);
    }

    #[test]
    fn a_cached_file_reads_back_and_others_are_refused() {
        let one = cached(&stat(-5), FileTime { seconds: 200, nanos: 0 });
        let bytes = one.encode();
        assert_eq!(CachedFile::decode(&bytes), Ok(one));
        for cut in 0..bytes.len() {
            assert!(CachedFile::decode(&bytes[..cut]).is_err());
        }
    }
}

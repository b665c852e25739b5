use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crypt::SeededRandom;
use ouroborosdb::{Clock, Database, KEY_FILE, KeyPlace, Options, Scopes, World};
use store::sim_disk::SimDisk;

use crate::failure::Failure;

/// All files of a data folder, the key file not among them.
pub(super) type View = BTreeMap<String, Vec<u8>>;
/// Names and contents.
pub(super) type Files = Vec<(String, Vec<u8>)>;

const BLOCK_HEADER_LEN: usize = 4096;
const BATCH_MAGIC: &[u8; 4] = b"OURB";
const BATCH_HEADER_LEN: usize = 144;
const BATCH_LEN_AT: usize = 56;

/// A data folder in memory; its key file lies on another disk.
#[derive(Debug)]
pub(super) struct Folder {
    disk: SimDisk,
    key: SimDisk,
    random: Arc<SeededRandom>,
}

/// The same moments in every trial.
#[derive(Debug, Default)]
struct EvenClock(AtomicU64);

impl Clock for EvenClock {
    fn now_ns(&self) -> u64 {
        1_700_000_000_000_000_000 + self.0.fetch_add(1_000_000, Ordering::Relaxed)
    }

    fn sleep(&self, _: Duration) {}
}

fn options() -> Options {
    let memory_bytes = 1024 * 1024;
    Options { threads: 1, background: false, memory_bytes, ..Options::default() }
}

impl Folder {
    pub(super) fn new(seed: u64) -> Self {
        let random = Arc::new(SeededRandom::new(seed));
        Self { disk: SimDisk::new(1), key: SimDisk::new(2), random }
    }

    fn world(&self, key: &SimDisk) -> World {
        let name = KEY_FILE.to_owned();
        let key_file = KeyPlace { disk: Arc::new(key.clone()), path: name.clone(), name };
        let clock = Arc::new(EvenClock::default());
        World {
            disk: Arc::new(self.disk.clone()),
            key_file,
            random: self.random.clone(),
            clock,
            frontier: None,
        }
    }

    pub(super) fn open(&self) -> Result<Database, Failure> {
        Database::with(self.world(&self.key), options()).map_err(Failure::database("open"))
    }

    /// Opens a scope of its own for the identity of `other`, in this data folder.
    pub(super) fn open_for(&self, other: &Self) -> Result<Database, Failure> {
        let scope = "own";
        let mut scopes = Scopes::with(self.world(&other.key), &options())
            .map_err(Failure::database("open the records"))?;
        scopes.create(scope).map_err(Failure::database("create a scope"))?;
        drop(scopes);
        let options = Options { scope: scope.to_owned(), ..options() };
        Database::with(self.world(&other.key), options).map_err(Failure::database("open"))
    }

    /// Puts the files, one after the other, and closes; packed or as an open block.
    pub(super) fn fill(&self, files: &Files, is_packed: bool) -> Result<(), Failure> {
        let database = self.open()?;
        for (name, content) in files {
            database.put(name, content.as_slice()).map_err(Failure::database("put"))?;
        }
        if is_packed {
            database.flush().map_err(Failure::database("flush"))?;
        }
        database.close().map_err(Failure::database("close"))
    }

    pub(super) fn view(&self) -> View {
        sim::flip::contents(&self.disk)
    }
}

/// The files that hold content.
pub(super) fn blocks(view: &View) -> impl Iterator<Item = &[u8]> {
    let is_block = |path: &&String| path.ends_with(".block");
    view.iter().filter(move |(path, _)| is_block(path)).map(|(_, bytes)| bytes.as_slice())
}

/// Every length that is seen without a key: of all files but those of records and index, whose
/// names are random, and of batches.
pub(super) fn lengths(view: &View) -> Vec<usize> {
    let folder = |path: &str| path.split('/').next().map(str::to_owned);
    let mut sums = BTreeMap::new();
    for (path, bytes) in view {
        *sums.entry(folder(path)).or_insert(0) += bytes.len();
    }
    let mut lengths: Vec<usize> = sums.into_values().collect();
    for block in blocks(view) {
        lengths.push(block.len());
        lengths.extend(batches(block).map(<[u8]>::len));
    }
    lengths
}

/// The batches of a block, headers included.
pub(super) fn batches(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block.get(BLOCK_HEADER_LEN..).unwrap_or_default();
    std::iter::from_fn(move || {
        let header = rest.first_chunk::<BATCH_HEADER_LEN>()?;
        let len = header.get(BATCH_LEN_AT..)?.first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (batch, behind) = rest.split_at_checked(len)?;
        rest = behind;
        (header.starts_with(BATCH_MAGIC) && len >= BATCH_HEADER_LEN).then_some(batch)
    })
}

/// What is sealed: batches without their headers.
pub(super) fn bodies(view: &View) -> impl Iterator<Item = &[u8]> {
    blocks(view).flat_map(batches).filter_map(|batch| batch.get(BATCH_HEADER_LEN..))
}

#[cfg(test)]
mod tests {
    use super::super::Material;
    use super::*;

    #[test]
    fn folders_of_one_shape_have_the_same_lengths() {
        let lengths_of = |seed: u64, len: usize, is_packed: bool| {
            let folder = Folder::new(seed);
            let content = Material::Noise.content(seed, len);
            folder.fill(&vec![("file".to_owned(), content)], is_packed).unwrap();
            lengths(&folder.view())
        };
        for len in [300, 3_000, 20_000, 400_000] {
            for is_packed in [false, true] {
                let (one, other) = (lengths_of(1, len, is_packed), lengths_of(2, len, is_packed));
                assert_eq!(one, other, "{len} {is_packed}");
                let longer = lengths_of(3, len + len / 4, is_packed);
                assert_ne!(one, longer, "{len} {is_packed}");
            }
        }
    }
}

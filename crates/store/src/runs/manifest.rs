//! The manifest: which runs make up the index, newest first, and the caller's meta blob. The hash of
//! its file is kept in the superblock, so an older manifest is refused like a damaged one.
//!
//! File: magic 8, version u16, nonce 16, one sealed page (number 0) with the body.

use crypt::{PageKeys, Random};
use model::FormatError;
use model::codec::{Reader, Writer};
use model::hash::{HashKey, hash};

use super::RunsError;
use super::page::{Address, SLOT_LEN};
use super::write::LEVELS_MAX;

/// Runs of one index; merging keeps them below a few dozen.
pub const RUNS_MAX: usize = 4096;
/// The caller's meta blob, bytes.
pub const META_LEN_MAX: usize = 16 * 1024 * 1024;
/// Bytes one run takes in a manifest at most.
const FACTS_LEN_MAX: usize = 80;
const BODY_LEN_MAX: usize = META_LEN_MAX + RUNS_MAX * FACTS_LEN_MAX + 64;

const MAGIC_MANIFEST: [u8; 8] = *b"OUROMANI";
const MAGIC_RUN: [u8; 8] = *b"OURORUN\0";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 26;

/// Random, drawn once per file; names the file and its keys.
pub(super) type FileNonce = [u8; 16];

/// Hash of a manifest file. Kept in the superblock: it decides which manifest is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestRoot(pub [u8; 32]);

/// The top page of a tree of pages; level 0 when it is a leaf or a filter page itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) at: Address,
    pub(super) level: u8,
}

/// All that is needed to read a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunFacts {
    pub(super) nonce: FileNonce,
    /// Length of the file in slots, its header included.
    pub(super) slots: u32,
    /// Deletions included.
    pub(super) entries: u64,
    pub(super) deletions: u64,
    pub(super) tree: Root,
    pub(super) filter: Root,
}

impl RunFacts {
    pub(super) fn file_name(&self) -> String {
        run_name(&self.nonce)
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.slots) * SLOT_LEN as u64
    }

    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.nonce).var(self.slots.into()).var(self.entries).var(self.deletions);
        for root in [self.tree, self.filter] {
            writer.var(root.at.slot.into()).var(root.at.slots.into()).u8(root.level);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        let nonce = reader.array()?;
        let slots = u32::try_from(reader.var()?).map_err(|_| reader.invalid())?;
        let (entries, deletions) = (reader.var()?, reader.var()?);
        let mut root = || {
            let at = Address::new(reader.var()?, reader.var()?).ok_or_else(|| reader.invalid())?;
            let level = reader.u8()?;
            let end = at.slot.checked_add(at.slots);
            let sound = usize::from(level) <= LEVELS_MAX && end.is_some_and(|end| end <= slots);
            if sound { Ok(Root { at, level }) } else { Err(reader.invalid()) }
        };
        let (tree, filter) = (root()?, root()?);
        if deletions > entries || entries == 0 {
            return Err(reader.invalid());
        }
        Ok(Self { nonce, slots, entries, deletions, tree, filter })
    }
}

/// What one generation of the index consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) generation: u64,
    /// Newest first.
    pub(super) runs: Vec<RunFacts>,
    pub(super) meta: Vec<u8>,
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.generation).var(self.runs.len() as u64);
        for run in &self.runs {
            run.encode(&mut writer);
        }
        writer.bytes(&self.meta);
        writer.finish()
    }

    fn decode(body: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("index manifest", body);
        let generation = reader.u64()?;
        let count = reader.count(RUNS_MAX)?;
        let runs = (0..count).map(|_| RunFacts::decode(&mut reader)).collect::<Result<_, _>>()?;
        let meta = reader.bytes(META_LEN_MAX)?.to_vec();
        reader.end()?;
        Ok(Self { generation, runs, meta })
    }

    /// The bytes of the file, and their hash.
    pub(super) fn seal(&self, local: &HashKey, random: &dyn Random) -> (Vec<u8>, ManifestRoot) {
        let nonce = draw_nonce(random);
        let mut file = header(MAGIC_MANIFEST, nonce);
        PageKeys::new(local, &nonce).seal(0, &self.encode(), &mut file);
        let root = root_of(&file);
        (file, root)
    }

    /// Reads the bytes of the file `name` that the caller knows as `generation` and `root`.
    pub(super) fn open(
        name: &str,
        bytes: &[u8],
        local: &HashKey,
        generation: u64,
        root: ManifestRoot,
    ) -> Result<Self, RunsError> {
        let corrupt = || RunsError::Corrupt { file: name.to_owned() };
        if root_of(bytes) != root {
            return Err(corrupt());
        }
        let mut reader = Reader::new("index manifest", bytes);
        let mut head = || Ok::<_, FormatError>((reader.array()?, reader.u16()?, reader.array()?));
        let (magic, version, nonce): ([u8; 8], _, _) = head().map_err(|_| corrupt())?;
        if magic != MAGIC_MANIFEST {
            return Err(corrupt());
        }
        if version != VERSION {
            return Err(RunsError::Version { file: name.to_owned(), version });
        }
        let body = PageKeys::new(local, &nonce).open(0, reader.rest()).map_err(|_| corrupt())?;
        let manifest = Self::decode(&body).map_err(|_| corrupt())?;
        if manifest.generation != generation {
            return Err(corrupt());
        }
        Ok(manifest)
    }
}

/// Longest manifest file, bytes.
pub(super) const MANIFEST_LEN_MAX: usize = HEADER_LEN + crypt::PAGE_OVERHEAD + BODY_LEN_MAX;

pub(super) fn draw_nonce(random: &dyn Random) -> FileNonce {
    let mut nonce = FileNonce::default();
    random.fill(&mut nonce);
    nonce
}

/// The start of a run file.
pub(super) fn run_header(nonce: FileNonce) -> Vec<u8> {
    header(MAGIC_RUN, nonce)
}

fn header(magic: [u8; 8], nonce: FileNonce) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(&magic).u16(VERSION).raw(&nonce);
    writer.finish()
}

fn root_of(file: &[u8]) -> ManifestRoot {
    ManifestRoot(hash("index manifest", &[file]))
}

pub(super) fn run_name(nonce: &FileNonce) -> String {
    format!("run-{}", hex(nonce))
}

/// Two manifests of one generation (one of them left by a crash) have different names.
pub(super) fn manifest_name(generation: u64, root: ManifestRoot) -> String {
    let (head, _) = root.0.split_at(8);
    format!("manifest-{generation:016x}-{}", hex(head))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypt::SeededRandom;

    fn manifest() -> Manifest {
        let root = |slot| Root { at: Address { slot, slots: 1 }, level: 0 };
        let run = |n| RunFacts {
            nonce: [n; 16],
            slots: 9,
            entries: 5,
            deletions: 1,
            tree: root(7),
            filter: root(8),
        };
        Manifest { generation: 3, runs: vec![run(1), run(2)], meta: b"frontier".to_vec() }
    }

    #[test]
    fn a_manifest_opens_only_under_its_root_and_generation() {
        let local = HashKey::new([1; 32]);
        let (bytes, root) = manifest().seal(&local, &SeededRandom::new(1));
        let open =
            |bytes: &[u8], generation, root| Manifest::open("m", bytes, &local, generation, root);
        assert_eq!(open(&bytes, 3, root).unwrap(), manifest());
        assert!(matches!(open(&bytes, 4, root), Err(RunsError::Corrupt { .. })));
        assert!(matches!(open(&bytes, 3, ManifestRoot([0; 32])), Err(RunsError::Corrupt { .. })));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(matches!(open(&flipped, 3, root), Err(RunsError::Corrupt { .. })), "{at}");
            assert!(matches!(open(&bytes[..at], 3, root), Err(RunsError::Corrupt { .. })), "{at}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let local = HashKey::new([1; 32]);
        let (mut bytes, _) = manifest().seal(&local, &SeededRandom::new(1));
        bytes[8] = 2;
        let root = root_of(&bytes);
        let answer = Manifest::open("m", &bytes, &local, 3, root);
        assert!(matches!(answer, Err(RunsError::Version { version: 2, .. })));
    }

    #[test]
    fn facts_that_contradict_each_other_are_refused() {
        let mut bodies = vec![manifest(); 4];
        bodies[0].runs[0].tree.at.slot = 9;
        bodies[1].runs[0].deletions = 6;
        bodies[2].runs[0].entries = 0;
        bodies[3].runs[0].filter.level = 200;
        for body in bodies {
            assert!(Manifest::decode(&body.encode()).is_err());
        }
        let mut longest = manifest();
        longest.meta = vec![0; META_LEN_MAX];
        assert!(Manifest::decode(&longest.encode()).is_ok());
        longest.meta.push(0);
        assert!(Manifest::decode(&longest.encode()).is_err());
    }
}

//! Four rotating copies of what a store must know before it reads anything else (rule 6 of
//! `reliability`). All of it can be found again from blocks: a lost or stale copy costs time, never
//! data.

use crypt::Random;
use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{BlockNumber, FormatError, Incarnation, ScopeId, StoreId, UserId};

use crate::disk::{Access, Caching, Disk, DiskError, FileIdentity};
use crate::error::StoreError;
use crate::runs::ManifestRoot;
use crate::scan::read_file;

const NOUN: &str = "superblock";
const MAGIC: [u8; 8] = *b"OUROSUPR";
/// The format of the data folder this program writes and the newest it knows.
pub(crate) const FORMAT: u32 = 1;
const LEN: usize = 4096;
const CHECK_LEN: usize = 32;
/// Copies, one file each.
pub(crate) const COPIES: u64 = 4;
/// Open blocks a clean close leaves at most.
pub(crate) const CLEAN_ENDS_MAX: usize = 16;

/// Indexes that a superblock names at most; of more the one used longest ago is forgotten and made
/// anew when it is wanted.
pub(crate) const INDEXES_MAX: usize = 32;

/// Whose index it is: of one identity in one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexOwner([u8; 16]);

impl IndexOwner {
    pub(crate) fn new(scope: ScopeId, user: UserId) -> Self {
        let digest = hash("index-owner", &[scope.as_bytes(), user.as_bytes()]);
        Self(*digest.first_chunk().expect("32 bytes hold 16"))
    }

    /// The folder its files lie in.
    pub(crate) fn dir(self) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("index/{hex}")
    }
}

/// The last checkpoint of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexPointer {
    pub(crate) owner: IndexOwner,
    pub(crate) generation: u64,
    pub(crate) root: ManifestRoot,
}

/// Where an open block ends after a clean close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CleanEnd {
    pub(crate) number: BlockNumber,
    pub(crate) end: u32,
    pub(crate) previous: [u8; 32],
}

/// What the store knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) generation: u64,
    pub(crate) store_id: StoreId,
    pub(crate) incarnation: Incarnation,
    /// Of `lock`: a copied folder is told from its original.
    pub(crate) folder: FileIdentity,
    /// Greater than every block number ever used.
    pub(crate) next_block: BlockNumber,
    /// The last checkpoints, the one written last first.
    pub(crate) indexes: Vec<IndexPointer>,
    /// Present after a clean close: the open blocks and where they end.
    pub(crate) clean: Option<Vec<CleanEnd>>,
}

impl Superblock {
    /// The checkpoint of `owner`'s index.
    pub(crate) fn index_of(&self, owner: IndexOwner) -> Option<(u64, ManifestRoot)> {
        let pointer = self.indexes.iter().find(|pointer| pointer.owner == owner)?;
        Some((pointer.generation, pointer.root))
    }

    /// Names a new checkpoint of `owner`'s index.
    pub(crate) fn name_index(
        &mut self,
        owner: IndexOwner,
        (generation, root): (u64, ManifestRoot),
    ) {
        self.indexes.retain(|pointer| pointer.owner != owner);
        self.indexes.insert(0, IndexPointer { owner, generation, root });
        self.indexes.truncate(INDEXES_MAX);
    }

    /// From now on the folder's writers write chains of their own.
    pub(crate) fn draw_incarnation(&mut self, random: &dyn Random) {
        let mut incarnation = [0; 16];
        random.fill(&mut incarnation);
        self.incarnation = Incarnation::new(incarnation);
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::over(Vec::with_capacity(LEN));
        out.raw(&MAGIC).u32(FORMAT).u64(self.generation).raw(self.store_id.as_bytes());
        out.raw(self.incarnation.as_bytes()).u64(self.folder.inode);
        out.raw(&self.folder.birth_ns.to_le_bytes()).raw(&self.folder.machine);
        out.u64(self.next_block.0);
        assert!(self.indexes.len() <= INDEXES_MAX, "a superblock names few indexes");
        out.var(self.indexes.len() as u64);
        for IndexPointer { owner, generation, root } in &self.indexes {
            out.raw(&owner.0).u64(*generation).raw(&root.0);
        }
        match &self.clean {
            None => {
                out.u8(0);
            }
            Some(ends) => {
                assert!(ends.len() <= CLEAN_ENDS_MAX, "a clean close leaves few open blocks");
                out.u8(1).var(ends.len() as u64);
                for end in ends {
                    out.u64(end.number.0).u32(end.end).raw(&end.previous);
                }
            }
        }
        let mut page = out.finish();
        page.resize(LEN - CHECK_LEN, 0);
        let check = hash(NOUN, &[&page]);
        page.extend_from_slice(&check);
        page
    }

    pub(crate) fn decode(page: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, page);
        if reader.array()? != MAGIC {
            return Err(reader.invalid());
        }
        let (fields, check) =
            page.split_at_checked(LEN - CHECK_LEN).ok_or(FormatError::Truncated { noun: NOUN })?;
        if hash(NOUN, &[fields]).as_slice() != check {
            return Err(reader.invalid());
        }
        let format = reader.u32()?;
        if format != FORMAT {
            return Err(FormatError::Unknown { noun: "store format", value: format.into() });
        }
        let superblock = Self {
            generation: reader.u64()?,
            store_id: StoreId::new(reader.array()?),
            incarnation: Incarnation::new(reader.array()?),
            folder: FileIdentity {
                inode: reader.u64()?,
                birth_ns: i128::from_le_bytes(reader.array()?),
                machine: reader.array()?,
            },
            next_block: BlockNumber(reader.u64()?),
            indexes: decode_indexes(&mut reader)?,
            clean: decode_clean(&mut reader)?,
        };
        Ok(superblock)
    }

    /// Writes the copy that is oldest; durable on return.
    pub(crate) fn write(&self, disk: &dyn Disk) -> Result<(), DiskError> {
        let path = copy_path(self.generation % COPIES);
        let existing = disk.open(&path, Access::Update, Caching::Buffered);
        let file = match existing {
            Ok(file) => file,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                let file = disk.open(&path, Access::Create, Caching::Buffered)?;
                file.write_at(0, &self.encode())?;
                file.sync()?;
                return disk.sync_dir("");
            }
            Err(error) => return Err(error),
        };
        file.write_at(0, &self.encode())?;
        file.sync()
    }

    /// The newest whole copy. What it says of a clean close holds only if the copy before it is whole
    /// too: a lone newest copy is not trusted. The index needs no such rule, for the manifest must have
    /// the hash that the superblock names.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Self>, StoreError> {
        let mut copies = Vec::new();
        let mut present = 0;
        for copy in 0..COPIES {
            let bytes = match read_file(disk, &copy_path(copy), LEN) {
                Ok(bytes) => bytes,
                Err(StoreError::Disk(error))
                    if error.source.kind() == std::io::ErrorKind::NotFound =>
                {
                    continue;
                }
                Err(StoreError::Corrupt { .. }) => {
                    present += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            present += 1;
            match Self::decode(&bytes) {
                Ok(superblock) if superblock.generation % COPIES == copy => copies.push(superblock),
                Err(FormatError::Unknown { noun: "store format", value }) => {
                    let found = u32::try_from(value).unwrap_or(u32::MAX);
                    return Err(StoreError::NewerFormat { found, known: FORMAT });
                }
                _ => {}
            }
        }
        copies.sort_by_key(|copy| copy.generation);
        let Some(mut newest) = copies.pop() else {
            if present == 0 {
                return Ok(None);
            }
            let error = FormatError::Invalid { noun: NOUN };
            return Err(StoreError::format(&copy_path(0), 0, error));
        };
        let before = copies.last().map_or(0, |copy| copy.generation);
        if newest.generation > before + 1 {
            newest.clean = None;
        }
        Ok(Some(newest))
    }
}

fn copy_path(copy: u64) -> String {
    format!("super.{copy}")
}

fn decode_indexes(reader: &mut Reader<'_>) -> Result<Vec<IndexPointer>, FormatError> {
    let count = reader.count(INDEXES_MAX)?;
    let mut indexes = Vec::with_capacity(count);
    for _ in 0..count {
        indexes.push(IndexPointer {
            owner: IndexOwner(reader.array()?),
            generation: reader.u64()?,
            root: ManifestRoot(reader.array()?),
        });
    }
    Ok(indexes)
}

fn decode_clean(reader: &mut Reader<'_>) -> Result<Option<Vec<CleanEnd>>, FormatError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => {
            let count = reader.count(CLEAN_ENDS_MAX)?;
            let mut ends = Vec::with_capacity(count);
            for _ in 0..count {
                ends.push(CleanEnd {
                    number: BlockNumber(reader.u64()?),
                    end: reader.u32()?,
                    previous: reader.array()?,
                });
            }
            Ok(Some(ends))
        }
        value => Err(FormatError::Unknown { noun: NOUN, value: value.into() }),
    }
}

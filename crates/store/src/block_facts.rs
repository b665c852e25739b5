use crypt::{Carry, CommittedBlock, ObjectKind, leaves_root};
use model::{BlockNumber, BlockRoot, ChainId, VertexHash};

use crate::block::{BlockHeader, IndexEntry};
use crate::error::{StoreError, block_file};
use crate::packed::PackedBlock;
use crate::scan::{Scan, read_block};
use crate::store::Inner;

/// What a commit says of a packed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockFacts {
    pub(crate) chain: ChainId,
    pub(crate) block: CommittedBlock,
}

/// The versions an index names.
pub(crate) fn versions(entries: &[IndexEntry]) -> impl Iterator<Item = VertexHash> {
    let vertices = entries.iter().filter(|entry| entry.kind == ObjectKind::Vertex);
    vertices.map(|entry| VertexHash::new(*entry.id.as_bytes()))
}

impl BlockFacts {
    pub(crate) fn new(
        header: &BlockHeader,
        root: BlockRoot,
        len: u64,
        versions: impl IntoIterator<Item = VertexHash>,
    ) -> Self {
        let leaves_root = leaves_root(versions);
        let block = CommittedBlock { number: header.number, root, len, leaves_root };
        Self { chain: header.chain, block }
    }

    /// Of a block on disk.
    pub(crate) fn of_packed(inner: &Inner, number: BlockNumber) -> Result<Self, StoreError> {
        let block = PackedBlock::open(inner, number)?;
        let keys = inner.keys_of(&block.header)?;
        let entries = block.entries(&keys)?;
        Ok(Self::new(&block.header, block.tail.root, block.tail.len, versions(&entries)))
    }
}

/// All batches of a packed block that another chain began.
pub(crate) fn carried(inner: &Inner, number: BlockNumber) -> Result<Option<Carry>, StoreError> {
    let path = block_file("blocks", number);
    let bytes = read_block(&*inner.disk, &path)?;
    let Some(scan) = Scan::new(&path, number, &bytes)? else { return Ok(None) };
    Ok(scan.batches.last().map(|last| Carry {
        chain: scan.header.chain,
        block: number,
        first: 0,
        last: last.number,
        last_header: scan.previous,
    }))
}

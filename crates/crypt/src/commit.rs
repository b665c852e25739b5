use model::codec::{Reader, Writer};
use model::hash::{MerkleKind, hash, merkle};
use model::limit::{BLOCK_LEN_MAX, CELL_LEN};
use model::{
    BlockNumber, BlockRoot, ChainId, EpochId, FormatError, Incarnation, RecordId, ScopeId, UserId,
    VertexHash,
};

use crate::chain::{ChainHead, chain_id};
use crate::endorsement::{ascending, read_ids, write_ids};
use crate::member_record::HEADS_MAX;
use crate::signature::read_suite;
use crate::{CryptError, HybridSignature, Identity, PublicIdentity, SUITE};

const NOUN: &str = "commit";
const LABEL: &str = "commit";
/// Chains one commit has seen, blocks it carries, blocks it releases, at most.
const LIST_MAX: usize = 1024;
/// Blocks that replace a released one at most.
const REPLACED_BY_MAX: usize = 16;
const NUMBER_MAX: u64 = (1 << 40) - 1;

/// Bytes of an encoded [`SignedCommit`] at most.
pub const COMMIT_LEN_MAX: usize = 1024 * 1024;

/// What a writer says of its chain, for good: a packed block, what it builds on, whom it has seen.
/// The hash of the body names it; no signature enters that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The scope.
    pub scope: ScopeId,
    /// Who says so.
    pub writer: UserId,
    /// Which copy of the writer's store; with scope and writer it makes the chain.
    pub incarnation: Incarnation,
    /// Counts the commits of the chain from 1, never twice the same.
    pub seq: u64,
    /// Hash of the commit before; zeros in the first.
    pub prev: [u8; 32],
    /// The heads of the membership log the writer knew, ascending.
    pub membership_head: Vec<RecordId>,
    /// The epoch it writes under.
    pub epoch: EpochId,
    /// Heads of other chains that changed since the commit before, ascending by chain.
    pub seen: Vec<ChainHead>,
    /// The packed block.
    pub block: Option<CommittedBlock>,
    /// Batches of other chains' open blocks the writer has taken over, ascending by chain and block.
    pub carries: Vec<Carry>,
    /// Blocks nobody needs any more, ascending by root.
    pub releases: Vec<Release>,
}

/// A packed block as its writer vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommittedBlock {
    /// Its number.
    pub number: BlockNumber,
    /// The root over its cells.
    pub root: BlockRoot,
    /// Bytes the root covers.
    pub len: u64,
    /// [`leaves_root`] of the versions in its index.
    pub leaves_root: [u8; 32],
}

/// Whole batches of an open block that somebody else began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carry {
    /// The chain that block is of.
    pub chain: ChainId,
    /// Its number there.
    pub block: BlockNumber,
    /// First batch taken over.
    pub first: u32,
    /// Last batch taken over.
    pub last: u32,
    /// Hash of the last batch's header.
    pub last_header: [u8; 32],
}

/// A block that others replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The block given up.
    pub root: BlockRoot,
    /// The blocks that hold what was live in it, ascending.
    pub replaced_by: Vec<BlockRoot>,
}

/// Merkle root over the ids of versions, sorted, each once.
pub fn leaves_root(versions: impl IntoIterator<Item = VertexHash>) -> [u8; 32] {
    let mut leaves: Vec<[u8; 32]> = versions.into_iter().map(|id| *id.as_bytes()).collect();
    leaves.sort_unstable();
    leaves.dedup();
    merkle(MerkleKind::Leaves, &leaves)
}

impl Commit {
    /// `H("commit", body)`.
    pub fn hash(&self) -> [u8; 32] {
        hash(LABEL, &[&self.encode()])
    }

    /// The chain it belongs to.
    pub fn chain(&self) -> ChainId {
        chain_id(self.scope, self.writer, self.incarnation)
    }

    /// What is known of the chain once this is known.
    pub fn head(&self) -> ChainHead {
        ChainHead { chain: self.chain(), seq: self.seq, hash: self.hash() }
    }

    /// Whether it comes right behind `before`, the head of its chain; `None` = nothing.
    pub fn follows(&self, before: Option<&ChainHead>) -> bool {
        match before {
            None => self.seq == 1,
            Some(head) => {
                self.seq.checked_sub(1) == Some(head.seq)
                    && self.prev == head.hash
                    && self.chain() == head.chain
            }
        }
    }

    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(SUITE).raw(self.scope.as_bytes()).raw(self.writer.as_bytes());
        out.raw(self.incarnation.as_bytes()).u64(self.seq).raw(&self.prev);
        write_ids(self.membership_head.iter().map(RecordId::as_bytes), &mut out);
        out.raw(self.epoch.as_bytes());
        ChainHead::write_all(self.seen.iter().copied(), &mut out);
        // The opening of a chain that replaces others; there is none with one node.
        out.u8(0);
        match &self.block {
            None => {
                out.u8(0);
            }
            Some(block) => {
                out.u8(1).u64(block.number.0).raw(block.root.as_bytes()).u64(block.len);
                out.raw(&block.leaves_root);
            }
        }
        out.var(self.carries.len() as u64);
        for carry in &self.carries {
            out.raw(carry.chain.as_bytes()).u64(carry.block.0);
            out.u32(carry.first).u32(carry.last).raw(&carry.last_header);
        }
        out.var(self.releases.len() as u64);
        for release in &self.releases {
            out.raw(release.root.as_bytes());
            write_ids(release.replaced_by.iter().map(BlockRoot::as_bytes), &mut out);
        }
        out.finish()
    }

    /// Signs as `identity`, the writer. Refused when it is not, or the commit is out of its limits.
    pub fn sign(self, identity: &Identity) -> Result<SignedCommit, CryptError> {
        if identity.user_id() != self.writer {
            return Err(CryptError::NotAuthorised { noun: NOUN });
        }
        let body = self.encode();
        let mut reader = Reader::new(NOUN, &body);
        Self::read(&mut reader)?;
        reader.end()?;
        let signature = identity.sign(LABEL, &body);
        Ok(SignedCommit { commit: self, signature })
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        read_suite(reader)?;
        let scope = ScopeId::new(reader.array()?);
        let writer = UserId::new(reader.array()?);
        let incarnation = Incarnation::new(reader.array()?);
        let (seq, prev) = (reader.u64()?, reader.array()?);
        if seq == 0 || (seq == 1) != (prev == [0; 32]) {
            return Err(reader.invalid());
        }
        let heads = read_ids(reader, NOUN, HEADS_MAX)?;
        let membership_head = heads.into_iter().map(RecordId::new).collect();
        let epoch = EpochId::new(reader.array()?);
        let seen = ChainHead::read_all(reader, NOUN, LIST_MAX)?;
        let opening = reader.u8()?;
        if opening != 0 {
            return Err(FormatError::Unknown { noun: "opening of a chain", value: opening.into() });
        }
        let block = CommittedBlock::read(reader)?;
        let (carries, releases) = (Carry::read_all(reader)?, Release::read_all(reader)?);
        Ok(Self {
            scope,
            writer,
            incarnation,
            seq,
            prev,
            membership_head,
            epoch,
            seen,
            block,
            carries,
            releases,
        })
    }
}

fn read_number(reader: &mut Reader<'_>) -> Result<BlockNumber, FormatError> {
    match reader.u64()? {
        number @ 1..=NUMBER_MAX => Ok(BlockNumber(number)),
        _ => Err(reader.invalid()),
    }
}

impl CommittedBlock {
    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, FormatError> {
        match reader.u8()? {
            0 => return Ok(None),
            1 => {}
            value => return Err(FormatError::Unknown { noun: NOUN, value: value.into() }),
        }
        let number = read_number(reader)?;
        let root = BlockRoot::new(reader.array()?);
        let len = reader.u64()?;
        let is_whole_cells = len > 0 && len.is_multiple_of(CELL_LEN as u64);
        if !is_whole_cells || len > BLOCK_LEN_MAX as u64 {
            return Err(reader.invalid());
        }
        Ok(Some(Self { number, root, len, leaves_root: reader.array()? }))
    }
}

impl Carry {
    fn read_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, FormatError> {
        let count = reader.count(LIST_MAX)?;
        let mut carries = Vec::new();
        for _ in 0..count {
            let chain = ChainId::new(reader.array()?);
            let block = read_number(reader)?;
            let (first, last) = (reader.u32()?, reader.u32()?);
            if first > last {
                return Err(reader.invalid());
            }
            carries.push(Self { chain, block, first, last, last_header: reader.array()? });
        }
        ascending(NOUN, carries.iter().map(|carry| (carry.chain, carry.block)))?;
        Ok(carries)
    }
}

impl Release {
    fn read_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, FormatError> {
        let count = reader.count(LIST_MAX)?;
        let mut releases = Vec::new();
        for _ in 0..count {
            let root = BlockRoot::new(reader.array()?);
            let replaced_by = read_ids(reader, NOUN, REPLACED_BY_MAX)?;
            let replaced_by = replaced_by.into_iter().map(BlockRoot::new).collect();
            releases.push(Self { root, replaced_by });
        }
        ascending(NOUN, releases.iter().map(|release| release.root))?;
        Ok(releases)
    }
}

/// A commit and the signature beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCommit {
    commit: Commit,
    signature: HybridSignature,
}

impl SignedCommit {
    /// The commit. That it is well formed says nothing about who made it.
    pub const fn commit(&self) -> &Commit {
        &self.commit
    }

    /// The body, then the signature.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::over(self.commit.encode());
        out.raw(&self.signature.encode());
        out.finish()
    }

    /// Reads an encoding; [`Self::verify`] tells whether it holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        let signed = Self::read(&mut reader)?;
        reader.end()?;
        Ok(signed)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { commit: Commit::read(reader)?, signature: HybridSignature::read(reader)? })
    }

    /// Whether `public` is the writer and signed exactly this.
    pub fn verify(&self, public: &PublicIdentity) -> Result<&Commit, CryptError> {
        if public.user_id() != self.commit.writer {
            return Err(CryptError::Signature { noun: LABEL });
        }
        public.verify(LABEL, &self.commit.encode(), &self.signature)?;
        Ok(&self.commit)
    }
}

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crypt::{ChainHead, Commit, CryptError, ForkProof, Frontier, PublicIdentity, SignedCommit};
use model::{ChainId, RecordId, ScopeId, UserId};

use crate::commit_file::CommitFile;
use crate::disk::Disk;
use crate::error::{Problem, StoreError};
use crate::scan::read_file;

/// Signs commits for a store, which holds no identity, and knows who may.
pub trait CommitSigner: Send + Sync {
    /// Signs a commit of the writer the store was opened for.
    fn sign(&self, commit: Commit) -> Result<SignedCommit, CryptError>;
    /// The keys of who may write or once might.
    fn public(&self, user: UserId) -> Option<&PublicIdentity>;
    /// Whether this commit of a chain of `user` counts.
    fn counts(&self, user: UserId, chain: &ChainId, seq: u64) -> bool;
    /// The heads of the membership log.
    fn membership_head(&self) -> &[RecordId];
}

/// How the blocks of a store are committed.
#[derive(Clone)]
pub struct Signing {
    /// Signs.
    pub signer: Arc<dyn CommitSigner>,
    /// How far the chains were seen before; empty at first contact.
    pub frontier: Frontier,
    /// Whether the writer may write: who may only read verifies and commits nothing.
    pub may_sign: bool,
    /// Goes on although chains end before the frontier or another commit is there: on a chain of its
    /// own, and what is missing is noted as damage.
    pub accept_rollback: bool,
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing").field("frontier", &self.frontier).finish_non_exhaustive()
    }
}

/// Where a chain's file ends.
pub(crate) struct ChainEnd {
    /// Its last commit.
    pub(crate) head: ChainHead,
    /// The last one that was durable when that was written.
    pub(crate) durable: Option<ChainHead>,
}

const FORK_LEN_MAX: usize = 2 * crypt::COMMIT_LEN_MAX;

impl Signing {
    /// Whether the writer's signature holds.
    pub(crate) fn holds(&self, signed: &SignedCommit) -> bool {
        let public = self.signer.public(signed.commit().writer);
        public.is_some_and(|public| signed.verify(public).is_ok())
    }

    /// The last commit of every chain of `scope` that has one, if its signature holds.
    pub(crate) fn ends(
        &self,
        disk: &dyn Disk,
        scope: ScopeId,
    ) -> Result<BTreeMap<ChainId, ChainEnd>, StoreError> {
        let mut ends = BTreeMap::new();
        for chain in commit_chains(disk)? {
            let Some(file) = CommitFile::open(disk, chain)? else { continue };
            let last = file.last()?.filter(|frame| self.holds(&frame.signed));
            let is_meant = |commit: &Commit| commit.chain() == chain && commit.scope == scope;
            let Some(last) = last.filter(|last| is_meant(last.signed.commit())) else {
                continue;
            };
            let durable = file.before(last.durable)?;
            let durable = durable.map(|frame| frame.signed.commit().head());
            ends.insert(chain, ChainEnd { head: last.signed.commit().head(), durable });
        }
        Ok(ends)
    }

    /// Where the chains on disk contradict the frontier.
    pub(crate) fn contradictions(
        &self,
        disk: &dyn Disk,
        ends: &BTreeMap<ChainId, ChainEnd>,
    ) -> Result<Vec<StoreError>, StoreError> {
        let mut found = Vec::new();
        for known in self.frontier.heads() {
            let chain = known.chain;
            match ends.get(&chain).map(|end| &end.head) {
                Some(head) if head == known => {}
                Some(head) if head.seq >= known.seq => {
                    if hash_at(disk, known)? != Some(known.hash) {
                        found.push(StoreError::Forked { chain, seq: known.seq });
                    }
                }
                head => {
                    let have = head.map_or(0, |head| head.seq);
                    found.push(StoreError::RolledBack { chain, known: known.seq, have });
                }
            }
        }
        Ok(found)
    }
}

/// The hash of the commit with the number of `known`, looked for from the end.
fn hash_at(disk: &dyn Disk, known: &ChainHead) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(file) = CommitFile::open(disk, known.chain)? else { return Ok(None) };
    let mut at = file.last()?;
    while let Some(frame) = at {
        let commit = frame.signed.commit();
        if commit.seq <= known.seq {
            return Ok((commit.seq == known.seq).then(|| commit.hash()));
        }
        at = file.before(frame.start)?;
    }
    Ok(None)
}

/// The chains that have a file here, ascending.
pub(crate) fn commit_chains(disk: &dyn Disk) -> Result<Vec<ChainId>, StoreError> {
    let entries = disk.list("records")?;
    let chains = entries.iter().filter_map(|entry| entry.name.strip_prefix("commits-"));
    Ok(chains.filter_map(|hex| hex.parse().ok()).collect())
}

/// Where each chain of a scope ends, as its file says: who wrote it, and its last commit. Signatures are
/// for the caller to verify.
pub fn chain_ends(disk: &dyn Disk, scope: ScopeId) -> Result<Vec<SignedCommit>, StoreError> {
    let mut ends = Vec::new();
    for chain in commit_chains(disk)? {
        let Some(file) = CommitFile::open(disk, chain)? else { continue };
        let last = file.last()?.map(|frame| frame.signed);
        ends.extend(last.filter(|last| last.commit().scope == scope));
    }
    Ok(ends)
}

/// A file in `records/` and the proof in it.
pub(crate) type KeptProof = (String, Result<ForkProof, StoreError>);

/// What is kept of forks.
pub(crate) fn fork_proofs(disk: &dyn Disk) -> Result<Vec<KeptProof>, StoreError> {
    let entries = disk.list("records")?;
    let names = entries.into_iter().map(|entry| entry.name);
    Ok(names
        .filter(|name| name.starts_with("fork-"))
        .map(|name| (format!("records/{name}"), fork_proof(disk, &name)))
        .collect())
}

fn fork_proof(disk: &dyn Disk, name: &str) -> Result<ForkProof, StoreError> {
    let path = format!("records/{name}");
    let bytes = read_file(disk, &path, FORK_LEN_MAX)?;
    let proof = ForkProof::decode(&bytes).map_err(|error| StoreError::format(&path, 0, error))?;
    if fork_name(&proof) == name {
        return Ok(proof);
    }
    Err(StoreError::corrupt(&path, 0, Problem::Misplaced))
}

pub(crate) fn fork_name(proof: &ForkProof) -> String {
    format!("fork-{}", proof.id())
}

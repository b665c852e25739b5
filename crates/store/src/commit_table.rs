//! What all chains say of the packed blocks, and whether that is so.

use std::collections::{BTreeMap, BTreeSet};

use crypt::{ChainHead, Commit, CommittedBlock, ForkProof, ObjectKind, SignedCommit};
use model::{BlockNumber, BlockRoot, ChainId, UserId, VertexHash};

use crate::block_facts::{BlockFacts, versions};
use crate::check::StoreReport;
use crate::commit_file::{CommitFile, CommitFrame};
use crate::error::{Problem, StoreError, block_file};
use crate::folder::{blocks_in, is_not_found, write_record};
use crate::packed::PackedBlock;
use crate::signing::{Signing, commit_chains, fork_name, fork_proofs};
use crate::store::{Damage, Inner, Store};

/// Who stands behind a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A commit names the block the version is in, and the version.
    Signed {
        /// Who signed.
        writer: UserId,
        /// Its chain.
        chain: ChainId,
        /// The commit's number.
        seq: u64,
    },
    /// The version is in an open block, or its block is not committed by its own chain.
    Claimed,
    /// There should be a proof, and it does not hold.
    Refused {
        /// Why.
        problem: Problem,
    },
}

/// A commit that names a packed block.
struct Entry {
    chain: ChainId,
    seq: u64,
    start: u64,
    writer: UserId,
    block: CommittedBlock,
    /// The chain the block was taken over from.
    carried: Option<ChainId>,
}

/// The commits of every chain by the blocks they name.
#[derive(Default)]
struct CommitTable {
    blocks: BTreeMap<BlockNumber, Vec<Entry>>,
    commits: u64,
    damage: Vec<Damage>,
    forks: Vec<ForkProof>,
    /// Roots of blocks that were given up.
    released: BTreeSet<BlockRoot>,
}

impl CommitTable {
    /// Reads all chains: numbers and hashes must follow, and every signature hold when `thorough`.
    fn read(inner: &Inner, signing: &Signing, thorough: bool) -> Result<Self, StoreError> {
        let mut table = Self::default();
        for chain in commit_chains(&*inner.disk)? {
            let Some(file) = CommitFile::open(&*inner.disk, chain)? else { continue };
            // Other scopes have members of their own; one that begins with damage is looked at.
            let first = file.at(0)?;
            let scope = inner.writer.keys.scope();
            if first.is_none_or(|first| first.signed.commit().scope == scope) {
                table.read_chain(chain, &file, signing, thorough)?;
            }
        }
        Ok(table)
    }

    fn read_chain(
        &mut self,
        chain: ChainId,
        file: &CommitFile,
        signing: &Signing,
        thorough: bool,
    ) -> Result<(), StoreError> {
        let (mut at, mut head) = (0, None);
        // Where each commit lies, to hold a second one with its number against it.
        let mut starts: BTreeMap<u64, u64> = BTreeMap::new();
        loop {
            let Some(frame) = file.at(at)? else {
                let Some(next) = self.skip(file, at)? else { return Ok(()) };
                at = next;
                continue;
            };
            at = frame.end;
            let commit = frame.signed.commit();
            self.commits += 1;
            if commit.chain() != chain {
                self.note(file, frame.start, Problem::Misplaced);
            } else if thorough && !signing.holds(&frame.signed) {
                self.note(file, frame.start, Problem::Signature);
            } else if !commit.follows(head.as_ref()) {
                self.out_of_order(file, &frame, &starts)?;
                // What follows a gap is whole again; what repeats or forks is left out.
                if commit.seq > head.map_or(0, |head: ChainHead| head.seq) {
                    head = Some(commit.head());
                    starts.insert(commit.seq, frame.start);
                    self.add(&frame);
                }
            } else {
                head = Some(commit.head());
                starts.insert(commit.seq, frame.start);
                if !signing.signer.counts(commit.writer, &chain, commit.seq) {
                    self.note(file, frame.start, Problem::Disowned { seq: commit.seq });
                }
                self.add(&frame);
            }
        }
    }

    /// Bytes that are no frame: a torn tail at the end, else damage.
    fn skip(&mut self, file: &CommitFile, at: u64) -> Result<Option<u64>, StoreError> {
        let Some(next) = file.search(at)? else { return Ok(None) };
        let lost = next.start - at;
        self.note(file, at, Problem::BatchLost { len: lost });
        Ok(Some(next.start))
    }

    fn out_of_order(
        &mut self,
        file: &CommitFile,
        frame: &CommitFrame,
        starts: &BTreeMap<u64, u64>,
    ) -> Result<(), StoreError> {
        let seq = frame.signed.commit().seq;
        let other = match starts.get(&seq) {
            Some(start) => file.at(*start)?,
            None => None,
        };
        let fork = other.and_then(|other| ForkProof::of(other.signed, frame.signed.clone()));
        match fork {
            Some(fork) => self.forks.push(fork),
            None => self.note(file, frame.start, Problem::OutOfOrder { seq }),
        }
        Ok(())
    }

    fn add(&mut self, frame: &CommitFrame) {
        let commit: &Commit = frame.signed.commit();
        self.released.extend(commit.releases.iter().map(|release| release.root));
        let Some(block) = commit.block else { return };
        let carried = commit.carries.iter().find(|carry| carry.block == block.number);
        self.blocks.entry(block.number).or_default().push(Entry {
            chain: commit.chain(),
            seq: commit.seq,
            start: frame.start,
            writer: commit.writer,
            block,
            carried: carried.map(|carry| carry.chain),
        });
    }

    fn note(&mut self, file: &CommitFile, offset: u64, problem: Problem) {
        let problem = StoreError::corrupt(&file.path, offset, problem).problem_text();
        self.damage.push(Damage { file: file.path.clone(), problem });
    }

    /// The commit that stands for a block, or what is wrong.
    fn of(&self, facts: &BlockFacts) -> Result<&Entry, Problem> {
        let all = self.blocks.get(&facts.block.number).map_or(&[][..], Vec::as_slice);
        let mut own = all
            .iter()
            .filter(|entry| entry.chain == facts.chain || entry.carried == Some(facts.chain));
        if let Some(entry) = own.clone().find(|entry| entry.block == facts.block) {
            return Ok(entry);
        }
        Err(own.next().map_or(Problem::Uncommitted, |entry| Problem::OtherBlock { seq: entry.seq }))
    }
}

/// Verifies every chain, and every packed block against its commit. A fork that is found is kept as a
/// proof; nothing else is written.
pub(crate) fn check_commits(
    inner: &Inner,
    blocks: &[BlockFacts],
    report: &mut StoreReport,
) -> Result<(), StoreError> {
    let signing = inner.ledger().as_ref().map(|ledger| ledger.signing.clone());
    let Some(signing) = signing else { return Ok(()) };
    inner.sync_commits()?;
    let table = CommitTable::read(inner, &signing, true)?;
    report.commits = table.commits;
    for facts in blocks {
        if let Err(problem) = table.of(facts) {
            let file = block_file("blocks", facts.block.number);
            report.damage.push(Damage { file, problem: problem.to_string() });
        }
    }
    let mut present: BTreeSet<BlockNumber> = BTreeSet::new();
    for dir in ["blocks", "open"] {
        present.extend(blocks_in(&*inner.disk, dir)?.into_iter().map(|(number, _)| number));
    }
    // A block may be gone when a signed commit gives it up.
    let is_given_up = |entries: &Vec<Entry>| {
        entries.iter().any(|entry| table.released.contains(&entry.block.root))
    };
    for (number, entries) in &table.blocks {
        if present.contains(number) || is_given_up(entries) {
            continue;
        }
        let file = block_file("blocks", *number);
        if !report.damage.iter().any(|damage| damage.file == file) {
            report.damage.push(Damage { file, problem: "missing".to_owned() });
        }
    }
    report.damage.extend(table.damage);
    for fork in &table.forks {
        write_record(&*inner.disk, &fork_name(fork), &fork.encode())?;
    }
    for (file, proof) in fork_proofs(&*inner.disk)? {
        let problem = proof.map_or_else(
            |error| error.problem_text(),
            |proof| match signing.signer.public(proof.writer()) {
                Some(public) if proof.verify(public).is_ok() => {
                    let problem = Problem::Forked { seq: proof.seq() };
                    format!("chain {}: {problem}", proof.chain())
                }
                _ => Problem::Signature.to_string(),
            },
        );
        report.damage.push(Damage { file, problem });
    }
    Ok(())
}

impl Store {
    /// Who stands behind each of `versions`, in their order.
    pub fn proofs(&self, versions: &[VertexHash]) -> Result<Vec<Proof>, StoreError> {
        let inner = self.inner();
        let signing = inner.ledger().as_ref().map(|ledger| ledger.signing.clone());
        let Some(signing) = signing else { return Ok(vec![Proof::Claimed; versions.len()]) };
        let table = CommitTable::read(inner, &signing, false)?;
        versions.iter().map(|version| prove(self, &signing, &table, *version)).collect()
    }
}

fn prove(
    store: &Store,
    signing: &Signing,
    table: &CommitTable,
    version: VertexHash,
) -> Result<Proof, StoreError> {
    let inner = store.inner();
    let refused = |problem| Ok(Proof::Refused { problem });
    let Some(location) = store.locate_any(&version.into())? else { return Ok(Proof::Claimed) };
    let block = match PackedBlock::open(inner, location.block) {
        Ok(block) => block,
        Err(StoreError::Disk(error)) if is_not_found(&error) => return Ok(Proof::Claimed),
        Err(StoreError::Corrupt { problem, .. }) => return refused(problem),
        Err(error) => return Err(error),
    };
    let entries = match inner.keys_of(&block.header).and_then(|keys| block.entries(&keys)) {
        Ok(entries) => entries,
        Err(StoreError::Corrupt { problem, .. }) => return refused(problem),
        Err(error) => return Err(error),
    };
    let facts = BlockFacts::new(&block.header, block.tail.root, block.tail.len, versions(&entries));
    let entry = match table.of(&facts) {
        Ok(entry) => entry,
        Err(Problem::Uncommitted) => return Ok(Proof::Claimed),
        Err(problem) => return refused(problem),
    };
    let is_named =
        location.kind == ObjectKind::Vertex && versions(&entries).any(|id| id == version);
    if !is_named {
        return refused(Problem::OtherBlock { seq: entry.seq });
    }
    if signed_at(inner, entry)?.is_none_or(|signed| !signing.holds(&signed)) {
        return refused(Problem::Signature);
    }
    if !signing.signer.counts(entry.writer, &entry.chain, entry.seq) {
        return refused(Problem::Disowned { seq: entry.seq });
    }
    let Entry { writer, chain, seq, .. } = *entry;
    Ok(Proof::Signed { writer, chain, seq })
}

fn signed_at(inner: &Inner, entry: &Entry) -> Result<Option<SignedCommit>, StoreError> {
    let Some(file) = CommitFile::open(&*inner.disk, entry.chain)? else { return Ok(None) };
    Ok(file.at(entry.start)?.map(|frame| frame.signed))
}

//! The own chain: which one it is, and a commit for every block that is packed.

use std::collections::BTreeSet;

use crypt::{Carry, ChainHead, Commit, CommittedBlock, Frontier, Random, Release};
use model::{BlockNumber, ChainId, Incarnation};

use crate::block::TAIL_LEN;
use crate::block_facts::{BlockFacts, carried, versions};
use crate::commit_file::{CommitFile, commit_path};
use crate::commit_log::CommitLog;
use crate::disk::Disk;
use crate::error::{Problem, StoreError};
use crate::signing::{Signing, commit_chains, fork_proofs};
use crate::store::{Damage, Inner, Writer};
use crate::superblock::Superblock;

/// Other chains one commit tells of at most.
const SEEN_MAX: usize = 1024;
/// Commits without a block that is looked for, after which looking back ends. A checkpoint covers
/// fewer blocks than that.
const LOOK_BACK_MAX: usize = 1024;

/// The chain this process writes, and how far the others are.
pub(crate) struct Ledger {
    pub(crate) signing: Signing,
    incarnation: Incarnation,
    log: CommitLog,
    /// Heads of the other chains.
    others: Vec<ChainHead>,
    /// Of `others`, those the chain has not told of since the store was opened.
    unseen: Vec<ChainHead>,
}

/// What one commit says besides where it stands.
#[derive(Default)]
struct Said {
    block: Option<CommittedBlock>,
    carries: Vec<Carry>,
    releases: Vec<Release>,
}

/// The id of the chain that `writer` writes under `incarnation`.
pub(crate) fn chain_of(writer: &Writer, incarnation: Incarnation) -> ChainId {
    crypt::chain_id(writer.keys.scope(), writer.user, incarnation)
}

impl Ledger {
    /// Goes on with the chain of the superblock; a new one is drawn where that may not be. `None`
    /// when nothing is to be signed.
    pub(crate) fn open(
        disk: &dyn Disk,
        writer: &Writer,
        superblock: &mut Superblock,
        random: &dyn Random,
    ) -> Result<(Option<Self>, Vec<Damage>), StoreError> {
        let Some(signing) = writer.signing.clone() else { return Ok((None, Vec::new())) };
        let mut damage = Vec::new();
        let is_clean = superblock.clean.is_some();
        let chain = chain_of(writer, superblock.incarnation);
        // First of all: it cuts off what a crash left half written.
        let log = match CommitLog::open(disk, chain, is_clean) {
            Ok(log) => Some(log),
            Err(error @ StoreError::Corrupt { .. }) => {
                damage.push(Damage { file: commit_path(chain), problem: error.problem_text() });
                None
            }
            Err(error) => return Err(error),
        };
        let ends = signing.ends(disk, writer.keys.scope())?;
        for error in signing.contradictions(disk, &ends)? {
            if !signing.accept_rollback {
                return Err(error);
            }
            damage.push(of_contradiction(&error));
        }
        let log = log.filter(|log| {
            let is_own = log.head() == ends.get(&chain).map(|end| &end.head);
            if !is_own {
                let problem = Problem::Signature.to_string();
                damage.push(Damage { file: commit_path(chain), problem });
            }
            is_own
        });
        let is_frozen = signing.accept_rollback || is_forked(disk, &signing, chain)?;
        let log = match log.filter(|_| !is_frozen) {
            Some(log) => log,
            None => {
                superblock.draw_incarnation(random);
                CommitLog::open(disk, chain_of(writer, superblock.incarnation), false)?
            }
        };
        let incarnation = superblock.incarnation;
        let own = chain_of(writer, incarnation);
        let others = ends.into_iter().filter(|(chain, _)| *chain != own);
        let others: Vec<ChainHead> = others
            .filter_map(|(_, end)| if is_clean { Some(end.head) } else { end.durable })
            .collect();
        let unseen = others.clone();
        Ok((Some(Self { signing, incarnation, log, others, unseen }), damage))
    }

    /// How far each chain is durable.
    fn frontier(&self) -> Frontier {
        let mut frontier = match self.signing.accept_rollback {
            true => Frontier::default(),
            false => self.signing.frontier.clone(),
        };
        self.others.iter().chain(self.log.durable_head()).for_each(|head| frontier.advance(*head));
        frontier
    }
}

/// A contradiction that was accepted.
fn of_contradiction(error: &StoreError) -> Damage {
    match error {
        StoreError::RolledBack { chain, known, have } => {
            let problem = match (have + 1, *known) {
                (first, last) if first == last => format!("commit {last} is missing"),
                (first, last) => format!("commits {first} to {last} are missing"),
            };
            Damage { file: commit_path(*chain), problem }
        }
        StoreError::Forked { chain, seq } => {
            let problem = format!("commit {seq} is another one than was seen");
            Damage { file: commit_path(*chain), problem }
        }
        error => Damage { file: "records".to_owned(), problem: error.problem_text() },
    }
}

fn is_forked(disk: &dyn Disk, signing: &Signing, chain: ChainId) -> Result<bool, StoreError> {
    // A damaged proof is for `check` to name.
    Ok(fork_proofs(disk)?.into_iter().filter_map(|(_, proof)| proof.ok()).any(|proof| {
        let public = signing.signer.public(proof.writer());
        proof.chain() == chain && public.is_some_and(|public| proof.verify(public).is_ok())
    }))
}

impl Inner {
    /// Commits the oldest finished block, which has just been renamed.
    pub(crate) fn commit_front(&self, number: BlockNumber) {
        if self.ledger().is_none() {
            return;
        }
        let finished = {
            let lane = self.lane();
            let front = lane.packing.front().filter(|front| front.header.number == number);
            front.and_then(|front| {
                let versions: Vec<_> = versions(&front.entries).collect();
                Some((front.header, front.root?, front.written, versions))
            })
        };
        // Hashed without the lane: others append meanwhile.
        if let Some((header, root, written, versions)) = finished {
            let len = u64::from(written).saturating_sub(TAIL_LEN as u64);
            let facts = BlockFacts::new(&header, root, len, versions);
            self.commit(Said { block: Some(facts.block), ..Said::default() });
        }
    }

    /// Commits a block that was packed from a file of a process before this one.
    pub(crate) fn commit_packed(&self, number: BlockNumber) -> Result<(), StoreError> {
        if self.ledger().is_none() {
            return Ok(());
        }
        let facts = BlockFacts::of_packed(self, number)?;
        let carry = if facts.chain == self.chain { None } else { carried(self, number)? };
        let carries = carry.into_iter().collect();
        self.commit(Said { block: Some(facts.block), carries, ..Said::default() });
        Ok(())
    }

    /// Says that blocks are gone because others hold all that they held.
    pub(crate) fn commit_releases(&self, releases: Vec<Release>) {
        if !releases.is_empty() {
            self.commit(Said { releases, ..Said::default() });
        }
    }

    /// Signs and appends; durable with the next sync of the chain.
    fn commit(&self, said: Said) {
        let mut ledger = self.ledger();
        let Some(ledger) = ledger.as_mut().filter(|ledger| ledger.signing.may_sign) else { return };
        let before = ledger.log.head();
        let told = ledger.unseen.len().min(SEEN_MAX);
        let commit = Commit {
            scope: self.writer.keys.scope(),
            writer: self.writer.user,
            incarnation: ledger.incarnation,
            seq: before.map_or(0, |head| head.seq) + 1,
            prev: before.map_or([0; 32], |head| head.hash),
            membership_head: ledger.signing.signer.membership_head().to_vec(),
            epoch: self.writer.keys.epoch(),
            seen: ledger.unseen.drain(..told).collect(),
            block: said.block,
            carries: said.carries,
            releases: said.releases,
        };
        match ledger.signing.signer.sign(commit) {
            Ok(signed) => ledger.log.append(&*self.disk, signed),
            Err(error) => self.note_damage(commit_path(self.chain), error.to_string()),
        }
    }

    /// Makes every commit durable.
    pub(crate) fn sync_commits(&self) -> Result<(), StoreError> {
        match self.ledger().as_mut() {
            Some(ledger) => ledger.log.sync(&*self.disk),
            None => Ok(()),
        }
    }

    /// How far each chain is durable.
    pub(crate) fn frontier(&self) -> Frontier {
        self.ledger().as_ref().map(Ledger::frontier).unwrap_or_default()
    }
}

/// Commits the packed blocks among `present` that a process was about to commit when it ended: no
/// checkpoint covers them, for a checkpoint follows the commits of what it covers. Nothing is done
/// after a clean close: what has no commit then was not packed here.
pub(crate) fn commit_rest(inner: &Inner, present: &[BlockNumber]) -> Result<(), StoreError> {
    if inner.ledger().is_none() || inner.superblock().clean.is_some() {
        return Ok(());
    }
    let coverage = inner.coverage().clone();
    let mut rest: BTreeSet<BlockNumber> =
        present.iter().copied().filter(|number| !coverage.knows(*number)).collect();
    for chain in commit_chains(&*inner.disk)? {
        if let Some(file) = CommitFile::open(&*inner.disk, chain)? {
            forget_committed(&file, &mut rest)?;
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    inner.mark_once(&mut inner.lane())?;
    for number in rest {
        // Another identity's, or damaged: the one is left for it, the other is named by who reads it.
        if let Err(error @ StoreError::Disk(_)) = inner.commit_packed(number) {
            return Err(error);
        }
    }
    Ok(())
}

fn forget_committed(file: &CommitFile, rest: &mut BTreeSet<BlockNumber>) -> Result<(), StoreError> {
    let mut others = 0;
    let mut frame = file.last()?;
    while let Some(at) = frame.filter(|_| !rest.is_empty() && others < LOOK_BACK_MAX) {
        let block = at.signed.commit().block;
        let is_wanted = block.is_some_and(|block| rest.remove(&block.number));
        others = if is_wanted { 0 } else { others + 1 };
        frame = file.before(at.start)?;
    }
    Ok(())
}

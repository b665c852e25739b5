//! Who belongs to a scope: a fold over the set of its records, the same for every order of arrival.

use std::collections::{BTreeMap, BTreeSet};

use model::{ChainId, RecordId, ScopeId, UserId};

use crate::member_record::{Change, Pin, Rights, SignedRecord};
use crate::membership_log::{MembershipLog, Verified};
use crate::{CryptError, Genesis, PublicIdentity};

/// A scope's members as its whole log says. The admins of the genesis hold every right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    scope: ScopeId,
    heads: Vec<RecordId>,
    members: BTreeMap<UserId, (PublicIdentity, Rights)>,
    removals: BTreeMap<UserId, Vec<RecordId>>,
    pins: BTreeMap<UserId, BTreeMap<ChainId, Pin>>,
    writers_ever: BTreeMap<UserId, PublicIdentity>,
    settings: Option<Vec<u8>>,
}

impl Membership {
    /// Computes the members. A record that is unsigned, unauthorised, of another scope or whose
    /// ancestors are not all there is not an error: it does not count (yet).
    pub fn fold(genesis: &Genesis, records: &[SignedRecord]) -> Result<Self, CryptError> {
        Ok(MembershipLog::new(genesis.clone(), records.to_vec())?.fold())
    }

    /// The fold of records whose signatures are known to hold.
    pub(crate) fn of_verified(genesis: &Genesis, records: Verified<'_>) -> Self {
        let log = Log::new(genesis, records);
        let mut removals = log.admin_removals();
        let standing = log.standing(&removals);
        removals.extend(log.nodes.iter().enumerate().filter_map(|(at, node)| {
            let plain =
                matches!(node.change, Change::Remove { subject, .. } if !log.ever_admin(*subject));
            (plain && standing.contains_key(&at)).then_some(at)
        }));
        Self {
            scope: genesis.scope_id(),
            heads: log.heads(),
            members: log.members(&removals, &standing),
            removals: log.removed(&removals),
            pins: log.pins(&removals),
            writers_ever: log.writers_ever(&standing),
            settings: log.settings(&standing),
        }
    }

    /// The scope.
    pub const fn scope(&self) -> ScopeId {
        self.scope
    }

    /// The records no other known record has as a parent, ascending.
    pub fn heads(&self) -> &[RecordId] {
        &self.heads
    }

    /// Every member with its rights, ascending by id.
    pub fn members(&self) -> impl Iterator<Item = (&PublicIdentity, Rights)> {
        self.members.values().map(|(public, rights)| (public, *rights))
    }

    /// The removals of `user` that count: an add takes effect when it overrides all of them.
    pub fn removals_of(&self, user: UserId) -> &[RecordId] {
        self.removals.get(&user).map_or(&[], Vec::as_slice)
    }

    /// What `user` may do.
    pub fn rights_of(&self, user: UserId) -> Rights {
        self.members.get(&user).map_or(Rights::NONE, |(_, rights)| *rights)
    }

    /// The keys of a member.
    pub fn public(&self, user: UserId) -> Option<&PublicIdentity> {
        self.members.get(&user).map(|(public, _)| public)
    }

    /// Who may read, ascending by id.
    pub fn readers(&self) -> Vec<&PublicIdentity> {
        self.with(Rights::READER)
    }

    /// Who may write, ascending by id.
    pub fn writers(&self) -> Vec<&PublicIdentity> {
        self.with(Rights::WRITER)
    }

    /// Where the chains of a removed member end; `None` when nobody removed it. Of several pins of
    /// a chain the lowest counts.
    pub fn pins_of(&self, user: UserId) -> Option<&BTreeMap<ChainId, Pin>> {
        self.pins.get(&user)
    }

    /// The keys of who may write or once might: their commits are verified with them, and
    /// [`Self::counts`] tells which of those count.
    pub fn writer_ever(&self, user: UserId) -> Option<&PublicIdentity> {
        self.writers_ever.get(&user)
    }

    /// Whether commit `seq` of a chain of `user` counts: all do of a writer, up to its pins those of
    /// a removed one.
    pub fn counts(&self, user: UserId, chain: &ChainId, seq: u64) -> bool {
        let pin = self.pins.get(&user).and_then(|pins| pins.get(chain));
        self.rights_of(user).contain(Rights::WRITER) || pin.is_some_and(|pin| seq <= pin.seq)
    }

    /// The sealed settings; of concurrent ones those of the greatest record id.
    pub fn settings(&self) -> Option<&[u8]> {
        self.settings.as_deref()
    }

    fn with(&self, right: Rights) -> Vec<&PublicIdentity> {
        let has = |(public, rights)| Rights::contain(rights, right).then_some(public);
        self.members.values().filter_map(|(public, rights)| has((public, *rights))).collect()
    }
}

/// Orders admins: those of the genesis by position, the others by their first add (depth, id).
type Seniority = (u64, [u8; 32]);

struct Node<'a> {
    id: RecordId,
    depth: u64,
    signers: BTreeSet<UserId>,
    parents: &'a [RecordId],
    ancestors: BTreeSet<usize>,
    change: &'a Change,
}

/// The sound part of the log in topological order.
struct Log<'a> {
    genesis: &'a Genesis,
    nodes: Vec<Node<'a>>,
    /// Indices of the adds that make this user an admin.
    admin_adds: BTreeMap<UserId, Vec<usize>>,
}

impl<'a> Log<'a> {
    fn new(genesis: &'a Genesis, signed: Verified<'a>) -> Self {
        let mut log = Self { genesis, nodes: Vec::new(), admin_adds: BTreeMap::new() };
        let mut placed: BTreeMap<RecordId, usize> = BTreeMap::new();
        let mut waiting = signed;
        loop {
            let ready: Vec<RecordId> = waiting
                .iter()
                .filter(|(_, (record, _))| {
                    record.record.parents.iter().all(|id| placed.contains_key(id))
                })
                .map(|(id, _)| *id)
                .collect();
            if ready.is_empty() {
                return log;
            }
            let first_of_round = log.nodes.len();
            for id in ready {
                let Some((record, signers)) = waiting.remove(&id) else { continue };
                log.place(id, record, signers, &placed);
            }
            let round = log.nodes.iter().enumerate().skip(first_of_round);
            placed.extend(round.map(|(at, node)| (node.id, at)));
        }
    }

    fn place(
        &mut self,
        id: RecordId,
        signed: &'a SignedRecord,
        signers: BTreeSet<UserId>,
        placed: &BTreeMap<RecordId, usize>,
    ) {
        let parents = signed.record.parents.as_slice();
        let mut ancestors = BTreeSet::new();
        let mut depth = 1;
        for at in parents.iter().filter_map(|parent| placed.get(parent)) {
            let Some(parent) = self.nodes.get(*at) else { continue };
            ancestors.extend(&parent.ancestors);
            ancestors.insert(*at);
            depth = depth.max(parent.depth + 1);
        }
        let change = &signed.record.change;
        if let Change::Add { subject, rights, .. } = change
            && rights.contain(Rights::ADMIN)
        {
            self.admin_adds.entry(subject.user_id()).or_default().push(self.nodes.len());
        }
        self.nodes.push(Node { id, depth, signers, parents, ancestors, change });
    }

    fn ever_admin(&self, user: UserId) -> bool {
        self.genesis.position(user).is_some() || self.admin_adds.contains_key(&user)
    }

    /// The removals of admins that count, each decided at its turn: the most senior signer first.
    fn admin_removals(&self) -> BTreeSet<usize> {
        let mut counted = BTreeSet::new();
        loop {
            let standing = self.standing(&counted);
            let next = self
                .nodes
                .iter()
                .enumerate()
                .filter(|(at, node)| {
                    let of_admin = matches!(node.change, Change::Remove { subject, .. } if self.ever_admin(*subject));
                    of_admin && !counted.contains(at)
                })
                .filter_map(|(at, node)| Some((standing.get(&at)?, node.depth, node.id, at)))
                .min();
            match next {
                Some((_, _, _, at)) => counted.insert(at),
                None => return counted,
            };
        }
    }

    /// The records enough of whose signers are admins there and then, given the removals counted so
    /// far, with the seniority of the junior-most signer needed.
    fn standing(&self, removals: &BTreeSet<usize>) -> BTreeMap<usize, Seniority> {
        let needed = usize::from(self.genesis.threshold());
        let mut standing = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let mut signers: Vec<Seniority> = node
                .signers
                .iter()
                .filter(|signer| !self.blocked(at, node, **signer, removals, &standing))
                .filter_map(|signer| self.seniority(node, *signer, &standing))
                .collect();
            signers.sort_unstable();
            if let Some(junior) = needed.checked_sub(1).and_then(|last| signers.get(last)) {
                standing.insert(at, *junior);
            }
        }
        standing
    }

    fn seniority(
        &self,
        node: &Node<'_>,
        signer: UserId,
        standing: &BTreeMap<usize, Seniority>,
    ) -> Option<Seniority> {
        if let Some(position) = self.genesis.position(signer) {
            let mut place = [0; 32];
            let (_, low) = place.split_at_mut(24);
            low.copy_from_slice(&(position as u64).to_be_bytes());
            return Some((0, place));
        }
        let adds = self.admin_adds.get(&signer)?.iter();
        adds.filter(|add| node.ancestors.contains(add) && standing.contains_key(add))
            .filter_map(|add| self.nodes.get(*add))
            .map(|add| (add.depth, *add.id.as_bytes()))
            .min()
    }

    /// A record by a removed admin counts only as an ancestor of the removal, or after an add that
    /// takes the removal back.
    #[expect(clippy::too_many_arguments, reason = "the question has five parts")]
    fn blocked(
        &self,
        at: usize,
        node: &Node<'_>,
        signer: UserId,
        removals: &BTreeSet<usize>,
        standing: &BTreeMap<usize, Seniority>,
    ) -> bool {
        let taken_back = |removal: RecordId| {
            let adds = self.admin_adds.get(&signer).into_iter().flatten();
            adds.filter(|add| node.ancestors.contains(add) && standing.contains_key(add))
                .filter_map(|add| self.nodes.get(*add))
                .any(|add| matches!(add.change, Change::Add { overrides, .. } if overrides.contains(&removal)))
        };
        removals.iter().filter_map(|removal| self.nodes.get(*removal)).any(|removal| {
            matches!(removal.change, Change::Remove { subject, .. } if *subject == signer)
                && !removal.ancestors.contains(&at)
                && !taken_back(removal.id)
        })
    }

    fn heads(&self) -> Vec<RecordId> {
        let mut heads: BTreeSet<RecordId> = self.nodes.iter().map(|node| node.id).collect();
        for parent in self.nodes.iter().flat_map(|node| node.parents) {
            heads.remove(parent);
        }
        heads.into_iter().collect()
    }

    /// The counted removals of each member, ascending.
    fn removed(&self, removals: &BTreeSet<usize>) -> BTreeMap<UserId, Vec<RecordId>> {
        let mut removed: BTreeMap<UserId, Vec<RecordId>> = BTreeMap::new();
        for node in removals.iter().filter_map(|removal| self.nodes.get(*removal)) {
            if let Change::Remove { subject, .. } = node.change {
                removed.entry(*subject).or_default().push(node.id);
            }
        }
        removed.values_mut().for_each(|ids| ids.sort_unstable());
        removed
    }

    fn members(
        &self,
        removals: &BTreeSet<usize>,
        standing: &BTreeMap<usize, Seniority>,
    ) -> BTreeMap<UserId, (PublicIdentity, Rights)> {
        let removed = self.removed(removals);
        let removals_of = |user| removed.get(&user).map_or(&[][..], Vec::as_slice);
        let mut members = BTreeMap::new();
        for admin in self.genesis.admins() {
            if removals_of(admin.user_id()).is_empty() {
                members.insert(admin.user_id(), (admin.clone(), Rights::ALL));
            }
        }
        for node in standing.keys().filter_map(|at| self.nodes.get(*at)) {
            let Change::Add { subject, rights, overrides } = node.change else { continue };
            if removals_of(subject.user_id()).iter().all(|removal| overrides.contains(removal)) {
                let member = members
                    .entry(subject.user_id())
                    .or_insert_with(|| (PublicIdentity::clone(subject), Rights::NONE));
                member.1 = member.1.and(*rights);
            }
        }
        members
    }

    fn writers_ever(
        &self,
        standing: &BTreeMap<usize, Seniority>,
    ) -> BTreeMap<UserId, PublicIdentity> {
        let admins = self.genesis.admins().iter();
        let mut writers: BTreeMap<UserId, PublicIdentity> =
            admins.map(|admin| (admin.user_id(), admin.clone())).collect();
        for node in standing.keys().filter_map(|at| self.nodes.get(*at)) {
            if let Change::Add { subject, rights, .. } = node.change
                && rights.contain(Rights::WRITER)
            {
                writers.entry(subject.user_id()).or_insert_with(|| PublicIdentity::clone(subject));
            }
        }
        writers
    }

    fn pins(&self, removals: &BTreeSet<usize>) -> BTreeMap<UserId, BTreeMap<ChainId, Pin>> {
        let mut all: BTreeMap<UserId, BTreeMap<ChainId, Pin>> = BTreeMap::new();
        for node in removals.iter().filter_map(|removal| self.nodes.get(*removal)) {
            let Change::Remove { subject, pins } = node.change else { continue };
            let lowest = all.entry(*subject).or_default();
            for pin in pins {
                let kept = lowest.entry(pin.chain).or_insert(*pin);
                *kept = (*kept).min(*pin);
            }
        }
        all
    }

    fn settings(&self, standing: &BTreeMap<usize, Seniority>) -> Option<Vec<u8>> {
        let sets: Vec<(usize, &Node<'_>, &Vec<u8>)> = standing
            .keys()
            .filter_map(|at| {
                let node = self.nodes.get(*at)?;
                let Change::Set { settings } = node.change else { return None };
                Some((*at, node, settings))
            })
            .collect();
        let latest = sets
            .iter()
            .filter(|(at, ..)| !sets.iter().any(|(_, later, _)| later.ancestors.contains(at)));
        latest.max_by_key(|(_, node, _)| node.id).map(|(.., settings)| (*settings).clone())
    }
}

//! Who may read and write: making scopes, sharing them, taking that back.
//!
//! Works on the records alone. What is stored follows at the next opening: its writer uses no epoch
//! that somebody who was removed can open.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crypt::{
    Change, CryptError, EpochKeys, Identity, MemberRecord, MembershipLog, Pin, PublicIdentity,
    Rights, Settings,
};
use model::{EpochId, FormatError, Name, ScopeId, UserId};
use store::disk::DiskLock;
use store::{Store, chain_ends};

use crate::error::Error;
use crate::key::fingerprint;
use crate::open::{real_world, wait_while_busy};
use crate::options::Options;
use crate::records::{Records, write_epoch, write_genesis, write_member};
use crate::scope::{Scope, chosen};
use crate::world::World;

/// Hex digits of an id, or of a fingerprint, that stand for a member.
const PREFIX_LEN_MIN: usize = 8;

/// One scope, as the identity in use sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeEntry {
    /// Its id.
    pub id: ScopeId,
    /// Its name; `home` when it has none.
    pub name: String,
    /// What the identity in use may do now.
    pub rights: Rights,
    /// Members there are.
    pub member_count: usize,
    /// Epochs that the identity can open.
    pub epoch_count: usize,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub user: UserId,
    /// The same, short enough to compare.
    pub fingerprint: String,
    /// What an admin called it.
    pub name: Option<String>,
    /// What it may do.
    pub rights: Rights,
}

/// What sharing wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Who was given access.
    pub member: Member,
    /// Wraps written: one for each newest epoch that it lacked.
    pub grants: usize,
    /// Bytes of all records written.
    pub bytes_written: u64,
}

/// The scopes of a data folder, while nobody else has it open.
pub struct Scopes {
    world: World,
    identity: Identity,
    _lock: Box<dyn DiskLock>,
}

impl Scopes {
    /// Opens the records of an existing store. Of `options` the identity, its passphrase and how long
    /// to wait count.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error> {
        let options = Options { create: false, ..options.clone() };
        Self::with(real_world(path.as_ref(), &options)?, &options)
    }

    /// [`Self::open`] in `world`.
    pub fn with(world: World, options: &Options) -> Result<Self, Error> {
        Store::check_format(&*world.disk)?;
        let identity = world.key_file.unlock(options.passphrase.as_ref())?.identity;
        let lock = wait_while_busy(&*world.clock, options.wait, || Ok(Store::lock(&*world.disk)?))?;
        Ok(Self { world, identity, _lock: lock })
    }

    fn all(&self) -> Result<Vec<Scope>, Error> {
        Scope::all(&self.identity, Records::read(&*self.world.disk)?)
    }

    fn scope(&self, word: &str) -> Result<Scope, Error> {
        chosen(self.all()?, &self.identity, word)
    }

    /// Every scope that the identity can read, or is a member of.
    pub fn list(&self) -> Result<Vec<ScopeEntry>, Error> {
        let entry = |scope: &Scope| ScopeEntry {
            id: scope.id(),
            name: scope.name().to_owned(),
            rights: scope.rights_of(&self.identity),
            member_count: scope.membership.members().count(),
            epoch_count: scope.keyring.held_count(),
        };
        let scopes = self.all()?;
        let known = scopes
            .iter()
            .filter(|scope| scope.is_readable() || scope.rights_of(&self.identity) != Rights::NONE);
        let mut entries: Vec<ScopeEntry> = known.map(entry).collect();
        entries.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        Ok(entries)
    }

    /// Makes a scope with the identity as its one member and admin.
    pub fn create(&mut self, name: &str) -> Result<ScopeId, Error> {
        // A scope's name is written where names are: the same characters are refused.
        Name::new(name)?;
        let taken = self.all()?;
        if taken.iter().any(|scope| scope.is_readable() && scope.name() == name) {
            return Err(Error::ScopeAmbiguous { scope: name.to_owned() });
        }
        let (disk, random) = (&*self.world.disk, &*self.world.random);
        let (mut scope, genesis) = Scope::found(&self.identity, random)?;
        scope.prepare(disk, &self.identity, random)?;
        let settings = scope.settings.clone().named(name);
        self.write_settings(&scope, &settings)?;
        // Last: until then nothing of it is a scope, and it has its name from its first moment.
        write_genesis(disk, &genesis)?;
        Ok(scope.id())
    }

    /// Who belongs to a scope, ascending by id.
    pub fn members(&self, scope: &str) -> Result<Vec<Member>, Error> {
        let scope = self.scope(scope)?;
        let members = scope.membership.members();
        Ok(members.map(|(public, rights)| member_of(&scope, public.user_id(), rights)).collect())
    }

    /// Gives `subject` rights in a scope, on top of those it has; whoever may read gets the whole
    /// history. `name` is what members will see.
    pub fn share(
        &mut self,
        scope: &str,
        subject: &PublicIdentity,
        rights: Rights,
        name: Option<&str>,
    ) -> Result<Shared, Error> {
        let mut scope = self.administered(scope, "share")?;
        let user = subject.user_id();
        let mut bytes_written = 0;
        let held = scope.membership.rights_of(user);
        if !held.contain(rights) {
            let overrides = scope.membership.removals_of(user).to_vec();
            let subject = Box::new(subject.clone());
            let change = Change::Add { subject, rights, overrides };
            bytes_written += self.write_change(&mut scope, change)?;
        }
        let (disk, random) = (&*self.world.disk, &*self.world.random);
        let grants = scope.grant_missing(disk, &self.identity, random)?;
        bytes_written += grants.iter().map(|grant| grant.encode().len() as u64).sum::<u64>();
        if name.is_some() && scope.settings.member(user) != name {
            let settings = scope.settings.clone().with_member(user, name);
            bytes_written += self.write_settings(&scope, &settings)?;
            scope.settings = settings;
        }
        let member = member_of(&scope, user, scope.membership.rights_of(user));
        Ok(Shared { member, grants: grants.len(), bytes_written })
    }

    /// Ends a membership. Nothing first written from now on will open for the removed one.
    pub fn revoke(&mut self, scope: &str, member: &str) -> Result<Member, Error> {
        let mut scope = self.administered(scope, "revoke")?;
        let user = found(&scope, member)?;
        let removed = member_of(&scope, user, scope.membership.rights_of(user));
        let admins = scope.membership.members().filter(|(_, held)| held.contain(Rights::ADMIN));
        if admins.map(|(public, _)| public.user_id()).eq([user]) {
            return Err(Error::NotAllowed {
                what: "remove the last admin",
                scope: scope.name().to_owned(),
            });
        }
        let pins = self.pins(&scope, user)?;
        self.write_change(&mut scope, Change::Remove { subject: user, pins })?;
        // Whoever can, closes the door now and not at its next write.
        scope.prepare(&*self.world.disk, &self.identity, &*self.world.random)?;
        Ok(removed)
    }

    /// Where the chains of `user` end: what it signed up to now goes on counting.
    fn pins(&self, scope: &Scope, user: UserId) -> Result<Vec<Pin>, Error> {
        let Some(public) = scope.log.public(user) else { return Ok(Vec::new()) };
        let ends = chain_ends(&*self.world.disk, scope.id())?;
        let own = ends.iter().filter(|end| end.commit().writer == user);
        let mut pins: Vec<Pin> = own
            .filter(|end| end.verify(public).is_ok())
            .map(|end| end.commit().head())
            .map(|head| Pin { chain: head.chain, seq: head.seq, hash: head.hash })
            .collect();
        pins.sort_unstable();
        Ok(pins)
    }

    /// Begins a new epoch: what is first written from now on has keys of its own.
    pub fn rotate(&mut self, scope: &str) -> Result<EpochId, Error> {
        let mut scope = self.scope(scope)?;
        if !scope.may_write(&self.identity) {
            return Err(not_allowed("rotate", &scope));
        }
        let random = &*self.world.random;
        let epoch = scope.keyring.mint(&self.identity, &scope.membership, random)?;
        write_epoch(&*self.world.disk, &epoch)?;
        Ok(epoch.epoch_id())
    }

    /// A scope whose membership the identity may change alone.
    fn administered(&self, word: &str, what: &'static str) -> Result<Scope, Error> {
        let scope = self.scope(word)?;
        if !scope.rights_of(&self.identity).contain(Rights::ADMIN) {
            return Err(not_allowed(what, &scope));
        }
        if scope.log.genesis().threshold() > 1 {
            return Err(CryptError::Unsupported { noun: "scope of several signatures" }.into());
        }
        Ok(scope)
    }

    /// Appends to the membership log; the bytes it took.
    fn write_change(&self, scope: &mut Scope, change: Change) -> Result<u64, Error> {
        let parents = scope.membership.heads().to_vec();
        let record = MemberRecord { scope: scope.id(), parents, change };
        let signed = record.sign(&[&self.identity]);
        let mut records = Records::read(&*self.world.disk)?;
        let mut members = records.scopes.remove(&scope.id()).map(|scope| scope.members);
        members.get_or_insert_default().push(signed.clone());
        // Proven to count before it is written.
        let log = MembershipLog::new(scope.log.genesis().clone(), members.unwrap_or_default())?;
        write_member(&*self.world.disk, &signed)?;
        scope.membership = log.fold();
        scope.log = log;
        Ok(signed.encode().len() as u64)
    }

    /// Seals and publishes settings; the bytes it took.
    fn write_settings(&self, scope: &Scope, settings: &Settings) -> Result<u64, Error> {
        let (keys, is_writable): (Vec<Arc<EpochKeys>>, bool) = scope.keys()?;
        let keys =
            keys.first().filter(|_| is_writable).ok_or_else(|| not_allowed("write", scope))?;
        let settings = settings.seal(keys)?;
        let parents = scope.membership.heads().to_vec();
        let change = Change::Set { settings };
        let signed = MemberRecord { scope: scope.id(), parents, change }.sign(&[&self.identity]);
        write_member(&*self.world.disk, &signed)?;
        Ok(signed.encode().len() as u64)
    }
}

fn not_allowed(what: &'static str, scope: &Scope) -> Error {
    Error::NotAllowed { what, scope: scope.name().to_owned() }
}

fn member_of(scope: &Scope, user: UserId, rights: Rights) -> Member {
    let name = scope.settings.member(user).map(str::to_owned);
    Member { user, fingerprint: fingerprint(&user), name, rights }
}

/// Who is meant: a name, a fingerprint, an id, or the beginning of either of those two.
fn found(scope: &Scope, word: &str) -> Result<UserId, Error> {
    let is_meant = |user: &UserId| {
        let by_name = scope.settings.member(*user) == Some(word);
        let long = word.len() >= PREFIX_LEN_MIN;
        let by_id = user.to_string().starts_with(word) || fingerprint(user).starts_with(word);
        by_name || (long && by_id)
    };
    let users: BTreeSet<UserId> =
        scope.membership.members().map(|(public, _)| public.user_id()).filter(is_meant).collect();
    match users.into_iter().collect::<Vec<_>>().as_slice() {
        [user] => Ok(*user),
        [] => Err(Error::MemberUnknown { member: word.to_owned() }),
        _ => Err(Error::Argument(FormatError::Invalid { noun: "member: several are meant" })),
    }
}

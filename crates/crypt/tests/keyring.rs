//! Which epochs an identity opens, and which it writes under.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use ouroboros_crypt::{
    Change, CryptError, EpochRecord, Genesis, GrantRecord, Identity, Keyring, MemberRecord,
    Membership, MembershipLog, Rights, Root, SeededRandom, SignedRecord,
};

fn identity(seed: u64) -> Identity {
    Identity::from_root(Root::random(&SeededRandom::new(seed))).unwrap()
}

const BOTH: Rights = Rights::READER.and(Rights::WRITER);

struct Scope {
    genesis: Genesis,
    records: Vec<SignedRecord>,
    epochs: Vec<EpochRecord>,
    grants: Vec<GrantRecord>,
    random: SeededRandom,
}

impl Scope {
    fn of(admin: &Identity) -> Self {
        let random = SeededRandom::new(9);
        let genesis = Genesis::new(vec![admin.public().clone()], 1, &random).unwrap();
        Self { genesis, records: vec![], epochs: vec![], grants: vec![], random }
    }

    fn log(&self) -> MembershipLog {
        MembershipLog::new(self.genesis.clone(), self.records.clone()).unwrap()
    }

    fn membership(&self) -> Membership {
        self.log().fold()
    }

    fn change(&mut self, change: Change, admin: &Identity) {
        let parents = self.membership().heads().to_vec();
        let record = MemberRecord { scope: self.genesis.scope_id(), parents, change };
        self.records.push(record.sign(&[admin]));
    }

    fn add(&mut self, subject: &Identity, rights: Rights, admin: &Identity) {
        let overrides = self.membership().removals_of(subject.user_id()).to_vec();
        let subject = Box::new(subject.public().clone());
        self.change(Change::Add { subject, rights, overrides }, admin);
    }

    fn remove(&mut self, subject: &Identity, admin: &Identity) {
        self.change(Change::Remove { subject: subject.user_id(), pins: vec![] }, admin);
    }

    fn keyring(&self, identity: &Identity) -> Keyring {
        Keyring::open(identity, &self.log(), &self.epochs, &self.grants)
    }

    /// What opening for writing does: the usable head, or a new epoch.
    fn write_as(&mut self, identity: &Identity) -> Keyring {
        let (mut keyring, membership) = (self.keyring(identity), self.membership());
        if keyring.writable(&membership).is_none() {
            self.epochs.push(keyring.mint(identity, &membership, &self.random).unwrap());
        }
        self.grants
            .extend(keyring.grant_missing(identity.user_id(), &membership, &self.random).unwrap());
        keyring
    }
}

#[test]
fn a_reader_who_comes_later_gets_the_whole_history() {
    let (alice, bob) = (identity(1), identity(2));
    let mut scope = Scope::of(&alice);
    scope.write_as(&alice);
    assert_eq!(scope.keyring(&bob).held_count(), 0);
    scope.add(&bob, Rights::READER, &alice);
    let grants = scope.grants.len();
    scope.write_as(&alice);
    assert_eq!((scope.epochs.len(), scope.grants.len()), (1, grants + 1), "no new epoch");
    assert_eq!(scope.keyring(&bob).held_count(), 1);
    scope.write_as(&alice);
    assert_eq!(scope.grants.len(), grants + 1, "granted once");
    let bytes = scope.grants.last().unwrap().encode();
    assert!(bytes.len() == ouroboros_crypt::GRANT_LEN && bytes.len() <= 2000, "{}", bytes.len());
    assert_eq!(GrantRecord::decode(&bytes).unwrap(), *scope.grants.last().unwrap());
}

#[test]
fn who_was_removed_opens_what_was_and_nothing_later() {
    let (alice, bob) = (identity(1), identity(2));
    let mut scope = Scope::of(&alice);
    scope.write_as(&alice);
    scope.add(&bob, BOTH, &alice);
    scope.write_as(&alice);
    let before = scope.keyring(&bob);
    assert!(before.writable(&scope.membership()).is_some());
    scope.remove(&bob, &alice);
    assert!(scope.keyring(&alice).writable(&scope.membership()).is_none(), "not for a removed one");
    scope.write_as(&alice);
    assert_eq!((scope.epochs.len(), scope.keyring(&alice).held_count()), (2, 2));
    let after = scope.keyring(&bob);
    assert_eq!(after.held_count(), 1);
    assert_eq!(after.writable(&scope.membership()), None);
    // Taken back, it reads what it missed too.
    scope.add(&bob, BOTH, &alice);
    scope.write_as(&alice);
    assert_eq!(scope.keyring(&bob).held_count(), 2);
}

#[test]
fn a_grant_to_who_was_removed_since_keeps_writers_from_the_epoch() {
    let (alice, bob) = (identity(1), identity(2));
    let mut scope = Scope::of(&alice);
    scope.write_as(&alice);
    scope.add(&bob, Rights::READER, &alice);
    scope.write_as(&alice);
    scope.remove(&bob, &alice);
    assert_eq!(scope.epochs.first().unwrap().readers().count(), 1, "the record names Alice alone");
    assert_eq!(scope.keyring(&alice).writable(&scope.membership()), None);
    scope.grants.clear();
    assert!(scope.keyring(&alice).writable(&scope.membership()).is_some());
}

#[test]
fn epochs_and_grants_of_strangers_do_not_count() {
    let (alice, mallory) = (identity(1), identity(3));
    let mut scope = Scope::of(&alice);
    scope.write_as(&alice);
    let genuine = scope.keyring(&alice).writable(&scope.membership());
    let mut other = Scope::of(&mallory);
    other.genesis = Genesis::new(vec![mallory.public().clone()], 1, &other.random).unwrap();
    other.write_as(&mallory);
    let foreign = other.epochs.remove(0);
    scope.epochs.push(foreign);
    assert_eq!(scope.keyring(&alice).writable(&scope.membership()), genuine);
    let secret = ouroboros_crypt::EpochSecret::from_bytes([7; 32]);
    let (id, epoch) = (scope.genesis.scope_id(), scope.epochs.first().unwrap().epoch_id());
    let of = (id, epoch);
    let forged =
        GrantRecord::new(mallory.user_id(), of, &secret, mallory.public(), &scope.random).unwrap();
    let bytes = forged.encode();
    scope.grants.push(forged);
    assert_eq!(scope.keyring(&alice).writable(&scope.membership()), genuine);
    assert_eq!(scope.keyring(&mallory).held_count(), 0);
    for at in 0..bytes.len() {
        assert!(GrantRecord::decode(&bytes[..at]).is_err(), "{at}");
    }
    assert!(GrantRecord::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_grant_of_another_secret_than_the_published_one_is_refused() {
    let (alice, bob) = (identity(1), identity(2));
    let mut scope = Scope::of(&alice);
    scope.write_as(&alice);
    scope.add(&bob, Rights::READER, &alice);
    let secret = ouroboros_crypt::EpochSecret::from_bytes([7; 32]);
    let (id, epoch) = (scope.genesis.scope_id(), scope.epochs.first().unwrap().epoch_id());
    let of = (id, epoch);
    let lying = GrantRecord::new(alice.user_id(), of, &secret, bob.public(), &scope.random);
    scope.grants.push(lying.unwrap());
    let keyring = scope.keyring(&bob);
    assert_eq!(keyring.held_count(), 0);
    assert_eq!(keyring.refused(), [(epoch, CryptError::Unseal)]);
}

#[test]
fn a_long_chain_of_epochs_opens_by_its_last() {
    let alice = identity(1);
    let mut scope = Scope::of(&alice);
    scope.write_as(&alice);
    for _ in 0..99 {
        let mut keyring = scope.keyring(&alice);
        scope.epochs.push(keyring.mint(&alice, &scope.membership(), &scope.random).unwrap());
    }
    let keyring = scope.keyring(&alice);
    assert_eq!((keyring.held_count(), keyring.refused().len()), (100, 0));
    let keys = keyring.keys(&scope.log());
    assert_eq!(Some(keys.first().unwrap().epoch()), keyring.writable(&scope.membership()));
    scope.epochs.reverse();
    assert_eq!(scope.keyring(&alice).held_count(), 100, "in any order");
}

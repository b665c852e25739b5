//! Who belongs to a scope, and who gets the keys of its epochs.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use model::{ChainId, RecordId, UserId};
use ouroboros_crypt::{
    Change, CryptError, EpochRecord, Genesis, Identity, MemberRecord, Membership, Pin, Rights,
    Root, SeededRandom, SignedGenesis, SignedRecord,
};

fn identity(seed: u64) -> Identity {
    Identity::from_root(Root::random(&SeededRandom::new(seed))).unwrap()
}

/// A scope with two admins of the genesis, `alice` the senior.
struct Scope {
    alice: Identity,
    bob: Identity,
    genesis: Genesis,
    log: Vec<SignedRecord>,
}

impl Scope {
    fn new() -> Self {
        let (alice, bob) = (identity(1), identity(2));
        let admins = vec![alice.public().clone(), bob.public().clone()];
        let genesis = Genesis::new(admins, 1, &SeededRandom::new(3)).unwrap();
        Self { alice, bob, genesis, log: Vec::new() }
    }

    fn fold(&self) -> Membership {
        let folded = Membership::fold(&self.genesis, &self.log).unwrap();
        let backwards: Vec<_> = self.log.iter().rev().chain(&self.log).cloned().collect();
        let again = Membership::fold(&self.genesis, &backwards).unwrap();
        assert_eq!(folded, again, "neither order nor repetition matters");
        folded
    }

    fn rights(&self, user: &Identity) -> Rights {
        self.fold().rights_of(user.user_id())
    }

    /// Appends a record behind `parents`.
    fn at(&mut self, parents: &[RecordId], change: Change, signer: &Identity) -> RecordId {
        let mut parents = parents.to_vec();
        parents.sort();
        let record = MemberRecord { scope: self.genesis.scope_id(), parents, change };
        let id = record.id();
        let signed = record.sign(&[signer]);
        assert_eq!(SignedRecord::decode(&signed.encode()).unwrap(), signed);
        self.log.push(signed);
        id
    }

    /// Appends a record behind everything known.
    fn then(&mut self, change: Change, signer: &Identity) -> RecordId {
        let heads = self.fold().heads().to_vec();
        self.at(&heads, change, signer)
    }
}

fn add(subject: &Identity, rights: Rights, overrides: &[RecordId]) -> Change {
    let overrides = overrides.to_vec();
    Change::Add { subject: Box::new(subject.public().clone()), rights, overrides }
}

fn remove(subject: &Identity) -> Change {
    Change::Remove { subject: subject.user_id(), pins: Vec::new() }
}

#[test]
fn a_genesis_is_signed_by_its_admins_and_names_the_scope() {
    let Scope { alice, genesis, .. } = Scope::new();
    let scope = genesis.scope_id();
    let signed = genesis.clone().sign(&[&alice]);
    let bytes = signed.encode();
    let back = SignedGenesis::decode(&bytes).unwrap();
    assert_eq!(back.verify().unwrap().scope_id(), scope);
    assert_eq!(back.encode(), bytes);
    assert!(genesis.clone().sign(&[]).verify().is_err(), "too few signatures");
    assert!(genesis.clone().sign(&[&identity(9)]).verify().is_err(), "not an admin");
    assert!(genesis.sign(&[&alice, &identity(9)]).verify().is_err(), "a stranger among them");
    let mut other = bytes;
    other[1] ^= 1;
    assert!(SignedGenesis::decode(&other).unwrap().verify().is_err());
}

#[test]
fn a_genesis_needs_distinct_admins_and_a_threshold_they_can_meet() {
    let public = |seed| identity(seed).public().clone();
    let make = |admins, m| Genesis::new(admins, m, &SeededRandom::new(1)).is_ok();
    assert!(make(vec![public(1), public(2)], 2));
    assert!(!make(vec![public(1), public(2)], 3));
    assert!(!make(vec![public(1)], 0));
    assert!(!make(vec![public(1), public(1)], 1));
    assert!(!make(vec![], 1));
    assert!(make((0..32).map(public).collect(), 1));
    assert!(!make((0..33).map(public).collect(), 1));
}

#[test]
fn genesis_admins_hold_every_right_and_may_be_alone() {
    let scope = Scope::new();
    assert_eq!(scope.rights(&scope.alice), Rights::ALL);
    let folded = scope.fold();
    assert_eq!((folded.readers().len(), folded.writers().len()), (2, 2));
    assert!(folded.heads().is_empty());
}

#[test]
fn adds_by_admins_count_and_by_others_do_not() {
    let (alice, carol, dave) = (identity(1), identity(4), identity(5));
    let mut scope = Scope::new();
    scope.then(add(&carol, Rights::READER.and(Rights::WRITER), &[]), &alice);
    scope.then(add(&dave, Rights::READER, &[]), &carol);
    assert_eq!(scope.rights(&carol), Rights::READER.and(Rights::WRITER));
    assert_eq!(scope.rights(&dave), Rights::NONE);
    scope.then(add(&dave, Rights::ALL, &[]), &dave);
    assert_eq!(scope.rights(&dave), Rights::NONE, "nobody adds himself");
}

#[test]
fn an_added_admin_may_add() {
    let (alice, carol, dave) = (identity(1), identity(4), identity(5));
    let mut scope = Scope::new();
    let added = scope.then(add(&carol, Rights::ADMIN, &[]), &alice);
    scope.then(add(&dave, Rights::READER, &[]), &carol);
    assert_eq!(scope.rights(&dave), Rights::READER);
    assert_eq!(scope.rights(&carol), Rights::ADMIN, "an admin who is no reader");
    // Without her own add among the ancestors she was no admin.
    let mut early = Scope::new();
    assert_eq!(early.at(&[], add(&carol, Rights::ADMIN, &[]), &alice), added);
    early.at(&[], add(&dave, Rights::READER, &[]), &carol);
    assert_eq!(early.rights(&dave), Rights::NONE);
}

#[test]
fn removals_win_until_an_add_lists_them() {
    let (alice, bob, carol) = (identity(1), identity(2), identity(4));
    let mut scope = Scope::new();
    let added = scope.then(add(&carol, Rights::READER, &[]), &alice);
    let removed = scope.at(&[added], remove(&carol), &alice);
    scope.at(&[added], add(&carol, Rights::WRITER, &[]), &bob);
    assert_eq!(scope.rights(&carol), Rights::NONE, "a concurrent add loses");
    scope.then(add(&carol, Rights::WRITER, &[]), &bob);
    assert_eq!(scope.rights(&carol), Rights::NONE, "a later one that ignores it, too");
    scope.then(add(&carol, Rights::WRITER, &[removed]), &bob);
    assert_eq!(scope.rights(&carol), Rights::WRITER);
}

#[test]
fn a_removed_admin_keeps_what_it_did_before_and_cannot_backdate() {
    let (alice, bob, carol, dave) = (identity(1), identity(2), identity(4), identity(5));
    let mut scope = Scope::new();
    let before = scope.then(add(&carol, Rights::READER, &[]), &bob);
    scope.then(remove(&bob), &alice);
    scope.at(&[before], add(&dave, Rights::READER, &[]), &bob);
    assert_eq!(scope.rights(&bob), Rights::NONE);
    assert_eq!(scope.rights(&carol), Rights::READER);
    assert_eq!(scope.rights(&dave), Rights::NONE);
}

#[test]
fn a_junior_cannot_oust_a_senior_who_resists() {
    let (alice, bob) = (identity(1), identity(2));
    let mut scope = Scope::new();
    scope.at(&[], remove(&alice), &bob);
    assert_eq!(scope.rights(&alice), Rights::NONE, "no resistance yet");
    scope.at(&[], remove(&bob), &alice);
    assert_eq!(scope.rights(&alice), Rights::ALL);
    assert_eq!(scope.rights(&bob), Rights::NONE);
}

#[test]
fn a_readmitted_admin_acts_again() {
    let (alice, bob, carol) = (identity(1), identity(2), identity(4));
    let mut scope = Scope::new();
    let removed = scope.then(remove(&bob), &alice);
    let back = scope.then(add(&bob, Rights::ALL, &[removed]), &alice);
    scope.at(&[back], add(&carol, Rights::READER, &[]), &bob);
    assert_eq!((scope.rights(&bob), scope.rights(&carol)), (Rights::ALL, Rights::READER));
}

#[test]
fn a_threshold_counts_signers() {
    let (alice, bob, carol) = (identity(1), identity(2), identity(4));
    let mut scope = Scope::new();
    let admins = vec![alice.public().clone(), bob.public().clone()];
    scope.genesis = Genesis::new(admins, 2, &SeededRandom::new(3)).unwrap();
    scope.then(add(&carol, Rights::READER, &[]), &alice);
    assert_eq!(scope.rights(&carol), Rights::NONE);
    // The same body signed by the other admin adds up, whichever copy comes first.
    scope.at(&[], add(&carol, Rights::READER, &[]), &bob);
    assert_eq!(scope.rights(&carol), Rights::READER);
}

#[test]
fn records_without_their_ancestors_and_of_other_scopes_do_not_count() {
    let (alice, carol) = (identity(1), identity(4));
    let mut scope = Scope::new();
    scope.at(&[RecordId::new([7; 32])], add(&carol, Rights::READER, &[]), &alice);
    assert_eq!(scope.rights(&carol), Rights::NONE);
    assert!(scope.fold().heads().is_empty());
    let mut other = Scope::new();
    other.genesis = Genesis::new(vec![alice.public().clone()], 1, &SeededRandom::new(8)).unwrap();
    other.then(add(&carol, Rights::READER, &[]), &alice);
    scope.log.extend(other.log);
    assert_eq!(scope.rights(&carol), Rights::NONE);
}

#[test]
fn a_forged_signature_does_not_count() {
    let (alice, carol) = (identity(1), identity(4));
    let mut scope = Scope::new();
    scope.then(add(&carol, Rights::READER, &[]), &alice);
    let mut bytes = scope.log[0].encode();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    scope.log = vec![SignedRecord::decode(&bytes).unwrap()];
    assert_eq!(scope.rights(&carol), Rights::NONE);
    assert!(scope.log[0].verify(&[alice.public()]).is_err());
}

#[test]
fn pins_take_the_lowest_and_settings_the_latest() {
    let (alice, bob) = (identity(1), identity(2));
    let chain = ChainId::new([1; 32]);
    let pinned = |seq| Change::Remove {
        subject: UserId::new([9; 32]),
        pins: vec![Pin { chain, seq, hash: [0; 32] }],
    };
    let mut scope = Scope::new();
    scope.at(&[], pinned(7), &alice);
    scope.at(&[], pinned(5), &bob);
    let set = |text: &[u8]| Change::Set { settings: text.to_vec() };
    scope.then(set(b"first"), &alice);
    scope.then(set(b"second"), &bob);
    let folded = scope.fold();
    assert_eq!(folded.pins_of(UserId::new([9; 32])).unwrap()[&chain].seq, 5);
    assert_eq!(folded.pins_of(bob.user_id()), None);
    assert_eq!(folded.settings(), Some(&b"second"[..]));
}

#[test]
fn a_log_is_refused_one_past_its_limit() {
    let alice = identity(1);
    let mut scope = Scope::new();
    scope.at(&[], remove(&identity(4)), &alice);
    // One record many times: the count is checked before anything is computed.
    let log = vec![scope.log[0].clone(); 4097];
    assert!(Membership::fold(&scope.genesis, &log).is_err());
}

#[test]
fn an_epoch_opens_for_its_readers_and_nobody_else() {
    let (alice, bob, carol, dave) = (identity(1), identity(2), identity(4), identity(5));
    let mut scope = Scope::new();
    scope.then(add(&carol, Rights::READER, &[]), &alice);
    scope.then(add(&dave, Rights::WRITER, &[]), &alice);
    let membership = scope.fold();
    let random = SeededRandom::new(6);
    let (record, secret) = EpochRecord::mint(&alice, &membership, &[], &random).unwrap();
    let bytes = record.encode();
    let record = EpochRecord::decode(&bytes).unwrap();
    assert_eq!(record.encode(), bytes);
    for reader in [&alice, &bob, &carol] {
        let opened = record.open(reader, &membership).unwrap();
        assert_eq!(opened.expose(), secret.expose());
    }
    assert!(matches!(record.open(&dave, &membership), Err(CryptError::NoKey { .. })));
    for minter in [&carol, &dave] {
        let refused = EpochRecord::mint(minter, &membership, &[], &random);
        assert!(matches!(refused, Err(CryptError::NotAuthorised { .. })));
    }
    // Another state of the log has other readers.
    scope.then(remove(&carol), &alice);
    assert!(record.open(&alice, &scope.fold()).is_err());
}

#[test]
fn a_new_epoch_opens_the_old_ones_and_not_the_reverse() {
    let scope = Scope::new();
    let (membership, random) = (scope.fold(), SeededRandom::new(6));
    let mint = |parents: &[_]| EpochRecord::mint(&scope.alice, &membership, parents, &random);
    let (first, first_secret) = mint(&[]).unwrap();
    let (second, second_secret) = mint(&[]).unwrap();
    let parents =
        [(first.epoch_id(), Some(&first_secret)), (second.epoch_id(), Some(&second_secret))];
    let (third, third_secret) = mint(&parents).unwrap();
    let third = EpochRecord::decode(&third.encode()).unwrap();
    for (at, parent) in third.core().parents.iter().enumerate() {
        let opened = third.parent_secret(at, &third_secret).unwrap();
        let held = if *parent == first.epoch_id() { &first_secret } else { &second_secret };
        assert_eq!(opened.expose(), held.expose());
        assert!(third.parent_secret(at, &first_secret).is_err());
    }
    assert!(matches!(third.parent_secret(2, &third_secret), Err(CryptError::NoKey { .. })));
}

#[test]
fn a_changed_epoch_record_is_refused() {
    let scope = Scope::new();
    let (membership, random) = (scope.fold(), SeededRandom::new(6));
    let (parent, held) = EpochRecord::mint(&scope.bob, &membership, &[], &random).unwrap();
    let parents = [(parent.epoch_id(), Some(&held))];
    let (record, _) = EpochRecord::mint(&scope.alice, &membership, &parents, &random).unwrap();
    let bytes = record.encode();
    for at in (0..bytes.len()).filter(|at| *at < 320 || at % 61 == 0) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let opened = EpochRecord::decode(&flipped)
            .is_ok_and(|record| record.open(&scope.alice, &membership).is_ok());
        assert!(!opened, "{at}");
        assert!(EpochRecord::decode(&bytes[..at]).is_err(), "{at}");
    }
    assert!(EpochRecord::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn an_epoch_takes_as_many_parents_as_its_limit() {
    let scope = Scope::new();
    let (membership, random) = (scope.fold(), SeededRandom::new(6));
    let secret = ouroboros_crypt::EpochSecret::from_bytes([1; 32]);
    let parents = |count: u8| -> Vec<_> {
        (0..count).map(|n| (model::EpochId::new([n; 32]), Some(&secret))).collect()
    };
    let (record, _) = EpochRecord::mint(&scope.alice, &membership, &parents(64), &random).unwrap();
    EpochRecord::decode(&record.encode()).unwrap();
    assert!(EpochRecord::mint(&scope.alice, &membership, &parents(65), &random).is_err());
}

//! Commits, proofs of forks, frontiers: what holds, what is refused, every limit.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use model::hash::HashKey;
use model::{
    BlockNumber, BlockRoot, ChainId, EpochId, FormatError, Incarnation, RecordId, ScopeId,
    VertexHash,
};
use ouroboros_crypt::{
    COMMIT_LEN_MAX, Carry, ChainHead, Change, Commit, CommittedBlock, CryptError, FRONTIER_LEN_MAX,
    ForkProof, Frontier, Genesis, Identity, MemberRecord, Membership, Pin, Release, Rights, Root,
    SeededRandom, SignedCommit, leaves_root,
};

const LIST_MAX: usize = 1024;

fn identity(seed: u64) -> Identity {
    Identity::from_root(Root::random(&SeededRandom::new(seed))).unwrap()
}

fn first(writer: &Identity) -> Commit {
    Commit {
        scope: ScopeId::new([1; 32]),
        writer: writer.user_id(),
        incarnation: Incarnation::new([2; 16]),
        seq: 1,
        prev: [0; 32],
        membership_head: vec![RecordId::new([3; 32])],
        epoch: EpochId::new([4; 32]),
        seen: vec![head(5)],
        block: Some(block(7)),
        carries: vec![carry(8)],
        releases: vec![Release {
            root: BlockRoot::new([9; 32]),
            replaced_by: vec![BlockRoot::new([10; 32])],
        }],
    }
}

fn numbered(number: u64) -> [u8; 32] {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    id
}

fn head(number: u64) -> ChainHead {
    ChainHead { chain: ChainId::new(numbered(number)), seq: 6, hash: [6; 32] }
}

fn block(number: u64) -> CommittedBlock {
    CommittedBlock {
        number: BlockNumber(number),
        root: BlockRoot::new([11; 32]),
        len: 64 * 1024,
        leaves_root: leaves_root([VertexHash::new([12; 32])]),
    }
}

fn carry(number: u64) -> Carry {
    let chain = ChainId::new(numbered(number));
    Carry { chain, block: BlockNumber(1), first: 0, last: 3, last_header: [13; 32] }
}

fn second(writer: &Identity, before: &Commit) -> Commit {
    Commit { seq: before.seq + 1, prev: before.hash(), block: None, ..first(writer) }
}

#[test]
fn a_signed_commit_holds_for_its_writer_alone() {
    let (alice, bob) = (identity(1), identity(2));
    let signed = first(&alice).sign(&alice).unwrap();
    assert_eq!(SignedCommit::decode(&signed.encode()).unwrap(), signed);
    assert_eq!(signed.verify(alice.public()).unwrap(), &first(&alice));
    let refused = CryptError::Signature { noun: "commit" };
    assert_eq!(signed.verify(bob.public()), Err(refused));
    let not_bobs = first(&alice).sign(&bob);
    assert_eq!(not_bobs, Err(CryptError::NotAuthorised { noun: "commit" }));
    assert_eq!(signed.commit().hash(), first(&alice).sign(&alice).unwrap().commit().hash());
}

#[test]
fn every_cut_and_every_flip_is_refused() {
    let alice = identity(1);
    let bytes = first(&alice).sign(&alice).unwrap().encode();
    for len in 0..bytes.len() {
        assert!(SignedCommit::decode(&bytes[..len]).is_err(), "{len}");
    }
    // A bit of ML-DSA is like any other: every byte of the body, some of the signature.
    let body_len = first(&alice).encode().len();
    let places = (0..body_len).chain((body_len..bytes.len()).step_by(61));
    for at in places {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let holds = SignedCommit::decode(&flipped)
            .is_ok_and(|signed| signed.verify(alice.public()).is_ok());
        assert!(!holds, "{at}");
    }
}

#[test]
fn a_chain_follows_by_number_and_hash() {
    let alice = identity(1);
    let one = first(&alice);
    let two = second(&alice, &one);
    assert!(one.follows(None) && !two.follows(None));
    assert!(two.follows(Some(&one.head())) && !one.follows(Some(&one.head())));
    let skips = Commit { seq: 3, ..two.clone() };
    let other = Commit { prev: [1; 32], ..two.clone() };
    let elsewhere = Commit { incarnation: Incarnation::new([0; 16]), ..two };
    for wrong in [skips, other, elsewhere] {
        assert!(!wrong.follows(Some(&one.head())));
    }
}

#[test]
fn limits_of_a_commit() {
    let alice = identity(1);
    let signs = |commit: Commit| commit.sign(&alice).is_ok();
    let base = || Commit { seen: vec![], carries: vec![], releases: vec![], ..first(&alice) };
    let ids = |count: u64| (1..=count).map(numbered);
    let heads =
        |count| Commit { membership_head: ids(count).map(RecordId::new).collect(), ..base() };
    assert!(signs(heads(64)) && !signs(heads(65)));
    let seen = |count: u64| Commit { seen: (1..=count).map(head).collect(), ..base() };
    assert!(signs(seen(LIST_MAX as u64)) && !signs(seen(LIST_MAX as u64 + 1)));
    let carries = |count: u64| Commit { carries: (1..=count).map(carry).collect(), ..base() };
    assert!(signs(carries(LIST_MAX as u64)) && !signs(carries(LIST_MAX as u64 + 1)));
    let releases = |count: u64, by: u64| {
        let replaced_by: Vec<_> = ids(by).map(BlockRoot::new).collect();
        let release = |id| Release { root: BlockRoot::new(id), replaced_by: replaced_by.clone() };
        Commit { releases: ids(count).map(release).collect(), ..base() }
    };
    assert!(signs(releases(LIST_MAX as u64, 16)) && !signs(releases(LIST_MAX as u64 + 1, 1)));
    assert!(!signs(releases(1, 17)));
    let fullest = Commit {
        seen: seen(LIST_MAX as u64).seen,
        carries: carries(LIST_MAX as u64).carries,
        releases: releases(LIST_MAX as u64, 16).releases,
        ..heads(64)
    };
    assert!(fullest.sign(&alice).unwrap().encode().len() <= COMMIT_LEN_MAX);
    let with = |block: CommittedBlock| Commit { block: Some(block), ..base() };
    let number = |number| with(CommittedBlock { number: BlockNumber(number), ..block(1) });
    assert!(signs(number(1)) && signs(number((1 << 40) - 1)));
    assert!(!signs(number(0)) && !signs(number(1 << 40)));
    let len = |len| with(CommittedBlock { len, ..block(1) });
    assert!(signs(len(16 << 20)) && !signs(len((16 << 20) + (64 << 10))));
    assert!(!signs(len(0)) && !signs(len(64 * 1024 + 1)));
}

#[test]
fn a_commit_has_one_form() {
    let alice = identity(1);
    let refused = |commit: Commit| commit.sign(&alice).is_err();
    assert!(refused(Commit { seq: 0, ..first(&alice) }));
    assert!(refused(Commit { prev: [1; 32], ..first(&alice) }));
    assert!(refused(Commit { seq: 2, ..first(&alice) }));
    assert!(refused(Commit { seen: vec![head(2), head(1)], ..first(&alice) }));
    assert!(refused(Commit { seen: vec![head(1), head(1)], ..first(&alice) }));
    assert!(refused(Commit { seen: vec![ChainHead { seq: 0, ..head(1) }], ..first(&alice) }));
    assert!(refused(Commit { carries: vec![carry(2), carry(1)], ..first(&alice) }));
    assert!(refused(Commit { carries: vec![Carry { first: 4, ..carry(1) }], ..first(&alice) }));
    // Kept free for the opening of a chain that replaces others.
    let bare =
        Commit { seen: vec![], block: None, carries: vec![], releases: vec![], ..first(&alice) };
    let mut bytes = bare.sign(&alice).unwrap().encode();
    let opening = bytes.len() - ouroboros_crypt::SIGNATURE_LEN - 4;
    bytes[opening] = 1;
    let unknown = FormatError::Unknown { noun: "opening of a chain", value: 1 };
    assert_eq!(SignedCommit::decode(&bytes), Err(unknown));
}

#[test]
fn leaves_are_a_set() {
    let ids = [3, 1, 2].map(|byte| VertexHash::new([byte; 32]));
    let [three, one, two] = ids;
    assert_eq!(leaves_root(ids), leaves_root([one, two, three, two]));
    assert_ne!(leaves_root(ids), leaves_root([one, two]));
    assert_ne!(leaves_root([]), leaves_root([one]));
}

#[test]
fn two_bodies_at_one_place_prove_a_fork() {
    let (alice, bob) = (identity(1), identity(2));
    let sign = |commit: Commit| commit.sign(&alice).unwrap();
    let one = first(&alice);
    let other = Commit { block: None, ..first(&alice) };
    let proof = ForkProof::of(sign(one.clone()), sign(other.clone())).unwrap();
    let mirrored = ForkProof::of(sign(other.clone()), sign(one.clone())).unwrap();
    assert_eq!((proof.id(), proof.chain(), proof.seq()), (mirrored.id(), one.chain(), 1));
    proof.verify(alice.public()).unwrap();
    assert!(proof.verify(bob.public()).is_err());
    let bytes = proof.encode();
    assert_eq!(ForkProof::decode(&bytes).unwrap(), proof);
    // Two signatures of one body are no fork, nor are two places or two chains.
    assert_eq!(ForkProof::of(sign(one.clone()), sign(one.clone())), None);
    assert_eq!(ForkProof::of(sign(one.clone()), sign(second(&alice, &one))), None);
    let elsewhere = Commit { incarnation: Incarnation::new([0; 16]), ..other };
    assert_eq!(ForkProof::of(sign(one), sign(elsewhere)), None);
    let mut pair = bytes.clone();
    pair.rotate_left(bytes.len() - sign(first(&alice)).encode().len());
    assert!(ForkProof::decode(&pair).is_err(), "one order only");
    for len in 0..bytes.len() {
        assert!(ForkProof::decode(&bytes[..len]).is_err(), "{len}");
    }
    for at in (0..bytes.len()).step_by(29) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let holds =
            ForkProof::decode(&flipped).is_ok_and(|proof| proof.verify(alice.public()).is_ok());
        assert!(!holds, "{at}");
    }
}

#[test]
fn a_frontier_opens_under_its_key_alone() {
    let key = HashKey::new([1; 32]);
    let mut frontier = Frontier::default();
    assert_eq!(Frontier::decode(&frontier.encode(&key).unwrap(), &key).unwrap(), frontier);
    frontier.advance(head(1));
    frontier.advance(ChainHead { seq: 9, ..head(2) });
    frontier.advance(head(2));
    assert_eq!(frontier.head(&head(2).chain).unwrap().seq, 9, "it never goes back");
    let bytes = frontier.encode(&key).unwrap();
    assert_eq!(Frontier::decode(&bytes, &key).unwrap(), frontier);
    assert!(Frontier::decode(&bytes, &HashKey::new([2; 32])).is_err());
    for len in 0..bytes.len() {
        assert!(Frontier::decode(&bytes[..len], &key).is_err(), "{len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Frontier::decode(&flipped, &key).is_err(), "{bit}");
    }
}

#[test]
fn limits_of_a_frontier() {
    let key = HashKey::new([1; 32]);
    let mut frontier = Frontier::default();
    (1..=16 * 1024).for_each(|number| frontier.advance(head(number)));
    let bytes = frontier.encode(&key).unwrap();
    assert_eq!(bytes.len(), FRONTIER_LEN_MAX);
    assert_eq!(Frontier::decode(&bytes, &key).unwrap(), frontier);
    frontier.advance(head(16 * 1024 + 1));
    assert!(frontier.encode(&key).is_err());
}

#[test]
fn a_removed_writers_commits_count_up_to_its_pins() {
    let (alice, bob, eve) = (identity(1), identity(2), identity(3));
    let genesis = Genesis::new(vec![alice.public().clone()], 1, &SeededRandom::new(3)).unwrap();
    let scope = genesis.scope_id();
    let record = |parents: &[RecordId], change| {
        MemberRecord { scope, parents: parents.to_vec(), change }.sign(&[&alice])
    };
    let add = |who: &Identity, rights| Change::Add {
        subject: Box::new(who.public().clone()),
        rights,
        overrides: Vec::new(),
    };
    let mut log = vec![record(&[], add(&bob, Rights::READER.and(Rights::WRITER)))];
    log.push(record(&[log[0].record().id()], add(&eve, Rights::READER)));
    let chain = ChainId::new([1; 32]);
    let before = Membership::fold(&genesis, &log).unwrap();
    assert!(before.counts(bob.user_id(), &chain, 9));
    assert!(
        before.writer_ever(eve.user_id()).is_none() && !before.counts(eve.user_id(), &chain, 1)
    );
    let pins = vec![Pin { chain, seq: 4, hash: [0; 32] }];
    let removal = Change::Remove { subject: bob.user_id(), pins };
    log.push(record(&[log[1].record().id()], removal));
    let after = Membership::fold(&genesis, &log).unwrap();
    assert_eq!(after.writer_ever(bob.user_id()), Some(bob.public()));
    assert!(after.counts(bob.user_id(), &chain, 4) && !after.counts(bob.user_id(), &chain, 5));
    assert!(!after.counts(bob.user_id(), &ChainId::new([2; 32]), 1));
    assert!(after.counts(alice.user_id(), &chain, 5));
}

//! Signed history against a store that lies: commits and blocks that are swapped, replayed, rolled back,
//! forked, injected or dropped are each named.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

mod common;

use std::sync::Arc;

use common::{Keys, keys, open, vertex, vertex_object};
use crypt::{
    Commit, CryptError, Frontier, Identity, PublicIdentity, Root, SIGNATURE_LEN, SignedCommit,
};
use model::{ChainId, Content, RecordId, UserId, VertexHash};
use ouroboros_store as store;
use store::disk::{Access, Caching, Disk, DiskFile};
use store::sim_disk::{ImageKind, SimDisk};
use store::{CommitSigner, Problem, Proof, Signing, Store, StoreError, StoreOptions};

struct Signer {
    own: Identity,
    removed: bool,
}

impl CommitSigner for Signer {
    fn sign(&self, commit: Commit) -> Result<SignedCommit, CryptError> {
        commit.sign(&self.own)
    }

    fn public(&self, user: UserId) -> Option<&PublicIdentity> {
        (self.own.user_id() == user).then(|| self.own.public())
    }

    fn counts(&self, _: UserId, _: &ChainId, seq: u64) -> bool {
        !self.removed || seq <= 1
    }

    fn membership_head(&self) -> &[RecordId] {
        &[]
    }
}

fn identity(byte: u8) -> Identity {
    Identity::from_root(Root::from_bytes([byte; 32])).unwrap()
}

/// Keys that sign as the identity of `byte`.
fn signing(byte: u8, frontier: Frontier, accept_rollback: bool) -> Keys {
    let mut keys = keys();
    let own = identity(byte);
    keys.writer.user = own.user_id();
    let signer = Arc::new(Signer { own, removed: false });
    keys.writer.signing = Some(Signing { signer, frontier, may_sign: true, accept_rollback });
    keys
}

fn inline() -> StoreOptions {
    StoreOptions { background: false, ..StoreOptions::default() }
}

fn try_open(disk: &SimDisk, frontier: &Frontier, accept: bool) -> Result<Store, StoreError> {
    open(Arc::new(disk.clone()), &signing(1, frontier.clone(), accept), 5, inline())
}

fn reopen(disk: &SimDisk) -> Store {
    try_open(disk, &Frontier::default(), false).unwrap()
}

fn put(store: &Store, name: &str) -> VertexHash {
    let version = vertex(name, Vec::new(), 0, Content::Inline(name.as_bytes().to_vec()));
    let (hash, object) = vertex_object(store, &keys(), &version);
    store.sync(store.append(vec![object]).unwrap()).unwrap();
    hash
}

/// A store of three packed blocks and a clean close; its versions and its frontier.
fn three_blocks(disk: &SimDisk, seed: u64) -> (Vec<VertexHash>, Frontier) {
    let store =
        open(Arc::new(disk.clone()), &signing(1, Frontier::default(), false), seed, inline());
    let store = store.unwrap();
    let put_and_pack = |name: &&str| {
        let hash = put(&store, name);
        store.flush().unwrap();
        hash
    };
    let versions = ["a", "b", "c"].iter().map(put_and_pack).collect();
    store.close().unwrap();
    (versions, store.frontier())
}

fn problems(store: &Store) -> Vec<String> {
    let report = store.check(true, &mut |_, _| true).unwrap();
    report.damage.into_iter().map(|damage| format!("{}: {}", damage.file, damage.problem)).collect()
}

fn assert_named(problems: &[String], words: &str) {
    assert!(problems.iter().any(|line| line.contains(words)), "{words}: {problems:?}");
}

fn commits_path(disk: &SimDisk) -> String {
    let names = disk.list("records").unwrap().into_iter().map(|entry| entry.name);
    let name = names.filter(|name| name.starts_with("commits-")).max().unwrap();
    format!("records/{name}")
}

fn read_all(disk: &SimDisk, path: &str) -> Vec<u8> {
    let file = disk.open_file(path, Access::Read, Caching::Buffered).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn write_all(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.open_file(path, Access::Update, Caching::Buffered).unwrap();
    file.set_len(0).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
}

fn create(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.open_file(path, Access::Create, Caching::Buffered).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
    disk.sync_dir(path.rsplit_once('/').map_or("", |(dir, _)| dir)).unwrap();
}

fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some(head) = rest.first_chunk() {
        let (frame, behind) = rest.split_at(u32::from_le_bytes(*head) as usize + 32);
        frames.push(frame.to_vec());
        rest = behind;
    }
    frames
}

/// A frame as a liar who knows the format would write it.
fn framed(signed: &SignedCommit) -> Vec<u8> {
    let commit = signed.encode();
    let len = u32::try_from(commit.len()).unwrap().to_le_bytes();
    let mut frame = [len.as_slice(), &[0; 8], &commit].concat();
    let check = model::hash::hash("commit-check", &[&frame]);
    frame.extend_from_slice(&check[..16]);
    frame.extend_from_slice(&len);
    frame
}

fn commit_in(frame: &[u8]) -> SignedCommit {
    SignedCommit::decode(&frame[12..frame.len() - 20]).unwrap()
}

#[test]
fn every_packed_block_is_committed_and_every_version_in_it_is_signed_for() {
    let disk = SimDisk::new(1);
    let (versions, _) = three_blocks(&disk, 1);
    let store = reopen(&disk);
    let open = put(&store, "open");
    let report = store.check(true, &mut |_, _| true).unwrap();
    assert_eq!((report.damage, report.commits), (Vec::new(), 3));
    let writer = identity(1).user_id();
    for (proof, number) in store.proofs(&versions).unwrap().into_iter().zip(1..) {
        assert!(
            matches!(proof, Proof::Signed { writer: by, seq, .. } if by == writer && seq == number)
        );
    }
    assert_eq!(store.proofs(&[open]).unwrap(), [Proof::Claimed]);
}

#[test]
fn a_block_packed_before_a_crash_is_committed_at_the_next_opening() {
    let disk = SimDisk::new(1);
    let store = reopen(&disk);
    let version = put(&store, "a");
    disk.record();
    store.flush().unwrap();
    for at in disk.boundaries() {
        for seed in 0..4 {
            for kind in [ImageKind::None, ImageKind::All, ImageKind::Reorder] {
                let image = disk.image_at(at, kind, seed).unwrap();
                let store = reopen(&image);
                assert_eq!(store.damage(), []);
                store.flush().unwrap();
                assert_eq!(problems(&store), Vec::<String>::new(), "{at} {kind:?} {seed}");
                let proofs = store.proofs(&[version]).unwrap();
                assert!(matches!(proofs[0], Proof::Signed { .. }), "{at} {kind:?}: {proofs:?}");
            }
        }
    }
}

#[test]
fn commits_that_are_swapped_repeated_or_dropped_are_named() {
    let disk = SimDisk::new(1);
    let (_, frontier) = three_blocks(&disk, 1);
    let path = commits_path(&disk);
    let [one, two, three]: [Vec<u8>; 3] = frames(&read_all(&disk, &path)).try_into().unwrap();
    let all = |frames: &[&[u8]]| frames.concat();
    for (frames, words) in [
        (all(&[&two, &one, &three]), "commit 2 does not follow"),
        (all(&[&one, &one, &two, &three]), "commit 1 does not follow"),
        (all(&[&one, &two, &three, &two]), "commit 2 does not follow"),
        (all(&[&one, &three]), "commit 3 does not follow"),
        (all(&[&two, &three]), "commit 2 does not follow"),
        (all(&[&one, &[7; 40], &two, &three]), "40 acknowledged bytes are lost"),
    ] {
        let image = disk.crash(ImageKind::All, 0);
        write_all(&image, &path, &frames);
        assert_named(&problems(&reopen(&image)), words);
        // However the end was made older, the frontier tells; what is only disordered, the check.
        let opened = try_open(&image, &frontier, false);
        let ends_older = frames.ends_with(&two);
        assert_eq!(ends_older, matches!(opened, Err(StoreError::RolledBack { .. })), "{words}");
    }
}

#[test]
fn a_chain_that_ends_before_the_frontier_is_a_rollback_until_that_is_accepted() {
    let disk = SimDisk::new(1);
    let before = {
        let image = SimDisk::new(1);
        three_blocks(&image, 1);
        image
    };
    let (_, frontier) = three_blocks(&disk, 1);
    let chain = *frontier.heads().map(|head| &head.chain).next().unwrap();
    let path = commits_path(&disk);
    let frames = frames(&read_all(&disk, &path));
    for have in 0..3u64 {
        let image = disk.crash(ImageKind::All, 0);
        write_all(&image, &path, &frames[..usize::try_from(have).unwrap()].concat());
        let opened = try_open(&image, &frontier, false);
        let expected = (chain, 3, have);
        let found = match opened {
            Err(StoreError::RolledBack { chain, known, have }) => (chain, known, have),
            other => panic!("{have}: {:?}", other.err()),
        };
        assert_eq!(found, expected);
        let store = try_open(&image, &frontier, true).unwrap();
        let missing = if have == 2 { "commit 3 is missing" } else { "to 3 are missing" };
        assert!(store.damage()[0].problem.contains(missing), "{:?}", store.damage());
        put(&store, "later");
        store.flush().unwrap();
        store.close().unwrap();
        let rebased = store.frontier();
        drop(store);
        assert_eq!(
            image.list("records").unwrap().len(),
            2,
            "the old chain stays, a new one begins"
        );
        try_open(&image, &rebased, false).unwrap();
    }
    // The file is gone altogether.
    disk.remove(&path).unwrap();
    let gone = try_open(&disk, &frontier, false);
    assert!(matches!(gone, Err(StoreError::RolledBack { known: 3, have: 0, .. })));
    let named = problems(&reopen(&disk));
    assert_eq!(named.iter().filter(|line| line.contains("no commit names it")).count(), 3);
    assert_eq!(problems(&reopen(&before)), Vec::<String>::new());
}

#[test]
fn two_commits_with_one_number_are_kept_as_proof_and_freeze_the_chain() {
    let disk = SimDisk::new(1);
    let (_, frontier) = three_blocks(&disk, 1);
    let path = commits_path(&disk);
    let bytes = read_all(&disk, &path);
    let honest = frames(&bytes);
    let other = Commit { block: None, ..commit_in(&honest[2]).commit().clone() };
    let other = framed(&other.sign(&identity(1)).unwrap());
    // Instead of the one that was seen: no proof, for only one is there.
    let image = disk.crash(ImageKind::All, 0);
    write_all(&image, &path, &[honest[0].as_slice(), &honest[1], &other].concat());
    assert!(matches!(try_open(&image, &frontier, false), Err(StoreError::Forked { seq: 3, .. })));
    assert!(try_open(&image, &frontier, true).is_ok());
    // Beside it: the proof is kept, and nothing is added to the chain any more.
    let image = disk.crash(ImageKind::All, 0);
    write_all(&image, &path, &[bytes.as_slice(), &other].concat());
    let store = reopen(&image);
    assert_named(&problems(&store), "its writer signed two commits 3");
    store.close().unwrap();
    drop(store);
    write_all(&image, &path, &bytes);
    let store = reopen(&image);
    put(&store, "later");
    store.flush().unwrap();
    assert_named(&problems(&store), "its writer signed two commits 3");
    assert_eq!(read_all(&image, &path), bytes, "frozen");
}

#[test]
fn what_others_put_there_is_named() {
    let disk = SimDisk::new(1);
    let (versions, _) = three_blocks(&disk, 1);
    let path = commits_path(&disk);
    let honest = read_all(&disk, &path);
    let last = commit_in(&frames(&honest)[2]);
    // A commit under the writer's name that the writer did not sign.
    let next = Commit { seq: 4, prev: last.commit().hash(), ..last.commit().clone() };
    let mut forged = next.sign(&identity(1)).unwrap().encode();
    let at = forged.len() - SIGNATURE_LEN / 2;
    forged[at] ^= 1;
    let forged = framed(&SignedCommit::decode(&forged).unwrap());
    let image = disk.crash(ImageKind::All, 0);
    write_all(&image, &path, &[honest.as_slice(), &forged].concat());
    let store = reopen(&image);
    assert_named(&problems(&store), "its signature does not hold");
    // Somebody else's commit in the writer's chain.
    let stranger = identity(2);
    let foreign = Commit { writer: stranger.user_id(), ..last.commit().clone() };
    let foreign = framed(&foreign.sign(&stranger).unwrap());
    let image = disk.crash(ImageKind::All, 0);
    write_all(&image, &path, &[foreign.as_slice(), &honest].concat());
    assert_named(&problems(&reopen(&image)), "it belongs elsewhere");
    // A block of another store with the same keys: who may read can make one.
    let elsewhere = SimDisk::new(2);
    let store = open(Arc::new(elsewhere.clone()), &keys(), 77, inline()).unwrap();
    (0..5).for_each(|number| {
        put(&store, &format!("x{number}"));
        store.flush().unwrap();
    });
    let image = disk.crash(ImageKind::All, 0);
    let injected = "blocks/0000000004.block";
    create(&image, injected, &read_all(&elsewhere, injected));
    let store = reopen(&image);
    assert_named(&problems(&store), &format!("{injected}: no commit names it"));
    assert!(matches!(store.proofs(&versions).unwrap()[0], Proof::Signed { .. }));
}

#[test]
fn blocks_that_are_replaced_or_dropped_are_named() {
    let disk = SimDisk::new(1);
    let (versions, _) = three_blocks(&disk, 1);
    // The same chain gone on with differently: what a copy of the folder would have made of it.
    let store = reopen(&disk);
    let image = disk.crash(ImageKind::All, 0);
    let twin = reopen(&image);
    let version = put(&store, "one way");
    put(&twin, "other way");
    store.flush().unwrap();
    twin.flush().unwrap();
    store.close().unwrap();
    drop(store);
    let path = "blocks/0000000004.block";
    write_all(&disk, path, &read_all(&image, path));
    let store = reopen(&disk);
    assert_named(&problems(&store), &format!("{path}: it is not what commit 4 says"));
    let proofs = store.proofs(&[version]).unwrap();
    let wrong = Proof::Refused { problem: Problem::OtherBlock { seq: 4 } };
    assert!(proofs[0] == wrong || matches!(proofs[0], Proof::Refused { .. }), "{proofs:?}");
    drop(store);
    let dropped = "blocks/0000000002.block";
    disk.remove(dropped).unwrap();
    let store = try_open(&disk, &Frontier::default(), false).unwrap();
    assert_named(&problems(&store), &format!("{dropped}: missing"));
    assert_eq!(store.proofs(&versions[1..2]).unwrap(), [Proof::Claimed]);
}

#[test]
fn commits_of_a_removed_writer_count_up_to_its_pin() {
    let disk = SimDisk::new(1);
    let (versions, _) = three_blocks(&disk, 1);
    let mut keys = signing(1, Frontier::default(), false);
    let signer = Arc::new(Signer { own: identity(1), removed: true });
    let frontier = Frontier::default();
    keys.writer.signing =
        Some(Signing { signer, frontier, may_sign: true, accept_rollback: false });
    let store = open(Arc::new(disk), &keys, 5, inline()).unwrap();
    assert_named(&problems(&store), "commit 2 is not counted");
    let proofs = store.proofs(&versions).unwrap();
    assert!(matches!(proofs[0], Proof::Signed { .. }));
    assert_eq!(proofs[1], Proof::Refused { problem: Problem::Disowned { seq: 2 } });
}

#[test]
fn every_flip_in_a_chain_is_named_and_every_cut_is_torn_or_named() {
    let disk = SimDisk::new(1);
    let (_, frontier) = three_blocks(&disk, 1);
    let path = commits_path(&disk);
    let bytes = read_all(&disk, &path);
    for at in (0..bytes.len()).step_by(331).chain(bytes.len() - 40..bytes.len()) {
        let image = disk.crash(ImageKind::All, 0);
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        write_all(&image, &path, &flipped);
        assert!(!problems(&reopen(&image)).is_empty(), "flip {at}");
    }
    for len in (0..bytes.len()).step_by(487) {
        let image = disk.crash(ImageKind::All, 0);
        write_all(&image, &path, &bytes[..len]);
        assert_named(&problems(&reopen(&image)), "no commit names it");
        let opened = try_open(&image, &frontier, false);
        assert!(matches!(opened, Err(StoreError::RolledBack { .. })), "cut {len}");
    }
}

#[test]
fn a_copy_writes_a_chain_of_its_own() {
    let disk = SimDisk::new(1);
    three_blocks(&disk, 1);
    let store = reopen(&disk);
    let version = put(&store, "in the open block");
    store.close().unwrap();
    drop(store);
    let copy = SimDisk::new(9);
    let mut dirs: Vec<String> =
        ["records", "blocks", "open", "index", "slices", "tmp"].map(str::to_owned).into();
    while let Some(dir) = dirs.pop() {
        copy.make_dir(&dir).unwrap();
        for entry in disk.list(&dir).unwrap() {
            let path = format!("{dir}/{}", entry.name);
            if entry.is_dir {
                dirs.push(path);
            } else {
                create(&copy, &path, &read_all(&disk, &path));
            }
        }
    }
    for path in ["super.0", "super.1", "super.2", "super.3", "format"] {
        create(&copy, path, &read_all(&disk, path));
    }
    let store = reopen(&copy);
    store.flush().unwrap();
    assert_eq!(problems(&store), Vec::<String>::new());
    let chains = |disk: &SimDisk| disk.list("records").unwrap().len();
    assert_eq!((chains(&disk), chains(&copy)), (1, 2));
    assert_eq!(store.frontier().heads().len(), 2, "it has seen the chain it is a copy of");
    assert!(matches!(store.proofs(&[version]).unwrap()[0], Proof::Signed { .. }));
}

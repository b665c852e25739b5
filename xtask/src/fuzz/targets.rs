//! The decoders that read what came from a disk or from somebody else, with sound encodings to
//! start from.

use std::cell::RefCell;

use crypt::{
    ChainHead, Change, Commit, CompressionPolicy, EpochKeys, EpochRecord, EpochSecret, ForkProof,
    Frontier, Genesis, Identity, MemberRecord, Membership, ObjectKind, Opener, PageKeys,
    PublicIdentity, Random, Rights, Root, Sealer, SeededRandom, SignedCommit, SignedGenesis,
    SignedRecord, Wrap, key_file,
};
use model::hash::HashKey;
use model::{
    BlockNonce, ChainId, ChunkEntry, ChunkHash, Chunker, Content, EpochId, FileTime, GroupId, Hlc,
    Hole, Incarnation, Kind, List, ListHash, Meta, Name, Owner, RecordId, ScopeId, UserId, Vertex,
    VertexHash,
};

/// What a decoder made of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Refused,
    /// A property that must hold for every input does not.
    Broken(&'static str),
}

type Decode = Box<dyn Fn(&[u8]) -> Verdict>;

pub(super) struct Target {
    pub(super) name: &'static str,
    /// Sound inputs: all must be accepted.
    pub(super) seeds: Vec<Vec<u8>>,
    pub(super) len_max: usize,
    /// False for what takes any bytes.
    pub(super) refuses: bool,
    pub(super) decode: Decode,
}

/// Longer inputs reach nothing new in these formats.
pub(super) const LEN_MAX: usize = 64 * 1024;

pub(super) fn all() -> Vec<Target> {
    let mut targets = plain();
    targets.extend(keys());
    targets.extend(history());
    targets.extend(sealed());
    targets.extend(super::sharing::all());
    targets.extend(super::texts::all());
    targets
}

/// A format with one encoding for each value: what is accepted must encode to the same bytes.
pub(super) fn canonical<T, E>(
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    decode: impl Fn(&[u8]) -> Result<T, E> + 'static,
    encode: impl Fn(&T) -> Vec<u8> + 'static,
) -> Target {
    let decode = move |input: &[u8]| match decode(input) {
        Err(_) => Verdict::Refused,
        Ok(value) if encode(&value) == input => Verdict::Accepted,
        Ok(_) => Verdict::Broken("two encodings of one value"),
    };
    Target { name, seeds, len_max: LEN_MAX, refuses: true, decode: Box::new(decode) }
}

/// Sealed bytes: only the very bytes that were sealed are accepted.
pub(super) fn authentic(
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    open: impl Fn(&[u8]) -> bool + 'static,
) -> Target {
    let sealed = seeds.clone();
    let decode = move |input: &[u8]| match (open(input), sealed.iter().any(|seed| seed == input)) {
        (true, true) => Verdict::Accepted,
        (false, false) => Verdict::Refused,
        (true, false) => Verdict::Broken("a forgery is accepted"),
        (false, true) => Verdict::Broken("what was sealed is refused"),
    };
    Target { name, seeds, len_max: LEN_MAX, refuses: true, decode: Box::new(decode) }
}

fn plain() -> Vec<Target> {
    let names = ["a", "notes/today", "ä/ö/ü", ".hidden"].map(|name| name.as_bytes().to_vec());
    let name = |input: &[u8]| {
        String::from_utf8(input.to_vec()).ok().and_then(|t| Name::new(t).ok()).ok_or(())
    };
    let mut bundle = Vec::new();
    store::bundle::encode_item(&mut bundle, ObjectKind::Vertex, &vertices()[0]);
    store::bundle::encode_item(&mut bundle, ObjectKind::Chunk, b"chunk");
    let items = |input: &[u8]| {
        let items = store::bundle::items(input).map_err(drop)?;
        let mut again = Vec::new();
        items.iter().for_each(|(kind, bytes)| store::bundle::encode_item(&mut again, *kind, bytes));
        Ok::<_, ()>(again)
    };
    vec![
        canonical("name", names.to_vec(), name, |name: &Name| name.as_str().as_bytes().to_vec()),
        canonical("vertex", vertices().to_vec(), Vertex::decode, Vertex::encode),
        canonical("list", lists().to_vec(), List::decode, List::encode),
        canonical("bundle", vec![bundle], items, Vec::clone),
        chunker(),
    ]
}

fn vertices() -> [Vec<u8>; 4] {
    let vertex = |content, meta| Vertex {
        blind: [1; 16],
        parents: vec![VertexHash::new([2; 32]), VertexHash::new([3; 32])],
        depth: 7,
        name: Some(Name::new("notes/today").expect("a good name")),
        hlc: Hlc(1_700_000_000_000_000_000),
        author: UserId::new([4; 32]),
        group: GroupId::default(),
        closes: GroupId::new([5; 16]),
        content,
        meta,
    };
    let meta = Meta {
        kind: Kind::File,
        mode: Some(0o644),
        modified: Some(FileTime { seconds: -1, nanos: 999_999_999 }),
        owner: Some(Owner { uid: 1000, gid: 100 }),
        target: Some(b"target".to_vec()),
        holes: vec![Hole { offset: 4096, len: 4096 }, Hole { offset: 65_536, len: 1 }],
        link: 3,
        xattrs: [(b"user.a".to_vec(), b"1".to_vec()), (b"user.b".to_vec(), Vec::new())].into(),
        message: Some("why".to_owned()),
        media_type: Some("text/plain".to_owned()),
        fields: [("field".to_owned(), b"value".to_vec())].into(),
    };
    let generation = EpochId::new([6; 32]);
    let entries = vec![ChunkEntry { hash: ChunkHash::new([7; 32]), len: 70_000 }; 3];
    let lists = Content::Lists { generation, root: ListHash::new([8; 32]), len: 1 << 40 };
    let first = Vertex {
        parents: Vec::new(),
        depth: 0,
        name: None,
        ..vertex(Content::EMPTY, Meta::default())
    };
    [
        vertex(Content::Inline(b"hello".to_vec()), Meta::default()).encode(),
        vertex(Content::Chunks { generation, entries }, meta.clone()).encode(),
        vertex(lists, meta).encode(),
        first.encode(),
    ]
}

fn lists() -> [Vec<u8>; 2] {
    let entries = vec![ChunkEntry { hash: ChunkHash::new([1; 32]), len: 300_000 }; 4];
    let lists = List::Lists { level: 1, entries: vec![(ListHash::new([2; 32]), 1 << 31); 3] };
    [List::Chunks(entries).encode(), lists.encode()]
}

/// Takes any bytes; the pieces must be the whole, and within the limits.
fn chunker() -> Target {
    use model::limit::{CHUNK_LEN_MAX, CHUNK_LEN_MIN};
    let chunker = Chunker::new(epoch_keys().gear_table());
    let decode = move |input: &[u8]| {
        let mut rest = input;
        while !rest.is_empty() {
            let cut = chunker.cut(rest);
            let is_last = cut == rest.len();
            if cut == 0 || cut > CHUNK_LEN_MAX || (cut < CHUNK_LEN_MIN && !is_last) {
                return Verdict::Broken("a chunk outside the limits");
            }
            let Some(next) = rest.get(cut..) else { return Verdict::Broken("cut past the end") };
            rest = next;
        }
        Verdict::Accepted
    };
    let mut noise = vec![0; 3 * CHUNK_LEN_MAX];
    SeededRandom::new(9).fill(&mut noise);
    let seeds = vec![noise, vec![0; 2 * CHUNK_LEN_MAX], Vec::new()];
    let len_max = 4 * CHUNK_LEN_MAX;
    Target { name: "chunker", seeds, len_max, refuses: false, decode: Box::new(decode) }
}

fn keys() -> Vec<Target> {
    let random = SeededRandom::new(1);
    let identity = |seed| {
        let root = Root::random(&SeededRandom::new(seed));
        Identity::from_root(root).expect("a random root makes an identity")
    };
    let (alice, bob) = (identity(1), identity(2));
    let genesis = Genesis::new(vec![alice.public().clone()], 1, &random).expect("one admin of one");
    let signed = genesis.clone().sign(&[&alice]);
    let add = Change::Add {
        subject: Box::new(bob.public().clone()),
        rights: Rights::READER,
        overrides: Vec::new(),
    };
    let remove = Change::Remove { subject: bob.user_id(), pins: Vec::new() };
    let set = Change::Set { settings: vec![1, 2, 3] };
    let records = [add, remove, set].map(|change| {
        MemberRecord { scope: genesis.scope_id(), parents: Vec::new(), change }.sign(&[&alice])
    });
    let membership = Membership::fold(&genesis, &records[..1]).expect("a sound log");
    let (epoch, secret) =
        EpochRecord::mint(&alice, &membership, &[], &random).expect("an admin mints");
    let wrap = Wrap::of(genesis.scope_id(), epoch.epoch_id(), bob.public(), &secret, &random);
    let local = key_file::write(
        &Root::random(&random),
        &key_file::Source::LocalFile,
        &random,
        key_file::Argon2Cost::default_cost(),
    );
    vec![
        canonical("genesis", vec![signed.encode()], SignedGenesis::decode, SignedGenesis::encode),
        canonical(
            "member record",
            records.iter().map(SignedRecord::encode).collect(),
            SignedRecord::decode,
            SignedRecord::encode,
        ),
        canonical("epoch", vec![epoch.encode()], EpochRecord::decode, EpochRecord::encode),
        canonical("wrap", vec![wrap.expect("a sound reader").encode()], Wrap::decode, Wrap::encode),
        canonical(
            "public identity",
            vec![alice.public().encode(), bob.public().encode()],
            PublicIdentity::decode,
            |public| public.encode().to_vec(),
        ),
        // A file under a passphrase would be stretched for a third of a second each time.
        authentic("key file", vec![local], |input| key_file::open(input, None).is_ok()),
    ]
}

fn history() -> Vec<Target> {
    let root = Root::random(&SeededRandom::new(1));
    let writer = Identity::from_root(root).expect("a random root makes an identity");
    let commit = |epoch| {
        let commit = Commit {
            scope: ScopeId::new([1; 32]),
            writer: writer.user_id(),
            incarnation: Incarnation::new([2; 16]),
            seq: 1,
            prev: [0; 32],
            membership_head: vec![RecordId::new([3; 32])],
            epoch: EpochId::new([epoch; 32]),
            seen: vec![ChainHead { chain: ChainId::new([4; 32]), seq: 5, hash: [6; 32] }],
            block: None,
            carries: Vec::new(),
            releases: Vec::new(),
        };
        commit.sign(&writer).expect("a sound commit")
    };
    let (one, other) = (commit(1), commit(2));
    let mut frontier = Frontier::default();
    frontier.advance(one.commit().head());
    let key = HashKey::new([7; 32]);
    let frontier = frontier.encode(&key).expect("few chains");
    let commits = vec![one.encode(), other.encode()];
    let proof = ForkProof::of(one, other).expect("two bodies at one place").encode();
    vec![
        canonical("commit", commits, SignedCommit::decode, SignedCommit::encode),
        canonical("fork proof", vec![proof], ForkProof::decode, ForkProof::encode),
        authentic("frontier", vec![frontier], move |input| Frontier::decode(input, &key).is_ok()),
    ]
}

fn epoch_keys() -> EpochKeys {
    let secret = EpochSecret::from_bytes([3; 32]);
    EpochKeys::new(ScopeId::new([1; 32]), EpochId::new([2; 32]), EpochId::new([2; 32]), &secret)
}

fn sealed() -> Vec<Target> {
    let keys = epoch_keys();
    let mut sealer = Sealer::new(CompressionPolicy::default());
    let nonce = BlockNonce::new([4; 16]);
    let text = b"text that compresses well ".repeat(40);
    let frames = [text.as_slice(), b"short", b""].map(|plain| {
        let mut frame = Vec::new();
        let id = keys.chunk_hash(plain).into();
        keys.seal(ObjectKind::Chunk, id, plain, &mut sealer, &nonce, &mut frame);
        frame
    });
    let pages = PageKeys::new(&HashKey::new([5; 32]), &[6; 16]);
    let mut page = Vec::new();
    pages.seal(9, &[7; 1000], &mut page);
    let opener = RefCell::new(Opener::new());
    vec![
        authentic("frame", frames.to_vec(), move |input| {
            keys.unseal(input, &mut opener.borrow_mut()).is_ok()
        }),
        authentic("index page", vec![page], move |input| pages.open(9, input).is_ok()),
    ]
}

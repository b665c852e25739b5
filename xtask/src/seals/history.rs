//! What happens to a store that makes seals meet: each round is one block nonce and all that a
//! fork, a restored snapshot, another compressor, writer, epoch or generation does with it.

use crypt::{CompressionPolicy, EpochKeys, EpochSecret, ObjectKind};
use model::hash::{HashKey, hash};
use model::{BlockNonce, EpochId, ObjectId, ScopeId};

use crate::random::Random;

const KINDS: [ObjectKind; 8] = [
    ObjectKind::Chunk,
    ObjectKind::List,
    ObjectKind::Vertex,
    ObjectKind::Bundle,
    ObjectKind::Index,
    ObjectKind::Pad,
    ObjectKind::KeyHistory,
    ObjectKind::Settings,
];
/// Objects that one branch seals in one block.
const OBJECTS_EACH: u64 = 3 * KINDS.len() as u64;
const BRANCHES: u64 = 10;
/// Seals in one round.
pub(super) const SEALS_EACH_ROUND: u64 = BRANCHES * OBJECTS_EACH;
const LEN_MAX: u64 = 600;
/// The secret of one parent epoch is sealed again and again under its id and a nonce of zeros.
const PARENT: ObjectId = ObjectId::new([9; 32]);

/// Keys, with the two of them that the run derives once more for itself.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) keys: EpochKeys,
    pub(super) seal: HashKey,
    #[cfg_attr(not(test), expect(dead_code, reason = "for the seal that is broken on purpose"))]
    pub(super) siv: HashKey,
}

/// Everything that goes into one seal.
#[derive(Debug)]
pub(super) struct Input<'a> {
    pub(super) held: &'a Held,
    pub(super) kind: ObjectKind,
    pub(super) obj: ObjectId,
    pub(super) plain: &'a [u8],
    pub(super) policy: CompressionPolicy,
    pub(super) nonce: BlockNonce,
}

/// The keys of all branches.
#[derive(Debug)]
pub(super) struct Keys {
    first: Held,
    later: Held,
    resealed: Held,
    /// Another scope whose epoch was given the same secret.
    foreign: Held,
}

/// What one branch of a round differs in.
struct Branch<'a> {
    held: &'a Held,
    policy: CompressionPolicy,
    nonce: BlockNonce,
    content: u64,
    /// From this object on the content is that of `content + 1`.
    parts_at: u64,
}

impl Default for Keys {
    fn default() -> Self {
        let held = |scope: u8, epoch: u8, secret: u8| {
            let (scope, epoch) = (ScopeId::new([scope; 32]), EpochId::new([epoch; 32]));
            let keys = EpochKeys::new(scope, epoch, epoch, &EpochSecret::from_bytes([secret; 32]));
            let secret = HashKey::new([secret; 32]);
            Held { keys, seal: secret.sub("seal"), siv: secret.sub("siv") }
        };
        let (first, later) = (held(1, 2, 3), held(1, 4, 5));
        let resealed = Held { keys: later.keys.of_generation(&first.keys), ..held(1, 4, 5) };
        Self { first, later, resealed, foreign: held(6, 2, 3) }
    }
}

/// Plays the round of `seed`; `seal` sees every input, also those that were there before.
pub(super) fn round(
    keys: &Keys,
    seed: u64,
    mut seal: impl FnMut(&Input<'_>) -> Result<(), String>,
) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut drawn = || {
        let mut nonce = [0; 16];
        random.fill(&mut nonce);
        BlockNonce::new(nonce)
    };
    let (nonce, second_writer) = (drawn(), drawn());
    let content = random.next() & !1;
    let (auto, off) = (CompressionPolicy::Auto, CompressionPolicy::Off);
    let original =
        || Branch { held: &keys.first, policy: auto, nonce, content, parts_at: OBJECTS_EACH };
    let branches = [
        original(),
        // A snapshot that was restored and does the same again: every input is a repeat.
        original(),
        // The same, with other content of the same lengths.
        Branch { parts_at: 0, ..original() },
        // Two copies that go on apart.
        Branch { parts_at: OBJECTS_EACH / 2, ..original() },
        Branch { policy: off, ..original() },
        Branch { policy: off, parts_at: 0, ..original() },
        Branch { nonce: second_writer, ..original() },
        Branch { held: &keys.later, ..original() },
        Branch { held: &keys.resealed, ..original() },
        Branch { held: &keys.foreign, ..original() },
    ];
    branches.iter().try_for_each(|branch| play(branch, seed, &mut seal))
}

fn play(
    branch: &Branch<'_>,
    seed: u64,
    seal: &mut impl FnMut(&Input<'_>) -> Result<(), String>,
) -> Result<(), String> {
    for (ordinal, kind) in (0..OBJECTS_EACH).zip(KINDS.into_iter().cycle()) {
        let content = branch.content + u64::from(ordinal >= branch.parts_at);
        let plain = plain(kind, seed, ordinal, content);
        let is_placeless = matches!(kind, ObjectKind::KeyHistory | ObjectKind::Settings);
        let nonce = if is_placeless { BlockNonce::new([0; 16]) } else { branch.nonce };
        let obj = object_id(&branch.held.keys, kind, &plain, (&nonce, ordinal));
        let (held, policy) = (branch.held, branch.policy);
        seal(&Input { held, kind, obj, plain: &plain, policy, nonce })?;
    }
    Ok(())
}

/// The length depends on the place alone, the bytes on the content; half of them compress.
fn plain(kind: ObjectKind, seed: u64, ordinal: u64, content: u64) -> Vec<u8> {
    let mut place = Random::new(seed.wrapping_mul(OBJECTS_EACH) ^ ordinal);
    let len = usize::try_from(1 + place.below(LEN_MAX)).unwrap_or(1);
    let is_noise = place.below(2) == 0;
    let mut random = Random::new(content.wrapping_add(ordinal << 40));
    match kind {
        ObjectKind::Pad => vec![0; len],
        ObjectKind::KeyHistory => random.bytes(32),
        _ if is_noise => random.bytes(len),
        _ => random.bytes(8).into_iter().cycle().take(len).collect(),
    }
}

fn object_id(
    keys: &EpochKeys,
    kind: ObjectKind,
    plain: &[u8],
    (nonce, ordinal): (&BlockNonce, u64),
) -> ObjectId {
    match kind {
        ObjectKind::Chunk => keys.chunk_hash(plain).into(),
        ObjectKind::List => keys.list_hash(plain).into(),
        ObjectKind::Vertex => ObjectId::new(hash("vertex", &[plain])),
        ObjectKind::Settings => ObjectId::new(hash("settings", &[plain])),
        ObjectKind::KeyHistory => PARENT,
        ObjectKind::Bundle | ObjectKind::Index | ObjectKind::Pad => {
            let mut id = [0; 32];
            let bytes = nonce.as_bytes().iter().copied().chain(ordinal.to_le_bytes());
            id.iter_mut().zip(bytes).for_each(|(byte, value)| *byte = value);
            ObjectId::new(id)
        }
    }
}

//! What one person hands to another: grants, settings, capsules.

use std::io::Cursor;
use std::sync::Arc;

use crypt::{
    CapsuleHead, EpochKeys, EpochSecret, GrantRecord, Identity, OsRandom, Root, SeededRandom,
    Settings,
};
use model::{EpochId, ScopeId, UserId, VertexHash};
use ouroborosdb::{Capsule, Database, KEY_FILE, KeyPlace, Options, Silent, SystemClock, World};
use store::sim_disk::SimDisk;

use super::targets::{Target, authentic, canonical};

pub(super) fn all() -> Vec<Target> {
    let random = SeededRandom::new(11);
    let identity = |seed| {
        let root = Root::random(&SeededRandom::new(seed));
        Identity::from_root(root).expect("a random root makes an identity")
    };
    let (alice, bob) = (identity(1), identity(2));
    let (scope, epoch) = (ScopeId::new([1; 32]), EpochId::new([2; 32]));
    let secret = EpochSecret::from_bytes([3; 32]);
    let grant = GrantRecord::new(alice.user_id(), (scope, epoch), &secret, bob.public(), &random);
    let grant = grant.expect("a sound reader");
    let keys = EpochKeys::new(scope, epoch, epoch, &secret);
    let settings = Settings::default()
        .named("photos")
        .with_member(UserId::new([4; 32]), Some("Ada"))
        .seal(&keys)
        .expect("short names");
    let of = (scope, VertexHash::new([5; 32]));
    let (head, _) = CapsuleHead::new(&alice, of, bob.public(), &random).expect("a sound reader");
    let capsules = capsules(&bob);
    vec![
        canonical("grant", vec![grant.encode()], GrantRecord::decode, GrantRecord::encode),
        authentic("grant opened", vec![grant.encode()], move |input| {
            GrantRecord::decode(input).is_ok_and(|grant| grant.is_genuine(&secret))
        }),
        // The epoch in front names the key; it is not sealed.
        authentic("settings", vec![settings], move |input| {
            Settings::epoch_of(input) == Some(epoch) && Settings::unseal(input, &keys).is_ok()
        }),
        canonical("capsule head", vec![head.encode()], CapsuleHead::decode, CapsuleHead::encode),
        authentic("capsule", capsules, move |input| {
            Capsule::open(Cursor::new(input.to_vec()), &bob).is_ok()
        }),
    ]
}

/// Capsules of a short and of a long version.
fn capsules(reader: &Identity) -> Vec<Vec<u8>> {
    let disk = Arc::new(SimDisk::new(1));
    let key_file =
        KeyPlace { disk: disk.clone(), name: KEY_FILE.to_owned(), path: KEY_FILE.to_owned() };
    let (random, clock) = (Arc::new(OsRandom), Arc::new(SystemClock));
    let world = World { disk, key_file, random, clock, frontier: None };
    let database = Database::with(world, Options::default()).expect("a store in memory");
    let capsule = |content: &[u8]| {
        let version = database.put("name", content).expect("a put in memory");
        let mut out = Vec::new();
        database
            .write_capsule(&[version.hash], reader.public(), &mut out, &Silent)
            .expect("a capsule in memory");
        out
    };
    vec![capsule(b"short"), capsule(&[7; 20_000])]
}

//! Whether the time of a refusal tells how much of a guess was right, after dudect (Reparaz, Balasch,
//! Verbauwhede 2017): two classes of inputs in random order, Welch's t over their times, outliers cut
//! off at several heights. `cargo xtask timing --samples N` runs it; a test of a few samples would
//! only measure the machine.

#![expect(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "measures time; figures are rounded anyway"
)]

use core::hint::black_box;
use std::time::Instant;

use model::{BlockNonce, EpochId, ScopeId};

use crate::aead::{OneTimeKey, open_in_place, seal_in_place};
use crate::key_file::{self, Argon2Cost, Source};
use crate::{
    CompressionPolicy, EpochKeys, EpochSecret, FRAME_PREFIX_LEN, Identity, ObjectKind, Opener,
    Random, Root, Sealer, SeededRandom, Wrap,
};

/// What dudect calls a leak.
const T_MAX: f64 = 4.5;
/// Parts of the samples that are kept, the slowest left out.
const KEPT: [f64; 6] = [1.0, 0.999, 0.99, 0.95, 0.9, 0.75];

type Refuses = Box<dyn Fn(&[u8]) -> bool>;

/// A path: its input, wrong in the first byte of what is compared, and wrong in the last.
struct Path {
    name: &'static str,
    inputs: [Vec<u8>; 2],
    refuses: Refuses,
}

fn classes(good: &[u8], first: usize, last: usize) -> [Vec<u8>; 2] {
    [first, last].map(|at| {
        let mut wrong = good.to_vec();
        wrong[at] ^= 1;
        wrong
    })
}

/// The tag of AES-256-GCM: the last check of everything that is opened.
fn open() -> Path {
    let key = || OneTimeKey { key: [1; 32], nonce: [2; 12] };
    let mut good = vec![3; 256];
    let tag = seal_in_place(&key(), b"aad", &mut good);
    good.extend_from_slice(&tag);
    let refuses = move |input: &[u8]| open_in_place(&key(), b"aad", &mut input.to_vec()).is_err();
    let inputs = classes(&good, 256, 256 + 15);
    Path { name: "open", inputs, refuses: Box::new(refuses) }
}

/// The commitment of a frame, under a header that is masked anew: a forger without the keys does not
/// get that far.
fn commitment() -> Path {
    let epoch = EpochId::new([2; 32]);
    let secret = EpochSecret::from_bytes([3; 32]);
    let keys = EpochKeys::new(ScopeId::new([1; 32]), epoch, epoch, &secret);
    let mut good = Vec::new();
    let mut sealer = Sealer::new(CompressionPolicy::Off);
    let id = keys.chunk_hash(&[4; 200]).into();
    let nonce = BlockNonce::new([5; 16]);
    let header =
        keys.seal(ObjectKind::Chunk, id, &[4; 200], &mut sealer, &nonce, &mut good).encode();
    let inputs = classes(&good, 58, FRAME_PREFIX_LEN - 1).map(|mut frame| {
        let (salt, commitment) =
            (frame[42..58].try_into().unwrap(), frame[58..90].try_into().unwrap());
        let masked = keys.masked(&header, &salt, &commitment);
        frame[..42].copy_from_slice(&masked);
        frame
    });
    let opener = core::cell::RefCell::new(Opener::new());
    let refuses = move |input: &[u8]| keys.unseal(input, &mut opener.borrow_mut()).is_err();
    Path { name: "commit", inputs, refuses: Box::new(refuses) }
}

/// The commitment of a key file, behind the stretching, which takes as long for every guess.
fn password() -> Path {
    let root = Root::from_bytes([6; 32]);
    let cost = Argon2Cost::new(key_file::MEMORY_KIB_MIN, 1, 1).unwrap();
    let good = key_file::write(&root, &Source::Passphrase("x"), &SeededRandom::new(1), cost);
    let refuses = |input: &[u8]| {
        let (head, rest) = input.split_at(54);
        let salt = head[22..].try_into().unwrap();
        let commitment = rest[..32].try_into().unwrap();
        key_file::unseal(head, &salt, &commitment, &rest[32..80], &[7; 32]).is_err()
    };
    // What another passphrase derives, but for one byte: a guess that is nearly right.
    let (head, rest) = good.split_at(54);
    let salt = head[22..].try_into().unwrap();
    let derived = key_file::keys(head, &salt, &[7; 32]).1;
    let near = [head, &derived, &rest[32..]].concat();
    Path { name: "password", inputs: classes(&near, 54, 85), refuses: Box::new(refuses) }
}

/// The commitment of a wrap.
fn wrap() -> Path {
    let reader = Identity::from_root(Root::from_bytes([8; 32])).unwrap();
    let (scope, epoch) = (ScopeId::new([1; 32]), EpochId::new([2; 32]));
    let secret = EpochSecret::from_bytes([9; 32]);
    let wrap = Wrap::of(scope, epoch, reader.public(), &secret, &SeededRandom::new(2)).unwrap();
    let refuses =
        move |input: &[u8]| Wrap::decode(input).unwrap().unwrap(scope, epoch, &reader).is_err();
    let inputs = classes(&wrap.encode(), 1632, 1663);
    Path { name: "wrap", inputs, refuses: Box::new(refuses) }
}

/// Nanoseconds of each class.
fn measure(path: &Path, samples: usize) -> [Vec<f64>; 2] {
    let random = SeededRandom::new(10);
    let mut bits = vec![0; samples];
    random.fill(&mut bits);
    let mut times = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
    // Both classes are made of both inputs in the same place, so that no address differs, and the
    // stores have left the processor before the clock starts.
    let [first, last] = &path.inputs;
    let mut input = first.clone();
    for bit in bits {
        let class = usize::from(bit & 1);
        let mask = 0u8.wrapping_sub(bit & 1);
        for ((to, first), last) in input.iter_mut().zip(first).zip(last) {
            *to = first & !mask | last & mask;
        }
        black_box(model::hash::hash("settle", &[black_box(&input), &[0; 1024]]));
        let start = Instant::now();
        let refused = (path.refuses)(black_box(&input));
        let time = start.elapsed();
        assert!(refused, "{}", path.name);
        times[class].push(time.as_nanos() as f64);
    }
    times
}

/// Welch's t of the times below `limit`.
fn welch(times: &[Vec<f64>; 2], limit: f64) -> f64 {
    let [a, b] = [0, 1].map(|class| {
        let kept: Vec<f64> = times[class].iter().copied().filter(|time| *time <= limit).collect();
        let count = kept.len().max(2) as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let squares = kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
        (mean, squares / (count - 1.0) / count)
    });
    (a.0 - b.0) / (a.1 + b.1).sqrt().max(f64::MIN_POSITIVE)
}

/// The greatest |t| of all cuts.
fn t_of(times: &[Vec<f64>; 2]) -> f64 {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_unstable_by(f64::total_cmp);
    let limits = KEPT.map(|kept| {
        let last = (all.len() - 1) as f64 * kept;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        all[last as usize]
    });
    limits.map(|limit| welch(times, limit).abs()).into_iter().fold(0.0, f64::max)
}

#[test]
fn a_leak_has_a_great_t_and_noise_a_small_one() {
    let times = |shift: f64| {
        let mut bytes = vec![0; 40_000];
        SeededRandom::new(11).fill(&mut bytes);
        let (a, b) = bytes.split_at(20_000);
        let noisy = |bytes: &[u8], shift| {
            bytes.iter().map(|byte| 1000.0 + f64::from(*byte) + shift).collect::<Vec<f64>>()
        };
        [noisy(a, 0.0), noisy(b, shift)]
    };
    assert!(t_of(&times(0.0)) < T_MAX);
    assert!(t_of(&times(5.0)) > T_MAX);
}

#[test]
#[ignore = "needs a quiet machine and a release build: cargo xtask timing"]
fn refusals_take_the_same_time() {
    let samples = std::env::var("OUROBOROS_TIMING_SAMPLES").ok();
    let samples: usize = samples.map_or(100_000, |text| text.parse().unwrap());
    let mut leaks = Vec::new();
    for path in [open(), commitment(), password(), wrap()] {
        measure(&path, samples / 10);
        let times = measure(&path, samples);
        let t = t_of(&times);
        let mean = times.iter().flatten().sum::<f64>() / samples as f64;
        println!("timing {:<9} {samples} samples, mean {mean:.0} ns, |t| {t:.2}", path.name);
        if t >= T_MAX {
            leaks.push(path.name);
        }
    }
    assert!(leaks.is_empty(), "the time tells: {leaks:?}");
}

//! Two data sets of the same names' and contents' lengths, known to the attacker: which of them is
//! in the folder? Answers are learnt from one half of the trials and given on the other, both ways.

use std::time::Instant;

use crypt::{CompressionPolicy, EpochKeys, EpochSecret, ObjectKind, Sealer};
use model::{BlockNonce, EpochId, ObjectId, ScopeId};

use super::folder::{Files, Folder, View, bodies, lengths};
use super::guesses::Guesses;
use super::learner::{Linear, Memory};
use super::{Material, on_threads, seed_of};
use crate::failure::Failure;
use crate::random::Random;
use crate::scan::needles::Needles;

const ADVANTAGE_MAX: f64 = 0.01;
const STRATEGIES: [&str; 5] =
    ["learnt byte counts", "evenness of bytes", "learnt first bytes", "lengths", "references"];
const SIZES: [usize; 3] = [300, 3_000, 12_000];
const FIRST_BYTES: usize = 128;
const BYTES: usize = 256;
const SAMPLE_LEN: usize = 32;
/// What compression shows is measured with so many trials.
const TRIALS_LIMIT: u64 = 2_000;
/// Letters of the text; the other data set has them in another order.
const LETTERS: &[u8; 16] = b"abcdefghijklmnop";
/// One of the orders: the number of a letter differs by these bits.
const EXCHANGED: u8 = 5;
/// Beginnings of a version that compressed lengths are compared with.
const BEGINNINGS: u64 = 8;
/// Bytes of a version without its content, most of them random.
const BEGINNING_LEN: usize = 90;

/// The two data sets of a game.
struct Pair {
    what: &'static str,
    left: Files,
    right: Files,
}

/// What one trial shows.
#[derive(Debug, Clone)]
struct Sight {
    is_left: bool,
    counts: Vec<f64>,
    evenness: f64,
    first: Vec<f64>,
    lengths: Vec<usize>,
    /// True when something of the left data set was found.
    is_left_found: bool,
}

pub(super) fn run(trials: u64, seed: u64) -> Result<(), Failure> {
    let missed = report(&noise(seed), trials, seed)?;
    // No verdict: sealed lengths follow the compressed length.
    report(&even_text(seed), trials, seed)?;
    for pair in [text(seed, EXCHANGED), chosen(seed)] {
        report(&pair, TRIALS_LIMIT.min(trials), seed)?;
    }
    Failure::unless_none(missed, "strategy that tells left from right")
}

/// Prints; how many strategies tell more than the goal allows.
fn report(pair: &Pair, trials: u64, seed: u64) -> Result<usize, Failure> {
    let started = Instant::now();
    let guesses = play(pair, trials, seed)?;
    println!("leftright, {}: {trials} trials, seed {seed}, advantage:", pair.what);
    for (strategy, guesses) in STRATEGIES.iter().zip(&guesses) {
        println!("  {strategy:<18} {:.4}", guesses.advantage());
    }
    let best = guesses.iter().map(|guesses| guesses.advantage()).fold(0.0, f64::max);
    let deviation = guesses.first().map_or(0.0, |guesses| 2.0 * guesses.deviation());
    let missed =
        guesses.iter().filter(|guesses| guesses.exceeds(0.5 + ADVANTAGE_MAX / 2.0)).count();
    println!(
        "  best {best:.4} (goal {ADVANTAGE_MAX}; a coin deviates by {deviation:.4}){}, {:.1} s",
        if missed > 0 { " MISSED" } else { "" },
        started.elapsed().as_secs_f64()
    );
    Ok(missed)
}

fn play(pair: &Pair, trials: u64, seed: u64) -> Result<Vec<Guesses>, Failure> {
    let references = references(pair);
    let sights = on_threads(2 * trials, |number| {
        let folder = Folder::new(seed_of(seed, number, 7));
        let is_left = number.is_multiple_of(2);
        let is_packed = (number / 2).is_multiple_of(2);
        folder.fill(if is_left { &pair.left } else { &pair.right }, is_packed)?;
        Ok(sight(&folder.view(), is_left, &references))
    })?;
    Ok(guesses(&sights))
}

/// Learns from the first half and answers on the second. Learning from the second as well would
/// say nothing more: what chance does to one feature helps or hurts both ways alike.
fn guesses(sights: &[Sight]) -> Vec<Guesses> {
    let (learnt, asked) = sights.split_at(sights.len() / 2);
    answers(learnt, asked).into_iter().map(|right| Guesses::of(right.into_iter())).collect()
}

/// For each strategy whether its answers on `asked` are right.
fn answers(learnt: &[Sight], asked: &[Sight]) -> [Vec<bool>; 5] {
    let linear = |of: fn(&Sight) -> &Vec<f64>| {
        let examples: Vec<_> =
            learnt.iter().map(|sight| (of(sight).as_slice(), sight.is_left)).collect();
        let learner = Linear::learn(&examples);
        asked.iter().map(|sight| learner.answer(of(sight)) == sight.is_left).collect()
    };
    let mean = |is_left: bool| {
        let values = learnt.iter().filter(|sight| sight.is_left == is_left);
        let (sum, count) = values.fold((0.0, 0.0), |(s, n), sight| (s + sight.evenness, n + 1.0));
        sum / f64::max(count, 1.0)
    };
    let (left, right) = (mean(true), mean(false));
    let nearer_left = |value: f64| (value - left).abs() < (value - right).abs();
    let memory = Memory::learn(learnt.iter().map(|sight| (&sight.lengths, sight.is_left)));
    [
        linear(|sight| &sight.counts),
        asked.iter().map(|sight| nearer_left(sight.evenness) == sight.is_left).collect(),
        linear(|sight| &sight.first),
        asked.iter().map(|sight| memory.answer(&sight.lengths) == sight.is_left).collect(),
        asked.iter().map(|sight| sight.is_left_found == sight.is_left).collect(),
    ]
}

fn sight(view: &View, is_left: bool, references: &Needles) -> Sight {
    let mut counts = vec![0.0; BYTES];
    for byte in bodies(view).flatten() {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1.0;
        }
    }
    let mean = counts.iter().sum::<f64>() / BYTES as f64;
    let evenness = counts.iter().map(|count| (count - mean).powi(2) / mean.max(1.0)).sum();
    let mut first: Vec<f64> =
        bodies(view).flatten().take(FIRST_BYTES).map(|byte| f64::from(*byte)).collect();
    first.resize(FIRST_BYTES, 0.0);
    let is_left_found = view.values().any(|bytes| !references.find(bytes, bytes.len()).is_empty());
    Sight { is_left, counts, evenness, first, lengths: lengths(view), is_left_found }
}

/// The left data set's names, contents and hashes.
fn references(pair: &Pair) -> Needles {
    let mut needles = Needles::default();
    for (name, content) in &pair.left {
        needles.add("a name", name.as_bytes());
        needles.add_content(content);
        let samples = content.chunks(1_000).filter_map(|piece| piece.get(..SAMPLE_LEN));
        samples.for_each(|sample| needles.add("content", sample));
    }
    needles
}

fn files(side: &str, content: impl Fn(u64, usize) -> Vec<u8>) -> Files {
    let numbered = (0..).zip(SIZES);
    numbered.map(|(i, len)| (format!("a name of the {side} {i}"), content(i, len))).collect()
}

fn noise(seed: u64) -> Pair {
    let side = |name: &str, part: u64| {
        files(name, |i, len| Material::Noise.content(seed_of(seed, i, part), len))
    };
    Pair { what: "noise", left: side("left.", 1), right: side("right", 2) }
}

/// Letters that compress by half; right is left with the letters exchanged.
fn text(seed: u64, exchanged: u8) -> Pair {
    let letters = |i: u64, len: usize, exchanged: u8| -> Vec<u8> {
        let bytes = Random::new(seed_of(seed, i, 3)).bytes(len);
        let letter = |byte: u8| LETTERS.get(usize::from((byte & 15) ^ exchanged)).copied();
        bytes.into_iter().filter_map(letter).collect()
    };
    let left = files("left.", |i, len| letters(i, len, 0));
    let right = files("right", |i, len| letters(i, len, exchanged));
    Pair { what: "text of other compressed lengths (a limit)", left, right }
}

/// The exchange whose compressed lengths differ least.
fn even_text(seed: u64) -> Pair {
    let pairs = (1..16).map(|exchanged| text(seed, exchanged));
    let even = pairs.min_by_key(unevenness).unwrap_or_else(|| text(seed, EXCHANGED));
    Pair { what: "text of nearly equal compressed lengths (a limit)", ..even }
}

/// By how many bytes the compressed lengths differ, behind several beginnings.
fn unevenness(pair: &Pair) -> usize {
    let (scope, epoch) = (ScopeId::new([1; 32]), EpochId::new([2; 32]));
    let keys = EpochKeys::new(scope, epoch, epoch, &EpochSecret::from_bytes([3; 32]));
    let mut sealer = Sealer::new(CompressionPolicy::Auto);
    let (id, nonce) = (ObjectId::new([4; 32]), BlockNonce::new([5; 16]));
    let mut sealed_len = |beginning: &[u8], content: &[u8]| {
        let (mut frame, plain) = (Vec::new(), [beginning, content].concat());
        keys.seal(ObjectKind::Bundle, id, &plain, &mut sealer, &nonce, &mut frame);
        frame.len()
    };
    let mut sum = 0;
    for seed in 0..BEGINNINGS {
        let beginning = Random::new(seed).bytes(BEGINNING_LEN);
        for ((_, left), (_, right)) in pair.left.iter().zip(&pair.right) {
            sum += sealed_len(&beginning, left).abs_diff(sealed_len(&beginning, right));
            sum += sealed_len(&[], left).abs_diff(sealed_len(&[], right));
        }
    }
    sum
}

/// The attacker chooses: zeros or noise.
fn chosen(seed: u64) -> Pair {
    let left = files("left.", |_, len| vec![0; len]);
    Pair { what: "zeros or noise (a limit)", left, ..noise(seed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_cannot_be_told_from_right() {
        for pair in [noise(1), even_text(1)] {
            for (strategy, guesses) in STRATEGIES.iter().zip(play(&pair, 100, 1).unwrap()) {
                let is_told = guesses.exceeds(0.5 + ADVANTAGE_MAX / 2.0);
                assert!(!is_told, "seed 1, {}: {strategy} {guesses:?}", pair.what);
            }
        }
    }

    /// A folder that only hides its bytes behind one fixed pad, or not at all.
    fn weak(pair: &Pair, number: u64, pad: u8) -> Sight {
        let is_left = number.is_multiple_of(2);
        let side = if is_left { &pair.left } else { &pair.right };
        let content = side.iter().flat_map(|(_, content)| content).map(|byte| byte ^ pad);
        let body: Vec<u8> = content.take(8_000).collect();
        let mut file = vec![0; 4096];
        file.extend_from_slice(b"OURB");
        file.resize(4096 + 56, 0);
        file.extend_from_slice(&u32::try_from(144 + body.len()).unwrap().to_le_bytes());
        file.resize(4096 + 144, 0);
        file.extend_from_slice(&body);
        let view = View::from([("open/1.block".to_owned(), file)]);
        sight(&view, is_left, &references(pair))
    }

    #[test]
    fn weak_sealing_is_told() {
        let sights: Vec<_> = (0..80).map(|number| weak(&noise(1), number, 0x55)).collect();
        let guesses = guesses(&sights);
        for strategy in [0, 2] {
            assert!(guesses[strategy].exceeds(0.5 + ADVANTAGE_MAX / 2.0), "{guesses:?}");
        }
        let clear: Vec<_> = (0..80).map(|number| weak(&noise(1), number, 0)).collect();
        assert_eq!(super::guesses(&clear)[4].right, 40, "references");
    }

    #[test]
    fn lengths_that_differ_are_told() {
        let guesses = play(&chosen(1), 40, 1).unwrap();
        assert!(guesses[3].exceeds(0.9), "{guesses:?}");
    }
}

//! Games against somebody who sees a whole data folder and holds no key of it: the figures of what
//! a store must not tell. Contents that do not compress decide; lengths of sealed bytes follow the
//! compressed length of content, and how much that tells is measured and printed beside them.

mod confirm;
mod fingerprint;
mod folder;
mod guesses;
mod learner;
mod left_right;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::random::Random;

const THREADS: usize = 2;

/// What a content is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Material {
    Noise,
    /// Words of a small language, in random order.
    Text,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let game = arguments.path()?;
    let trials = arguments.number("trials", 10_000)?;
    let seed = arguments.number("seed", 1)?;
    arguments.end()?;
    match game.to_str() {
        Some("confirm") => confirm::run(trials, seed),
        Some("leftright") => left_right::run(trials, seed),
        Some("fingerprint") => fingerprint::run(trials, seed),
        _ => Err(Failure::Usage),
    }
}

/// What `each` makes of 0 to `count`, in that order.
fn on_threads<T: Send>(
    count: u64,
    each: impl Fn(u64) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok::<_, Failure>(done);
            }
            done.push((number, each(number)?));
        }
    };
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            let panic = |_| Failure::Program { program: "a thread".into(), detail: "panic".into() };
            all.append(&mut thread.join().map_err(panic)??);
        }
        Ok::<_, Failure>(())
    })?;
    all.sort_unstable_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, made)| made).collect())
}

/// Mixes a seed with what is drawn from it.
fn seed_of(seed: u64, number: u64, part: u64) -> u64 {
    let mut random = Random::new(seed ^ number.rotate_left(24) ^ part.rotate_left(56));
    random.next()
}

impl Material {
    fn content(self, seed: u64, len: usize) -> Vec<u8> {
        let mut random = Random::new(seed);
        match self {
            Self::Noise => random.bytes(len),
            Self::Text => {
                let mut text = Vec::with_capacity(len + 16);
                while text.len() < len {
                    // The language is the same for all: only the order of its words is random.
                    let mut word = Random::new(random.below(2_000));
                    let letters = 2 + word.below(8);
                    let letter = |_| b'a' + u8::try_from(word.below(26)).unwrap_or(0);
                    text.extend((0..letters).map(letter));
                    text.push(b' ');
                }
                text.truncate(len);
                text
            }
        }
    }
}

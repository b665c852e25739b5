//! What one guess of a passphrase costs on this machine, under a key file as it is written here.

use std::time::{Duration, Instant};

use crypt::key_file::{self, Argon2Cost, GUESS_MIN, Source};
use crypt::{OsRandom, Root};

use crate::arguments::Arguments;
use crate::failure::Failure;

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let guesses = arguments.number("guesses", 10)?;
    arguments.end()?;
    let start = Instant::now();
    let cost = Argon2Cost::calibrate(&mut || start.elapsed());
    let root = Root::random(&OsRandom);
    let file = key_file::write(&root, &Source::Passphrase("right"), &OsRandom, cost);
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..guesses.max(1) {
        let start = Instant::now();
        let refused = key_file::open(&file, Some("wrong")).is_err();
        times.push(start.elapsed());
        assert!(refused, "another passphrase opens the file");
    }
    times.sort_unstable();
    let (least, middle) = (times.first(), times.get(times.len() / 2));
    let (least, middle) = (least.copied().unwrap_or_default(), middle.copied().unwrap_or_default());
    println!(
        "guess: Argon2id with {} MiB, {} passes, {} lanes: {} guesses, median {} ms, least {} ms, \
         at least {} ms are wanted",
        cost.memory_kib() / 1024,
        cost.passes(),
        cost.lanes(),
        times.len(),
        middle.as_millis(),
        least.as_millis(),
        GUESS_MIN.as_millis()
    );
    Failure::unless_none(usize::from(middle < GUESS_MIN), "guess that is too cheap")
}

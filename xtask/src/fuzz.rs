//! Every decoder against bytes nobody meant: sound encodings, mutated. Seeded, so that a finding
//! can be had again; stable Rust, so that it runs everywhere.

mod mutate;
mod sharing;
mod targets;
mod texts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::random::Random;
use mutate::mutate;
use targets::{Target, Verdict};

/// No input may keep a decoder busy for longer.
const INPUT_TIME_MAX: Duration = Duration::from_millis(100);
/// Inputs between two looks at the clock.
const ROUND: u64 = 64;

#[derive(Debug, Default)]
struct Figures {
    inputs: u64,
    accepted: u64,
    longest: Duration,
    problems: Vec<String>,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let seconds = arguments.number("seconds", 10)?;
    let seed = arguments.number("seed", 1)?;
    let only = arguments.word("only")?;
    arguments.end()?;
    let mut targets = targets::all();
    targets.retain(|target| only.as_deref().is_none_or(|only| target.name == only));
    if targets.is_empty() {
        return Err(Failure::Usage);
    }
    let share = Duration::from_secs(seconds) / u32::try_from(targets.len().max(1)).unwrap_or(1);
    // What a decoder panics with is printed with its input; the hook would print it alone.
    std::panic::set_hook(Box::new(|_| ()));
    let (mut inputs, mut problems) = (0, 0);
    for target in &targets {
        let figures = fuzz(target, seed, share);
        println!(
            "fuzz {:<16} {:>9} inputs, {:>8} accepted, longest {:>6} us, {} problems",
            target.name,
            figures.inputs,
            figures.accepted,
            figures.longest.as_micros(),
            figures.problems.len()
        );
        figures.problems.iter().take(3).for_each(|problem| println!("  {problem}"));
        inputs += figures.inputs;
        problems += figures.problems.len();
    }
    drop(std::panic::take_hook());
    println!(
        "fuzz: seed {seed}: {inputs} inputs to {} decoders, {problems} problems",
        targets.len()
    );
    Failure::unless_none(problems, "defect of a decoder")
}

fn fuzz(target: &Target, seed: u64, share: Duration) -> Figures {
    let mut figures = Figures::default();
    let mut random = Random::new(seed);
    for input in &target.seeds {
        if !matches!(tried(target, input, &mut figures), Verdict::Accepted) {
            figures.problems.push(format!("a sound encoding is refused: {}", hex(input)));
        }
    }
    let start = Instant::now();
    while start.elapsed() < share && figures.problems.len() < 10 {
        for _ in 0..ROUND {
            let input = mutate(&target.seeds, target.len_max, &mut random);
            tried(target, &input, &mut figures);
        }
    }
    if figures.inputs > ROUND && figures.accepted == figures.inputs && target.refuses {
        figures.problems.push("nothing was ever refused".to_owned());
    }
    figures
}

/// A machine that is busy elsewhere makes one run slow, a slow decoder every run.
const RUNS_WHEN_SLOW: usize = 5;

fn tried(target: &Target, input: &[u8], figures: &mut Figures) -> Verdict {
    let (mut verdict, mut time) = timed(target, input);
    for _ in 0..RUNS_WHEN_SLOW {
        if time <= INPUT_TIME_MAX || matches!(verdict, Verdict::Broken(_)) {
            break;
        }
        let (again, time_again) = timed(target, input);
        (verdict, time) = (again, time.min(time_again));
    }
    figures.inputs += 1;
    figures.accepted += u64::from(matches!(verdict, Verdict::Accepted));
    figures.longest = figures.longest.max(time);
    if let Verdict::Broken(what) = &verdict {
        figures.problems.push(format!("{what}: {}", hex(input)));
    }
    if time > INPUT_TIME_MAX {
        figures.problems.push(format!("takes {} ms: {}", time.as_millis(), hex(input)));
    }
    verdict
}

fn timed(target: &Target, input: &[u8]) -> (Verdict, Duration) {
    let start = Instant::now();
    let verdict = catch_unwind(AssertUnwindSafe(|| (target.decode)(input)))
        .unwrap_or(Verdict::Broken("panics"));
    (verdict, start.elapsed())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(decode: impl Fn(&[u8]) -> Verdict + 'static) -> Target {
        let seeds = vec![vec![1; 20]];
        Target { name: "test", seeds, len_max: 100, refuses: true, decode: Box::new(decode) }
    }

    fn problems(decode: impl Fn(&[u8]) -> Verdict + 'static) -> Vec<String> {
        fuzz(&target(decode), 1, Duration::from_millis(20)).problems
    }

    #[test]
    fn defects_are_found_and_their_absence_is_not_reported() {
        let sound = |input: &[u8]| {
            if input == [1; 20] { Verdict::Accepted } else { Verdict::Refused }
        };
        assert_eq!(problems(sound), Vec::<String>::new());
        let panics = |input: &[u8]| {
            assert!(input.len() < 40, "planted");
            Verdict::Accepted
        };
        assert!(problems(panics)[0].starts_with("panics: "));
        let twofold = |input: &[u8]| {
            if input.first() == Some(&2) { Verdict::Broken("twofold") } else { Verdict::Accepted }
        };
        assert!(problems(twofold)[0].starts_with("twofold: 02"));
        assert_eq!(problems(|_| Verdict::Accepted), ["nothing was ever refused"]);
        assert!(problems(|_| Verdict::Refused)[0].starts_with("a sound encoding is refused"));
    }

    #[test]
    fn every_decoder_survives_a_little() {
        for target in targets::all() {
            let figures = fuzz(&target, 7, Duration::from_millis(50));
            assert_eq!(figures.problems, Vec::<String>::new(), "{}", target.name);
            assert!(figures.accepted >= target.seeds.len() as u64, "{}", target.name);
        }
    }
}

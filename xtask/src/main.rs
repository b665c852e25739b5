//! `cargo xtask COMMAND`: what the project needs around its code, so that it can be run again.
//! `cargo xtask help` lists the commands.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool: it is itself the place where files, clock and terminal come in"
)]

mod arguments;
mod cargo_test;
mod crash;
mod crates;
mod differential;
mod edit;
mod failure;
mod flip;
mod fuzz;
mod games;
mod guess;
mod hard_tree;
mod kill9;
mod licence;
mod random;
mod same_tree;
mod scan;
mod seals;
mod tidy;
mod timing;

use std::process::ExitCode;

use arguments::Arguments;
use failure::Failure;

struct Command {
    usage: &'static str,
    about: &'static str,
    run: fn(Arguments) -> Result<(), Failure>,
}

const COMMANDS: &[Command] = &[
    Command {
        usage: "crash --images N --seed N [--image N]",
        about: "power losses at any operation, in recovery too; failing syncs and operations",
        run: crash::run,
    },
    Command {
        usage: "crates [--lower]",
        about: "third-party crates: their number may only fall, licences and reasons must be there",
        run: crates::run,
    },
    Command {
        usage: "differential --cases N --seed N",
        about: "keys, seals and signatures of drawn cases in a second implementation",
        run: differential::run,
    },
    Command {
        usage: "edit FILE --edits N --seed N",
        about: "insert or delete up to 64 bytes in N places of FILE",
        run: edit::run_edit,
    },
    Command {
        usage: "flip [--whole] --seed N",
        about: "a store with each bit flipped, each file missing, cut, swapped, old, mutated",
        run: flip::run,
    },
    Command {
        usage: "fuzz --seconds N --seed N --only TARGET",
        about: "mutated encodings against every decoder",
        run: fuzz::run,
    },
    Command {
        usage: "games confirm|leftright|fingerprint --trials N --seed N",
        about: "what a data folder tells who holds no key of it, as games with a figure",
        run: games::run,
    },
    Command {
        usage: "guess --guesses N",
        about: "what one guess of a passphrase costs here",
        run: guess::run,
    },
    Command {
        usage: "hard-tree DIR",
        about: "make a folder of everything that is hard to store",
        run: hard_tree::run,
    },
    Command {
        usage: "kill9 [--passwd] --rounds N --seed N",
        about: "kill a writing (or rekeying) process anywhere, hold it to what it acknowledged",
        run: kill9::run,
    },
    Command {
        usage: "random FILE BYTES --seed N",
        about: "write BYTES (also 64KiB, 1GiB) that do not compress; FILE - is stdout",
        run: edit::run_random,
    },
    Command {
        usage: "same-tree A B",
        about: "compare names, types, modes, times, targets, contents, hard links and holes",
        run: same_tree::run,
    },
    Command {
        usage: "scan DIR",
        about: "fill a store in DIR, search all its files for content, names, hashes and ids",
        run: scan::run,
    },
    Command {
        usage: "seals --count N --seed N",
        about: "seals of forks, snapshots, two compressors and writers: no key meets a nonce twice",
        run: seals::run,
    },
    Command {
        usage: "timing --samples N",
        about: "whether the time of a refusal tells how much of a guess was right",
        run: timing::run,
    },
    Command { usage: "tidy", about: "the house rules that no compiler checks", run: tidy::run },
];

/// What `kill9` starts of this program; not for people.
const CHILDREN: &[Command] = &[
    Command { usage: "kill9-opener", about: "", run: kill9::run_opener },
    Command { usage: "kill9-passwd", about: "", run: kill9::run_passwd },
    Command { usage: "kill9-writer", about: "", run: kill9::run_writer },
];

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let name = words.next().unwrap_or_else(|| "help".into());
    let known = COMMANDS.iter().chain(CHILDREN).find(|command| {
        command.usage.split(' ').next().is_some_and(|first| name.as_os_str() == first)
    });
    let Some(command) = known else {
        COMMANDS.iter().for_each(|command| println!("{:<34} {}", command.usage, command.about));
        return if name == "help" { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    match Arguments::parse(words).and_then(command.run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage) => {
            eprintln!("usage: cargo xtask {}", command.usage);
            ExitCode::from(2)
        }
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

//! The `ouroboros` program: arguments in, lines and an exit code out.
//!
//! Architecture invariant: no storage logic here. Commands speak to an `ouroborosdb::Session` and
//! to `tree`; only this crate knows the terminal, and only [`exit`] knows exit codes.

mod args;
mod bench;
mod command;
mod context;
mod exit;
mod failure;
mod harden;
mod local_file;
mod output;
mod parse;
mod passphrase;
mod progress;
mod run;
mod signal;

fn main() -> std::process::ExitCode {
    run::main()
}

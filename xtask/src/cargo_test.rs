use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Runs a test of `crypt`, optimised, with `settings` in its environment, and prints those of its
/// lines that begin with `figure`.
pub(crate) fn cargo_test(
    what: &[&str],
    settings: &[(&str, u64)],
    figure: &str,
) -> Result<(), Failure> {
    let (filter, flags) = match what.iter().position(|word| *word == "--") {
        Some(at) => what.split_at(at + 1),
        None => (what, [].as_slice()),
    };
    let filter = filter.iter().filter(|word| **word != "--");
    let mut command = Command::new("cargo");
    command.args(["test", "--quiet", "--release", "--package", "ouroboros-crypt"]).args(filter);
    command.args(["--", "--nocapture", "--test-threads=1"]).args(flags);
    command.envs(settings.iter().map(|(name, value)| (name, value.to_string())));
    let fail = |detail: String| Failure::Program { program: "cargo test".to_owned(), detail };
    let output = command.stdin(Stdio::null()).output().map_err(|error| fail(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<&str> =
        said.lines().filter_map(|line| line.find(figure).and_then(|at| line.get(at..))).collect();
    figures.iter().for_each(|line| println!("{line}"));
    if !output.status.success() {
        return Err(fail(format!("{said}{}", String::from_utf8_lossy(&output.stderr))));
    }
    if figures.is_empty() {
        return Err(fail("it printed no figure".to_owned()));
    }
    Ok(())
}

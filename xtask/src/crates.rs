//! Third-party crates: how many the embedded library and the binary pull in, under which licences,
//! and why each direct one is there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::licence;

/// No edit of the limits file goes above these.
const EMBEDDED_MAX: usize = 60;
const BINARY_MAX: usize = 260;
const LIMITS: &str = "xtask/crates.limits";
const REASONS: &str = "docs/decisions/0005-dependencies.md";
/// What would make the embedded library a network program. A crate counts by its name or by
/// `name-` in front of it.
const NETWORK: &[&str] = &[
    "actix",
    "async-io",
    "async-std",
    "axum",
    "curl",
    "h2",
    "h3",
    "hyper",
    "libp2p",
    "mio",
    "native-tls",
    "openssl",
    "polling",
    "quiche",
    "quinn",
    "reqwest",
    "rustls",
    "s2n",
    "smol",
    "socket2",
    "tokio",
    "tonic",
    "tower",
    "ureq",
];

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let lower = arguments.flag("lower");
    arguments.end()?;
    let text = read(LIMITS)?;
    let mut lowered = text.clone();
    let mut problems = Vec::new();
    for (label, package, ceiling) in
        [("embedded", "ouroborosdb", EMBEDDED_MAX), ("binary", "ouroboros-cli", BINARY_MAX)]
    {
        let crates = third_party(package)?;
        let count = crates.len();
        let Some(limit) = limit_of(&text, label).filter(|limit| *limit <= ceiling) else {
            problems.push(format!("{label}: {LIMITS} must give a number up to {ceiling}"));
            continue;
        };
        println!("{label} ({package}): {count} third-party crates, limit {limit}");
        if count > limit {
            problems.push(format!("{label}: {} too many", count - limit));
        }
        for (name, licence) in &crates {
            if label == "embedded" && is_network(name) {
                problems.push(format!("{label}: {name} is a network stack"));
            }
            if !licence::is_allowed(licence) {
                problems.push(format!("{label}: {name} is under {licence:?}"));
            }
        }
        if count < limit {
            lowered = lowered.replace(&format!("{label} {limit}\n"), &format!("{label} {count}\n"));
        }
    }
    problems.extend(without_reason()?);
    if lower && lowered != text {
        std::fs::write(LIMITS, lowered).map_err(Failure::at(Path::new(LIMITS)))?;
    }
    problems.iter().for_each(|problem| println!("{problem}"));
    Failure::unless_none(problems.len(), "problem with the dependencies")
}

fn read(path: &str) -> Result<String, Failure> {
    let path = Path::new(path);
    std::fs::read_to_string(path).map_err(Failure::at(path))
}

fn limit_of(text: &str, label: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok())
}

/// Direct dependencies of any package of ours that [`REASONS`] has no line for.
fn without_reason() -> Result<Vec<String>, Failure> {
    let reasons = read(REASONS)?;
    let tree = cargo_tree(&["--workspace", "-e", "normal,dev,build", "--depth", "1"])?;
    let names = parse_tree(&tree).into_keys();
    let names = names.filter_map(|name| name.split(' ').next().map(str::to_owned));
    let unexplained = names.filter(|name| !reasons.contains(&format!("`{name}`")));
    Ok(unexplained.map(|name| format!("{name}: no reason in {REASONS}")).collect())
}

/// Crates of others in the normal dependencies of `package` on this machine.
fn third_party(package: &str) -> Result<BTreeMap<String, String>, Failure> {
    Ok(parse_tree(&cargo_tree(&["-e", "normal", "-p", package])?))
}

fn cargo_tree(what: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("cargo");
    command.args(["tree", "--locked", "--prefix", "none", "--format", "{p}|{l}"]).args(what);
    let fail = |detail: String| Failure::Program { program: "cargo tree".to_owned(), detail };
    let output = command.output().map_err(|error| fail(error.to_string()))?;
    if !output.status.success() {
        return Err(fail(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `name vVERSION` and its licence. Two versions of one crate are two.
fn parse_tree(text: &str) -> BTreeMap<String, String> {
    // Ours carry their folder: `name v1.2.3 (/folder)`.
    let of_others = text.lines().filter(|line| !line.contains(" (/"));
    of_others
        .filter_map(|line| {
            let (package, licence) = line.split_once('|')?;
            let (name, rest) = package.split_once(' ')?;
            let version = rest.split(' ').next()?;
            let licence = licence.trim_end_matches(" (*)");
            Some((format!("{name} {version}"), licence.to_owned()))
        })
        .collect()
}

fn is_network(crate_and_version: &str) -> bool {
    let name = crate_and_version.split(' ').next().unwrap_or_default();
    NETWORK.iter().any(|network| {
        name.strip_prefix(network).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_counted_once_per_version_without_ours() {
        let text = "ours v0.1.0 (/src/ours)|MIT\nsyn v2.0.1|MIT\nsyn v3.0.0|ISC\n\
                    syn v2.0.1|MIT (*)\nderive v1.0.0 (proc-macro)|MIT OR ISC\n";
        let crates = parse_tree(text);
        let names: Vec<_> = crates.keys().collect();
        assert_eq!(names, ["derive v1.0.0", "syn v2.0.1", "syn v3.0.0"]);
        assert_eq!(crates["syn v2.0.1"], "MIT");
        assert_eq!(crates["derive v1.0.0"], "MIT OR ISC");
    }

    #[test]
    fn network_stacks_are_known_by_name() {
        for name in ["quinn v1", "quinn-proto v1", "tokio-util v0", "socket2 v0"] {
            assert!(is_network(name), "{name}");
        }
        for name in ["mionet v1", "h2o v1", "towering v2", "blake3 v1"] {
            assert!(!is_network(name), "{name}");
        }
    }

    #[test]
    fn limits_are_read_by_label() {
        let text = "# words\nembedded 48\nbinary 120\n";
        assert_eq!(limit_of(text, "embedded"), Some(48));
        assert_eq!(limit_of(text, "binary"), Some(120));
        assert_eq!(limit_of(text, "other"), None);
    }
}

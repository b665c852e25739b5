//! How many third-party crates the embedded library and the binary pull in, and which must not
//! be among them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// No edit of the limits file goes above these.
const EMBEDDED_MAX: usize = 60;
const BINARY_MAX: usize = 260;
const LIMITS: &str = "xtask/crates.limits";
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
    let path = Path::new(LIMITS);
    let text = std::fs::read_to_string(path).map_err(Failure::at(path))?;
    let mut lowered = text.clone();
    let mut problems = 0;
    for (label, package, ceiling) in
        [("embedded", "ouroborosdb", EMBEDDED_MAX), ("binary", "ouroboros-cli", BINARY_MAX)]
    {
        let crates = third_party(package)?;
        let limit = limit_of(&text, label).filter(|limit| *limit <= ceiling);
        let Some(limit) = limit else {
            println!("{label}: {LIMITS} must give a number up to {ceiling}");
            problems += 1;
            continue;
        };
        println!("{label} ({package}): {} third-party crates, limit {limit}", crates.len());
        if crates.len() > limit {
            println!("  one came in: say why in docs/decisions, or do without");
            problems += 1;
        }
        if label == "embedded" {
            for name in crates.iter().filter(|name| is_network(name)) {
                println!("  {name} is a network stack");
                problems += 1;
            }
        }
        if crates.len() < limit {
            let (old, new) = (format!("{label} {limit}\n"), format!("{label} {}\n", crates.len()));
            lowered = lowered.replace(&old, &new);
        }
    }
    if lower && lowered != text {
        std::fs::write(path, lowered).map_err(Failure::at(path))?;
    }
    Failure::unless_none(problems, "problem with the dependencies")
}

fn limit_of(text: &str, label: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok())
}

/// `name vVERSION` of every crate of others in the normal dependencies of `package` on this
/// machine. Two versions of one crate are two.
fn third_party(package: &str) -> Result<BTreeSet<String>, Failure> {
    let mut command = Command::new("cargo");
    command.args(["tree", "--locked", "-e", "normal", "--prefix", "none", "-p", package]);
    let fail = |detail: String| Failure::Program { program: "cargo tree".to_owned(), detail };
    let output = command.output().map_err(|error| fail(error.to_string()))?;
    if !output.status.success() {
        return Err(fail(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(parse_tree(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_tree(text: &str) -> BTreeSet<String> {
    // Ours carry their folder: `name v1.2.3 (/folder)`.
    let of_others = text.lines().filter(|line| !line.contains(" (/"));
    of_others
        .filter_map(|line| {
            let (name, rest) = line.split_once(' ')?;
            Some(format!("{name} {}", rest.split(' ').next()?))
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
        let text = "ours v0.1.0 (/src/ours)\nsyn v2.0.1\nsyn v3.0.0\nsyn v2.0.1 (*)\n\
                    derive v1.0.0 (proc-macro)\n";
        let names: Vec<_> = parse_tree(text).into_iter().collect();
        assert_eq!(names, ["derive v1.0.0", "syn v2.0.1", "syn v3.0.0"]);
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

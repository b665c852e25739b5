//! The house rules that neither the compiler nor the linter knows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::failure::Failure;

const FILE_LINES_MAX: usize = 600;
const README_LINES_MAX: usize = 150;
/// rustfmt keeps code within 100; this is for comments and texts.
const LINE_COLUMNS_MAX: usize = 120;
const GLOSSARY: &str = "docs/glossary.md";
const SKIPPED: &[&str] = &[".git", "target", "testdata"];
/// Must be there, in every clone.
const REQUIRED: &[&str] = &[
    ".ci/run",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    GLOSSARY,
];
/// Written in two halves, so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("HA", "CK"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("not yet ", "implemented"),
    concat!("place", "holder"),
];
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
const WORDS_BANNED: &[&str] = &["Manager", "Service", "Helper", "Util"];

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    arguments.end()?;
    let root = Path::new(".");
    let mut findings = Vec::new();
    for path in REQUIRED.iter().filter(|path| !root.join(path).is_file()) {
        findings.push(format!("{path}: missing"));
    }
    let glossary = read(&root.join(GLOSSARY)).unwrap_or_default();
    let (mut files, mut lines) = (0, Vec::new());
    for path in project_files(root)? {
        let text = read(&path)?;
        files += 1;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let found = check(&name, &text);
        findings.extend(found.into_iter().map(|finding| format!("{name}{finding}")));
        if name.ends_with(".rs") {
            lines.push(text.lines().count());
        }
        if is_library_root(&name) {
            let missing = exported_types(&text).into_iter().filter(|noun| !has(&glossary, noun));
            findings.extend(missing.map(|noun| format!("{GLOSSARY}: no line for {noun} ({name})")));
        }
        if name.ends_with(".md") {
            findings
                .extend(dead_links(&path, &text).map(|link| format!("{name}: dead link {link}")));
        }
    }
    lines.sort_unstable();
    findings.iter().for_each(|line| println!("{line}"));
    println!(
        "{files} files; Rust: {} files, median {} lines, longest {}; {} findings",
        lines.len(),
        lines.get(lines.len() / 2).copied().unwrap_or(0),
        lines.last().copied().unwrap_or(0),
        findings.len()
    );
    Failure::unless_none(findings.len(), "finding")
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(Failure::at(path))
}

/// Text the project wrote: sources, documents, settings, scripts.
fn project_files(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Failure::at(&folder))? {
            let path = entry.map_err(Failure::at(&folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_text = matches!(
                path.extension().and_then(|extension| extension.to_str()),
                Some("rs" | "md" | "toml")
            );
            if path.is_dir() && !SKIPPED.contains(&name) {
                folders.push(path);
            } else if is_text || path.ends_with(".ci/run") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Findings begin with `:LINE: ` or `: `.
fn check(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let is_rust = name.ends_with(".rs");
    let count = text.lines().count();
    if is_rust && count > FILE_LINES_MAX {
        findings.push(format!(": {count} lines, at most {FILE_LINES_MAX}"));
    }
    if name == "README.md" && count > README_LINES_MAX {
        findings.push(format!(": {count} lines, at most {README_LINES_MAX}"));
    }
    if name.ends_with(".md") {
        let titles = titles(text);
        if titles != 1 {
            findings.push(format!(": {titles} titles, exactly 1"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.push(": no newline at the end".to_owned());
    }
    for (number, line) in text.lines().enumerate().map(|(i, line)| (i + 1, line)) {
        findings.extend(check_line(line, is_rust).map(|problem| format!(":{number}: {problem}")));
    }
    findings
}

fn check_line(line: &str, is_rust: bool) -> Option<String> {
    let finds =
        |words: &[&str]| words.iter().find(|word| line.contains(**word)).map(|w| (*w).to_owned());
    if let Some(word) = finds(UNFINISHED) {
        return Some(format!("{word}: finish it or take it out"));
    }
    if let Some(path) = finds(MACHINE_PATHS) {
        return Some(format!("{path}: a path of one machine"));
    }
    if line.contains('\t') || line.ends_with(' ') {
        return Some("tab, or space at the end".to_owned());
    }
    if !is_rust {
        return None;
    }
    if line.chars().count() > LINE_COLUMNS_MAX && !line.contains("http") {
        return Some(format!("over {LINE_COLUMNS_MAX} columns"));
    }
    let noun = declared(line)?;
    let banned = WORDS_BANNED.iter().find(|word| noun.contains(**word));
    if let Some(word) = banned {
        return Some(format!("{noun}: {word} names no noun"));
    }
    // Restoring is called get; an accessor is not.
    let is_accessor = line.trim_start().starts_with("pub fn") && line.contains("(&self) ->");
    (is_accessor && noun.starts_with("get_")).then(|| format!("{noun}: no get_ prefix"))
}

/// The name a line declares, of a type, trait or function.
fn declared(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if matches!(word, "struct" | "enum" | "trait" | "fn" | "type") {
            let rest = words.next()?;
            return rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
        }
        let is_prefix = word.starts_with("pub") || matches!(word, "const" | "async" | "crate)");
        if !is_prefix {
            return None;
        }
    }
    None
}

/// Lines that begin with `# ` outside fenced code.
fn titles(text: &str) -> usize {
    let mut is_code = false;
    let mut count = 0;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        count += usize::from(!is_code && line.starts_with("# "));
    }
    count
}

fn is_library_root(name: &str) -> bool {
    name.starts_with("crates/") && name.ends_with("/src/lib.rs")
}

/// Types a library shows: capitalised names in its `pub use`, error enums aside.
fn exported_types(text: &str) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for statement in text.split(';').filter_map(|part| part.split("pub use ").nth(1)) {
        let words = statement.split(|c: char| !c.is_alphanumeric() && c != '_');
        let is_type = |word: &&str| {
            let is_mixed =
                word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase);
            is_mixed && !word.ends_with("Error")
        };
        types.extend(words.filter(is_type).map(str::to_owned));
    }
    types
}

fn has(glossary: &str, noun: &str) -> bool {
    glossary.contains(&format!("`{noun}`"))
}

/// Relative targets of Markdown links that lead to no file.
fn dead_links<'a>(path: &Path, text: &'a str) -> impl Iterator<Item = &'a str> {
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    text.split("](").skip(1).filter_map(move |rest| {
        let link = rest.split(')').next()?;
        let file = link.split('#').next().unwrap_or_default();
        let is_local = !file.is_empty() && !file.contains("://");
        (is_local && !folder.join(file).exists()).then_some(link)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_break_a_rule_are_found() {
        let todo = format!("// {}: later", UNFINISHED[0]);
        let path = format!("see {}me/file", MACHINE_PATHS[0]);
        let long = "x".repeat(LINE_COLUMNS_MAX + 1);
        let bad = [
            todo.as_str(),
            path.as_str(),
            long.as_str(),
            "\tlet a = 1;",
            "let a = 1; ",
            "pub struct KeyManager;",
            "    pub fn get_key(&self) -> Key {",
        ];
        for line in bad {
            assert!(check_line(line, true).is_some(), "{line}");
        }
        let longest = "x".repeat(LINE_COLUMNS_MAX);
        for line in [
            longest.as_str(),
            "fn get_tree(&self, root: &Path) -> Tree {",
            "let Manager = 1;",
            "// the struct",
        ] {
            assert_eq!(check_line(line, true), None, "{line}");
        }
    }

    #[test]
    fn long_files_and_titles_are_counted() {
        let at_limit = "x\n".repeat(FILE_LINES_MAX);
        assert!(check("a.rs", &at_limit).is_empty());
        assert_eq!(check("a.rs", &format!("{at_limit}x\n")).len(), 1);
        let readme = format!("# t\n{}", "x\n".repeat(README_LINES_MAX));
        assert_eq!(check("README.md", &readme).len(), 1);
        assert!(check("a.md", "# one\n```\n# code\n```\n## two\n").is_empty());
        assert_eq!(check("a.md", "# one\n# two\n").len(), 1);
        assert_eq!(check("a.md", "none\n").len(), 1);
        assert_eq!(check("a.md", "# one").len(), 1, "no newline");
    }

    #[test]
    fn exports_are_read_from_pub_use() {
        let text =
            "mod a;\npub use a::{Chunk, LIMIT, list_of, Vertex};\nuse b::Hidden;\npub use c::Name;";
        let types: Vec<_> = exported_types(text).into_iter().collect();
        assert_eq!(types, ["Chunk", "Name", "Vertex"]);
        assert!(has("| `Chunk` | x |", "Chunk") && !has("| `Chunks` |", "Chunk"));
    }

    #[test]
    fn dead_links_are_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("there.md"), "").unwrap();
        let text = "[a](there.md#part) [b](gone.md) [c](https://example.org/x) [d](#part)";
        let dead: Vec<_> = dead_links(&folder.path().join("a.md"), text).collect();
        assert_eq!(dead, ["gone.md"]);
    }
}

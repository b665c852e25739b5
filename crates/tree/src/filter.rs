use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::TreeError;
use crate::error::native;

/// Patterns one filter takes.
pub const PATTERNS_MAX: usize = 100_000;

/// Patterns over relative paths, read like those of ignore files: without `/` a pattern matches a
/// component anywhere, with one (except at its end) a path from the root; `*` stays within a
/// component, `**` does not; a trailing `/` matches folders only.
#[derive(Debug, Clone, Default)]
pub struct PathFilter {
    names: GlobSet,
    paths: GlobSet,
    folder_names: GlobSet,
    folder_paths: GlobSet,
}

impl PathFilter {
    /// Compiles patterns; empty ones and comments (`#`) are skipped.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, TreeError> {
        let mut sets: [GlobSetBuilder; 4] = std::array::from_fn(|_| GlobSetBuilder::new());
        let [names, paths, folder_names, folder_paths] = &mut sets;
        let mut count = 0;
        for pattern in patterns {
            let given = pattern.as_ref().trim_end_matches('\r');
            if given.is_empty() || given.starts_with('#') {
                continue;
            }
            count += 1;
            if count > PATTERNS_MAX {
                return Err(malformed(given, "too many patterns"));
            }
            let only_folders = given.ends_with('/');
            let text = given.trim_end_matches('/');
            let set = match (text.contains('/'), only_folders) {
                (false, false) => &mut *names,
                (true, false) => &mut *paths,
                (false, true) => &mut *folder_names,
                (true, true) => &mut *folder_paths,
            };
            let text = text.trim_start_matches("./").trim_start_matches('/');
            let glob = GlobBuilder::new(text)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|error| malformed(given, error.kind()))?;
            set.add(glob);
        }
        let [names, paths, folder_names, folder_paths] =
            sets.map(|set| set.build().map_err(|error| malformed("", error.kind())));
        Ok(Self {
            names: names?,
            paths: paths?,
            folder_names: folder_names?,
            folder_paths: folder_paths?,
        })
    }

    /// Compiles the lines of an ignore file.
    pub fn lines(text: &str) -> Result<Self, TreeError> {
        Self::new(text.lines())
    }

    /// True when there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.pattern_count() == 0
    }

    fn pattern_count(&self) -> usize {
        self.names.len() + self.paths.len() + self.folder_names.len() + self.folder_paths.len()
    }

    /// True when `path` itself matches.
    pub fn matches(&self, path: &[u8], is_folder: bool) -> bool {
        if self.is_empty() {
            return false;
        }
        let name = native(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path));
        let path = native(path);
        self.names.is_match(name)
            || self.paths.is_match(path)
            || (is_folder && (self.folder_names.is_match(name) || self.folder_paths.is_match(path)))
    }

    /// True when `path` or a folder above it matches.
    pub fn covers(&self, path: &[u8], is_folder: bool) -> bool {
        self.matches(path, is_folder)
            || path
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'/')
                .filter_map(|(at, _)| path.get(..at))
                .any(|above| self.matches(above, true))
    }
}

fn malformed(pattern: &str, problem: impl ToString) -> TreeError {
    TreeError::Pattern { pattern: pattern.to_owned(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(patterns: &[&str]) -> PathFilter {
        PathFilter::new(patterns).unwrap()
    }

    #[test]
    fn a_pattern_without_slash_matches_names_anywhere() {
        let filter = filter(&["*.o", "target/"]);
        assert!(filter.matches(b"a.o", false));
        assert!(filter.matches(b"deep/er/a.o", false));
        assert!(!filter.matches(b"a.o.c", false));
        assert!(filter.matches(b"x/target", true));
        assert!(!filter.matches(b"x/target", false), "a trailing slash means folders only");
    }

    #[test]
    fn a_pattern_with_slash_matches_from_the_root() {
        let filter = filter(&["/build", "src/*.tmp", "doc/**/draft"]);
        assert!(filter.matches(b"build", true));
        assert!(!filter.matches(b"x/build", true));
        assert!(filter.matches(b"src/a.tmp", false));
        assert!(!filter.matches(b"src/x/a.tmp", false), "a star stays within a component");
        assert!(filter.matches(b"doc/a/b/draft", false));
    }

    #[test]
    fn what_lies_below_a_match_is_covered() {
        let filter = filter(&["keep"]);
        assert!(filter.covers(b"a/keep/b/c", false));
        assert!(!filter.covers(b"a/keeper/b", false));
    }

    #[test]
    fn comments_and_empty_lines_are_no_patterns() {
        assert!(PathFilter::lines("# all\n\n").unwrap().is_empty());
        assert!(!PathFilter::lines("# all\n*.o\r\n").unwrap().is_empty());
        assert!(PathFilter::lines("# all\n*.o\r\n").unwrap().matches(b"a.o", false));
        assert!(PathFilter::default().is_empty());
    }

    #[test]
    fn a_malformed_pattern_is_named() {
        let error = PathFilter::new(["a", "[b"]).unwrap_err();
        assert!(matches!(error, TreeError::Pattern { pattern, .. } if pattern == "[b"));
    }
}

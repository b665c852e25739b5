//! The parent's memory of what was promised, and the comparison with what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use model::{Name, VertexHash};
use ouroborosdb::{At, Error, NAMES_PAGE_MAX, NamesQuery, Session};

use super::items::{self, Ack};
use crate::failure::Failure;

/// What one store has promised so far.
pub(super) struct Oracle {
    seed: u64,
    items: BTreeMap<String, String>,
    groups: BTreeSet<String>,
    versions: BTreeMap<String, Vec<String>>,
    /// Rounds after which nothing was verified yet.
    rounds_new: BTreeSet<u64>,
}

impl Oracle {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            items: BTreeMap::new(),
            groups: BTreeSet::new(),
            versions: BTreeMap::new(),
            rounds_new: BTreeSet::new(),
        }
    }

    pub(super) fn remember(&mut self, round: u64, acks: Vec<Ack>) {
        self.rounds_new.insert(round);
        for ack in acks {
            match ack {
                Ack::Item { name, hash } => drop(self.items.insert(name, hash)),
                Ack::Group { name } => drop(self.groups.insert(name)),
                Ack::Version { name, hash } => {
                    let acked = self.versions.entry(name).or_default();
                    // Equal content twice in a row makes no second version.
                    if acked.last() != Some(&hash) {
                        acked.push(hash);
                    }
                }
            }
        }
    }

    /// Every acknowledged put is there, bit for bit; whatever else is visible is whole. `all`
    /// also reads again what earlier calls verified.
    pub(super) fn verify(
        &mut self,
        session: &dyn Session,
        all: bool,
        problems: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let mut visible = BTreeMap::new();
        let prefixes: Vec<String> = if all {
            vec!["r".to_owned()]
        } else {
            self.rounds_new.iter().map(|round| format!("r{round}/")).collect()
        };
        for prefix in &prefixes {
            list(session, prefix, &mut visible)?;
        }
        let is_looked_at =
            |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
        for (name, hash) in self.items.iter().filter(|(name, _)| is_looked_at(name)) {
            if visible.get(name).map(ToString::to_string).as_ref() != Some(hash) {
                problems.push(format!("lost: {name} {hash}"));
            }
        }
        for root in self.groups.iter().filter(|root| is_looked_at(root)) {
            let names = items::members(root).chain([root.clone()]);
            let lost = names.filter(|name| !visible.contains_key(name));
            problems.extend(lost.map(|name| format!("lost from an acknowledged group: {name}")));
        }
        half_visible(&visible, problems);
        for (name, hash) in &visible {
            let expected = items::bytes(self.seed, name);
            match read(session, hash) {
                Ok(found) if found == expected => {}
                Ok(_) => problems.push(format!("wrong bytes: {name} {hash}")),
                Err(error) => problems.push(format!("unreadable: {name} {hash}: {error}")),
            }
        }
        for (name, acked) in &self.versions {
            versions(session, name, acked, problems)?;
        }
        self.rounds_new.clear();
        Ok(())
    }
}

/// Every live name under `prefix` with its only head.
fn list(
    session: &dyn Session,
    prefix: &str,
    into: &mut BTreeMap<String, VertexHash>,
) -> Result<(), Failure> {
    let mut query =
        NamesQuery { prefix: prefix.to_owned(), limit: NAMES_PAGE_MAX, ..NamesQuery::default() };
    loop {
        let page = session.names(&query).map_err(Failure::database("names"))?;
        let Some(last) = page.last() else { return Ok(()) };
        query.after = Some(last.name.clone());
        for entry in page {
            // One writer, one version: several heads would be a version out of nowhere.
            if let [head] = entry.heads.as_slice() {
                into.insert(entry.name.as_str().to_owned(), head.hash);
            }
        }
    }
}

/// A group is visible whole or not at all, acknowledged or not.
fn half_visible(visible: &BTreeMap<String, VertexHash>, problems: &mut Vec<String>) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for root in visible.keys().filter_map(|name| items::group_root(name)) {
        *counts.entry(root).or_default() += 1;
    }
    let parts = counts.into_iter().filter(|(_, count)| *count != items::GROUP_LEN + 1);
    problems.extend(parts.map(|(root, count)| format!("half visible: {root}, {count} names")));
}

fn read(session: &dyn Session, hash: &VertexHash) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut content = session.content(hash).map_err(|error| error.to_string())?;
    content.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The acknowledged versions are all in the history, in their order, under a single head.
fn versions(
    session: &dyn Session,
    name: &str,
    acked: &[String],
    problems: &mut Vec<String>,
) -> Result<(), Failure> {
    let parsed = Name::new(name).expect("our names are good");
    let heads = match session.heads(&parsed, At::Now) {
        Ok(heads) => heads,
        Err(Error::NameUnknown { .. }) => Vec::new(),
        Err(error) => return Err(Failure::database("heads")(error)),
    };
    if heads.len() != 1 {
        problems.push(format!("{name}: {} heads", heads.len()));
        return Ok(());
    }
    let history = session.history(&parsed).map_err(Failure::database("history"))?;
    let mut oldest_first = history.iter().rev().map(|version| version.hash.to_string());
    for hash in acked {
        if !oldest_first.any(|found| found == *hash) {
            problems.push(format!("{name}: version {hash} is lost or out of order"));
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_group_is_seen() {
        let hash = VertexHash::new([1; 32]);
        let mut visible: BTreeMap<String, VertexHash> =
            items::members("r0/t0/g1").chain(["r0/t0/g1".to_owned()]).map(|n| (n, hash)).collect();
        visible.insert("r0/t0/7".to_owned(), hash);
        let mut problems = Vec::new();
        half_visible(&visible, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        visible.remove("r0/t0/g1/m3");
        half_visible(&visible, &mut problems);
        assert_eq!(problems.len(), 1);
    }
}

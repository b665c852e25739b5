//! Walks versions: winner, history, and how things stood at a time.

use std::collections::{HashSet, VecDeque};

use model::{Hlc, Kind, Name, Vertex, VertexHash};
use store::HeadEntry;

use crate::engine::Engine;
use crate::error::Error;
use crate::session::{At, Head, NAMES_PAGE_MAX, NameEntry, NamesQuery, Version};

/// The deterministic winner first: live before tombstone, then greatest depth, then greatest hash.
pub(crate) fn sort_heads(heads: &mut [Head]) {
    heads.sort_unstable_by(|a, b| {
        let live = a.is_tombstone.cmp(&b.is_tombstone);
        live.then(b.depth.cmp(&a.depth)).then(b.hash.cmp(&a.hash))
    });
}

pub(crate) fn head_of_entry(entry: HeadEntry) -> Head {
    let HeadEntry { hash, depth, hlc, len, is_tombstone } = entry;
    Head { hash, depth, hlc, len, is_tombstone }
}

fn head_of_version(version: &Version) -> Head {
    let vertex = &version.vertex;
    Head {
        hash: version.hash,
        depth: vertex.depth,
        hlc: vertex.hlc,
        len: vertex.content.len(),
        is_tombstone: vertex.meta.kind == Kind::Tombstone,
    }
}

impl Engine {
    /// The heads of `name` at a time, the winner first.
    pub(crate) fn heads(&self, name: &Name, at: At) -> Result<Vec<Head>, Error> {
        let heads = self.heads_now(name)?;
        let heads = self.heads_at(name, heads, at)?;
        if heads.is_empty() { Err(Error::NameUnknown { name: name.clone() }) } else { Ok(heads) }
    }

    fn heads_at(&self, name: &Name, heads: Vec<Head>, at: At) -> Result<Vec<Head>, Error> {
        let time = match at {
            At::Now => return Ok(heads),
            At::Time(time) if heads.iter().all(|head| head.hlc <= time) => return Ok(heads),
            At::Time(time) => time,
        };
        let mut seen = HashSet::new();
        let mut followed = HashSet::new();
        let mut past: Vec<Head> = Vec::new();
        self.walk(name, &heads, &mut seen, |version| {
            if is_not_younger(version, time) {
                past.push(head_of_version(version));
                followed.extend(version.vertex.parents.iter().copied());
            }
        })?;
        past.retain(|head| !followed.contains(&head.hash));
        sort_heads(&mut past);
        Ok(past)
    }

    /// Visits every version of `name` once.
    ///
    /// From the heads over versions of the same name: a version that none of its name lists as a
    /// parent is a head itself, so none is left out.
    fn walk(
        &self,
        name: &Name,
        heads: &[Head],
        seen: &mut HashSet<VertexHash>,
        mut visit: impl FnMut(&Version),
    ) -> Result<(), Error> {
        let mut next: VecDeque<(VertexHash, VertexHash)> =
            heads.iter().map(|head| (head.hash, head.hash)).collect();
        while let Some((hash, needed_by)) = next.pop_front() {
            if !seen.insert(hash) {
                continue;
            }
            let Some(vertex) = self.find_vertex(&hash)? else {
                return Err(Error::Missing { object: hash.to_string(), needed_by });
            };
            if vertex.name.as_ref() == Some(name) {
                next.extend(vertex.parents.iter().map(|parent| (*parent, hash)));
                visit(&Version { hash, vertex });
            }
        }
        Ok(())
    }

    /// All versions of `name`, newest first.
    pub(crate) fn history(&self, name: &Name) -> Result<Vec<Version>, Error> {
        let heads = self.heads_now(name)?;
        let mut versions = Vec::new();
        self.walk(name, &heads, &mut HashSet::new(), |version| versions.push(version.clone()))?;
        let age = |version: &Version| (version.vertex.depth, version.vertex.hlc, version.hash);
        versions.sort_unstable_by_key(|version| std::cmp::Reverse(age(version)));
        Ok(versions)
    }

    /// Names in byte order.
    pub(crate) fn names(&self, query: &NamesQuery) -> Result<Vec<NameEntry>, Error> {
        self.settle_all_names()?;
        let limit = query.limit.min(NAMES_PAGE_MAX);
        let mut found = Vec::new();
        let mut after = query.after.clone();
        while found.len() < limit {
            let page = self.store.names(&query.prefix, after.as_ref(), limit)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (name, entries) in page {
                let mut heads: Vec<Head> = entries.into_iter().map(head_of_entry).collect();
                sort_heads(&mut heads);
                let heads = self.heads_at(&name, heads, query.at)?;
                let is_wanted = |winner: &Head| query.with_deleted || !winner.is_tombstone;
                if heads.first().is_some_and(is_wanted) && found.len() < limit {
                    found.push(NameEntry { name, heads });
                }
            }
        }
        Ok(found)
    }

    /// The one version whose hex begins with `prefix`.
    pub(crate) fn resolve(&self, prefix: &str) -> Result<VertexHash, Error> {
        let unknown = || Error::HashUnknown { hash: prefix.to_owned() };
        if let Ok(hash) = prefix.parse::<VertexHash>() {
            return self.find_vertex(&hash)?.map(|_: Vertex| hash).ok_or_else(unknown);
        }
        let (bytes, nibble) = hex_prefix(prefix)?;
        let found = self.store.vertices_with_prefix(&bytes, nibble, 2)?;
        match found.as_slice() {
            [] => Err(unknown()),
            [hash] => Ok(*hash),
            _ => Err(Error::HashAmbiguous { hash: prefix.to_owned() }),
        }
    }

    /// Versions that list `hash` as a parent.
    pub(crate) fn children(&self, hash: &VertexHash) -> Result<Vec<VertexHash>, Error> {
        self.settle_all_names()?;
        let children = self.store.children(hash)?;
        if children.is_empty() && self.find_vertex(hash)?.is_none() {
            return Err(Error::HashUnknown { hash: hash.to_string() });
        }
        Ok(children)
    }
}

fn is_not_younger(version: &Version, time: Hlc) -> bool {
    version.vertex.hlc <= time
}

/// Shortest prefix that is taken for a hash, in hex digits.
const PREFIX_LEN_MIN: usize = 8;

/// Whole bytes of a hex prefix, and the digit left over.
fn hex_prefix(prefix: &str) -> Result<(Vec<u8>, Option<u8>), Error> {
    let malformed = || Error::Argument(model::FormatError::Invalid { noun: "hash" });
    let digit = |c: &u8| match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(malformed()),
    };
    if prefix.len() < PREFIX_LEN_MIN || prefix.len() >= VertexHash::LEN * 2 {
        return Err(malformed());
    }
    let digits = prefix.as_bytes().iter().map(digit).collect::<Result<Vec<u8>, Error>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    Ok((bytes, rest.first().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(hash: u8, depth: u64, is_tombstone: bool) -> Head {
        let hash = VertexHash::new([hash; 32]);
        Head { hash, depth, hlc: Hlc(0), len: 0, is_tombstone }
    }

    #[test]
    fn the_winner_is_live_then_deep_then_great() {
        let order = [head(1, 5, false), head(9, 4, false), head(8, 4, false), head(9, 9, true)];
        let mut heads = order;
        heads.reverse();
        sort_heads(&mut heads);
        assert_eq!(heads, order);
    }

    #[test]
    fn prefixes_split_into_bytes_and_a_digit() {
        assert_eq!(hex_prefix("0a1b2c3d").unwrap(), (vec![0x0a, 0x1b, 0x2c, 0x3d], None));
        assert_eq!(hex_prefix("0a1b2c3df").unwrap(), (vec![0x0a, 0x1b, 0x2c, 0x3d], Some(15)));
        let long = "0".repeat(64);
        for bad in ["", "0a1b2c3", "0A1B2C3D", "0a1b2c3g", long.as_str()] {
            assert!(hex_prefix(bad).is_err(), "{bad}");
        }
    }
}

//! One page of a run. A node holds sorted entries behind the prefix they all share, with a table of
//! entry starts for binary search; a filter page holds bits (`filter`).
//!
//! Node: kind u8, level u8, count u16, prefix length u16, prefix, count x start u16 (from the end of
//! this table), entries, zeros. Entry: suffix length, 0 (deleted) or 1 + value length, both LEB128,
//! suffix, value. The value of a branch entry is slot and slots of the child, both LEB128.

use std::cmp::Ordering;

use model::codec::{Reader, Writer};

/// Unit of placement in a run file, bytes. A page fills one slot; one with an entry that is too
/// long for that fills several.
pub(super) const SLOT_LEN: usize = 4096;
/// What sealing adds to a page, bytes.
pub(super) const SEAL_LEN: usize = 32;
/// Cleartext of a page of one slot, bytes.
pub(super) const PLAIN_LEN: usize = SLOT_LEN - SEAL_LEN;
/// Longest key, bytes: a name of the longest kind behind a tag and an id.
pub const KEY_LEN_MAX: usize = 4200;
/// Longest value, bytes.
pub const VALUE_LEN_MAX: usize = 64 * 1024;
/// A branch of two longest separators, or a leaf of the longest key and value.
pub(super) const PAGE_SLOTS_MAX: u32 = 18;

const NODE: u8 = 1;
/// Kind byte of a filter page.
pub(super) const FILTER: u8 = 2;
const HEADER_LEN: usize = 6;
const START_LEN: usize = 2;

/// Where a page lies: first slot (its number for the seal) and how many it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) slot: u32,
    pub(super) slots: u32,
}

impl Address {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.var(self.slot.into()).var(self.slots.into());
        writer.finish()
    }

    /// Slot 0 holds the file header, so no page lies there.
    pub(super) fn new(slot: u64, slots: u64) -> Option<Self> {
        let address = Self { slot: slot.try_into().ok()?, slots: slots.try_into().ok()? };
        let sound = address.slot > 0 && (1..=PAGE_SLOTS_MAX).contains(&address.slots);
        (sound && address.slot.checked_add(address.slots).is_some()).then_some(address)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new("page address", bytes);
        let address = Self::new(reader.var().ok()?, reader.var().ok()?)?;
        reader.end().ok()?;
        Some(address)
    }

    /// Bytes from the start of the file.
    pub(super) fn offset(self) -> u64 {
        u64::from(self.slot) * SLOT_LEN as u64
    }

    /// Sealed bytes.
    pub(super) fn len(self) -> Option<usize> {
        usize::try_from(self.slots).ok()?.checked_mul(SLOT_LEN)
    }
}

/// An unsealed page. `None` from any method means that it is malformed.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) bytes: Vec<u8>,
    kind: u8,
    pub(super) level: u8,
    count: usize,
    prefix_end: usize,
    entries_at: usize,
}

impl Page {
    pub(super) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let &[kind, level, count_low, count_high, prefix_low, prefix_high, ..] = bytes.as_slice()
        else {
            return None;
        };
        let count = usize::from(u16::from_le_bytes([count_low, count_high]));
        let prefix_len = usize::from(u16::from_le_bytes([prefix_low, prefix_high]));
        let prefix_end = HEADER_LEN + prefix_len;
        let entries_at = prefix_end + count * START_LEN;
        let sound = match kind {
            NODE => count > 0 && entries_at <= bytes.len(),
            FILTER => count == 0 && prefix_len == 0 && level == 0 && bytes.len() == PLAIN_LEN,
            _ => false,
        };
        sound.then_some(Self { bytes, kind, level, count, prefix_end, entries_at })
    }

    pub(super) const fn is_filter(&self) -> bool {
        self.kind == FILTER
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn prefix(&self) -> Option<&[u8]> {
        self.bytes.get(HEADER_LEN..self.prefix_end)
    }

    /// Suffix, and the value or `None` for a deletion.
    pub(super) fn entry(&self, i: usize) -> Option<(&[u8], Option<&[u8]>)> {
        let (suffix, code, rest) = self.cut(i)?;
        let Some(len) = code.checked_sub(1) else {
            return Some((suffix, None));
        };
        rest.get(..len).map(|value| (suffix, Some(value)))
    }

    fn cut(&self, i: usize) -> Option<(&[u8], usize, &[u8])> {
        let at = self.prefix_end + i * START_LEN;
        let start = self.bytes.get(at..self.entries_at)?.first_chunk()?;
        let entry = self.entries_at + usize::from(u16::from_le_bytes(*start));
        let (suffix_len, rest) = short_var(self.bytes.get(entry..)?)?;
        let (code, rest) = short_var(rest)?;
        let (suffix, rest) = rest.split_at_checked(suffix_len)?;
        Some((suffix, code, rest))
    }

    /// Index of the first entry that is not below `key`; true when it is `key`.
    pub(super) fn lower_bound(&self, key: &[u8]) -> Option<(usize, bool)> {
        if self.is_filter() {
            return None;
        }
        let prefix = self.prefix()?;
        let shared = prefix.len().min(key.len());
        let (head, suffix) = key.split_at_checked(shared)?;
        match head.cmp(prefix) {
            Ordering::Less => return Some((0, false)),
            Ordering::Greater => return Some((self.count, false)),
            Ordering::Equal => {}
        }
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.cut(middle)?.0.cmp(suffix) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some((middle, true)),
                Ordering::Greater => high = middle,
            }
        }
        Some((low, false))
    }

    /// Index of the child that covers `key`: the last separator that is not above it.
    pub(super) fn child_index(&self, key: &[u8]) -> Option<usize> {
        let (at, exact) = self.lower_bound(key)?;
        Some(if exact { at } else { at.saturating_sub(1) })
    }

    pub(super) fn child(&self, i: usize) -> Option<Address> {
        self.entry(i)?.1.and_then(Address::decode)
    }
}

/// LEB128 of at most three bytes, the longest a page holds. The searches live on this.
fn short_var(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((first.into(), rest));
    }
    let low = usize::from(first & 0x7f);
    let (&second, rest) = rest.split_first()?;
    let low = low | usize::from(second & 0x7f) << 7;
    if second < 0x80 {
        return Some((low, rest));
    }
    let (&third, rest) = rest.split_first()?;
    (third < 0x80).then_some((low | usize::from(third) << 14, rest))
}

/// Length of the prefix that both share.
pub(super) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The shortest prefix of `next` that is above `last`, given `last < next`. A separator this short
/// never falls between a prefix that starts with `next` and `next` itself, unless `last` has that
/// prefix too; filters rely on it.
pub(super) fn separator<'a>(last: &[u8], next: &'a [u8]) -> &'a [u8] {
    next.get(..=shared_len(last, next)).unwrap_or(next)
}

/// Entries collected for one node, in order.
#[derive(Debug, Default)]
pub(super) struct Draft {
    keys: Vec<u8>,
    values: Vec<u8>,
    /// Ends in `keys` and `values`; true for a deletion.
    items: Vec<(usize, usize, bool)>,
    first_len: usize,
    prefix_len: usize,
    overhead: usize,
}

impl Draft {
    pub(super) const fn count(&self) -> usize {
        self.items.len()
    }

    pub(super) fn first_key(&self) -> &[u8] {
        self.keys.get(..self.first_len).unwrap_or_default()
    }

    fn prefix_with(&self, key: &[u8]) -> usize {
        if self.items.is_empty() {
            return key.len();
        }
        shared_len(self.keys.get(..self.prefix_len).unwrap_or_default(), key)
    }

    /// True when the node with this entry still fills one slot.
    pub(super) fn fits(&self, key: &[u8], value: Option<&[u8]>) -> bool {
        let prefix_len = self.prefix_with(key);
        let count = self.items.len() + 1;
        let suffixes = (self.keys.len() + key.len()).saturating_sub(count * prefix_len);
        let values = self.values.len() + value.map_or(0, <[u8]>::len);
        let overhead = self.overhead + entry_overhead(key, value);
        HEADER_LEN + prefix_len + suffixes + values + overhead <= PLAIN_LEN
    }

    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.prefix_len = self.prefix_with(key);
        if self.items.is_empty() {
            self.first_len = key.len();
        }
        self.overhead += entry_overhead(key, value);
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value.unwrap_or_default());
        self.items.push((self.keys.len(), self.values.len(), value.is_none()));
    }

    /// Appends the node to `out` and starts over.
    pub(super) fn encode(&mut self, level: u8, out: &mut Vec<u8>) {
        let mut entries = Writer::new();
        let mut node = Writer::over(std::mem::take(out));
        node.u8(NODE).u8(level).u16(fit(self.items.len())).u16(fit(self.prefix_len));
        node.raw(self.keys.get(..self.prefix_len).unwrap_or_default());
        let (mut key_at, mut value_at) = (0, 0);
        for &(key_end, value_end, deleted) in &self.items {
            let suffix = self.keys.get(key_at + self.prefix_len..key_end).unwrap_or_default();
            let value = self.values.get(value_at..value_end).unwrap_or_default();
            node.u16(fit(entries.len()));
            entries.var(suffix.len() as u64);
            entries.var(if deleted { 0 } else { value.len() as u64 + 1 });
            entries.raw(suffix).raw(value);
            (key_at, value_at) = (key_end, value_end);
        }
        node.raw(&entries.finish());
        *out = node.finish();
        self.clear();
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.items.clear();
        (self.first_len, self.prefix_len, self.overhead) = (0, 0, 0);
    }
}

fn fit(value: usize) -> u16 {
    u16::try_from(value).expect("a node of several entries fills at most a few slots")
}

fn entry_overhead(key: &[u8], value: Option<&[u8]>) -> usize {
    START_LEN + var_len(key.len()) + var_len(value.map_or(0, |value| value.len() + 1))
}

const fn var_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(entries: &[(&[u8], Option<&[u8]>)]) -> Page {
        let mut draft = Draft::default();
        for (key, value) in entries {
            draft.push(key, *value);
        }
        let mut bytes = Vec::new();
        draft.encode(0, &mut bytes);
        Page::parse(bytes).unwrap()
    }

    #[test]
    fn a_node_finds_its_keys_and_the_gaps_between_them() {
        let page = node(&[(b"aa", Some(b"1")), (b"aab", None), (b"ac", Some(b""))]);
        assert_eq!(page.prefix(), Some(&b"a"[..]));
        assert_eq!(page.lower_bound(b"aab"), Some((1, true)));
        assert_eq!(page.lower_bound(b"a"), Some((0, false)));
        assert_eq!(page.lower_bound(b"aaa"), Some((1, false)));
        assert_eq!(page.lower_bound(b"ad"), Some((3, false)));
        assert_eq!(page.lower_bound(b"b"), Some((3, false)));
        assert_eq!(page.lower_bound(b""), Some((0, false)));
        assert_eq!(page.entry(0), Some((&b"a"[..], Some(&b"1"[..]))));
        assert_eq!(page.entry(1), Some((&b"ab"[..], None)));
        assert_eq!(page.entry(2), Some((&b"c"[..], Some(&b""[..]))));
        assert_eq!(page.entry(3), None);
    }

    #[test]
    fn the_longest_key_and_value_round_trip() {
        let key = [7; KEY_LEN_MAX];
        let value = vec![9; VALUE_LEN_MAX];
        let page = node(&[(&key, Some(&value))]);
        assert_eq!(page.lower_bound(&key), Some((0, true)));
        assert_eq!(page.entry(0), Some((&b""[..], Some(&value[..]))));
        assert!((page.bytes.len() + SEAL_LEN).div_ceil(SLOT_LEN) <= 18);
    }

    #[test]
    fn a_full_draft_fills_at_most_one_slot() {
        let mut draft = Draft::default();
        let mut i = 0u32;
        loop {
            let key = (i * 7919).to_be_bytes();
            if !draft.fits(&key, Some(&[1; 20])) {
                break;
            }
            draft.push(&key, Some(&[1; 20]));
            i += 1;
        }
        let mut bytes = Vec::new();
        draft.encode(0, &mut bytes);
        assert!(bytes.len() <= PLAIN_LEN && bytes.len() > PLAIN_LEN - 64, "{}", bytes.len());
        assert_eq!(draft.count(), 0);
    }

    #[test]
    fn separators_are_short_and_between() {
        assert_eq!(separator(b"abc", b"abx1"), b"abx");
        assert_eq!(separator(b"ab", b"abc1"), b"abc");
        assert_eq!(separator(b"", b"z1"), b"z");
    }

    #[test]
    fn malformed_pages_are_refused_without_a_panic() {
        let good = node(&[(b"aa", Some(b"1")), (b"ab", Some(b"2"))]).bytes;
        for len in 0..good.len() {
            if let Some(page) = Page::parse(good[..len].to_vec()) {
                let _ = (page.entry(0), page.entry(1), page.lower_bound(b"ab"), page.child(1));
            }
        }
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                if let Some(page) = Page::parse(bytes) {
                    let _ = (page.entry(0), page.entry(1), page.lower_bound(b"ab"), page.child(1));
                }
            }
        }
    }
}

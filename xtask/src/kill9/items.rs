use crate::random::Random;

/// Members of a group, its root not counted.
pub(super) const GROUP_LEN: u64 = 5;

/// What the writer says once a call has returned: a promise to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ack {
    /// A name that is put once.
    Item { name: String, hash: String },
    /// A name that gets version after version.
    Version { name: String, hash: String },
    /// A group whose root bears `name`, its members `name/m0` and so on.
    Group { name: String },
}

impl Ack {
    pub(super) fn line(&self) -> String {
        match self {
            Self::Item { name, hash } => format!("item {name} {hash}\n"),
            Self::Version { name, hash } => format!("version {name} {hash}\n"),
            Self::Group { name } => format!("group {name}\n"),
        }
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').map(str::to_owned);
        let (kind, name) = (words.next()?, words.next()?);
        Some(match kind.as_str() {
            "item" => Self::Item { name, hash: words.next()? },
            "version" => Self::Version { name, hash: words.next()? },
            "group" => Self::Group { name },
            _ => return None,
        })
    }
}

/// Names of the members of the group whose root is `root`.
pub(super) fn members(root: &str) -> impl Iterator<Item = String> {
    (0..GROUP_LEN).map(move |i| format!("{root}/m{i}"))
}

/// The group root that `name` belongs to, as root or member.
pub(super) fn group_root(name: &str) -> Option<&str> {
    let root = match name.rsplit_once('/') {
        Some((root, last)) if last.starts_with('m') => root,
        _ => name,
    };
    let last = root.rsplit('/').next()?;
    last.starts_with('g').then_some(root)
}

/// The bytes of `name`: the same for writer and parent, of all sizes that take different ways.
pub(super) fn bytes(seed: u64, name: &str) -> Vec<u8> {
    // FNV-1a: names are short and ours.
    let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut random = Random::new(seed ^ fnv);
    let len_max = match random.below(20) {
        0..12 => 4096,
        12..18 => 150_000,
        _ => 2_000_000,
    };
    let len = usize::try_from(random.below(len_max + 1)).expect("at most 2 MB");
    let mut bytes = random.bytes(len);
    if random.below(3) == 0 {
        // Compressible, without being the same as another.
        bytes.iter_mut().skip(16).for_each(|byte| *byte = b'a' + (*byte & 3));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_survive_the_pipe() {
        let (name, hash) = ("r1/t2/3".to_owned(), "00ff".to_owned());
        for ack in [
            Ack::Item { name: name.clone(), hash: hash.clone() },
            Ack::Version { name: name.clone(), hash },
            Ack::Group { name },
        ] {
            assert_eq!(Ack::parse(ack.line().trim_end()), Some(ack));
        }
        for bad in ["", "opened", "item", "item name", "other name hash"] {
            assert_eq!(Ack::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn groups_are_told_by_their_names() {
        assert_eq!(group_root("r1/t2/g3"), Some("r1/t2/g3"));
        assert_eq!(group_root("r1/t2/g3/m4"), Some("r1/t2/g3"));
        assert_eq!(group_root("r1/t2/3"), None);
        assert!(members("r1/t2/g3").all(|name| group_root(&name) == Some("r1/t2/g3")));
    }

    #[test]
    fn bytes_follow_from_the_name() {
        assert_eq!(bytes(1, "a"), bytes(1, "a"));
        assert_ne!(bytes(1, "a"), bytes(2, "a"));
        let lengths: Vec<_> = (0..200).map(|i| bytes(1, &i.to_string()).len()).collect();
        assert!(lengths.iter().any(|len| *len <= 4096) && lengths.iter().any(|len| *len > 200_000));
    }
}

use core::fmt;
use core::str::FromStr;

use crate::FormatError;

/// Lower-case hex of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(*DIGITS.get(usize::from(n)).unwrap_or(&b'0'));
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

fn unhex<const N: usize>(text: &str, noun: &'static str) -> Result<[u8; N], FormatError> {
    if text.len() != N * 2 {
        return Err(FormatError::Invalid { noun });
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return Err(FormatError::Invalid { noun }) };
        let (Some(high), Some(low)) = (nibble(high), nibble(low)) else {
            return Err(FormatError::Invalid { noun });
        };
        *byte = high << 4 | low;
    }
    Ok(out)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Takes the bytes as they are.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = FormatError;

            /// Lower-case hex, exactly [`Self::LEN`] bytes.
            fn from_str(text: &str) -> Result<Self, FormatError> {
                unhex(text, stringify!($name)).map(Self)
            }
        }
    };
}

id_type!(
    /// What a chunk says: BLAKE3 of its cleartext, keyed by the scope's dedup key.
    ChunkHash,
    32
);
id_type!(
    /// What a list of chunks says; keyed like [`ChunkHash`].
    ListHash,
    32
);
id_type!(
    /// What a version says: hash of the whole vertex, its blind included.
    VertexHash,
    32
);
id_type!(
    /// The `obj` field of a sealed object: a chunk, list or vertex hash, or `block nonce || n`.
    ObjectId,
    32
);
id_type!(
    /// Hash of a scope's genesis.
    ScopeId,
    32
);
id_type!(
    /// Hash of an epoch's core.
    EpochId,
    32
);
id_type!(
    /// Hash of a public identity.
    UserId,
    32
);
id_type!(
    /// Merkle root over a packed block's cells: the block's identity.
    BlockRoot,
    32
);
id_type!(
    /// Hash of a membership record's body.
    RecordId,
    32
);
id_type!(
    /// Hash of (scope, identity, incarnation): one sequence of blocks by one writer.
    ChainId,
    32
);
id_type!(
    /// Random per block; enters every seal made for it.
    BlockNonce,
    16
);
id_type!(
    /// Random per copy of a store; part of the chain.
    Incarnation,
    16
);
id_type!(
    /// Vertices that become visible together. All zero means none.
    GroupId,
    16
);
id_type!(
    /// Random, drawn when a data folder is made.
    StoreId,
    16
);

impl GroupId {
    /// No group.
    pub const NONE: Self = Self::new([0; 16]);
}

impl Default for GroupId {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<ChunkHash> for ObjectId {
    fn from(id: ChunkHash) -> Self {
        Self::new(*id.as_bytes())
    }
}

impl From<ListHash> for ObjectId {
    fn from(id: ListHash) -> Self {
        Self::new(*id.as_bytes())
    }
}

impl From<VertexHash> for ObjectId {
    fn from(id: VertexHash) -> Self {
        Self::new(*id.as_bytes())
    }
}

/// Counts the blocks opened in one data folder, from 1; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockNumber(pub u64);

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{ChainId, FormatError, Incarnation, ScopeId, UserId};

use crate::endorsement::ascending;

/// `H("chain", scope || user || incarnation)`.
pub fn chain_id(scope: ScopeId, user: UserId, incarnation: Incarnation) -> ChainId {
    ChainId::new(hash("chain", &[scope.as_bytes(), user.as_bytes(), incarnation.as_bytes()]))
}

/// The newest commit of a chain that somebody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChainHead {
    /// The chain.
    pub chain: ChainId,
    /// Its commits are counted from 1.
    pub seq: u64,
    /// Hash of that commit's body.
    pub hash: [u8; 32],
}

impl ChainHead {
    /// Count, then chain 32, seq 8, hash 32 each, ascending by chain.
    pub(crate) fn write_all(heads: impl ExactSizeIterator<Item = Self>, out: &mut Writer) {
        out.var(heads.len() as u64);
        for head in heads {
            out.raw(head.chain.as_bytes()).u64(head.seq).raw(&head.hash);
        }
    }

    /// Reads what [`Self::write_all`] wrote.
    pub(crate) fn read_all(
        reader: &mut Reader<'_>,
        noun: &'static str,
        limit: usize,
    ) -> Result<Vec<Self>, FormatError> {
        let count = reader.count(limit)?;
        let mut heads = Vec::new();
        for _ in 0..count {
            let chain = ChainId::new(reader.array()?);
            let (seq, hash) = (reader.u64()?, reader.array()?);
            if seq == 0 {
                return Err(reader.invalid());
            }
            heads.push(Self { chain, seq, hash });
        }
        ascending(noun, heads.iter().map(|head| head.chain))?;
        Ok(heads)
    }
}

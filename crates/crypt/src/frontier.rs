use std::collections::BTreeMap;

use model::codec::{Reader, Writer};
use model::hash::HashKey;
use model::{ChainId, FormatError};
use subtle::ConstantTimeEq;

use crate::chain::ChainHead;
use crate::signature::read_suite;
use crate::{CryptError, SUITE};

const NOUN: &str = "frontier";
const MAGIC: [u8; 8] = *b"ouro-frn";
const MAC_LEN: usize = 32;
/// Chains of one frontier at most.
const CHAINS_MAX: usize = 16 * 1024;
/// Bytes of an encoded frontier at most.
pub const FRONTIER_LEN_MAX: usize = 9 + 3 + CHAINS_MAX * 72 + MAC_LEN;

/// How far somebody has seen each chain. A chain that later ends before that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier(BTreeMap<ChainId, ChainHead>);

impl Frontier {
    /// Takes a head unless a later one of its chain is known.
    pub fn advance(&mut self, head: ChainHead) {
        let known = self.0.entry(head.chain).or_insert(head);
        if known.seq < head.seq {
            *known = head;
        }
    }

    /// How far `chain` was seen.
    pub fn head(&self, chain: &ChainId) -> Option<&ChainHead> {
        self.0.get(chain)
    }

    /// All of it, ascending by chain.
    pub fn heads(&self) -> impl ExactSizeIterator<Item = &ChainHead> {
        self.0.values()
    }

    /// True when nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The encoding, authenticated under a sub key of `local`, the data folder's own key.
    ///
    /// # Errors
    /// More chains than a frontier holds.
    pub fn encode(&self, local: &HashKey) -> Result<Vec<u8>, CryptError> {
        if self.0.len() > CHAINS_MAX {
            let (value, limit) = (self.0.len() as u64, CHAINS_MAX as u64);
            return Err(FormatError::TooLong { noun: NOUN, value, limit }.into());
        }
        let mut out = Writer::new();
        out.raw(&MAGIC).u8(SUITE);
        ChainHead::write_all(self.0.values().copied(), &mut out);
        let mac = mac(local, out.as_slice());
        out.raw(&mac);
        Ok(out.finish())
    }

    /// Reads what [`Self::encode`] wrote under the same key.
    pub fn decode(bytes: &[u8], local: &HashKey) -> Result<Self, CryptError> {
        let truncated = FormatError::Truncated { noun: NOUN };
        let at = bytes.len().checked_sub(MAC_LEN).ok_or(truncated)?;
        let (fields, given) = bytes.split_at_checked(at).ok_or(truncated)?;
        if !bool::from(mac(local, fields).ct_eq(given)) {
            return Err(CryptError::Signature { noun: NOUN });
        }
        let mut reader = Reader::new(NOUN, fields);
        if reader.array()? != MAGIC {
            return Err(reader.invalid().into());
        }
        read_suite(&mut reader)?;
        let heads = ChainHead::read_all(&mut reader, NOUN, CHAINS_MAX)?;
        reader.end()?;
        Ok(Self(heads.into_iter().map(|head| (head.chain, head)).collect()))
    }
}

fn mac(local: &HashKey, fields: &[u8]) -> [u8; MAC_LEN] {
    local.sub("frontier").keyed(&[fields])
}

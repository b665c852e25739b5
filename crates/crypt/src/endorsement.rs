use model::codec::{Reader, Writer};
use model::{FormatError, UserId};

use crate::{HybridSignature, Identity};

/// Signatures beside one body at most.
pub(crate) const ENDORSEMENTS_MAX: usize = 32;

/// One identity's signature beside a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsement {
    /// Who signed.
    pub signer: UserId,
    /// The signature.
    pub signature: HybridSignature,
}

impl Endorsement {
    pub(crate) fn all(label: &str, body: &[u8], signers: &[&Identity]) -> Vec<Self> {
        let mut all: Vec<Self> = signers
            .iter()
            .map(|identity| Self {
                signer: identity.user_id(),
                signature: identity.sign(label, body),
            })
            .collect();
        all.sort_by_key(|endorsement| endorsement.signer);
        all.dedup_by_key(|endorsement| endorsement.signer);
        all
    }

    pub(crate) fn write_all(all: &[Self], writer: &mut Writer) {
        writer.var(all.len() as u64);
        for endorsement in all {
            writer.raw(endorsement.signer.as_bytes()).raw(&endorsement.signature.encode());
        }
    }

    pub(crate) fn read_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, FormatError> {
        let count = reader.count(ENDORSEMENTS_MAX)?;
        let mut all = Vec::new();
        for _ in 0..count {
            let signer = UserId::new(reader.array()?);
            all.push(Self { signer, signature: HybridSignature::read(reader)? });
        }
        ascending("endorsements", all.iter().map(|endorsement| endorsement.signer))?;
        Ok(all)
    }
}

/// Refuses a second order, and repetitions, of a set.
pub(crate) fn ascending<T: Ord>(
    noun: &'static str,
    items: impl Iterator<Item = T>,
) -> Result<(), FormatError> {
    if items.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(FormatError::NotCanonical { noun })
}

/// A set of ids: count, then the ids in ascending order.
pub(crate) fn write_ids<'a>(ids: impl ExactSizeIterator<Item = &'a [u8; 32]>, out: &mut Writer) {
    out.var(ids.len() as u64);
    for id in ids {
        out.raw(id);
    }
}

/// Reads what [`write_ids`] wrote.
pub(crate) fn read_ids(
    reader: &mut Reader<'_>,
    noun: &'static str,
    limit: usize,
) -> Result<Vec<[u8; 32]>, FormatError> {
    let count = reader.count(limit)?;
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(reader.array()?);
    }
    ascending(noun, ids.iter())?;
    Ok(ids)
}

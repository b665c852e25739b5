use model::{UserId, VertexHash};
use store::Proof;

use crate::engine::Engine;
use crate::error::Error;
use crate::key::fingerprint;

/// Who wrote a version, and what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorship {
    /// The version.
    pub hash: VertexHash,
    /// Whom it names as its author.
    pub author: UserId,
    /// The same, short enough to be read aloud.
    pub fingerprint: String,
    /// What stands behind that.
    pub proof: Proof,
}

impl Engine {
    pub(crate) fn authorship(&self, versions: &[VertexHash]) -> Result<Vec<Authorship>, Error> {
        self.settle_all_names()?;
        let proofs = self.store.proofs(versions)?;
        let with_proof = |(hash, proof): (&VertexHash, Proof)| {
            let author = self.vertex(hash)?.author;
            // Who carried somebody else's block on proves that he has it, not who wrote it.
            let proof = match proof {
                Proof::Signed { writer, .. } if writer != author => Proof::Claimed,
                proof => proof,
            };
            Ok(Authorship { hash: *hash, author, fingerprint: fingerprint(&author), proof })
        };
        versions.iter().zip(proofs).map(with_proof).collect()
    }

    /// Remembers outside the store how far its chains are durable.
    pub(crate) fn save_frontier(&self) -> Result<(), Error> {
        match &self.frontier {
            Some(file) => file.save(self.store.frontier()),
            None => Ok(()),
        }
    }
}

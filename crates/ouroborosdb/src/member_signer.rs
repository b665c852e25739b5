use crypt::{Commit, CryptError, Identity, Membership, PublicIdentity, SignedCommit};
use model::{ChainId, RecordId, UserId};
use store::CommitSigner;

/// The identity in use, as a member of its scope.
pub(crate) struct MemberSigner {
    pub(crate) identity: Identity,
    pub(crate) membership: Membership,
}

impl CommitSigner for MemberSigner {
    fn sign(&self, commit: Commit) -> Result<SignedCommit, CryptError> {
        commit.sign(&self.identity)
    }

    fn public(&self, user: UserId) -> Option<&PublicIdentity> {
        self.membership.writer_ever(user)
    }

    fn counts(&self, user: UserId, chain: &ChainId, seq: u64) -> bool {
        self.membership.counts(user, chain, seq)
    }

    fn membership_head(&self) -> &[RecordId] {
        self.membership.heads()
    }
}

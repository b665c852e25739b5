use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{EpochId, FormatError, ScopeId, UserId};
use subtle::ConstantTimeEq;

use crate::signature::read_suite;
use crate::{
    CryptError, EpochCore, EpochSecret, HybridSignature, Identity, MembershipLog, PublicIdentity,
    Random, SUITE, Wrap,
};

const NOUN: &str = "grant record";
const LABEL: &str = "grant";

/// An epoch's secret wrapped for a reader who came after the epoch was minted.
///
/// That it is well formed and signed says nothing about whether the reader counts: that is the
/// membership log's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    scope: ScopeId,
    epoch: EpochId,
    maker: UserId,
    wrap: Wrap,
    signature: HybridSignature,
}

impl GrantRecord {
    /// Wraps `secret`, that of `epoch`, for `reader`.
    #[expect(clippy::too_many_arguments, reason = "who gives what of where to whom")]
    pub fn new(
        maker: &Identity,
        scope: ScopeId,
        epoch: EpochId,
        secret: &EpochSecret,
        reader: &PublicIdentity,
        random: &dyn Random,
    ) -> Result<Self, CryptError> {
        let wrap = Wrap::of(scope, epoch, reader, secret, random)?;
        let body = encode_body(scope, epoch, maker.user_id(), &wrap);
        let signature = maker.sign(LABEL, &body);
        Ok(Self { scope, epoch, maker: maker.user_id(), wrap, signature })
    }

    /// `H("grant", body)`.
    pub fn id(&self) -> [u8; 32] {
        hash(LABEL, &[&self.body()])
    }

    /// The scope.
    pub const fn scope(&self) -> ScopeId {
        self.scope
    }

    /// The epoch whose secret it carries.
    pub const fn epoch(&self) -> EpochId {
        self.epoch
    }

    /// Whom it is for.
    pub const fn reader(&self) -> UserId {
        self.wrap.reader()
    }

    /// Whether somebody who is or was a member made it.
    pub fn verify(&self, log: &MembershipLog) -> Result<(), CryptError> {
        let refused = CryptError::NotAuthorised { noun: NOUN };
        if self.scope != log.scope() {
            return Err(refused);
        }
        log.public(self.maker).ok_or(refused)?.verify(LABEL, &self.body(), &self.signature)
    }

    /// The secret, when it is for `identity` and that which `core` published.
    pub fn open(&self, identity: &Identity, core: &EpochCore) -> Result<EpochSecret, CryptError> {
        if core.scope != self.scope || core.epoch_id() != self.epoch {
            return Err(CryptError::NoKey { noun: NOUN });
        }
        let secret = self.wrap.unwrap(self.scope, self.epoch, identity)?;
        if !bool::from(secret.commitment().ct_eq(&core.commitment)) {
            return Err(CryptError::Unseal);
        }
        Ok(secret)
    }

    /// The encoding: suite 1, scope 32, epoch 32, maker 32, wrap, signature.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(self.body());
        writer.raw(&self.signature.encode());
        writer.finish()
    }

    /// Reads an encoding; [`Self::verify`] tells whether it holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        read_suite(&mut reader)?;
        let record = Self {
            scope: ScopeId::new(reader.array()?),
            epoch: EpochId::new(reader.array()?),
            maker: UserId::new(reader.array()?),
            wrap: Wrap::read(&mut reader)?,
            signature: HybridSignature::read(&mut reader)?,
        };
        reader.end()?;
        Ok(record)
    }

    fn body(&self) -> Vec<u8> {
        encode_body(self.scope, self.epoch, self.maker, &self.wrap)
    }
}

fn encode_body(scope: ScopeId, epoch: EpochId, maker: UserId, wrap: &Wrap) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u8(SUITE).raw(scope.as_bytes()).raw(epoch.as_bytes()).raw(maker.as_bytes());
    writer.raw(&wrap.encode());
    writer.finish()
}

use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{EpochId, FormatError, RecordId, ScopeId, UserId};
use subtle::ConstantTimeEq;

use crate::signature::read_suite;
use crate::{CryptError, EpochCore, EpochSecret, Identity, PublicIdentity, Random, SUITE, Wrap};

const NOUN: &str = "grant record";
const MAC_LEN: usize = 32;

/// Bytes of an encoded grant.
pub const GRANT_LEN: usize = 1 + 3 * 32 + crate::WRAP_LEN + MAC_LEN;

/// An epoch's secret wrapped for a reader who came after the epoch was minted.
///
/// Whether the reader counts is the membership log's to say, whether the secret is the right one its
/// commitment's. The MAC shows that the maker held the secret; a signature would cost three times the
/// wrap and show no more (decision 0008).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    scope: ScopeId,
    epoch: EpochId,
    maker: UserId,
    wrap: Wrap,
    mac: [u8; MAC_LEN],
}

impl GrantRecord {
    /// Wraps `secret`, that of `epoch`, for `reader`.
    pub fn new(
        maker: UserId,
        (scope, epoch): (ScopeId, EpochId),
        secret: &EpochSecret,
        reader: &PublicIdentity,
        random: &dyn Random,
    ) -> Result<Self, CryptError> {
        let wrap = Wrap::of(scope, epoch, reader, secret, random)?;
        let mut record = Self { scope, epoch, maker, wrap, mac: [0; MAC_LEN] };
        record.mac = record.mac_under(secret);
        Ok(record)
    }

    /// `H("grant", encoding)`.
    pub fn id(&self) -> RecordId {
        RecordId::new(hash("grant", &[&self.encode()]))
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

    /// Whether somebody made it who held `secret`, that of its epoch.
    pub fn is_genuine(&self, secret: &EpochSecret) -> bool {
        self.mac_under(secret).ct_eq(&self.mac).into()
    }

    /// The secret, when it is for `identity` and that which `core` published.
    pub fn open(&self, identity: &Identity, core: &EpochCore) -> Result<EpochSecret, CryptError> {
        if core.scope != self.scope || core.epoch_id() != self.epoch {
            return Err(CryptError::NoKey { noun: NOUN });
        }
        let secret = self.wrap.unwrap(self.scope, self.epoch, identity)?;
        let is_published = bool::from(secret.commitment().ct_eq(&core.commitment));
        if !is_published || !self.is_genuine(&secret) {
            return Err(CryptError::Unseal);
        }
        Ok(secret)
    }

    /// The encoding: suite 1, scope 32, epoch 32, maker 32, wrap, MAC 32.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(self.body());
        writer.raw(&self.mac);
        writer.finish()
    }

    /// Reads an encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        read_suite(&mut reader)?;
        let record = Self {
            scope: ScopeId::new(reader.array()?),
            epoch: EpochId::new(reader.array()?),
            maker: UserId::new(reader.array()?),
            wrap: Wrap::read(&mut reader)?,
            mac: reader.array()?,
        };
        reader.end()?;
        Ok(record)
    }

    fn body(&self) -> Vec<u8> {
        let mut writer = Writer::over(Vec::with_capacity(GRANT_LEN));
        writer.u8(SUITE).raw(self.scope.as_bytes()).raw(self.epoch.as_bytes());
        writer.raw(self.maker.as_bytes()).raw(&self.wrap.encode());
        writer.finish()
    }

    fn mac_under(&self, secret: &EpochSecret) -> [u8; MAC_LEN] {
        secret.key().sub("grant").keyed(&[&self.body()])
    }
}

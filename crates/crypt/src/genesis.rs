use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{FormatError, ScopeId, UserId};

use crate::endorsement::Endorsement;
use crate::signature::read_suite;
use crate::{CryptError, Identity, PublicIdentity, Random, SUITE};

const NOUN: &str = "genesis";
const LABEL: &str = "genesis";
/// Admins of one genesis at most.
const ADMINS_MAX: usize = 32;
/// Bytes of options at most.
const OPTIONS_LEN_MAX: usize = 4096;

/// The beginning of a scope; its hash is the scope's id. Holds no readable text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    nonce: [u8; 32],
    admins: Vec<PublicIdentity>,
    threshold: u8,
    options: Vec<u8>,
}

impl Genesis {
    /// A scope of `admins`, most senior first; each holds every right. `threshold` of them sign each
    /// change of membership.
    pub fn new(
        admins: Vec<PublicIdentity>,
        threshold: u8,
        random: &dyn Random,
    ) -> Result<Self, CryptError> {
        let mut nonce = [0; 32];
        random.fill(&mut nonce);
        Ok(Self { nonce, admins, threshold, options: Vec::new() }.checked()?)
    }

    /// `H("scope", body)`.
    pub fn scope_id(&self) -> ScopeId {
        ScopeId::new(hash("scope", &[&self.encode()]))
    }

    /// The admins, most senior first.
    pub fn admins(&self) -> &[PublicIdentity] {
        &self.admins
    }

    /// `m`: admins that must sign a change.
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The body: suite 1, nonce 32, admins, threshold 1, options.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(SUITE).raw(&self.nonce).var(self.admins.len() as u64);
        for admin in &self.admins {
            writer.raw(&admin.encode());
        }
        writer.u8(self.threshold).bytes(&self.options);
        writer.finish()
    }

    /// Signs as `signers`, who are admins.
    pub fn sign(self, signers: &[&Identity]) -> SignedGenesis {
        let endorsements = Endorsement::all(LABEL, &self.encode(), signers);
        SignedGenesis { genesis: self, endorsements }
    }

    pub(crate) fn position(&self, user: UserId) -> Option<usize> {
        self.admins.iter().position(|admin| admin.user_id() == user)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CryptError> {
        read_suite(reader)?;
        let nonce = reader.array()?;
        let count = reader.count(ADMINS_MAX)?;
        let mut admins = Vec::new();
        for _ in 0..count {
            admins.push(PublicIdentity::read(reader)?);
        }
        let threshold = reader.u8()?;
        let options = reader.bytes(OPTIONS_LEN_MAX)?.to_vec();
        Ok(Self { nonce, admins, threshold, options }.checked()?)
    }

    fn checked(self) -> Result<Self, FormatError> {
        let mut ids: Vec<UserId> = self.admins.iter().map(PublicIdentity::user_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let admins = 1..=ADMINS_MAX;
        let distinct = ids.len() == self.admins.len() && admins.contains(&ids.len());
        if !distinct || !(1..=ids.len()).contains(&usize::from(self.threshold)) {
            return Err(FormatError::Invalid { noun: NOUN });
        }
        Ok(self)
    }
}

/// A genesis and the signatures beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedGenesis {
    genesis: Genesis,
    endorsements: Vec<Endorsement>,
}

impl SignedGenesis {
    /// The body, then the signatures.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(self.genesis.encode());
        Endorsement::write_all(&self.endorsements, &mut writer);
        writer.finish()
    }

    /// Reads an encoding; [`Self::verify`] tells whether it holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, CryptError> {
        let mut reader = Reader::new(NOUN, bytes);
        let genesis = Genesis::read(&mut reader)?;
        let endorsements = Endorsement::read_all(&mut reader)?;
        reader.end()?;
        Ok(Self { genesis, endorsements })
    }

    /// The genesis, when every signature holds, is by an admin, and there are enough.
    pub fn verify(&self) -> Result<&Genesis, CryptError> {
        let body = self.genesis.encode();
        for Endorsement { signer, signature } in &self.endorsements {
            self.genesis
                .admins
                .iter()
                .find(|admin| admin.user_id() == *signer)
                .ok_or(CryptError::Signature { noun: LABEL })?
                .verify(LABEL, &body, signature)?;
        }
        if self.endorsements.len() < usize::from(self.genesis.threshold) {
            return Err(CryptError::Signature { noun: LABEL });
        }
        Ok(&self.genesis)
    }
}

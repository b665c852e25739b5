use core::fmt;

use model::hash::HashKey;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Random;

/// `S`, the secret of one epoch: 32 random bytes from which all its keys follow.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct EpochSecret([u8; 32]);

impl EpochSecret {
    /// A fresh secret.
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// Takes the bytes as they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for wrapping only.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// `cS`: what an epoch's core publishes of its secret.
    pub fn commitment(&self) -> [u8; 32] {
        self.key().keyed(&[b"ouro/1/epoch-commit"])
    }

    pub(crate) fn key(&self) -> HashKey {
        HashKey::new(self.0)
    }
}

impl fmt::Debug for EpochSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochSecret(..)")
    }
}

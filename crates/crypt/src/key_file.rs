//! Key files: how a root lies on disk, under a passphrase or in the clear.

use core::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use model::FormatError;
use model::codec::{Reader, Writer};
use model::hash::hash;
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::aead::{OneTimeKey, TAG_LEN, open_in_place, seal_in_place};
use crate::kdf::hkdf;
use crate::{CryptError, Random, Root, SUITE};

const NOUN: &str = "key file";
const VERSION: u8 = 1;
const MAGIC_LEN: usize = 8;
const MAGIC_PASSPHRASE: &[u8; MAGIC_LEN] = b"ouro-key";
const MAGIC_LOCAL: &[u8; MAGIC_LEN] = b"ouro-raw";
const SALT_LEN: usize = 32;
const CHECK_LEN: usize = 16;
const HEAD_LEN: usize = MAGIC_LEN + 2 + 3 * 4 + SALT_LEN;

/// Memory of one guess, KiB, below which a file is refused.
pub const MEMORY_KIB_MIN: u32 = 64 * 1024;
/// Memory of one guess, KiB, above which a file is refused.
pub const MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Passes above which a file is refused.
pub const PASSES_MAX: u32 = 64;
/// Lanes above which a file is refused.
pub const LANES_MAX: u32 = 16;
/// Memory times passes, KiB, above which a file is refused.
pub const WORK_KIB_MAX: u64 = 8 * 1024 * 1024;
/// What one guess costs at least after [`Argon2Cost::calibrate`].
pub const GUESS_MIN: Duration = Duration::from_millis(300);

/// How the root is protected.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// Not at all: whoever reads the file is the identity.
    LocalFile,
    /// By this passphrase, compared in Unicode normal form C.
    Passphrase(&'a str),
}

/// What a key file needs to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    LocalFile,
    /// Its passphrase.
    Passphrase,
}

/// What one guess of a passphrase costs; always within the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Cost {
    /// Checks the limits, which hold before anything is allocated.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CryptError> {
        let within = |value: u32, min: u32, max: u32| {
            let (value, limit) = (u64::from(value), u64::from(max));
            if value > limit {
                return Err(FormatError::TooLong { noun: NOUN, value, limit });
            }
            if value < u64::from(min) {
                return Err(FormatError::Invalid { noun: NOUN });
            }
            Ok(())
        };
        within(memory_kib, MEMORY_KIB_MIN, MEMORY_KIB_MAX)?;
        within(passes, 1, PASSES_MAX)?;
        within(lanes, 1, LANES_MAX)?;
        let work = u64::from(memory_kib) * u64::from(passes);
        if work > WORK_KIB_MAX {
            let limit = WORK_KIB_MAX;
            return Err(FormatError::TooLong { noun: NOUN, value: work, limit }.into());
        }
        Ok(Self { memory_kib, passes, lanes })
    }

    /// 64 MiB, 3 passes, 4 lanes: the second recommended set of RFC 9106.
    pub const fn default_cost() -> Self {
        Self { memory_kib: MEMORY_KIB_MIN, passes: 3, lanes: 4 }
    }

    /// The default with passes raised until a guess takes [`GUESS_MIN`]. `clock` tells the time
    /// since any fixed moment.
    pub fn calibrate(clock: &mut dyn FnMut() -> Duration) -> Self {
        let mut cost = Self::default_cost();
        while cost.passes < PASSES_MAX {
            let start = clock();
            cost.stretch("calibration", &[0; SALT_LEN]);
            let taken = clock().saturating_sub(start);
            if taken >= GUESS_MIN {
                break;
            }
            // A tenth more than the measurement asks for, so that the next one mostly ends it.
            let wanted = GUESS_MIN.as_millis() * u128::from(cost.passes) * 11 / 10;
            let passes = u32::try_from(wanted / taken.as_millis().max(1)).unwrap_or(PASSES_MAX);
            cost.passes = passes.clamp(cost.passes + 1, PASSES_MAX);
        }
        cost
    }

    /// Memory of one guess, KiB.
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over that memory.
    pub const fn passes(&self) -> u32 {
        self.passes
    }

    /// Lanes that could be filled at once.
    pub const fn lanes(&self) -> u32 {
        self.lanes
    }

    fn stretch(&self, passphrase: &str, salt: &[u8; SALT_LEN]) -> Zeroizing<[u8; 32]> {
        let normal: Zeroizing<String> = Zeroizing::new(passphrase.nfc().collect());
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .expect("costs are within the limits of Argon2");
        let mut stretched = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(normal.as_bytes(), salt, stretched.as_mut_slice())
            .expect("salt and output have legal lengths");
        stretched
    }
}

/// The bytes of a new key file for `root`; each call draws a fresh salt.
pub fn write(root: &Root, source: &Source<'_>, random: &dyn Random, cost: Argon2Cost) -> Vec<u8> {
    let mut writer = Writer::new();
    match source {
        Source::LocalFile => {
            writer.raw(MAGIC_LOCAL).u8(VERSION).u8(SUITE).raw(root.expose());
        }
        Source::Passphrase(passphrase) => {
            let mut salt = [0; SALT_LEN];
            random.fill(&mut salt);
            writer.raw(MAGIC_PASSPHRASE).u8(VERSION).u8(SUITE);
            writer.u32(cost.memory_kib).u32(cost.passes).u32(cost.lanes).raw(&salt);
            let head = writer.finish();
            let stretched = cost.stretch(passphrase, &salt);
            let (key, commitment) = keys(&head, &salt, &stretched);
            let mut sealed = *root.expose();
            let aad = [head.as_slice(), &commitment].concat();
            let tag = seal_in_place(&key, &aad, &mut sealed);
            writer = Writer::over(aad);
            writer.raw(&sealed).raw(&tag);
        }
    }
    let bytes = writer.finish();
    let check = check(&bytes);
    [bytes.as_slice(), &check].concat()
}

/// What `bytes` need to be opened. Refuses what cannot be a sound key file of this version.
pub fn kind(bytes: &[u8]) -> Result<Kind, CryptError> {
    parse(bytes).map(|parsed| match parsed {
        Parsed::LocalFile(_) => Kind::LocalFile,
        Parsed::Passphrase { .. } => Kind::Passphrase,
    })
}

/// The root in `bytes`. A passphrase given for a file without one is ignored.
pub fn open(bytes: &[u8], passphrase: Option<&str>) -> Result<Root, CryptError> {
    match parse(bytes)? {
        Parsed::LocalFile(root) => Ok(root),
        Parsed::Passphrase { head, cost, salt, commitment, sealed } => {
            let passphrase = passphrase.ok_or(CryptError::PassphraseNeeded)?;
            let stretched = cost.stretch(passphrase, &salt);
            unseal(head, &salt, &commitment, sealed, &stretched)
        }
    }
}

/// What follows the stretching of a passphrase: the part whose time must tell nothing.
pub(crate) fn unseal(
    head: &[u8],
    salt: &[u8; SALT_LEN],
    commitment: &[u8; 32],
    sealed: &[u8],
    stretched: &[u8; 32],
) -> Result<Root, CryptError> {
    let (key, expected) = keys(head, salt, stretched);
    if !bool::from(expected.ct_eq(commitment)) {
        return Err(CryptError::WrongPassphrase);
    }
    let mut root = Zeroizing::new(sealed.to_vec());
    let aad = [head, commitment].concat();
    open_in_place(&key, &aad, &mut root).map_err(|_| CryptError::WrongPassphrase)?;
    let root: &[u8; 32] = root.first_chunk().ok_or(FormatError::Truncated { noun: NOUN })?;
    Ok(Root::from_bytes(*root))
}

enum Parsed<'a> {
    LocalFile(Root),
    Passphrase {
        head: &'a [u8],
        cost: Argon2Cost,
        salt: [u8; SALT_LEN],
        commitment: [u8; 32],
        sealed: &'a [u8],
    },
}

fn parse(bytes: &[u8]) -> Result<Parsed<'_>, CryptError> {
    let mut reader = Reader::new(NOUN, bytes);
    let magic: [u8; MAGIC_LEN] = reader.array()?;
    if magic != *MAGIC_LOCAL && magic != *MAGIC_PASSPHRASE {
        return Err(FormatError::Invalid { noun: NOUN }.into());
    }
    let version = reader.u8()?;
    if version > VERSION {
        return Err(CryptError::NewerVersion { noun: NOUN, version });
    }
    if version != VERSION || reader.u8()? != SUITE {
        return Err(FormatError::Invalid { noun: NOUN }.into());
    }
    let parsed = if magic == *MAGIC_LOCAL {
        Parsed::LocalFile(Root::from_bytes(reader.array()?))
    } else {
        let (memory_kib, passes, lanes) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let (salt, commitment) = (reader.array()?, reader.array()?);
        let sealed = reader.raw(32 + TAG_LEN)?;
        let head = bytes.get(..HEAD_LEN).ok_or(reader.invalid())?;
        let cost = Argon2Cost::new(memory_kib, passes, lanes)?;
        Parsed::Passphrase { head, cost, salt, commitment, sealed }
    };
    let covered = bytes.len() - reader.rest().len();
    let found: [u8; CHECK_LEN] = reader.array()?;
    reader.end()?;
    let covered = bytes.get(..covered).unwrap_or_default();
    if !bool::from(found.ct_eq(&check(covered))) {
        return Err(FormatError::Invalid { noun: NOUN }.into());
    }
    Ok(parsed)
}

/// Tells damage from a wrong passphrase. Whoever can forge it can also replace the file.
fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    *hash("key-file", &[bytes]).first_chunk().expect("32 bytes hold 16")
}

pub(crate) fn keys(
    head: &[u8],
    salt: &[u8; SALT_LEN],
    stretched: &[u8; 32],
) -> (OneTimeKey, [u8; 32]) {
    let mut out = Zeroizing::new([0; 76]);
    hkdf(salt, stretched, &[b"keyfile", head], out.as_mut_slice());
    OneTimeKey::with_commitment(&out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRandom;

    const CHEAP: Argon2Cost = Argon2Cost { memory_kib: MEMORY_KIB_MIN, passes: 1, lanes: 1 };

    fn written(source: Source<'_>) -> Vec<u8> {
        write(&Root::from_bytes([7; 32]), &source, &SeededRandom::new(1), CHEAP)
    }

    fn opened(bytes: &[u8], passphrase: Option<&str>) -> Result<[u8; 32], CryptError> {
        open(bytes, passphrase).map(|root| *root.expose())
    }

    #[test]
    fn a_local_file_opens_by_itself() {
        let bytes = written(Source::LocalFile);
        assert_eq!(kind(&bytes), Ok(Kind::LocalFile));
        assert_eq!(opened(&bytes, None), Ok([7; 32]));
        assert_eq!(opened(&bytes, Some("ignored")), Ok([7; 32]));
    }

    #[test]
    fn a_passphrase_is_needed_and_must_be_right() {
        // The same letter, composed and decomposed.
        let bytes = written(Source::Passphrase("caf\u{e9}"));
        assert_eq!(kind(&bytes), Ok(Kind::Passphrase));
        assert_eq!(opened(&bytes, Some("cafe\u{301}")), Ok([7; 32]));
        assert_eq!(opened(&bytes, Some("cafe")), Err(CryptError::WrongPassphrase));
        assert_eq!(opened(&bytes, None), Err(CryptError::PassphraseNeeded));
        assert!(!bytes.windows(32).any(|window| window == [7; 32]));
    }

    #[test]
    fn every_cut_and_every_flip_is_called_damage() {
        for source in [Source::LocalFile, Source::Passphrase("x")] {
            let bytes = written(source);
            for at in 0..bytes.len() {
                let refused = kind(&bytes[..at]).unwrap_err();
                assert!(matches!(refused, CryptError::Format(_)), "{at} {refused:?}");
                let mut flipped = bytes.clone();
                flipped[at] ^= 0x10;
                let refused = opened(&flipped, Some("x")).unwrap_err();
                let newer = matches!(refused, CryptError::NewerVersion { version: 0x11, .. });
                assert!(matches!(refused, CryptError::Format(_)) || newer && at == 8, "{at}");
            }
            assert!(kind(&[bytes.as_slice(), &[0]].concat()).is_err());
        }
    }

    #[test]
    fn costs_are_refused_one_past_each_limit() {
        let good = |m, t, p| Argon2Cost::new(m, t, p).is_ok();
        assert!(good(MEMORY_KIB_MIN, 1, 1) && !good(MEMORY_KIB_MIN - 1, 1, 1));
        assert!(good(MEMORY_KIB_MAX, 8, 1) && !good(MEMORY_KIB_MAX + 1, 8, 1));
        assert!(!good(MEMORY_KIB_MAX, 9, 1), "work");
        assert!(good(MEMORY_KIB_MIN, PASSES_MAX, 1) && !good(MEMORY_KIB_MIN, PASSES_MAX + 1, 1));
        assert!(good(MEMORY_KIB_MIN, 1, LANES_MAX) && !good(MEMORY_KIB_MIN, 1, LANES_MAX + 1));
        assert!(!good(MEMORY_KIB_MIN, 0, 1) && !good(MEMORY_KIB_MIN, 1, 0));
        assert!(!good(u32::MAX, u32::MAX, u32::MAX));
    }

    #[test]
    fn absurd_costs_in_a_file_are_refused_before_the_passphrase_is_tried() {
        for (at, value) in [(10, u32::MAX), (10, 1), (14, u32::MAX), (14, 0), (18, 1000)] {
            let mut bytes = written(Source::Passphrase("x"));
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            let covered = bytes.len() - CHECK_LEN;
            let forged = check(&bytes[..covered]);
            bytes[covered..].copy_from_slice(&forged);
            let refused = opened(&bytes, Some("x")).unwrap_err();
            assert!(matches!(refused, CryptError::Format(_)), "{at} {value} {refused:?}");
        }
    }

    #[test]
    fn calibration_raises_passes_until_a_guess_is_slow() {
        let mut now = Duration::ZERO;
        let mut fast = || {
            now += Duration::from_millis(40);
            now
        };
        // Each reading of this clock is 40 ms after the last, whatever is done between them.
        assert_eq!(Argon2Cost::calibrate(&mut fast).passes(), PASSES_MAX);
        let mut slow_now = Duration::ZERO;
        let mut slow = || {
            slow_now += GUESS_MIN;
            slow_now
        };
        assert_eq!(Argon2Cost::calibrate(&mut slow), Argon2Cost::default_cost());
    }
}

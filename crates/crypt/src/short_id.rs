use core::fmt;
use core::str::FromStr;

use model::{FormatError, UserId};

use crate::CryptError;

const NOUN: &str = "short id";
const PREFIX: &str = "ouro";
const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// What the checksum of a sound text comes to (BIP-350, Bech32m).
const SOUND: u32 = 0x2bc8_30a3;
const CHECKSUM_LEN: usize = 6;
/// 256 bits in digits of 5.
const DIGITS: usize = 52;

/// Characters of a short id.
const SHORT_ID_LEN: usize = PREFIX.len() + 1 + DIGITS + CHECKSUM_LEN;

/// A user id as people write it: `ouro1`, 52 digits, 6 of checksum (Bech32m). It names an identity
/// and catches a slip of the pen; whoever shares needs the public keys behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShortId(UserId);

impl ShortId {
    /// Whom it names.
    pub const fn user_id(&self) -> UserId {
        self.0
    }
}

impl From<UserId> for ShortId {
    fn from(user: UserId) -> Self {
        Self(user)
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(self.0.as_bytes());
        write!(f, "{PREFIX}1")?;
        let all = digits.iter().copied().chain(checksum(PREFIX, &digits));
        all.map(character).try_for_each(|character| write!(f, "{character}"))
    }
}

impl FromStr for ShortId {
    type Err = CryptError;

    fn from_str(text: &str) -> Result<Self, CryptError> {
        let (value, limit) = (text.len() as u64, SHORT_ID_LEN as u64);
        if value > limit {
            return Err(FormatError::TooLong { noun: NOUN, value, limit }.into());
        }
        let malformed = FormatError::Invalid { noun: NOUN };
        let written = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('1'));
        let values: Option<Vec<u8>> = written.ok_or(malformed)?.bytes().map(value_of).collect();
        let values = values.ok_or(malformed)?;
        let truncated = FormatError::Truncated { noun: NOUN };
        let (digits, found) = values.split_first_chunk::<DIGITS>().ok_or(truncated)?;
        if found.len() != CHECKSUM_LEN {
            return Err(truncated.into());
        }
        if found != checksum(PREFIX, digits) {
            return Err(CryptError::Checksum { noun: NOUN });
        }
        Ok(Self(UserId::new(bytes(digits).ok_or(FormatError::NotCanonical { noun: NOUN })?)))
    }
}

fn character(digit: u8) -> char {
    char::from(ALPHABET.get(usize::from(digit)).copied().expect("digits have five bits"))
}

fn value_of(character: u8) -> Option<u8> {
    let at = ALPHABET.iter().position(|candidate| *candidate == character)?;
    u8::try_from(at).ok()
}

/// Five bits each, the last one filled up with zeros.
fn digits(bytes: &[u8; 32]) -> [u8; DIGITS] {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    core::array::from_fn(|digit| (0..5).fold(0, |value, i| value << 1 | bit(digit * 5 + i)))
}

/// `None` where the bits behind the last byte are not zeros.
fn bytes(digits: &[u8; DIGITS]) -> Option<[u8; 32]> {
    let bit = |at: usize| digits.get(at / 5).map_or(0, |digit| digit >> (4 - at % 5) & 1);
    let is_full = (256..DIGITS * 5).all(|at| bit(at) == 0);
    is_full.then(|| core::array::from_fn(|byte| (0..8).fold(0, |v, i| v << 1 | bit(byte * 8 + i))))
}

fn checksum(prefix: &str, digits: &[u8]) -> [u8; CHECKSUM_LEN] {
    let rest = polymod(prefix, &[digits, &[0; CHECKSUM_LEN]].concat()) ^ SOUND;
    core::array::from_fn(|i| {
        let [low, ..] = (rest >> (5 * (CHECKSUM_LEN - 1 - i))).to_le_bytes();
        low & 31
    })
}

/// The checksum of BIP-173 over prefix and digits.
fn polymod(prefix: &str, digits: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let high = prefix.bytes().map(|byte| byte >> 5);
    let low = prefix.bytes().map(|byte| byte & 31);
    let values = high.chain([0]).chain(low).chain(digits.iter().copied());
    values.fold(1, |sum, value| {
        let top = sum >> 25;
        let shifted = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        let taps = GENERATOR.iter().enumerate().filter(|(i, _)| top >> i & 1 == 1);
        taps.fold(shifted, |sum, (_, tap)| sum ^ tap)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_bip_350() {
        let sound = [
            "a1lqfn3a",
            "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
            "?1v759aa",
        ];
        for text in sound {
            let (prefix, rest) = text.rsplit_once('1').unwrap();
            let values: Vec<u8> = rest.bytes().map(|byte| value_of(byte).unwrap()).collect();
            assert_eq!(polymod(prefix, &values), SOUND, "{text}");
            let (digits, found) = values.split_at(values.len() - CHECKSUM_LEN);
            assert_eq!(checksum(prefix, digits), found, "{text}");
        }
    }

    #[test]
    fn a_text_has_one_user_and_a_user_one_text() {
        for byte in [0, 1, 0x80, 0xff] {
            let id = ShortId::from(UserId::new([byte; 32]));
            let text = id.to_string();
            assert_eq!(text.len(), SHORT_ID_LEN);
            assert_eq!(text.parse(), Ok(id));
            assert_eq!(text.parse::<ShortId>().unwrap().user_id(), UserId::new([byte; 32]));
        }
    }

    #[test]
    fn slips_are_noticed() {
        let text = ShortId::from(UserId::new([7; 32])).to_string();
        let checksum = Err(CryptError::Checksum { noun: NOUN });
        for at in 5..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'q' { b'p' } else { b'q' };
            assert_eq!(String::from_utf8(other.clone()).unwrap().parse::<ShortId>(), checksum);
            let mut swapped = text.clone().into_bytes();
            swapped.swap(at, at - 1);
            let swapped = String::from_utf8(swapped).unwrap();
            assert!(swapped == text || swapped.parse::<ShortId>().is_err(), "{at}");
        }
        for cut in 0..text.len() {
            assert!(matches!(text[..cut].parse::<ShortId>(), Err(CryptError::Format(_))), "{cut}");
        }
        let malformed = |text: &str| matches!(text.parse::<ShortId>(), Err(CryptError::Format(_)));
        assert!(malformed(&format!("{text}q")), "one past the limit");
        assert!(malformed(&text.to_uppercase()));
        assert!(malformed(&text.replace('1', "2")));
        assert!(malformed(&format!(" {text}")));
        assert!(malformed(""));
    }

    #[test]
    fn bits_behind_the_last_byte_are_refused() {
        let mut digits = digits(&[7; 32]);
        digits[DIGITS - 1] |= 1;
        let all = digits.iter().copied().chain(checksum(PREFIX, &digits));
        let text: String = "ouro1".chars().chain(all.map(character)).collect();
        let refused = Err(FormatError::NotCanonical { noun: NOUN }.into());
        assert_eq!(text.parse::<ShortId>(), refused);
    }
}

//! A root as 24 words that a person can write on paper (BIP-39, the English list).

use aws_lc_rs::digest::{SHA256, digest};
use model::FormatError;
use zeroize::Zeroizing;

use crate::{CryptError, Root};

const NOUN: &str = "recovery words";
/// 2,048 words in alphabetical order, as BIP-39 publishes them.
const WORDS: &str = include_str!("words.txt");
const WORD_BITS: usize = 11;
/// 256 bits of root and 8 of checksum.
const WORD_COUNT: usize = 24;
/// Bytes of a text at most: no list of 24 words is half as long.
const TEXT_LEN_MAX: usize = 1024;

impl Root {
    /// The 24 words that stand for this root, one space between them. Whoever reads them has it.
    pub fn to_words(&self) -> Zeroizing<String> {
        let bits = with_checksum(self.expose());
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN_MAX));
        for word in 0..WORD_COUNT {
            let number = (word * WORD_BITS..(word + 1) * WORD_BITS)
                .fold(0, |number, at| number << 1 | usize::from(bit(bits.as_slice(), at)));
            if word > 0 {
                text.push(' ');
            }
            text.push_str(WORDS.lines().nth(number).expect("11 bits number a word of 2,048"));
        }
        text
    }

    /// The root that 24 words stand for. Case and white space do not count.
    pub fn from_words(text: &str) -> Result<Self, CryptError> {
        let (value, limit) = (text.len() as u64, TEXT_LEN_MAX as u64);
        if value > limit {
            return Err(FormatError::TooLong { noun: NOUN, value, limit }.into());
        }
        let mut bits = Zeroizing::new([0; 33]);
        let mut count = 0;
        for word in text.split_whitespace() {
            let number = WORDS.lines().position(|known| known.eq_ignore_ascii_case(word));
            let number = number.ok_or(CryptError::UnknownWord { position: count + 1 })?;
            for i in 0..WORD_BITS {
                let at = count * WORD_BITS + i;
                if let Some(byte) = bits.get_mut(at / 8) {
                    *byte |= u8::from(number >> (WORD_BITS - 1 - i) & 1 == 1) << (7 - at % 8);
                }
            }
            count += 1;
        }
        if count != WORD_COUNT {
            return Err(CryptError::WordCount { found: count });
        }
        let (root, _) = bits.split_first_chunk::<32>().expect("33 bytes hold 32");
        if *with_checksum(root) != *bits {
            return Err(CryptError::Checksum { noun: NOUN });
        }
        Ok(Self::from_bytes(*root))
    }
}

fn with_checksum(root: &[u8; 32]) -> Zeroizing<[u8; 33]> {
    let mut bits = Zeroizing::new([0; 33]);
    let (head, check) = bits.split_at_mut(32);
    head.copy_from_slice(root);
    check.copy_from_slice(digest(&SHA256, root).as_ref().get(..1).expect("a digest has bytes"));
    bits
}

fn bit(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of BIP-39 for 256 bits without their passphrases.
    const VECTORS: [(u8, &str); 4] = [
        (0x00, "abandon ABANDON art"),
        (
            0x7f,
            "legal winner thank year wave sausage worth useful legal winner thank year wave \
                sausage worth useful legal winner thank year wave sausage worth title",
        ),
        (
            0x80,
            "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd \
                amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless",
        ),
        (0xff, "zoo ZOO vote"),
    ];

    fn vectors() -> impl Iterator<Item = ([u8; 32], String)> {
        VECTORS.into_iter().map(|(byte, words)| {
            let repeated =
                |word: &str, last: &str| format!("{}{last}", format!("{word} ").repeat(23));
            let words = match words.split(' ').collect::<Vec<_>>().as_slice() {
                [word, _, last] => repeated(word, last),
                _ => words.to_owned(),
            };
            ([byte; 32], words)
        })
    }

    fn root(text: &str) -> Result<[u8; 32], CryptError> {
        Root::from_words(text).map(|root| *root.expose())
    }

    #[test]
    fn the_list_is_the_published_one() {
        let hex: String =
            digest(&SHA256, WORDS.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda");
        assert_eq!(WORDS.lines().count(), 2048);
    }

    #[test]
    fn the_vectors_of_bip_39_hold() {
        for (bytes, words) in vectors() {
            assert_eq!(*Root::from_bytes(bytes).to_words(), words);
            assert_eq!(root(&words), Ok(bytes));
        }
    }

    #[test]
    fn case_and_white_space_do_not_count() {
        for (bytes, words) in vectors() {
            let written = format!("\n {}\t\r\n", words.to_uppercase().replace(' ', " \n\u{a0}"));
            assert_eq!(root(&written), Ok(bytes));
        }
    }

    #[test]
    fn mistakes_have_a_name() {
        let words = Root::from_bytes([0x5a; 32]).to_words();
        let list: Vec<&str> = words.split(' ').collect();
        for position in 1..=WORD_COUNT {
            let mut wrong = list.clone();
            wrong[position - 1] = "ouroboros";
            assert_eq!(root(&wrong.join(" ")), Err(CryptError::UnknownWord { position }));
        }
        for found in (0..WORD_COUNT).chain([25]) {
            let text = [list.as_slice(), &["zoo"]].concat()[..found].join(" ");
            assert_eq!(root(&text), Err(CryptError::WordCount { found }));
        }
        let mut swapped = list.clone();
        swapped.swap(0, 1);
        assert_eq!(root(&swapped.join(" ")), Err(CryptError::Checksum { noun: NOUN }));
        let error = CryptError::UnknownWord { position: 3 };
        assert!(!error.to_string().contains("ouroboros"), "a secret is not repeated");
    }

    #[test]
    fn a_text_has_a_limit() {
        let words = Root::from_bytes([1; 32]).to_words();
        let padded = |len: usize| format!("{}{}", *words, " ".repeat(len - words.len()));
        assert_eq!(root(&padded(TEXT_LEN_MAX)), Ok([1; 32]));
        let refused = root(&padded(TEXT_LEN_MAX + 1)).unwrap_err();
        assert!(matches!(refused, CryptError::Format(FormatError::TooLong { .. })), "{refused:?}");
    }
}

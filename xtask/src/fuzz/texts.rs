//! The decoders of what people write, send and keep: words, texts, files of `ouroboros-crypt`.

use crypt::{
    CryptError, Identity, LegacyCiphertext, LegacyKeys, PublicIdentity, Root, SeededRandom, ShortId,
};

use super::targets::{LEN_MAX, Target, Verdict, authentic, canonical};

const VECTORS: &str = include_str!("../../../crates/crypt/testdata/ouroboros-crypt.json");

pub(super) fn all() -> Vec<Target> {
    let identity = |byte| {
        Identity::from_root(Root::from_bytes([byte; 32])).expect("any root makes an identity")
    };
    let (alice, bob) = (identity(1), identity(2));
    let container = container();
    let keys = LegacyKeys::from_json(&container).expect("a sound container");
    let kept = keys.seal(&alice, &SeededRandom::new(1));
    let ciphertext = LegacyCiphertext::new(&[7; 1568], &[8; 12], &[9; 40]).expect("sound lengths");
    let short = |identity: &Identity| ShortId::from(identity.user_id()).to_string().into_bytes();
    let read_short = |input: &[u8]| text(input)?.parse::<ShortId>();
    vec![
        loose(
            "public text",
            vec![alice.public().to_text().into_bytes(), bob.public().to_text().into_bytes()],
            |input| Ok(PublicIdentity::from_text(text(input)?)?.to_text()),
            |text| {
                text.trim_ascii().lines().map(str::trim_ascii_end).collect::<Vec<_>>().join("\n")
                    + "\n"
            },
        ),
        canonical("short id", vec![short(&alice), short(&bob)], read_short, |id: &ShortId| {
            id.to_string().into_bytes()
        }),
        loose(
            "recovery words",
            vec![words(1), words(0x5a), words(0xff)],
            |input| Ok(Root::from_words(text(input)?)?.to_words().to_string()),
            |text| text.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase(),
        ),
        // Another private half behind the same public one is a sound key too.
        Target {
            name: "legacy container",
            seeds: vec![container],
            len_max: LEN_MAX,
            refuses: true,
            decode: Box::new(|input| match LegacyKeys::from_json(input) {
                Ok(_) => Verdict::Accepted,
                Err(_) => Verdict::Refused,
            }),
        },
        Target {
            name: "legacy cipher",
            seeds: vec![ciphertext.encode(), json(&ciphertext.encode())],
            len_max: LEN_MAX,
            refuses: true,
            decode: Box::new(|input| match LegacyCiphertext::decode(input) {
                Err(_) => Verdict::Refused,
                Ok(read) if input.starts_with(b"{") || read.encode() == input => Verdict::Accepted,
                Ok(_) => Verdict::Broken("two encodings of one value"),
            }),
        },
        authentic("legacy keys", vec![kept], move |input| {
            LegacyKeys::unseal(input, &alice).is_ok()
        }),
    ]
}

/// A text that may be written in several ways: what is read must be the text, written one way.
fn loose(
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    decode: impl Fn(&[u8]) -> Result<String, CryptError> + 'static,
    normal: impl Fn(&str) -> String + 'static,
) -> Target {
    let decode = move |input: &[u8]| match decode(input) {
        Err(_) => Verdict::Refused,
        Ok(again) if text(input).is_ok_and(|text| normal(text) == again) => Verdict::Accepted,
        Ok(_) => Verdict::Broken("two texts of one value"),
    };
    Target { name, seeds, len_max: LEN_MAX, refuses: true, decode: Box::new(decode) }
}

fn text(input: &[u8]) -> Result<&str, CryptError> {
    let invalid = model::FormatError::Invalid { noun: "text" };
    core::str::from_utf8(input).map_err(|_not_text| invalid.into())
}

fn words(byte: u8) -> Vec<u8> {
    Root::from_bytes([byte; 32]).to_words().as_bytes().to_vec()
}

/// The first key file in the vectors, out of the string it is in.
fn container() -> Vec<u8> {
    let (_, rest) = VECTORS.split_once("\"key_file\": \"").expect("the vectors hold a key file");
    let (inside, _) = rest.split_once("}\"").expect("a key file ends");
    format!("{inside}}}").replace("\\\"", "\"").into_bytes()
}

/// As Go writes it; the parts are of one byte each, three of which are four characters.
fn json(parts: &[u8]) -> Vec<u8> {
    assert_eq!(parts.len(), 1568 + 12 + 40, "the parts are known");
    let repeated = |group: &str, bytes: usize, end: &str| group.repeat(bytes / 3) + end;
    format!(
        "{{\"Ciphertext\":\"{}\",\"EncapsulatedKey\":\"{}\",\"Nonce\":\"{}\"}}",
        repeated("CQkJ", 40, "CQ=="),
        repeated("BwcH", 1568, "Bwc="),
        repeated("CAgI", 12, ""),
    )
    .into_bytes()
}

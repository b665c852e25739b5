//! A public identity as text that survives mail, chats and copying.

use base64ct::{Base64, Encoding};
use model::FormatError;

use crate::{CryptError, PublicIdentity, ShortId};

const NOUN: &str = "public identity";
const BEGIN: &str = "-----BEGIN OUROBOROS PUBLIC IDENTITY-----";
const END: &str = "-----END OUROBOROS PUBLIC IDENTITY-----";
/// Characters of a line, but of the last one.
const LINE_LEN: usize = 64;
/// Bytes of such a text at most: half again what one has.
const TEXT_LEN_MAX: usize = 9 * 1024;

impl PublicIdentity {
    /// The whole identity as text: a first line, the short id, the encoding in Base64 in lines of
    /// 64, a last line. The short id is the hash of the rest, so it is the checksum too.
    pub fn to_text(&self) -> String {
        let encoded = Base64::encode_string(&self.encode());
        let mut text = format!("{BEGIN}\n{}\n", ShortId::from(self.user_id()));
        let (mut line, mut rest);
        rest = encoded.as_str();
        while !rest.is_empty() {
            (line, rest) = rest.split_at_checked(LINE_LEN).unwrap_or((rest, ""));
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(END);
        text.push('\n');
        text
    }

    /// Reads such a text. Lines may end in white space, and blank lines may stand around it: that
    /// happens on the way. Anything else has one form only.
    pub fn from_text(text: &str) -> Result<Self, CryptError> {
        let (value, limit) = (text.len() as u64, TEXT_LEN_MAX as u64);
        if value > limit {
            return Err(FormatError::TooLong { noun: NOUN, value, limit }.into());
        }
        let mut lines = text.trim_ascii().lines().map(str::trim_ascii_end);
        if lines.next() != Some(BEGIN) {
            return Err(FormatError::Invalid { noun: NOUN }.into());
        }
        let truncated = FormatError::Truncated { noun: NOUN };
        let named: ShortId = lines.next().ok_or(truncated)?.parse()?;
        let identity = Self::decode(&body(lines)?)?;
        if identity.user_id() != named.user_id() {
            return Err(CryptError::Checksum { noun: NOUN });
        }
        Ok(identity)
    }
}

/// What the lines up to the last one hold; nothing may follow that.
fn body<'a>(mut lines: impl Iterator<Item = &'a str>) -> Result<Vec<u8>, CryptError> {
    let mut encoded = String::new();
    let mut is_last = false;
    loop {
        match lines.next().ok_or(FormatError::Truncated { noun: NOUN })? {
            END => break,
            line if is_last || line.is_empty() || line.len() > LINE_LEN => {
                return Err(FormatError::NotCanonical { noun: NOUN }.into());
            }
            line => {
                is_last = line.len() < LINE_LEN;
                encoded.push_str(line);
            }
        }
    }
    if lines.next().is_some() {
        return Err(FormatError::Trailing { noun: NOUN }.into());
    }
    Base64::decode_vec(&encoded).map_err(|_rejected| FormatError::Invalid { noun: NOUN }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Root};

    fn identity() -> PublicIdentity {
        Identity::from_root(Root::from_bytes([1; 32])).unwrap().public().clone()
    }

    #[test]
    fn a_text_holds_the_whole_identity() {
        let text = identity().to_text();
        let read = PublicIdentity::from_text(&text).unwrap();
        assert_eq!(read, identity());
        assert_eq!(read.to_text(), text);
        assert!(text.lines().all(|line| line.len() <= LINE_LEN));
        assert_eq!(text.lines().nth(1), Some(&*ShortId::from(read.user_id()).to_string()));
    }

    #[test]
    fn what_happens_to_texts_on_the_way_does_no_harm() {
        let text = identity().to_text();
        for carried in [
            text.replace('\n', "\r\n"),
            text.replace('\n', "  \n"),
            format!("\n\n{text}\n\n"),
            text.trim_end().to_owned(),
        ] {
            assert_eq!(PublicIdentity::from_text(&carried), Ok(identity()));
        }
    }

    #[test]
    fn every_changed_character_and_every_cut_is_refused() {
        let text = identity().to_text();
        for at in (0..text.len() - 1).filter(|at| *at < 300 || at % 7 == 0 || at + 99 > text.len())
        {
            assert!(PublicIdentity::from_text(&text[..at]).is_err(), "cut at {at}");
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(PublicIdentity::from_text(&changed).is_err(), "changed at {at}");
        }
    }

    #[test]
    fn another_name_above_the_same_keys_is_a_failed_checksum() {
        let other = Identity::from_root(Root::from_bytes([2; 32])).unwrap();
        let (own, other) = (ShortId::from(identity().user_id()), ShortId::from(other.user_id()));
        let text = identity().to_text().replace(&own.to_string(), &other.to_string());
        let refused = Err(CryptError::Checksum { noun: NOUN });
        assert_eq!(PublicIdentity::from_text(&text), refused);
    }

    #[test]
    fn a_second_form_is_refused() {
        let text = identity().to_text();
        let refused = |text: &str| PublicIdentity::from_text(text).unwrap_err();
        let format = |text: &str| matches!(refused(text), CryptError::Format(_));
        let (head, rest) = text.split_at(BEGIN.len() + 70);
        assert!(format(&format!("{head}\n{rest}")), "a shorter line");
        assert!(format(&text.replacen("==\n", "\n", 1)), "no padding");
        assert!(format(&format!("{text}x\n")), "something behind it");
        assert!(format(&format!("x\n{text}")), "something before it");
        assert!(format(&text.replacen('\n', "\n\n", 1)), "a blank line inside");
        let last = text.find("==\n").unwrap();
        let mut spare = text.clone().into_bytes();
        // The last character before the padding has four bits that say nothing.
        spare[last - 1] += 1;
        assert!(format(&String::from_utf8(spare).unwrap()), "spare bits");
    }

    #[test]
    fn a_text_has_a_limit() {
        let text = identity().to_text();
        let padded = |len: usize| format!("{text}{}", " ".repeat(len - text.len()));
        assert_eq!(PublicIdentity::from_text(&padded(TEXT_LEN_MAX)), Ok(identity()));
        let refused = PublicIdentity::from_text(&padded(TEXT_LEN_MAX + 1)).unwrap_err();
        assert!(matches!(refused, CryptError::Format(FormatError::TooLong { .. })), "{refused:?}");
    }
}

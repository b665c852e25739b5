//! The cleartext of a bundle: small objects of one batch, sealed as one.

use crypt::ObjectKind;
use model::FormatError;
use model::codec::Reader;
use model::limit::BUNDLE_LEN_MAX;

const NOUN: &str = "bundle";
/// Bytes an item takes besides its own: kind and length.
pub const ITEM_OVERHEAD: usize = 3;

/// Appends one item; `bytes` are at most 64 KiB - 1, which [`BUNDLE_LEN_MAX`] implies.
pub fn encode_item(out: &mut Vec<u8>, kind: ObjectKind, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).expect("an item fits its bundle");
    out.push(kind as u8);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The items in order: kind and cleartext.
pub fn items(bundle: &[u8]) -> Result<Vec<(ObjectKind, &[u8])>, FormatError> {
    if bundle.len() > BUNDLE_LEN_MAX {
        let value = bundle.len() as u64;
        return Err(FormatError::TooLong { noun: NOUN, value, limit: BUNDLE_LEN_MAX as u64 });
    }
    let mut reader = Reader::new(NOUN, bundle);
    let mut items = Vec::new();
    while !reader.rest().is_empty() {
        let kind = match ObjectKind::try_from(reader.u8()?)? {
            kind @ (ObjectKind::Chunk | ObjectKind::List | ObjectKind::Vertex) => kind,
            kind => {
                return Err(FormatError::Unknown { noun: "bundle item", value: kind as u64 });
            }
        };
        let len = reader.u16()?;
        items.push((kind, reader.raw(usize::from(len))?));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_in_order() {
        let mut bundle = Vec::new();
        encode_item(&mut bundle, ObjectKind::Vertex, b"one");
        encode_item(&mut bundle, ObjectKind::Chunk, b"");
        let read = items(&bundle).unwrap();
        assert_eq!(read, [(ObjectKind::Vertex, &b"one"[..]), (ObjectKind::Chunk, &b""[..])]);
    }

    #[test]
    fn malformed_bundles_are_refused() {
        let mut bundle = Vec::new();
        encode_item(&mut bundle, ObjectKind::Vertex, b"one");
        assert!(items(&bundle[..bundle.len() - 1]).is_err());
        encode_item(&mut bundle, ObjectKind::Pad, b"");
        assert!(items(&bundle).is_err());
        assert!(items(&vec![0; BUNDLE_LEN_MAX + 1]).is_err());
    }
}

use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Salt};

struct OutputLen(usize);

impl KeyType for OutputLen {
    fn len(&self) -> usize {
        self.0
    }
}

/// `HKDF-SHA-512(salt, ikm, info = "ouro/1/" || info)` into all of `out`; an empty salt is one of
/// zeros (RFC 5869).
pub(crate) fn hkdf(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]) {
    let labelled: Vec<&[u8]> =
        core::iter::once(&b"ouro/1/"[..]).chain(info.iter().copied()).collect();
    Salt::new(HKDF_SHA512, salt)
        .extract(ikm)
        .expand(&labelled, OutputLen(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("outputs are below 255 digests");
}

use core::fmt;

use model::hash::{HashKey, hash};
use model::{BlockNonce, ChunkHash, EpochId, ListHash, ObjectId, ScopeId};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::aead::{OneTimeKey, TAG_LEN, open_in_place, seal_in_place};
use crate::object::{
    COMMITMENT_LEN, Compression, FRAME_OVERHEAD, FRAME_PREFIX_LEN, HEADER_LEN, ObjectHeader,
    ObjectKind, SALT_LEN, usize_of,
};
use crate::{CryptError, EpochSecret, Opener, SUITE, Sealer};

const CONTEXT_LEN: usize = 2 + 3 * 32 + 32 + 1 + 4 + 4;
const AAD_LEN: usize = CONTEXT_LEN + SALT_LEN + COMMITMENT_LEN;

/// Every key of one epoch and generation, precomputed; each has one use.
pub struct EpochKeys {
    scope: ScopeId,
    epoch: EpochId,
    generation: EpochId,
    dedup: HashKey,
    dedup_list: HashKey,
    siv: HashKey,
    seal: HashKey,
    frame: HashKey,
    blind: HashKey,
    cdc: HashKey,
}

/// What one seal derives: the cipher's key and the commitment to it.
struct Derived {
    key: OneTimeKey,
    commitment: [u8; COMMITMENT_LEN],
    aad: [u8; AAD_LEN],
}

impl EpochKeys {
    /// The keys that follow from `secret`, the secret of `epoch`.
    ///
    /// `generation` is the epoch whose secret made the ids of chunks and lists. Where it is not
    /// `epoch` itself, follow with [`Self::of_generation`].
    pub fn new(scope: ScopeId, epoch: EpochId, generation: EpochId, secret: &EpochSecret) -> Self {
        let secret = secret.key();
        Self {
            scope,
            epoch,
            generation,
            dedup: secret.sub("dedup"),
            dedup_list: secret.sub("dedup-list"),
            siv: secret.sub("siv"),
            seal: secret.sub("seal"),
            frame: secret.sub("frame"),
            blind: secret.sub("blind"),
            cdc: secret.sub("cdc"),
        }
    }

    /// Keys that seal as these do, and make and check the ids of chunks and lists as `naming`, the
    /// keys of their generation, does.
    #[must_use]
    pub fn of_generation(&self, naming: &Self) -> Self {
        let keys = [&self.siv, &self.seal, &self.frame, &self.blind, &self.cdc].map(HashKey::clone);
        let [siv, seal, frame, blind, cdc] = keys;
        Self {
            scope: self.scope,
            epoch: self.epoch,
            generation: naming.epoch,
            dedup: naming.dedup.clone(),
            dedup_list: naming.dedup_list.clone(),
            siv,
            seal,
            frame,
            blind,
            cdc,
        }
    }

    /// The scope.
    pub const fn scope(&self) -> ScopeId {
        self.scope
    }

    /// The epoch objects are sealed under.
    pub const fn epoch(&self) -> EpochId {
        self.epoch
    }

    /// The epoch whose secret made the ids.
    pub const fn generation(&self) -> EpochId {
        self.generation
    }

    /// The id of a chunk with this cleartext.
    pub fn chunk_hash(&self, plain: &[u8]) -> ChunkHash {
        ChunkHash::new(self.dedup.keyed(&[plain]))
    }

    /// The id of a list with this encoding; never that of a chunk (decision 0006).
    pub fn list_hash(&self, plain: &[u8]) -> ListHash {
        ListHash::new(self.dedup_list.keyed(&[plain]))
    }

    /// The blind of a vertex, from its encoding with a blind of zeros.
    pub fn blind(&self, unblinded: &[u8]) -> [u8; 16] {
        let digest = self.blind.keyed(&[unblinded]);
        *digest.first_chunk().expect("32 bytes hold 16")
    }

    /// The chunker's table, a secret of the epoch.
    pub fn gear_table(&self) -> Box<[u64; 256]> {
        let mut bytes = [0; 256 * 8];
        self.cdc.expand(&[b"gear"], &mut bytes);
        let mut table = Box::new([0; 256]);
        let (words, _) = bytes.as_chunks::<8>();
        for (entry, word) in table.iter_mut().zip(words) {
            *entry = u64::from_le_bytes(*word);
        }
        bytes.zeroize();
        table
    }

    /// Appends one frame to `out`: masked header 42, salt 16, commitment 32, ciphertext, tag 16.
    ///
    /// For a chunk or list `obj` is the hash of `plain` by this value's own methods: the seal
    /// relies on it instead of reading the payload again (decision 0002).
    ///
    /// # Panics
    /// When `plain` is longer than [`ObjectKind::plain_len_max`], and in debug builds when `obj` is
    /// not the hash of a chunk, list or vertex.
    #[expect(clippy::too_many_arguments, reason = "one call, six facts, all of them the seal's")]
    pub fn seal(
        &self,
        kind: ObjectKind,
        obj: ObjectId,
        plain: &[u8],
        sealing: &mut Sealer,
        nonce: &BlockNonce,
        out: &mut Vec<u8>,
    ) -> ObjectHeader {
        assert!(plain.len() <= kind.plain_len_max(), "the caller keeps the limit of {kind:?}");
        debug_assert!(self.id_holds(kind, obj, plain), "{kind:?} {obj} is the id of its cleartext");
        let (compression, payload) = match sealing.compressed(kind, plain) {
            Some(payload) => (Compression::Zstd, payload),
            None => (Compression::None, plain),
        };
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("16 MiB fit 32 bits");
        let (plain_len, payload_len) = (len(plain), len(payload));
        let header = ObjectHeader { kind, compression, plain_len, payload_len, obj };
        let context = self.context(&header);
        let digest = if names_payload(&header) {
            self.siv.keyed(&[&context, nonce.as_bytes()])
        } else {
            self.siv.keyed(&[&context, nonce.as_bytes(), payload])
        };
        let salt: &[u8; SALT_LEN] = digest.first_chunk().expect("32 bytes hold 16");
        let derived = self.derive(&context, salt);
        out.reserve(payload.len() + FRAME_OVERHEAD);
        out.extend_from_slice(&self.masked(&header.encode(), salt, &derived.commitment));
        out.extend_from_slice(salt);
        out.extend_from_slice(&derived.commitment);
        let start = out.len();
        out.extend_from_slice(payload);
        let data = out.get_mut(start..).unwrap_or_default();
        let tag = seal_in_place(&derived.key, &derived.aad, data);
        out.extend_from_slice(&tag);
        header
    }

    /// What the frame that begins with `prefix` claims to be.
    ///
    /// Nothing is authenticated yet: only [`Self::unseal`] does that. Garbage, or a frame of another
    /// epoch, passes with a chance below 2^-20.
    pub fn frame_header(
        &self,
        prefix: &[u8; FRAME_PREFIX_LEN],
    ) -> Result<ObjectHeader, CryptError> {
        let (header, salt, commitment) = split_prefix(prefix);
        Ok(ObjectHeader::decode(&self.masked(header, salt, commitment))?)
    }

    /// Opens one whole frame and checks that its cleartext is what its id says.
    pub fn unseal(
        &self,
        frame: &[u8],
        opener: &mut Opener,
    ) -> Result<(ObjectHeader, Vec<u8>), CryptError> {
        let (prefix, sealed) =
            frame.split_first_chunk::<FRAME_PREFIX_LEN>().ok_or(CryptError::Unseal)?;
        let (_, salt, commitment) = split_prefix(prefix);
        let header = self.frame_header(prefix).map_err(|_| CryptError::Unseal)?;
        if sealed.len() != usize_of(header.payload_len).saturating_add(TAG_LEN) {
            return Err(CryptError::Unseal);
        }
        let derived = self.derive(&self.context(&header), salt);
        if !bool::from(derived.commitment.ct_eq(commitment)) {
            return Err(CryptError::Unseal);
        }
        let plain = match header.compression {
            Compression::None => {
                let mut plain = sealed.to_vec();
                open_in_place(&derived.key, &derived.aad, &mut plain)?;
                plain
            }
            Compression::Zstd => {
                opener.payload.clear();
                opener.payload.extend_from_slice(sealed);
                open_in_place(&derived.key, &derived.aad, &mut opener.payload)?;
                opener.decompress(usize_of(header.plain_len))?
            }
        };
        if !self.id_holds(header.kind, header.obj, &plain) {
            return Err(CryptError::Unseal);
        }
        Ok((header, plain))
    }

    /// Whether `obj` is what the cleartext says, for the kinds whose id is over the cleartext.
    fn id_holds(&self, kind: ObjectKind, obj: ObjectId, plain: &[u8]) -> bool {
        match kind {
            ObjectKind::Chunk => obj == self.chunk_hash(plain).into(),
            ObjectKind::List => obj == self.list_hash(plain).into(),
            ObjectKind::Vertex => *obj.as_bytes() == hash("vertex", &[plain]),
            ObjectKind::Settings => *obj.as_bytes() == hash("settings", &[plain]),
            ObjectKind::Pad => plain.iter().all(|byte| *byte == 0),
            ObjectKind::Bundle | ObjectKind::Index | ObjectKind::KeyHistory => true,
        }
    }

    /// `h`: everything a seal binds.
    fn context(&self, header: &ObjectHeader) -> [u8; CONTEXT_LEN] {
        concat(&[
            &[SUITE, header.kind as u8],
            self.scope.as_bytes(),
            self.epoch.as_bytes(),
            self.generation.as_bytes(),
            header.obj.as_bytes(),
            &[header.compression as u8],
            &header.plain_len.to_le_bytes(),
            &header.payload_len.to_le_bytes(),
        ])
    }

    fn derive(&self, context: &[u8; CONTEXT_LEN], salt: &[u8; SALT_LEN]) -> Derived {
        let mut bytes = [0; 32 + 12 + COMMITMENT_LEN];
        HashKey::new(self.seal.keyed(&[context, salt])).expand(&[b"aead"], &mut bytes);
        let (key, rest) = bytes.split_at(32);
        let (nonce, commitment) = rest.split_at(12);
        let aad = concat(&[context, salt, commitment]);
        let key = OneTimeKey { key: concat(&[key]), nonce: concat(&[nonce]) };
        let commitment = concat(&[commitment]);
        bytes.zeroize();
        Derived { key, commitment, aad }
    }

    /// Masks a header, or takes the mask off: it depends on nothing but the frame itself.
    pub(crate) fn masked(
        &self,
        header: &[u8; HEADER_LEN],
        salt: &[u8; SALT_LEN],
        commitment: &[u8; COMMITMENT_LEN],
    ) -> [u8; HEADER_LEN] {
        let mut mask = [0; HEADER_LEN];
        self.frame.expand(&[salt, commitment], &mut mask);
        mask.iter_mut().zip(header).for_each(|(mask, byte)| *mask ^= byte);
        mask
    }
}

impl fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpochKeys")
            .field("scope", &self.scope)
            .field("epoch", &self.epoch)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// True where the id is a keyed hash of exactly the payload, so that the salt need not read it.
fn names_payload(header: &ObjectHeader) -> bool {
    matches!(header.kind, ObjectKind::Chunk | ObjectKind::List)
        && header.compression == Compression::None
}

/// The parts end to end; together they have exactly `N` bytes.
fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    let mut rest = out.as_mut_slice();
    for part in parts {
        let (head, tail) = rest.split_at_mut(part.len());
        head.copy_from_slice(part);
        rest = tail;
    }
    debug_assert!(rest.is_empty(), "the parts fill the array");
    out
}

fn split_prefix(
    prefix: &[u8; FRAME_PREFIX_LEN],
) -> (&[u8; HEADER_LEN], &[u8; SALT_LEN], &[u8; COMMITMENT_LEN]) {
    let split = || {
        let (header, rest) = prefix.split_first_chunk()?;
        let (salt, rest) = rest.split_first_chunk()?;
        Some((header, salt, rest.first_chunk()?))
    };
    split().expect("a prefix is 42 + 16 + 32 bytes")
}

//! Makes a capsule: one version, or the versions of a folder, sealed for one reader.
//!
//! ```text
//! head        crypt::CapsuleHead
//! object*     length u32, frame: a version, then the chunks of its content in order; the next version, ..
//! end         length 0
//! signature   over the hash of all before it
//! ```

use std::io::{Read, Write};

use crypt::{CapsuleHead, CompressionPolicy, EpochKeys, ObjectKind, PublicIdentity, Sealer};
use model::hash::labelled;
use model::limit::CHUNK_LEN_MAX;
use model::{BlockNonce, Content, FormatError, ObjectId, VertexHash};

use crate::content::StoredContent;
use crate::database::Database;
use crate::error::Error;
use crate::session::Progress;

/// Versions in one capsule at most.
pub(crate) const VERSIONS_MAX: usize = 1 << 20;
/// A capsule lies in no block.
const NO_BLOCK: BlockNonce = BlockNonce::new([0; 16]);
/// Cleartext of one chunk; the last of a content may be shorter.
const PIECE_LEN: usize = CHUNK_LEN_MAX / 4;

/// What making a capsule wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapsuleMade {
    /// Versions inside.
    pub versions: u64,
    /// Content inside.
    pub bytes_content: u64,
    /// Bytes of the capsule.
    pub bytes_written: u64,
}

impl Database {
    /// Writes a capsule that `reader` alone can open. The first of `versions` is the one that is shared; the
    /// others are what it refers to, if it is a folder. It cannot be taken back.
    pub fn write_capsule(
        &self,
        versions: &[VertexHash],
        reader: &PublicIdentity,
        out: &mut dyn Write,
        progress: &dyn Progress,
    ) -> Result<CapsuleMade, Error> {
        let engine = self.engine();
        let shared = *versions.first().ok_or(FormatError::Invalid { noun: "capsule" })?;
        if versions.len() > VERSIONS_MAX {
            let (value, limit) = (versions.len() as u64, VERSIONS_MAX as u64);
            return Err(FormatError::TooLong { noun: "capsule", value, limit }.into());
        }
        let of = (engine.keys.scope(), shared);
        let (head, keys) = CapsuleHead::new(&engine.signer.identity, of, reader, &*engine.random)?;
        let mut capsule = Writing {
            out,
            hasher: labelled("capsule-body"),
            keys,
            sealer: Sealer::new(CompressionPolicy::Auto),
            frame: Vec::new(),
            bytes_written: 0,
        };
        capsule.raw(&head.encode())?;
        let mut bytes_content = 0;
        for hash in versions {
            let vertex = engine.vertex(hash)?;
            capsule.object(ObjectKind::Vertex, (*hash).into(), &vertex.encode())?;
            if !matches!(vertex.content, Content::Inline(_)) {
                let mut content = StoredContent::new(engine, *hash, vertex.content)?;
                capsule.pieces(&mut content)?;
                bytes_content += content.len();
            }
            if !progress.on_progress(bytes_content, bytes_content) {
                return Err(Error::Interrupted);
            }
        }
        capsule.raw(&0u32.to_le_bytes())?;
        let digest = *capsule.hasher.finalize().as_bytes();
        let signature = head.sign(&engine.signer.identity, &digest).encode();
        capsule.raw(&signature)?;
        let bytes_written = capsule.bytes_written;
        out.flush().map_err(Error::Content)?;
        Ok(CapsuleMade { versions: versions.len() as u64, bytes_content, bytes_written })
    }
}

struct Writing<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
    keys: EpochKeys,
    sealer: Sealer,
    frame: Vec<u8>,
    bytes_written: u64,
}

impl Writing<'_> {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.bytes_written += bytes.len() as u64;
        self.out.write_all(bytes).map_err(Error::Content)
    }

    fn object(&mut self, kind: ObjectKind, id: ObjectId, plain: &[u8]) -> Result<(), Error> {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        self.keys.seal(kind, id, plain, &mut self.sealer, &NO_BLOCK, &mut frame);
        let len = u32::try_from(frame.len()).expect("a frame is shorter than 4 GiB");
        self.raw(&len.to_le_bytes())?;
        self.raw(&frame)?;
        self.frame = frame;
        Ok(())
    }

    fn pieces(&mut self, content: &mut dyn Read) -> Result<(), Error> {
        let mut piece = Vec::with_capacity(PIECE_LEN);
        loop {
            piece.clear();
            let mut next = (&mut *content).take(PIECE_LEN as u64);
            next.read_to_end(&mut piece).map_err(of_stored)?;
            if piece.is_empty() {
                return Ok(());
            }
            let id = self.keys.chunk_hash(&piece).into();
            self.object(ObjectKind::Chunk, id, &piece)?;
        }
    }
}

/// The library's own failure travels inside the system's.
fn of_stored(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Content(error),
    }
}

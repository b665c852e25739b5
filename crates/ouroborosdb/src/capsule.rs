//! Reads a capsule: a session in which exactly the shared versions can be read, and nothing else done.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

use crypt::{
    CAPSULE_HEAD_LEN, CapsuleHead, CryptError, EpochKeys, FRAME_PREFIX_LEN, HybridSignature,
    Identity, ObjectHeader, ObjectKind, Opener, PublicIdentity, SIGNATURE_LEN,
};
use model::hash::labelled;
use model::{Content, FormatError, GroupId, Name, ObjectId, Vertex, VertexHash};

use crate::capsule_writer::VERSIONS_MAX;
use crate::content::sought;
use crate::engine::lock;
use crate::error::Error;
use crate::session::{
    At, Change, CheckReport, CheckRequest, ContentReader, Cursor, Head, NameEntry, NamesQuery,
    Progress, Put, PutRequest, Session, Stats, Version,
};

const NOUN: &str = "capsule";
/// Bytes of one frame at most: the longest version or chunk and its seal.
const FRAME_LEN_MAX: usize = 2 * 1024 * 1024;

/// Where a capsule comes from.
pub trait CapsuleSource: Read + Seek + Send {}
impl<T: Read + Seek + Send> CapsuleSource for T {}

/// An open capsule. Its signature was verified before anything of it is shown.
pub struct Capsule {
    inner: Arc<Inner>,
    head: CapsuleHead,
}

struct Inner {
    source: Mutex<Box<dyn CapsuleSource>>,
    keys: EpochKeys,
    versions: BTreeMap<VertexHash, Stored>,
}

/// Where a version and its content lie.
struct Stored {
    frame: Placed,
    /// (first byte of the content, frame).
    pieces: Vec<(u64, Placed)>,
    len: u64,
}

#[derive(Clone, Copy)]
struct Placed {
    offset: u64,
    len: u32,
}

impl Capsule {
    /// Opens `source` as `identity`. Reads all of it once and verifies the signature.
    ///
    /// # Errors
    /// [`CryptError::NoKey`] when it is for somebody else.
    pub fn open(source: impl CapsuleSource + 'static, identity: &Identity) -> Result<Self, Error> {
        let mut scan = Scan { source: Box::new(source), hasher: labelled("capsule-body"), at: 0 };
        let head = CapsuleHead::decode(&scan.take(CAPSULE_HEAD_LEN)?)?;
        let keys = head.open(identity)?;
        let versions = scan.versions(&keys)?;
        let digest = *scan.hasher.finalize().as_bytes();
        let signature = HybridSignature::decode(&scan.take(SIGNATURE_LEN)?)?;
        head.verify(&digest, &signature)?;
        scan.end()?;
        if !versions.contains_key(&head.vertex()) {
            return Err(damaged());
        }
        let source = Mutex::new(scan.source);
        Ok(Self { inner: Arc::new(Inner { source, keys, versions }), head })
    }

    /// The version that was shared.
    pub const fn shared(&self) -> VertexHash {
        self.head.vertex()
    }

    /// Who made the capsule.
    pub const fn sharer(&self) -> &PublicIdentity {
        self.head.sharer()
    }

    fn stored(&self, hash: &VertexHash) -> Result<&Stored, Error> {
        let unknown = || Error::HashUnknown { hash: hash.to_string() };
        self.inner.versions.get(hash).ok_or_else(unknown)
    }
}

/// One pass over the whole file.
struct Scan {
    source: Box<dyn CapsuleSource>,
    hasher: blake3::Hasher,
    at: u64,
}

impl Scan {
    fn take(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        self.source.read_exact(&mut bytes).map_err(of_source)?;
        self.hasher.update(&bytes);
        self.at += len as u64;
        Ok(bytes)
    }

    fn versions(&mut self, keys: &EpochKeys) -> Result<BTreeMap<VertexHash, Stored>, Error> {
        let mut versions = BTreeMap::new();
        let mut current: Option<(VertexHash, Stored)> = None;
        while let Some((header, frame)) = self.object(keys)? {
            match (header.kind, &mut current) {
                (ObjectKind::Vertex, _) => {
                    let stored = Stored { frame, pieces: Vec::new(), len: 0 };
                    let hash = VertexHash::new(*header.obj.as_bytes());
                    versions.extend(current.replace((hash, stored)));
                }
                (ObjectKind::Chunk, Some((_, stored))) => {
                    stored.pieces.push((stored.len, frame));
                    stored.len += u64::from(header.plain_len);
                }
                _ => return Err(damaged()),
            }
            if versions.len() > VERSIONS_MAX {
                let (value, limit) = (versions.len() as u64, VERSIONS_MAX as u64);
                return Err(
                    CryptError::from(FormatError::TooLong { noun: NOUN, value, limit }).into()
                );
            }
        }
        versions.extend(current);
        Ok(versions)
    }

    /// The next frame, as far as its place and its header; `None` at the end.
    fn object(&mut self, keys: &EpochKeys) -> Result<Option<(ObjectHeader, Placed)>, Error> {
        let len: [u8; 4] = self.take(4)?.try_into().map_err(|_| damaged())?;
        let len = u32::from_le_bytes(len);
        if len == 0 {
            return Ok(None);
        }
        if len as usize > FRAME_LEN_MAX {
            let (value, limit) = (len.into(), FRAME_LEN_MAX as u64);
            return Err(CryptError::from(FormatError::TooLong { noun: NOUN, value, limit }).into());
        }
        let placed = Placed { offset: self.at, len };
        let frame = self.take(len as usize)?;
        let prefix = frame.first_chunk::<FRAME_PREFIX_LEN>().ok_or_else(damaged)?;
        let header = keys.frame_header(prefix)?;
        if header.frame_len() != frame.len() {
            return Err(damaged());
        }
        Ok(Some((header, placed)))
    }

    /// Nothing follows the signature.
    fn end(&mut self) -> Result<(), Error> {
        match self.source.read(&mut [0]).map_err(of_source)? {
            0 => Ok(()),
            _ => Err(CryptError::from(FormatError::Trailing { noun: NOUN }).into()),
        }
    }
}

impl Inner {
    fn unsealed(&self, placed: Placed) -> Result<(ObjectHeader, Vec<u8>), Error> {
        let mut frame = vec![0; placed.len as usize];
        {
            let mut source = lock(&self.source);
            source.seek(SeekFrom::Start(placed.offset)).map_err(of_source)?;
            source.read_exact(&mut frame).map_err(of_source)?;
        }
        Ok(self.keys.unseal(&frame, &mut Opener::new())?)
    }
}

/// The bytes of one version of a capsule.
struct PieceReader {
    inner: Arc<Inner>,
    pieces: Vec<(u64, Placed)>,
    len: u64,
    position: u64,
    held: (u64, Vec<u8>),
}

impl PieceReader {
    fn rest(&self) -> Option<&[u8]> {
        let skip = usize::try_from(self.position.checked_sub(self.held.0)?).ok()?;
        self.held.1.get(skip..).filter(|rest| !rest.is_empty())
    }
}

impl Read for PieceReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.len || out.is_empty() {
            return Ok(0);
        }
        if self.rest().is_none() {
            let at = self.pieces.partition_point(|(start, _)| *start <= self.position);
            let piece = at.checked_sub(1).and_then(|at| self.pieces.get(at)).copied();
            let (start, placed) = piece.ok_or_else(|| io::Error::other(damaged()))?;
            let (_, bytes) = self.inner.unsealed(placed).map_err(io::Error::other)?;
            self.held = (start, bytes);
        }
        let rest = self.rest().ok_or_else(|| io::Error::other(damaged()))?;
        let len = rest.len().min(out.len());
        let (out, rest) = (out.split_at_mut(len).0, rest.split_at(len).0);
        out.copy_from_slice(rest);
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for PieceReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(to, self.position, self.len)?;
        Ok(self.position)
    }
}

impl ContentReader for PieceReader {
    fn len(&self) -> u64 {
        self.len
    }
}

impl Session for Capsule {
    fn content(&self, hash: &VertexHash) -> Result<Box<dyn ContentReader>, Error> {
        let stored = self.stored(hash)?;
        let vertex = self.vertex(hash)?;
        let inner = Arc::clone(&self.inner);
        if let Content::Inline(bytes) = vertex.content {
            let (len, held) = (bytes.len() as u64, (0, bytes));
            return Ok(Box::new(PieceReader { inner, pieces: Vec::new(), len, position: 0, held }));
        }
        if vertex.content.len() != stored.len {
            return Err(damaged());
        }
        let (pieces, len, held) = (stored.pieces.clone(), stored.len, (0, Vec::new()));
        Ok(Box::new(PieceReader { inner, pieces, len, position: 0, held }))
    }

    fn vertex(&self, hash: &VertexHash) -> Result<Vertex, Error> {
        let (header, plain) = self.inner.unsealed(self.stored(hash)?.frame)?;
        if header.obj != ObjectId::from(*hash) {
            return Err(damaged());
        }
        Vertex::decode(&plain).map_err(|error| CryptError::from(error).into())
    }

    fn resolve(&self, prefix: &str) -> Result<VertexHash, Error> {
        let unknown = || Error::HashUnknown { hash: prefix.to_owned() };
        let mut found =
            self.inner.versions.keys().filter(|hash| hash.to_string().starts_with(prefix));
        found.next().copied().ok_or_else(unknown)
    }

    fn put(
        &self,
        _: &PutRequest,
        _: &mut (dyn Read + Send),
        _: &dyn Progress,
    ) -> Result<Put, Error> {
        Err(read_only())
    }

    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }

    fn heads(&self, name: &Name, _: At) -> Result<Vec<Head>, Error> {
        Err(Error::NameUnknown { name: name.clone() })
    }

    fn names(&self, _: &NamesQuery) -> Result<Vec<NameEntry>, Error> {
        Ok(Vec::new())
    }

    fn history(&self, name: &Name) -> Result<Vec<Version>, Error> {
        Err(Error::NameUnknown { name: name.clone() })
    }

    fn children(&self, _: &VertexHash) -> Result<Vec<VertexHash>, Error> {
        Ok(Vec::new())
    }

    fn merge(&self, _: &Name, _: &VertexHash, _: &PutRequest) -> Result<Put, Error> {
        Err(read_only())
    }

    fn delete(&self, _: &Name, _: &PutRequest) -> Result<Put, Error> {
        Err(read_only())
    }

    fn changes(&self, _: &str, _: Option<&Cursor>, _: usize) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }

    fn group(&self, _: &str) -> Result<GroupId, Error> {
        Err(read_only())
    }

    fn cached(&self, _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }

    fn remember(&self, _: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Error> {
        Ok(())
    }

    fn is_usable(&self, _: &VertexHash, _: GroupId) -> Result<bool, Error> {
        Ok(false)
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }

    fn stats(&self) -> Result<Stats, Error> {
        Err(read_only())
    }

    fn check(&self, _: &CheckRequest, _: &dyn Progress) -> Result<CheckReport, Error> {
        Err(read_only())
    }
}

fn read_only() -> Error {
    Error::NotAllowed { what: "do this", scope: NOUN.to_owned() }
}

fn damaged() -> Error {
    CryptError::from(FormatError::Invalid { noun: NOUN }).into()
}

/// A file that ends early is damaged; anything else the system could not do.
fn of_source(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            CryptError::from(FormatError::Truncated { noun: NOUN }).into()
        }
        _ => Error::Content(error),
    }
}

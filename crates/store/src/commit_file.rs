//! The commits of one chain on disk: one file, appended to, read from either end.
//!
//! ```text
//! [len u32][durable u64][signed commit][check 16][len u32]
//! ```

use std::sync::Arc;

use crypt::{COMMIT_LEN_MAX, SIGNATURE_LEN, SignedCommit};
use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{ChainId, FormatError};

use crate::disk::{Access, Caching, Disk, DiskFile};
use crate::error::StoreError;
use crate::folder::is_not_found;

const NOUN: &str = "commit frame";
const HEAD_LEN: usize = 12;
const CHECK_LEN: usize = 16;
/// Bytes of a frame around its commit.
pub(crate) const OVERHEAD: usize = HEAD_LEN + CHECK_LEN + 4;
/// Bytes read at a time when a file is searched.
const WINDOW_LEN: usize = 1024 * 1024;

pub(crate) fn commit_path(chain: ChainId) -> String {
    format!("records/commits-{chain}")
}

/// A commit as it lies in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitFrame {
    pub(crate) signed: SignedCommit,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Every byte of the file before this was durable when the frame was written.
    pub(crate) durable: u64,
}

pub(crate) fn encode_frame(signed: &SignedCommit, durable: u64) -> Vec<u8> {
    let commit = signed.encode();
    let len = u32::try_from(commit.len()).expect("a commit is below 1 MiB");
    let mut out = Writer::new();
    out.u32(len).u64(durable).raw(&commit);
    let check = check(out.as_slice());
    out.raw(&check).u32(len);
    out.finish()
}

/// The commit and what was durable before it.
pub(crate) fn decode_frame(bytes: &[u8]) -> Result<(SignedCommit, u64), FormatError> {
    let mut reader = Reader::new(NOUN, bytes);
    let len = reader.u32()?;
    let durable = reader.u64()?;
    let commit = reader.raw(commit_len(len).ok_or_else(|| reader.invalid())?)?;
    let given: [u8; CHECK_LEN] = reader.array()?;
    let covered = bytes.get(..HEAD_LEN + commit.len()).unwrap_or_default();
    if check(covered) != given || reader.u32()? != len {
        return Err(reader.invalid());
    }
    reader.end()?;
    Ok((SignedCommit::decode(commit)?, durable))
}

fn check(bytes: &[u8]) -> [u8; CHECK_LEN] {
    let sum = hash("commit-check", &[bytes]);
    *sum.first_chunk().expect("32 bytes hold 16")
}

fn commit_len(len: u32) -> Option<usize> {
    let len = usize::try_from(len).ok()?;
    (SIGNATURE_LEN..=COMMIT_LEN_MAX).contains(&len).then_some(len)
}

/// What a file holds up to where it is whole, and behind.
pub(crate) struct Ending {
    /// Where the whole frames end.
    pub(crate) end: u64,
    /// Bytes that were durable and are not whole.
    pub(crate) lost: u64,
}

/// One chain's file, open for reading.
pub(crate) struct CommitFile {
    pub(crate) path: String,
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl CommitFile {
    /// `None` when the chain has none.
    pub(crate) fn open(disk: &dyn Disk, chain: ChainId) -> Result<Option<Self>, StoreError> {
        let path = commit_path(chain);
        match disk.open(&path, Access::Read, Caching::Buffered) {
            Ok(file) => Ok(Some(Self { len: file.len()?, path, file })),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The frame that begins at `start`; `None` when there is no whole one.
    pub(crate) fn at(&self, start: u64) -> Result<Option<CommitFrame>, StoreError> {
        let Some(head) = self.read::<4>(start)? else { return Ok(None) };
        self.framed(start, u32::from_le_bytes(head))
    }

    /// The frame that ends at `end`; `None` when there is no whole one.
    pub(crate) fn before(&self, end: u64) -> Result<Option<CommitFrame>, StoreError> {
        let Some(foot_at) = end.checked_sub(4) else { return Ok(None) };
        let Some(foot) = self.read::<4>(foot_at)? else { return Ok(None) };
        let len = u32::from_le_bytes(foot);
        match end.checked_sub(u64::from(len) + OVERHEAD as u64) {
            Some(start) => self.framed(start, len),
            None => Ok(None),
        }
    }

    /// The last whole frame; a torn tail is passed over, and so is what is damaged there.
    pub(crate) fn last(&self) -> Result<Option<CommitFrame>, StoreError> {
        match self.before(self.len)? {
            Some(last) => Ok(Some(last)),
            None => self.before(self.ending()?.end),
        }
    }

    /// Whether there are whole frames from `start` to `end`.
    pub(crate) fn is_whole(&self, start: u64, end: u64) -> Result<bool, StoreError> {
        let mut at = start;
        while at < end {
            let Some(frame) = self.at(at)? else { return Ok(false) };
            at = frame.end;
        }
        Ok(at == end)
    }

    /// Where the whole frames end, and whether that is a torn tail.
    pub(crate) fn ending(&self) -> Result<Ending, StoreError> {
        let mut end = 0;
        while let Some(frame) = self.at(end)? {
            end = frame.end;
        }
        let mut durable = end;
        let mut behind = self.search(end)?;
        while let Some(frame) = behind {
            durable = durable.max(frame.durable);
            behind = match self.at(frame.end)? {
                Some(next) => Some(next),
                None => self.search(frame.end)?,
            };
        }
        Ok(Ending { end, lost: durable - end })
    }

    /// The first whole frame that begins at `from` or behind.
    pub(crate) fn search(&self, from: u64) -> Result<Option<CommitFrame>, StoreError> {
        let mut window = vec![0; WINDOW_LEN];
        let mut at = from;
        while at < self.len {
            let read = self.file.read_at(at, &mut window)?;
            if read == 0 {
                return Ok(None);
            }
            let found = window.get(..read).unwrap_or_default().windows(HEAD_LEN + 1);
            for (step, head) in (0u64..).zip(found) {
                let Some(len) = head.first_chunk().map(|len| u32::from_le_bytes(*len)) else {
                    continue;
                };
                let is_likely = head.last() == Some(&crypt::SUITE) && commit_len(len).is_some();
                if is_likely && let Some(frame) = self.framed(at + step, len)? {
                    return Ok(Some(frame));
                }
            }
            let step = read.saturating_sub(HEAD_LEN).max(1);
            at += step as u64;
        }
        Ok(None)
    }

    /// Bytes of the file.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    fn framed(&self, start: u64, len: u32) -> Result<Option<CommitFrame>, StoreError> {
        let Some(len) = commit_len(len) else { return Ok(None) };
        let end = start.saturating_add((len + OVERHEAD) as u64);
        if end > self.len {
            return Ok(None);
        }
        // Four bytes tell most of what is no frame.
        let foot = self.read::<4>(end - 4)?.map(u32::from_le_bytes).and_then(commit_len);
        let mut bytes = vec![0; len + OVERHEAD];
        if foot != Some(len) || self.file.read_at(start, &mut bytes)? != bytes.len() {
            return Ok(None);
        }
        let frame = decode_frame(&bytes).ok();
        Ok(frame.map(|(signed, durable)| CommitFrame { signed, start, end, durable }))
    }

    fn read<const N: usize>(&self, offset: u64) -> Result<Option<[u8; N]>, StoreError> {
        let mut out = [0; N];
        Ok((self.file.read_at(offset, &mut out)? == N).then_some(out))
    }
}

#[cfg(test)]
mod tests {
    use crypt::{Commit, Identity, Release, Root};
    use model::{BlockRoot, EpochId, Incarnation, ScopeId};

    use super::*;

    fn commit() -> Commit {
        Commit {
            scope: ScopeId::new([1; 32]),
            writer: writer().user_id(),
            incarnation: Incarnation::new([2; 16]),
            seq: 1,
            prev: [0; 32],
            membership_head: Vec::new(),
            epoch: EpochId::new([3; 32]),
            seen: Vec::new(),
            block: None,
            carries: Vec::new(),
            releases: Vec::new(),
        }
    }

    fn writer() -> Identity {
        Identity::from_root(Root::from_bytes([4; 32])).unwrap()
    }

    fn framed(commit: &[u8]) -> Vec<u8> {
        let len = u32::try_from(commit.len()).unwrap().to_le_bytes();
        let covered = [len.as_slice(), &[0; 8], commit].concat();
        [covered.as_slice(), &check(&covered), &len].concat()
    }

    #[test]
    fn a_frame_refuses_every_cut_and_every_flipped_bit() {
        let signed = commit().sign(&writer()).unwrap();
        let bytes = encode_frame(&signed, 77);
        assert_eq!(bytes.len(), signed.encode().len() + OVERHEAD);
        assert_eq!(decode_frame(&bytes), Ok((signed, 77)));
        for len in 0..bytes.len() {
            assert!(decode_frame(&bytes[..len]).is_err(), "{len}");
        }
        assert!(decode_frame(&[bytes.as_slice(), &[0]].concat()).is_err());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(decode_frame(&flipped).is_err(), "{at}");
        }
    }

    #[test]
    fn lengths_of_a_frame_have_limits() {
        assert_eq!(commit_len(u32::try_from(SIGNATURE_LEN).unwrap() - 1), None);
        assert_eq!(commit_len(u32::try_from(COMMIT_LEN_MAX).unwrap()), Some(COMMIT_LEN_MAX));
        assert_eq!(commit_len(u32::try_from(COMMIT_LEN_MAX).unwrap() + 1), None);
        let invalid = Err(FormatError::Invalid { noun: NOUN });
        assert_eq!(decode_frame(&framed(&vec![0; COMMIT_LEN_MAX + 1])), invalid);
        assert_eq!(decode_frame(&framed(&vec![0; SIGNATURE_LEN - 1])), invalid);
        let release = |byte| Release { root: BlockRoot::new([byte; 32]), replaced_by: Vec::new() };
        let long = Commit { releases: (0..=255).map(release).collect(), ..commit() };
        let long = long.sign(&writer()).unwrap();
        assert_eq!(decode_frame(&framed(&long.encode())), Ok((long, 0)));
    }
}

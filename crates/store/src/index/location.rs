use crypt::ObjectKind;
use model::codec::{Reader, Writer};
use model::limit::BLOCK_LEN_MAX;
use model::{BlockNumber, FormatError};

use crate::block::{IndexEntry, Place, small};

/// Where an object lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The block.
    pub block: BlockNumber,
    /// The frame in it.
    pub place: Place,
    /// Ordinal in the bundle; `None` when the frame is the object.
    pub item: Option<u16>,
    /// What the object is.
    pub kind: ObjectKind,
}

impl Location {
    pub(crate) fn new(block: BlockNumber, entry: &IndexEntry) -> Self {
        Self { block, place: entry.place, item: entry.item, kind: entry.kind }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::over(Vec::with_capacity(20));
        out.u8(self.kind as u8).var(self.block.0).var(self.place.offset.into());
        out.var(self.place.len.into()).var(self.place.gap.into());
        out.var(self.item.map_or(0, |item| u64::from(item) + 1));
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new("location", bytes);
        let kind = ObjectKind::try_from(reader.u8()?)?;
        let block = BlockNumber(reader.var()?);
        let mut bounded = || reader.count(BLOCK_LEN_MAX).map(small);
        let place = Place { offset: bounded()?, len: bounded()?, gap: bounded()? };
        let item = reader.count(usize::from(u16::MAX))?;
        let item = item.checked_sub(1).and_then(|item| u16::try_from(item).ok());
        reader.end()?;
        Ok(Self { block, place, item, kind })
    }

    /// Orders what became known in log order; the change feed's cursor.
    pub(crate) fn position(&self) -> [u8; 14] {
        let mut out = [0; 14];
        let item = self.item.map_or(0, |item| item.saturating_add(1));
        let fields = [
            &self.block.0.to_be_bytes()[..],
            &self.place.offset.to_be_bytes(),
            &item.to_be_bytes(),
        ];
        out.iter_mut().zip(fields.concat()).for_each(|(to, from)| *to = from);
        out
    }
}

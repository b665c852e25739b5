//! File content of a simulated disk: pages shared between all images until they are written to.

use std::sync::Arc;

/// Bytes of one page.
const PAGE_LEN: usize = 16 * 1024;
/// Longest simulated file in bytes; a longer one is refused with `EFBIG`.
pub const SIM_FILE_LEN_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Bytes of a file. Bytes past the length are zero in the last page.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    len: usize,
    /// `None` reads as zeros; so do pages past the end of the list.
    pages: Vec<Option<Page>>,
}

/// [`PAGE_LEN`] bytes of `buf` from `start`: a page of its own or a part of what was written.
#[derive(Debug, Clone)]
struct Page {
    buf: Arc<[u8]>,
    start: usize,
}

impl Page {
    fn zeros() -> Self {
        Self { buf: Arc::from([0; PAGE_LEN]), start: 0 }
    }

    fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..).and_then(|rest| rest.get(..PAGE_LEN)).unwrap_or_default()
    }

    /// The bytes, copied first when anything else holds them.
    fn bytes_mut(&mut self) -> &mut [u8] {
        if self.buf.len() != PAGE_LEN || Arc::get_mut(&mut self.buf).is_none() {
            *self = Self { buf: Arc::from(self.bytes()), start: 0 };
        }
        Arc::get_mut(&mut self.buf).unwrap_or_default()
    }
}

/// What a byte range touches of one page.
struct Span {
    page: usize,
    /// First byte within the page.
    start: usize,
    /// First byte within the range.
    done: usize,
    len: usize,
}

fn spans(offset: usize, len: usize) -> impl Iterator<Item = Span> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done;
        let start = at % PAGE_LEN;
        let span =
            Span { page: at / PAGE_LEN, start, done, len: (PAGE_LEN - start).min(len - done) };
        done += span.len;
        (span.len > 0).then_some(span)
    })
}

impl Content {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Fills `out` from `offset` as far as the file goes; returns the bytes read.
    pub(super) fn read(&self, offset: usize, out: &mut [u8]) -> usize {
        let len = self.len.saturating_sub(offset).min(out.len());
        for span in spans(offset, len) {
            let Some(out) = out.get_mut(span.done..span.done + span.len) else { continue };
            let page = self.pages.get(span.page).and_then(Option::as_ref);
            match page.and_then(|page| page.bytes().get(span.start..span.start + span.len)) {
                Some(bytes) => out.copy_from_slice(bytes),
                None => out.fill(0),
            }
        }
        len
    }

    /// Writes all of `data`; whole pages share its memory.
    pub(super) fn write_shared(&mut self, offset: usize, data: &Arc<[u8]>) {
        for span in spans(offset, data.len()) {
            if span.len == PAGE_LEN {
                let page = Page { buf: Arc::clone(data), start: span.done };
                *self.slot(span.page) = Some(page);
            } else {
                self.write_span(&span, data);
            }
        }
        self.len = self.len.max(offset + data.len());
    }

    /// Writes all of `data` by copying.
    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        for span in spans(offset, data.len()) {
            self.write_span(&span, data);
        }
        self.len = self.len.max(offset + data.len());
    }

    fn write_span(&mut self, span: &Span, data: &[u8]) {
        let page = self.slot(span.page).get_or_insert_with(Page::zeros).bytes_mut();
        let place = page.get_mut(span.start..span.start + span.len);
        if let (Some(place), Some(data)) = (place, data.get(span.done..span.done + span.len)) {
            place.copy_from_slice(data);
        }
    }

    fn slot(&mut self, page: usize) -> &mut Option<Page> {
        if self.pages.len() <= page {
            self.pages.resize(page + 1, None);
        }
        self.pages.get_mut(page).expect("the list was made long enough")
    }

    /// Cuts the file or lets it grow by zeros.
    pub(super) fn set_len(&mut self, len: usize) {
        if len < self.len {
            self.pages.truncate(len.div_ceil(PAGE_LEN));
            if let Some(Some(page)) = self.pages.get_mut(len / PAGE_LEN) {
                page.bytes_mut().iter_mut().skip(len % PAGE_LEN).for_each(|byte| *byte = 0);
            }
        }
        self.len = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_random::SimRandom;

    fn all(content: &Content) -> Vec<u8> {
        let mut out = vec![0xAA; content.len() + 3];
        let len = content.read(0, &mut out);
        assert_eq!(&out[len..], [0xAA; 3]);
        out.truncate(len);
        out
    }

    #[test]
    fn agrees_with_a_plain_vector_and_never_changes_a_copy() {
        let mut random = SimRandom::new(5);
        let (mut content, mut plain) = (Content::default(), Vec::new());
        let mut copies: Vec<(Content, Vec<u8>)> = Vec::new();
        for step in 0..600 {
            let offset = random.below(5 * PAGE_LEN);
            let mut data = vec![0; random.below(3 * PAGE_LEN)];
            random.fill(&mut data);
            if random.chance(1) {
                content.set_len(offset);
                plain.resize(offset, 0);
            } else {
                plain.resize(plain.len().max(offset + data.len()), 0);
                plain[offset..offset + data.len()].copy_from_slice(&data);
                if random.chance(4) {
                    content.write(offset, &data);
                } else {
                    content.write_shared(offset, &Arc::from(data));
                }
            }
            assert_eq!(all(&content), plain, "step {step}");
            if random.chance(1) {
                copies.push((content.clone(), plain.clone()));
            }
        }
        assert!(copies.len() > 20);
        for (copy, expected) in copies {
            assert_eq!(all(&copy), expected);
        }
    }
}

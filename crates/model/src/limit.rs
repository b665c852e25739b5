//! Every limit of the formats. A value above its limit is refused before anything is allocated.

/// Cleartext of the smallest chunk that is not the last of its content.
pub const CHUNK_LEN_MIN: usize = 64 * 1024;
/// Cleartext the chunker aims at.
pub const CHUNK_LEN_AVERAGE: usize = 256 * 1024;
/// Cleartext of the largest chunk.
pub const CHUNK_LEN_MAX: usize = 1024 * 1024;
/// Content up to this length lies in the vertex itself.
pub const INLINE_LEN_MAX: usize = 4096;
/// Cleartext of the largest object of any type.
pub const OBJECT_LEN_MAX: usize = 16 * 1024 * 1024;
/// Objects below this length share a bundle.
pub const BUNDLED_LEN_MAX: usize = 4096;
/// Cleartext of a bundle.
pub const BUNDLE_LEN_MAX: usize = 16 * 1024;
/// A packed block, its tail and parity not counted.
pub const BLOCK_LEN_MAX: usize = 16 * 1024 * 1024;
/// Unit of block hashing and of exchange between nodes.
pub const CELL_LEN: usize = 64 * 1024;
/// A batch with its header.
pub const BATCH_LEN_MAX: usize = 1024 * 1024;
/// Bytes of a name.
pub const NAME_LEN_MAX: usize = 4096;
/// Parents of one vertex.
pub const PARENTS_MAX: usize = 1024;
/// Entries of one chunk list; longer content is a tree of lists.
pub const LIST_ENTRIES_MAX: usize = 8192;
/// Levels of a tree of lists: 8192^4 chunks of 64 KiB are 256 EiB.
pub const LIST_DEPTH_MAX: u8 = 4;
/// Encoded metadata of one vertex.
pub const META_LEN_MAX: usize = 256 * 1024;
/// An encoded vertex.
pub const VERTEX_LEN_MAX: usize = 512 * 1024;

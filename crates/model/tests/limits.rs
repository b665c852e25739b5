//! Every limit of the formats holds at the limit and refuses one past it.

use ouroboros_model::limit::{
    CHUNK_LEN_MAX, INLINE_LEN_MAX, LIST_DEPTH_MAX, LIST_ENTRIES_MAX, META_LEN_MAX, NAME_LEN_MAX,
    PARENTS_MAX, VERTEX_LEN_MAX,
};
use ouroboros_model::meta::{
    FIELDS_MAX, HOLES_MAX, MESSAGE_LEN_MAX, TARGET_LEN_MAX, XATTR_NAME_LEN_MAX, XATTR_VALUE_LEN_MAX,
};
use ouroboros_model::{
    ChunkEntry, ChunkHash, Content, EpochId, FormatError, GroupId, Hlc, Hole, List, ListHash, Meta,
    Name, UserId, Vertex, VertexHash,
};

fn vertex(content: Content, meta: Meta) -> Vertex {
    Vertex {
        blind: [0; 16],
        parents: Vec::new(),
        depth: 0,
        name: None,
        hlc: Hlc(0),
        author: UserId::new([0; 32]),
        group: GroupId::NONE,
        closes: GroupId::NONE,
        content,
        meta,
    }
}

fn decoded(vertex: &Vertex) -> Result<(), FormatError> {
    let back = Vertex::decode(&vertex.encode())?;
    assert!(back == *vertex);
    Ok(())
}

/// Calls `check` at the limit and one past it.
#[track_caller]
fn holds(limit: usize, check: impl Fn(usize) -> Result<(), FormatError>) {
    assert_eq!(check(limit), Ok(()));
    match check(limit + 1) {
        Err(FormatError::TooLong { value, limit: named, .. }) => {
            assert_eq!((value, named), (limit as u64 + 1, limit as u64));
        }
        other => panic!("{other:?}"),
    }
}

fn entries(count: usize) -> Vec<ChunkEntry> {
    vec![ChunkEntry { hash: ChunkHash::new([1; 32]), len: 1 }; count]
}

#[test]
fn limits_of_a_vertex() {
    let generation = EpochId::new([2; 32]);
    holds(INLINE_LEN_MAX, |len| decoded(&vertex(Content::Inline(vec![7; len]), Meta::default())));
    holds(LIST_ENTRIES_MAX, |count| {
        let content = Content::Chunks { generation, entries: entries(count) };
        decoded(&vertex(content, Meta::default()))
    });
    holds(PARENTS_MAX, |count| {
        let id = |n: usize| {
            let mut id = [0; 32];
            id.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
            VertexHash::new(id)
        };
        let parents = (0..count).map(id).collect();
        decoded(&Vertex { parents, depth: 1, ..vertex(Content::EMPTY, Meta::default()) })
    });
    holds(NAME_LEN_MAX, |len| Name::new("n".repeat(len)).map(|_| ()));
    holds(VERTEX_LEN_MAX, |len| match Vertex::decode(&vec![1; len]) {
        Err(error @ FormatError::TooLong { noun: "vertex", value, .. }) if value == len as u64 => {
            Err(error)
        }
        _ => Ok(()),
    });
}

#[test]
fn a_chunk_has_at_most_its_greatest_length() {
    let list = |len: usize| {
        let len = u32::try_from(len).unwrap();
        List::decode(
            &List::Chunks(vec![ChunkEntry { hash: ChunkHash::new([1; 32]), len }]).encode(),
        )
    };
    assert!(list(CHUNK_LEN_MAX).is_ok() && list(1).is_ok());
    assert_eq!(list(CHUNK_LEN_MAX + 1), Err(FormatError::Invalid { noun: "list" }));
}

#[test]
fn limits_of_a_list() {
    let decoded = |list: List| List::decode(&list.encode()).map(|back| assert!(back == list));
    holds(LIST_ENTRIES_MAX, |count| decoded(List::Chunks(entries(count))));
    let lists =
        |level, count| List::Lists { level, entries: vec![(ListHash::new([1; 32]), 9); count] };
    holds(LIST_ENTRIES_MAX, |count| decoded(lists(1, count)));
    assert_eq!(decoded(lists(LIST_DEPTH_MAX, 1)), Ok(()));
    assert!(decoded(lists(LIST_DEPTH_MAX + 1, 1)).is_err());
}

#[test]
fn limits_of_metadata() {
    let decoded = |meta| decoded(&vertex(Content::EMPTY, meta));
    let none = Meta::default;
    let text = |len| Some("m".repeat(len));
    holds(MESSAGE_LEN_MAX, |len| decoded(Meta { message: text(len), ..none() }));
    holds(XATTR_NAME_LEN_MAX, |len| decoded(Meta { media_type: text(len), ..none() }));
    holds(TARGET_LEN_MAX, |len| decoded(Meta { target: Some(vec![1; len]), ..none() }));
    holds(HOLES_MAX, |count| {
        let hole = |n| Hole { offset: 2 * n, len: 1 };
        decoded(Meta { holes: (0..count as u64).map(hole).collect(), ..none() })
    });
    let xattr = |name, value| Meta { xattrs: [(vec![1; name], vec![2; value])].into(), ..none() };
    holds(XATTR_NAME_LEN_MAX, |len| decoded(xattr(len, 1)));
    holds(XATTR_VALUE_LEN_MAX, |len| decoded(xattr(1, len)));
    let field =
        |name, value| Meta { fields: [("f".repeat(name), vec![2; value])].into(), ..none() };
    holds(XATTR_NAME_LEN_MAX, |len| decoded(field(len, 1)));
    holds(XATTR_VALUE_LEN_MAX, |len| decoded(field(1, len)));
    let key = |n: usize| n.to_be_bytes().to_vec();
    holds(FIELDS_MAX, |count| {
        decoded(Meta { xattrs: (0..count).map(|n| (key(n), vec![])).collect(), ..none() })
    });
    holds(FIELDS_MAX, |count| {
        decoded(Meta { fields: (0..count).map(|n| (n.to_string(), vec![])).collect(), ..none() })
    });
}

#[test]
fn metadata_has_at_most_its_greatest_length() {
    let long = |last: usize| {
        let xattrs = (0..4u8).map(|n| (vec![n], vec![0; if n == 3 { last } else { 65_536 }]));
        Meta { xattrs: xattrs.collect(), ..Meta::default() }
    };
    let last = 65_536 - (long(65_536).encoded_len() - META_LEN_MAX);
    holds(META_LEN_MAX, |len| {
        let meta = long(last + len - META_LEN_MAX);
        assert_eq!(meta.encoded_len(), len);
        decoded(&vertex(Content::EMPTY, meta))
    });
}

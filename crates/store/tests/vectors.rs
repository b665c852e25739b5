//! The golden store of format 1 (`testdata/store-1`) and the worked example of `docs/format.md`
//! (`testdata/example.block`): every later version opens the one and writes the other alike.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crypt::{
    Compression, CompressionPolicy, EpochKeys, EpochSecret, ObjectKind, Opener, Sealer,
    SeededRandom, StoreKeys,
};
use model::hash::{HashKey, hash};
use model::{
    ChunkEntry, Content, EpochId, GroupId, Hlc, Kind, List, Meta, Name, ObjectId, ScopeId, UserId,
    Vertex, VertexHash,
};
use ouroboros_store as store;
use store::disk::{Access, Caching, Disk};
use store::folder_disk::FolderDisk;
use store::sim_disk::SimDisk;
use store::{BundleMember, GroupState, SealedObject, Store, StoreError, StoreOptions, Writer};

const GOLDEN: &str = "store-1";
const EXAMPLE: &str = "example.block";
const FOLDERS: [&str; 6] = ["open", "blocks", "slices", "records", "index", "tmp"];
const AUTHOR: UserId = UserId::new([0x0a; 32]);
const GROUP: GroupId = GroupId::new([0x67; 16]);

fn epoch() -> Arc<EpochKeys> {
    let id = EpochId::new([0x0e; 32]);
    let secret = EpochSecret::from_bytes([0x5e; 32]);
    Arc::new(EpochKeys::new(ScopeId::new([0x5c; 32]), id, id, &secret))
}

fn open(disk: &Arc<dyn Disk>, seed: u64) -> Result<Store, StoreError> {
    let keys = StoreKeys { epochs: vec![epoch()], local: HashKey::new([0x10; 32]) };
    let writer = Writer { user: AUTHOR, keys: epoch(), signing: None };
    let options = StoreOptions { background: false, ..StoreOptions::default() };
    Store::open(Arc::clone(disk), keys, writer, options, Arc::new(SeededRandom::new(seed)))
}

fn created(seed: u64) -> Arc<dyn Disk> {
    let disk = SimDisk::new(1);
    Store::create(&disk, &SeededRandom::new(seed)).unwrap();
    Arc::new(disk)
}

/// Sealed without compression: what Zstandard makes may change with its version.
fn sealed(store: &Store, kind: ObjectKind, id: Option<ObjectId>, plain: &[u8]) -> SealedObject {
    let context = store.seal_context().unwrap();
    let id = id.unwrap_or_else(|| context.bundle_id());
    let (mut frame, mut sealer) = (Vec::new(), Sealer::new(CompressionPolicy::Off));
    let header = epoch().seal(kind, id, plain, &mut sealer, &context.nonce, &mut frame);
    SealedObject { header, frame, members: Vec::new(), vertices: Vec::new() }
}

fn sealed_vertex(store: &Store, vertex: &Vertex) -> SealedObject {
    let id = vertex.hash();
    let object = sealed(store, ObjectKind::Vertex, Some(id.into()), &vertex.encode());
    SealedObject { vertices: vec![(id, vertex.clone())], ..object }
}

fn bundled(store: &Store, vertices: &[Vertex]) -> SealedObject {
    let mut plain = Vec::new();
    let mut members = Vec::new();
    for vertex in vertices {
        let bytes = vertex.encode();
        store::bundle::encode_item(&mut plain, ObjectKind::Vertex, &bytes);
        let len = u32::try_from(bytes.len()).unwrap();
        members.push(BundleMember { id: vertex.hash().into(), kind: ObjectKind::Vertex, len });
    }
    let object = sealed(store, ObjectKind::Bundle, None, &plain);
    let vertices = vertices.iter().map(|vertex| (vertex.hash(), vertex.clone())).collect();
    SealedObject { members, vertices, ..object }
}

fn vertex(name: &str, content: Content) -> Vertex {
    let vertex = Vertex {
        blind: [0; 16],
        parents: Vec::new(),
        depth: 0,
        name: Some(Name::new(name).unwrap()),
        hlc: Hlc(1_000_000_007),
        author: AUTHOR,
        group: GroupId::NONE,
        closes: GroupId::NONE,
        content,
        meta: Meta::default(),
    };
    vertex.blinded(|bytes| epoch().blind(bytes))
}

fn child(of: &Vertex, content: Content, meta: Meta) -> Vertex {
    let depth = of.depth + 1;
    let child = Vertex { parents: vec![of.hash()], depth, content, meta, ..of.clone() };
    child.blinded(|bytes| epoch().blind(bytes))
}

/// What the golden store holds.
struct Golden {
    /// 5,000 bytes that do not compress.
    noise: Vec<u8>,
    /// 20,000 bytes that do.
    text: Vec<u8>,
    list: List,
    /// Content of two chunks, then a second version with its content inside.
    file: Vertex,
    file_again: Vertex,
    /// Content under a list.
    listed: Vertex,
    /// In one bundle: a version, one that waits in a group, one that closes it.
    bundle: [Vertex; 3],
    /// Deletes `listed`.
    tombstone: Vertex,
}

impl Golden {
    fn new() -> Self {
        let mut noise = vec![0; 5000];
        HashKey::new([0x42; 32]).expand(&[b"noise"], &mut noise);
        let text = b"what was put comes back, ".repeat(800);
        let entry = |bytes: &[u8]| ChunkEntry {
            hash: epoch().chunk_hash(bytes),
            len: u32::try_from(bytes.len()).unwrap(),
        };
        let generation = epoch().generation();
        let entries = vec![entry(&noise), entry(&text)];
        let list = List::Chunks(entries.clone());
        let root = epoch().list_hash(&list.encode());
        let file = vertex("golden/file", Content::Chunks { generation, entries });
        let inside = Content::Inline(b"second".to_vec());
        let listed = vertex("golden/listed", Content::Lists { generation, root, len: 25_000 });
        let small = |name| vertex(name, Content::Inline(name.as_bytes().to_vec()));
        let waits = Vertex { group: GROUP, ..small("golden/waits") };
        let closes = Vertex { closes: GROUP, ..small("golden/closes") };
        let tombstone = Meta { kind: Kind::Tombstone, ..Meta::default() };
        Self {
            file_again: child(&file, inside, Meta::default()),
            tombstone: child(&listed, Content::EMPTY, tombstone),
            bundle: [small("golden/bundled"), waits, closes],
            noise,
            text,
            list,
            file,
            listed,
        }
    }

    /// Everything stored: id and cleartext.
    fn objects(&self) -> Vec<(ObjectId, Vec<u8>)> {
        let vertices = [&self.file, &self.file_again, &self.listed, &self.tombstone];
        let vertices = vertices.into_iter().chain(&self.bundle);
        let mut all: Vec<(ObjectId, _)> =
            vertices.map(|vertex| (vertex.hash().into(), vertex.encode())).collect();
        let list = self.list.encode();
        all.push((epoch().list_hash(&list).into(), list));
        all.push((epoch().chunk_hash(&self.noise).into(), self.noise.clone()));
        all.push((epoch().chunk_hash(&self.text).into(), self.text.clone()));
        all
    }

    /// Puts all of it into a fresh store: a packed block, a checkpoint, an open block, a clean mark.
    fn put(&self, text: impl FnOnce(&Store) -> SealedObject) -> Arc<dyn Disk> {
        let disk = created(1);
        let store = open(&disk, 2).unwrap();
        let id = epoch().chunk_hash(&self.noise).into();
        let chunk = sealed(&store, ObjectKind::Chunk, Some(id), &self.noise);
        let list = self.list.encode();
        let id = epoch().list_hash(&list).into();
        let list = sealed(&store, ObjectKind::List, Some(id), &list);
        let text = text(&store);
        store.append(vec![chunk, text, sealed_vertex(&store, &self.file)]).unwrap();
        store.sync(store.position()).unwrap();
        let listed = sealed_vertex(&store, &self.listed);
        store.append(vec![list, listed, bundled(&store, &self.bundle)]).unwrap();
        store.flush().unwrap();
        for vertex in [&self.file_again, &self.tombstone] {
            let position = store.append(vec![sealed_vertex(&store, vertex)]).unwrap();
            store.sync(position).unwrap();
        }
        store.close().unwrap();
        disk
    }

    /// Every byte and every relation is there.
    fn check(&self, store: &Store) {
        assert_eq!(store.damage(), []);
        for (id, plain) in self.objects() {
            assert_eq!(read(store, &id), plain, "{id}");
        }
        let heads = |name: &str| -> Vec<(VertexHash, bool)> {
            let heads = store.heads(&Name::new(name).unwrap()).unwrap();
            heads.iter().map(|head| (head.hash, head.is_tombstone)).collect()
        };
        assert_eq!(heads("golden/file"), [(self.file_again.hash(), false)]);
        assert_eq!(heads("golden/listed"), [(self.tombstone.hash(), true)]);
        assert_eq!(heads("golden/waits"), [(self.bundle[1].hash(), false)]);
        assert_eq!(store.children(&self.file.hash()).unwrap(), [self.file_again.hash()]);
        assert_eq!(store.group_state(&GROUP).unwrap(), GroupState::Closed);
        assert_eq!(store.names("golden/", None, 10).unwrap().len(), 5);
        let report = store.check(true, &mut |_, _| true).unwrap();
        assert_eq!((report.damage, report.affected), (vec![], vec![]));
    }
}

fn read(store: &Store, id: &ObjectId) -> Vec<u8> {
    let location = store.locate(id).unwrap().unwrap();
    let frame = store.read(&location).unwrap();
    let (_, plain) = epoch().unseal(&frame, &mut Opener::new()).unwrap();
    match location.item {
        None => plain,
        Some(item) => store::bundle::items(&plain).unwrap()[usize::from(item)].1.to_vec(),
    }
}

fn compressed(store: &Store, plain: &[u8]) -> SealedObject {
    let nonce = store.seal_context().unwrap().nonce;
    let (mut frame, mut sealer) = (Vec::new(), Sealer::new(CompressionPolicy::Auto));
    let id = epoch().chunk_hash(plain).into();
    let header = epoch().seal(ObjectKind::Chunk, id, plain, &mut sealer, &nonce, &mut frame);
    assert_eq!(header.compression, Compression::Zstd);
    SealedObject { header, frame, members: Vec::new(), vertices: Vec::new() }
}

fn testdata(create: bool, dir: &str) -> FolderDisk {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(dir);
    FolderDisk::open(&path, create).unwrap()
}

fn read_whole(disk: &dyn Disk, path: &str) -> Vec<u8> {
    let file = disk.open(path, Access::Read, Caching::Buffered).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn write_whole(disk: &dyn Disk, path: &str, bytes: &[u8]) {
    let file = disk.open(path, Access::Create, Caching::Buffered).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
}

fn files(disk: &dyn Disk) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(dir.trim_end_matches('/')).unwrap_or_default() {
            let path = format!("{dir}{}", entry.name);
            if entry.is_dir {
                dirs.push(format!("{path}/"));
            } else {
                files.insert(path.clone(), read_whole(disk, &path));
            }
        }
    }
    files
}

fn write_all(disk: &dyn Disk, files: &BTreeMap<String, Vec<u8>>) {
    for (path, bytes) in files {
        let (dir, _) = path.rsplit_once('/').unwrap_or_default();
        disk.make_dir(dir).unwrap();
        write_whole(disk, path, bytes);
    }
}

/// The committed store on a disk of its own, as `change` leaves it.
fn golden(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> Arc<dyn Disk> {
    let mut files = files(&testdata(false, GOLDEN));
    change(&mut files);
    let disk = SimDisk::new(1);
    FOLDERS.iter().for_each(|dir| disk.make_dir(dir).unwrap());
    write_all(&disk, &files);
    Arc::new(disk)
}

#[test]
fn the_golden_store_gives_back_what_was_put() {
    let golden_content = Golden::new();
    let disk = golden(|files| assert_eq!(files.len(), 10, "{:?}", files.keys()));
    let store = open(&disk, 3).unwrap();
    golden_content.check(&store);
    store.rebuild().unwrap();
    golden_content.check(&store);
}

#[test]
fn the_golden_store_needs_only_its_blocks() {
    let disk = golden(|files| files.retain(|path, _| path.ends_with(".block") || path == "format"));
    let store = open(&disk, 3).unwrap();
    Golden::new().check(&store);
}

#[test]
fn the_golden_store_takes_more() {
    let content = Golden::new();
    let disk = golden(|_| {});
    let next = child(&content.file_again, Content::Inline(b"third".to_vec()), Meta::default());
    let store = open(&disk, 3).unwrap();
    let position = store.append(vec![sealed_vertex(&store, &next)]).unwrap();
    store.sync(position).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    drop(store);
    let store = open(&disk, 4).unwrap();
    assert_eq!(store.damage(), []);
    assert_eq!(read(&store, &next.hash().into()), next.encode());
    let heads = store.heads(&Name::new("golden/file").unwrap()).unwrap();
    assert_eq!(heads.iter().map(|head| head.hash).collect::<Vec<_>>(), [next.hash()]);
    content.objects().iter().for_each(|(id, plain)| assert_eq!(read(&store, id), *plain));
}

/// The compressed frame is taken from the committed store, everything else is made anew.
#[test]
fn the_golden_store_is_what_is_written_today() {
    let content = Golden::new();
    let disk = golden(|_| {});
    let old = open(&disk, 3).unwrap();
    let id = epoch().chunk_hash(&content.text).into();
    let frame = old.read(&old.locate(&id).unwrap().unwrap()).unwrap();
    let header = epoch().frame_header(frame.first_chunk().unwrap()).unwrap();
    assert_eq!(header.compression, Compression::Zstd);
    let object = SealedObject { header, frame, members: Vec::new(), vertices: Vec::new() };
    let disk = content.put(|store| {
        store.seal_context().unwrap();
        object
    });
    let (then, today) = (files(&testdata(false, GOLDEN)), files(&*disk));
    assert_eq!(then.keys().collect::<Vec<_>>(), today.keys().collect::<Vec<_>>());
    for (path, bytes) in then {
        assert!(bytes == today[&path], "{path}");
    }
}

#[test]
fn newer_formats_are_refused_untouched() {
    let of = |files: &mut BTreeMap<String, Vec<u8>>, path: &str, bytes: Vec<u8>| {
        files.insert(path.to_owned(), bytes).unwrap();
    };
    let format_2 = golden(|files| of(files, "format", b"ouroborosdb 2\n".to_vec()));
    let super_2 = golden(|files| {
        let mut page = files["super.1"].clone();
        page[8] = 2;
        let check = hash("superblock", &[&page[..4064]]);
        page[4064..].copy_from_slice(&check);
        of(files, "super.1", page);
    });
    for disk in [format_2, super_2] {
        let before = files(&*disk);
        let refused = open(&disk, 3).err().unwrap();
        assert!(matches!(refused, StoreError::NewerFormat { found: 2, known: 1 }), "{refused}");
        assert_eq!(files(&*disk), before);
    }
    for text in ["ouroborosdb\n", "ouroborosdb 1", "ouroborosdb -1\n", "something 1\n", ""] {
        let disk = golden(|files| of(files, "format", text.as_bytes().to_vec()));
        assert!(matches!(open(&disk, 3), Err(StoreError::Corrupt { .. })), "{text:?}");
    }
}

/// One vertex, one sync.
fn example() -> Vec<u8> {
    let disk = created(1);
    let store = open(&disk, 2).unwrap();
    let vertex = vertex("a", Content::Inline(b"hello".to_vec()));
    let position = store.append(vec![sealed_vertex(&store, &vertex)]).unwrap();
    store.sync(position).unwrap();
    read_whole(&*disk, "open/0000000001.block")
}

#[test]
fn the_worked_example_is_written_and_read() {
    let bytes = read_whole(&testdata(false, "."), EXAMPLE);
    assert!(example() == bytes);
    let disk = created(1);
    write_whole(&*disk, "open/0000000001.block", &bytes);
    let store = open(&disk, 3).unwrap();
    let vertex = vertex("a", Content::Inline(b"hello".to_vec()));
    assert_eq!(read(&store, &vertex.hash().into()), vertex.encode());
    assert_eq!(store.damage(), []);
}

/// The example as `docs/format.md` shows it: offset, hex; lines of zeros left out.
fn dump(bytes: &[u8]) -> String {
    let lines = (0..).step_by(16).zip(bytes.chunks(16));
    let shown = lines.filter(|(_, line)| line.iter().any(|byte| *byte != 0));
    let line = |(at, line): (usize, &[u8])| {
        let hex: String = line.iter().map(|byte| format!(" {byte:02x}")).collect();
        format!("{at:04x} {hex}\n")
    };
    shown.map(line).collect()
}

#[test]
fn the_specification_shows_the_example() {
    let text = include_str!("../../../docs/format.md");
    for line in dump(&read_whole(&testdata(false, "."), EXAMPLE)).lines() {
        assert!(text.contains(line), "{line}");
    }
}

/// Two chunks longer than a batch: frames cut by batch headers. Of the file only a hash is kept.
#[test]
fn a_block_with_cut_frames_is_what_it_was() {
    let disk = created(1);
    let store = open(&disk, 2).unwrap();
    let mut ids = Vec::new();
    for label in ["first", "second"] {
        let mut plain = vec![0; model::limit::CHUNK_LEN_MAX];
        HashKey::new([0x42; 32]).expand(&[label.as_bytes()], &mut plain);
        let id: ObjectId = epoch().chunk_hash(&plain).into();
        store.append(vec![sealed(&store, ObjectKind::Chunk, Some(id), &plain)]).unwrap();
        ids.push((id, plain));
    }
    store.flush().unwrap();
    let place = store.locate(&ids[0].0).unwrap().unwrap().place;
    assert_eq!((place.offset, place.gap), (4096 + 144, 1024 * 1024 - 144));
    ids.iter().for_each(|(id, plain)| assert!(read(&store, id) == *plain));
    let bytes = read_whole(&*disk, "blocks/0000000001.block");
    let digest: String =
        hash("golden", &[&bytes]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, CUT_FRAMES);
}

const CUT_FRAMES: &str = "fad0bab89d2b604f1167c35cf15ae7338c4ee92911bbb3f47a7d10fb1bf6388c";

/// Nothing that a compressor decided is in the bytes compared above.
#[test]
fn the_index_of_the_golden_block_is_not_compressed() {
    let bytes = &files(&testdata(false, GOLDEN))["blocks/0000000001.block"];
    let trailer = bytes.len() - 72 - 16;
    let at = u32::from_le_bytes(bytes[trailer + 8..trailer + 12].try_into().unwrap());
    let at = usize::try_from(at).unwrap();
    let header = epoch().frame_header(bytes[at..].first_chunk().unwrap()).unwrap();
    assert_eq!((header.kind, header.compression), (ObjectKind::Index, Compression::None));
}

/// Writes a new golden store and example: for a new format, never to make the tests above pass.
#[test]
#[ignore = "writes the test data, tests nothing"]
fn write_testdata() {
    let content = Golden::new();
    let disk = content.put(|store| compressed(store, &content.text));
    let folder = testdata(true, GOLDEN);
    FOLDERS.iter().for_each(|dir| folder.make_dir(dir).unwrap());
    write_all(&folder, &files(&*disk));
    let example = example();
    write_whole(&testdata(true, "."), EXAMPLE, &example);
    println!("{}", dump(&example));
}

//! A folder of everything that is hard to store and to bring back. The same every time, access
//! and change times aside.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::random::Random;

const SMALL_FILES: u64 = 20_000;
const SMALL_FILES_PER_FOLDER: u64 = 100;
const SMALL_LEN_MIN: u64 = 1024;
const SMALL_LEN_MAX: u64 = 16 * 1024;
const SPARSE_LEN: u64 = 64 << 20;
/// 1908-02-29T12:00:00Z, within what ext4 keeps.
const BEFORE_1970_SECONDS: i64 = -1_951_473_600;
const AFTER_2001_SECONDS: i64 = 1_000_000_000;
const NAME_LEN: usize = 255;

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let root = arguments.path()?;
    arguments.end()?;
    make(&root, SMALL_FILES).map_err(Failure::at(&root))?;
    println!("{}: {SMALL_FILES} small files and the hard ones", root.display());
    Ok(())
}

/// `root` must not exist, or be empty.
pub(crate) fn make(root: &Path, small_files: u64) -> io::Result<()> {
    fs::create_dir_all(root)?;
    if fs::read_dir(root)?.next().is_some() {
        return Err(io::ErrorKind::DirectoryNotEmpty.into());
    }
    small(&root.join("small"), small_files)?;
    names(&root.join("names"))?;
    links(&root.join("links"))?;
    modes(&root.join("modes"))?;
    sizes(&root.join("sizes"))?;
    fs::create_dir_all(root.join("empty/also empty/and this"))?;
    rustix::fs::mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o644), 0)?;
    set_times(root, &mut 0)?;
    // After everything in them is there.
    for path in ["before 1970", "before 1970/file", "before 1970/link"] {
        set_time(&root.join("times").join(path), BEFORE_1970_SECONDS, 123_456_789)?;
    }
    set_time(&root.join("times"), -1, 999_999_999)?;
    fs::set_permissions(root.join("modes/0000 file"), fs::Permissions::from_mode(0o000))
}

fn small(folder: &Path, count: u64) -> io::Result<()> {
    let mut random = Random::new(0x5ee1);
    let mut group = folder.to_owned();
    for i in 0..count {
        if i % SMALL_FILES_PER_FOLDER == 0 {
            group = folder.join(format!("{:03}", i / SMALL_FILES_PER_FOLDER));
            fs::create_dir_all(&group)?;
        }
        let len = SMALL_LEN_MIN + random.below(SMALL_LEN_MAX - SMALL_LEN_MIN + 1);
        let len = usize::try_from(len).expect("at most 16 KiB");
        fs::write(group.join(format!("{i:05}.bin")), random.bytes(len))?;
    }
    Ok(())
}

fn names(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let longest = "n".repeat(NAME_LEN);
    // 127 letters of 2 bytes and one of 1.
    let longest_umlauts = format!("{}x", "ü".repeat(NAME_LEN / 2));
    let texts = [
        longest.as_str(),
        longest_umlauts.as_str(),
        "Grüße, 世界, мир, 🐍",
        // The same letter composed and decomposed are two names.
        "\u{e9}",
        "e\u{301}",
        "  two spaces at both ends  ",
        "-r",
        "*?[a]{b}\\",
        "#comment",
        "'quotes\"",
        "...",
        ".hidden",
        "CON",
        "a:b",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ];
    for text in texts {
        fs::write(folder.join(text), text)?;
    }
    // Not UTF-8, and control characters: both are names to the kernel.
    fs::write(folder.join(OsStr::from_bytes(b"latin-1 caf\xe9")), "latin-1")?;
    fs::write(folder.join("line\nfeed\x1b[31m"), "control characters")?;
    let mut deep = folder.join("deep");
    (0..40).for_each(|i| deep.push(format!("level {i}")));
    fs::create_dir_all(&deep)?;
    fs::write(deep.join("bottom"), "40 levels down")
}

fn links(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("folder"))?;
    fs::write(folder.join("target"), "what links lead to")?;
    symlink("target", folder.join("relative"))?;
    symlink("no/such/file", folder.join("dangling"))?;
    symlink("/", folder.join("absolute"))?;
    symlink("/no/such/file", folder.join("absolute dangling"))?;
    symlink("itself", folder.join("itself"))?;
    symlink("..", folder.join("folder/up"))?;
    symlink("t".repeat(1000), folder.join("long target"))?;
    symlink(OsStr::from_bytes(b"\xff\xfe"), folder.join("target is not text"))?;
    for name in ["hard a", "hard b", "folder/hard c"] {
        fs::hard_link(folder.join("target"), folder.join(name))?;
    }
    fs::write(folder.join("other"), "what links lead to")?;
    fs::hard_link(folder.join("other"), folder.join("other too"))
}

fn modes(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for mode in [0o400, 0o600, 0o644, 0o755, 0o777, 0o4755, 0o2755, 0o000] {
        let path = folder.join(format!("{mode:04o} file"));
        fs::write(&path, format!("mode {mode:o}"))?;
        // The unreadable one gets its mode at the end, when its time is set.
        let now = if mode == 0 { 0o600 } else { mode };
        fs::set_permissions(&path, fs::Permissions::from_mode(now))?;
    }
    for mode in [0o700, 0o755, 0o1777, 0o2770] {
        let path = folder.join(format!("{mode:04o} folder"));
        fs::create_dir(&path)?;
        fs::write(path.join("inside"), "")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    let times = folder.with_file_name("times").join("before 1970");
    fs::create_dir_all(&times)?;
    fs::write(times.join("file"), "older than the clock")?;
    symlink("file", times.join("link"))
}

/// Sizes around the limits of the format, and a sparse file.
fn sizes(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut random = Random::new(0x512e);
    for len in [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1_048_575, 1_048_577, 5_000_000] {
        fs::write(folder.join(format!("{len:07}")), random.bytes(len))?;
    }
    fs::write(folder.join("zeros"), vec![0; 3_000_000])?;
    let mut sparse = fs::File::create(folder.join("sparse"))?;
    for offset in [1 << 20, 9 << 20, (9 << 20) + 8192, 40 << 20] {
        sparse.seek(SeekFrom::Start(offset))?;
        sparse.write_all(&random.bytes(4096))?;
    }
    sparse.set_len(SPARSE_LEN)?;
    fs::File::create(folder.join("only a hole"))?.set_len(SPARSE_LEN)
}

/// Below `path`, deepest first, in the order of names: each entry a time of its own.
fn set_times(path: &Path, count: &mut i64) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        entries.iter().try_for_each(|entry| set_times(&entry.path(), count))?;
    }
    *count += 1;
    set_time(path, AFTER_2001_SECONDS + *count, (*count * 7919) % 1_000_000_000)
}

fn set_time(path: &Path, seconds: i64, nanos: i64) -> io::Result<()> {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

//! Small files of the user that are not content: passphrases, keys, exclude lists, generated pages.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::Failure;

/// The owner alone reads and writes it.
const MODE_PRIVATE: u32 = 0o600;

/// Bytes of such a file at most.
const LEN_MAX: u64 = 1024 * 1024;

/// The whole file as text.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the home of the program's own small files")]
    let file = std::fs::File::open(path).map_err(|error| Failure::of_path(path, &error))?;
    let mut text = String::new();
    file.take(LEN_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::of_path(path, &error))?;
    if text.len() as u64 > LEN_MAX {
        return Err(Failure::usage(format!("{} is longer than {LEN_MAX} bytes", path.display())));
    }
    Ok(text)
}

/// The whole file, or stdin (`-`), of at most `limit` bytes; it may hold a secret.
pub(crate) fn read_bytes(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    open_stream(path)?
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::of_path(path, &error))?;
    if bytes.len() > limit {
        return Err(Failure::usage(format!("{} is longer than {limit} bytes", path.display())));
    }
    Ok(bytes)
}

/// Makes a file that is not there yet, for its owner alone, and syncs it.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(MODE_PRIVATE);
    #[expect(clippy::disallowed_methods, reason = "the home of the program's own small files")]
    let file = options.open(path);
    let mut file = file.map_err(|error| {
        let failure = Failure::of_path(path, &error);
        if failure.kind == crate::exit::Kind::SourceMissing {
            return Failure::new(failure.kind, format!("{}: no such folder", path.display()));
        }
        failure
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a key would look like a copy of it.
        #[expect(clippy::disallowed_methods, reason = "it was made a moment ago, by us")]
        std::fs::remove_file(path).ok();
        Failure::of_path(path, &error)
    })
}

/// Bytes that come once: stdin (`-`), a FIFO, a device.
pub(crate) fn open_stream(path: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    #[expect(clippy::disallowed_methods, reason = "the home of the program's own small files")]
    let file = std::fs::File::open(path).map_err(|error| Failure::of_path(path, &error))?;
    Ok(Box::new(file))
}

/// A file that is read in any order.
pub(crate) fn open_file(path: &Path) -> Result<std::fs::File, Failure> {
    #[expect(clippy::disallowed_methods, reason = "the home of the program's own small files")]
    std::fs::File::open(path).map_err(|error| Failure::of_path(path, &error))
}

/// Makes the folder, and those above it, unless they are there.
pub(crate) fn make_folder(path: &Path) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "the home of the program's own small files")]
    std::fs::create_dir_all(path).map_err(|error| Failure::of_path(path, &error))
}

//! Small files of the user that are not content: passphrases, exclude lists, generated pages.

use std::io::Read;
use std::path::Path;

use crate::failure::Failure;

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

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::scope::HOME;

/// Bytes the index and caches may take.
const MEMORY_BYTES: usize = 64 * 1024 * 1024;
const WAIT: Duration = Duration::from_secs(10);

/// A passphrase. Zeroized on drop, prints nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// The text, to be stretched.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Passphrase {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Passphrase {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The key file; `None` = `identity.key` in the data folder.
    pub identity: Option<PathBuf>,
    /// The scope to work in: its name, or the beginning of its id, 8 hex digits or more.
    pub scope: String,
    /// Opens the key file, and protects one that is made.
    pub passphrase: Option<Passphrase>,
    /// Makes what is not there yet: folder, key file, scope, store.
    pub create: bool,
    /// Bytes the index and caches may take.
    pub memory_bytes: usize,
    /// How long to wait for another process that has the folder open.
    pub wait: Duration,
    /// Threads that work on one large content; 0 = as many as the machine has cores.
    pub threads: usize,
    /// Packs full blocks on a thread of its own; false = within the calls that fill them.
    pub background: bool,
    /// Opens although acknowledged bytes of the log are lost.
    pub accept_damage: bool,
    /// The folder outside the store in which it is remembered how far its chains of commits were
    /// seen; `None` = nowhere, and an older copy put in the store's place is not noticed.
    pub state: Option<PathBuf>,
    /// Opens although chains of commits end before what was seen of them; what is missing is damage
    /// that [`crate::Database::check`] names.
    pub accept_rollback: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            identity: None,
            scope: HOME.to_owned(),
            passphrase: None,
            create: true,
            memory_bytes: MEMORY_BYTES,
            wait: WAIT,
            threads: 0,
            background: true,
            accept_damage: false,
            state: None,
            accept_rollback: false,
        }
    }
}

impl Options {
    pub(crate) fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}

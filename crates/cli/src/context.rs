//! What every command gets: its global flags, a voice, a stop, and a way to open the store.

use std::env::var_os;
use std::path::PathBuf;

use jiff::Timestamp;
use model::{FileTime, VertexHash};
use ouroborosdb::Session;
use tree::{SystemFiles, Transfer};

use crate::args::{Global, SCOPE_DEFAULT};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::output::Output;
use crate::parse::HashWord;
use crate::progress::Bar;
use crate::signal::Stop;

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) output: Output,
    pub(crate) stop: Stop,
    /// When the run began: what ages count from.
    pub(crate) now: Timestamp,
}

/// Whether a store that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    Make,
    Refuse,
}

impl Context {
    /// The data folder: flag, environment, XDG, home.
    pub(crate) fn data_folder(&self) -> Result<PathBuf, Failure> {
        let set = |name: &str| var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        self.global
            .data
            .clone()
            .or_else(|| set("OUROBOROS_DATA"))
            .or_else(|| set("XDG_DATA_HOME").map(|folder| folder.join("ouroboros")))
            .or_else(|| set("HOME").map(|folder| folder.join(".local/share/ouroboros")))
            .ok_or_else(|| {
                Failure::usage("no data folder: neither --data nor HOME is set")
                    .hint("give --data DIR")
            })
    }

    /// The key file, when one was named.
    pub(crate) fn identity_file(&self) -> Option<PathBuf> {
        let named = var_os("OUROBOROS_IDENTITY").filter(|value| !value.is_empty());
        self.global.identity.clone().or_else(|| named.map(PathBuf::from))
    }

    /// Opens the store, or makes it.
    pub(crate) fn open(&self, absent: Absent) -> Result<Box<dyn Session>, Failure> {
        self.check_scope()?;
        let _ = (absent, self.data_folder()?, self.identity_file());
        Err(Failure::new(Kind::Internal, "the database is not there yet"))
    }

    /// The one scope there is.
    fn check_scope(&self) -> Result<(), Failure> {
        let scope = &self.global.scope;
        if scope == SCOPE_DEFAULT {
            return Ok(());
        }
        Err(Failure::new(Kind::ScopeUnknown, format!("no such scope: {scope}"))
            .hint(format!("this version has the scope {SCOPE_DEFAULT}"))
            .about(scope))
    }
}

/// The whole hash a prefix stands for.
pub(crate) fn resolve(session: &dyn Session, word: &HashWord) -> Result<VertexHash, Failure> {
    match word.digits().parse() {
        Ok(hash) => Ok(hash),
        Err(_) => Ok(session.resolve(word.digits())?),
    }
}

/// What files are stored and restored with.
pub(crate) fn transfer<'a>(session: &'a dyn Session, bar: &'a Bar) -> Transfer<'a, SystemFiles> {
    Transfer { session, files: &SystemFiles, events: bar, clock: &wall_clock, threads: 0 }
}

/// The wall clock as files count time.
fn wall_clock() -> FileTime {
    let now = Timestamp::now().as_nanosecond();
    let seconds = i64::try_from(now.div_euclid(1_000_000_000)).unwrap_or(0);
    FileTime { seconds, nanos: u32::try_from(now.rem_euclid(1_000_000_000)).unwrap_or(0) }
}

/// Stands in until `tree` restores.
pub(crate) trait Restores {
    fn get_tree(&self, request: &tree::GetTree) -> Result<tree::GetSummary, tree::TreeError>;
    fn get_file(&self, request: &tree::GetFile) -> Result<tree::GetSummary, tree::TreeError>;
}

impl Restores for Transfer<'_, SystemFiles> {
    fn get_tree(&self, _: &tree::GetTree) -> Result<tree::GetSummary, tree::TreeError> {
        Err(tree::TreeError::Interrupted)
    }
    fn get_file(&self, _: &tree::GetFile) -> Result<tree::GetSummary, tree::TreeError> {
        Err(tree::TreeError::Interrupted)
    }
}

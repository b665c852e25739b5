//! What every command gets: its global flags, a voice, a stop, and a way to open the store.

use std::env::var_os;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crypt::{CryptError, OsRandom};
use jiff::Timestamp;
use model::{FileTime, VertexHash};
use ouroborosdb::{
    Created, Database, Error, IdentitySummary, KEY_FILE, KeyFileKind, KeyPlace, Options, Scopes,
    Session, SystemClock, World,
};
use store::StoreError;
use store::sim_disk::SimDisk;
use tree::{SystemFiles, Transfer};

use crate::args::{Global, SCOPE_DEFAULT};
use crate::exit::Kind;
use crate::failure::Failure;
use crate::output::Output;
use crate::parse::HashWord;
use crate::passphrase;
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
    /// An empty one in memory, which ends with the run: for dry runs.
    Imagine,
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

    /// The folder that remembers how far stores were seen; none without a home.
    fn state_folder(&self) -> Option<PathBuf> {
        let set = |name: &str| var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("XDG_STATE_HOME")
            .map(|folder| folder.join("ouroboros"))
            .or_else(|| set("HOME").map(|folder| folder.join(".local/state/ouroboros")))
    }

    /// The key file, when one was named.
    pub(crate) fn identity_file(&self) -> Option<PathBuf> {
        let named = var_os("OUROBOROS_IDENTITY").filter(|value| !value.is_empty());
        self.global.identity.clone().or_else(|| named.map(PathBuf::from))
    }

    /// Opens the store, or makes it.
    pub(crate) fn open(&self, absent: Absent) -> Result<Box<dyn Session>, Failure> {
        Ok(Box::new(self.open_database(absent)?))
    }

    /// Opens a store for a check. With `accept_damage` although acknowledged bytes of its log are lost:
    /// what is whole goes on, the damaged file is put aside. With `accept_rollback` although it is
    /// older than what was seen of it.
    pub(crate) fn open_checked(
        &self,
        accept_damage: bool,
        accept_rollback: bool,
    ) -> Result<Box<dyn Session>, Failure> {
        let options = Options { accept_damage, accept_rollback, ..Options::default() };
        Ok(Box::new(self.open_with(Absent::Refuse, options)?))
    }

    /// [`Self::open`], for what only a database in this process can tell.
    pub(crate) fn open_database(&self, absent: Absent) -> Result<Database, Failure> {
        self.open_with(absent, Options::default())
    }

    /// [`Self::open_database`] in a scope that is not that of the flags.
    pub(crate) fn open_scope(&self, scope: &str, absent: Absent) -> Result<Database, Failure> {
        self.open_in(scope, absent, Options::default())
    }

    /// The records of the store, while nobody else has it open.
    pub(crate) fn open_records(&self) -> Result<Scopes, Failure> {
        let folder = self.data_folder()?;
        let options = self.options(Absent::Refuse, Options::default())?;
        let opened = with_passphrase(options, |options| Scopes::open(&folder, options))?;
        opened.map_err(|error| not_opened(error, &folder, Absent::Refuse))
    }

    fn open_with(&self, absent: Absent, options: Options) -> Result<Database, Failure> {
        self.open_in(&self.global.scope, absent, options)
    }

    fn open_in(&self, scope: &str, absent: Absent, options: Options) -> Result<Database, Failure> {
        let folder = self.data_folder()?;
        let options = Options { scope: scope.to_owned(), ..self.options(absent, options)? };
        let open = |options: &Options| Database::open(&folder, options.clone());
        let database = match with_passphrase(options, open)? {
            Err(Error::Store(StoreError::NotAStore)) if absent == Absent::Imagine => {
                return imagined();
            }
            opened => opened.map_err(|error| not_opened(error, &folder, absent))?,
        };
        if let Some(created) = database.created() {
            self.output.note(&welcome(created, &folder, database.identity_summary()));
        }
        Ok(database)
    }

    fn options(&self, absent: Absent, options: Options) -> Result<Options, Failure> {
        Ok(Options {
            identity: self.identity_file(),
            passphrase: passphrase::of_environment(passphrase::VARIABLE)?,
            create: absent == Absent::Make,
            state: self.state_folder(),
            wait: Duration::from_secs(self.global.wait.into()),
            ..options
        })
    }

    /// The key file in use.
    pub(crate) fn key_file(&self) -> Result<PathBuf, Failure> {
        match self.identity_file() {
            Some(path) => Ok(path),
            None => Ok(self.data_folder()?.join(KEY_FILE)),
        }
    }
}

/// Opens, and asks for the passphrase where it is needed and was not given.
fn with_passphrase<T>(
    options: Options,
    open: impl Fn(&Options) -> Result<T, Error>,
) -> Result<Result<T, Error>, Failure> {
    match open(&options) {
        Err(Error::Crypt(CryptError::PassphraseNeeded)) => {
            let passphrase = passphrase::prompt("Passphrase")?;
            Ok(open(&Options { passphrase, ..options }))
        }
        opened => Ok(opened),
    }
}

/// An empty store that no disk knows of.
fn imagined() -> Result<Database, Failure> {
    let disk = Arc::new(SimDisk::new(0));
    let key_file =
        KeyPlace { disk: disk.clone(), name: KEY_FILE.to_owned(), path: KEY_FILE.to_owned() };
    let (random, clock) = (Arc::new(OsRandom), Arc::new(SystemClock));
    Ok(Database::with(World { disk, key_file, random, clock, frontier: None }, Options::default())?)
}

/// Why a store could not be opened, with the folder's name where that helps.
fn not_opened(error: Error, folder: &Path, absent: Absent) -> Failure {
    let is_no_store = matches!(error, Error::Store(StoreError::NotAStore));
    match (is_no_store, absent) {
        (true, Absent::Make) => Failure::new(
            Kind::Refused,
            format!("{} holds other files and no store; nothing was done", folder.display()),
        )
        .hint("--data DIR names another folder")
        .about(folder.display()),
        (true, _) => {
            Failure::new(Kind::StoreMissing, format!("there is no store in {}", folder.display()))
                .hint("ouroboros put FILE makes one; --data DIR names another folder")
                .about(folder.display())
        }
        _ => error.into(),
    }
}

/// What the first use made, in one line.
fn welcome(created: &Created, folder: &Path, identity: &IdentitySummary) -> String {
    let mut line = format!("made a store with the scope {SCOPE_DEFAULT} in {}", folder.display());
    line.push_str(match created.key_file {
        Some(_) => "; its key is ",
        None => " for the key in ",
    });
    line.push_str(&identity.key_file);
    line.push_str(match created.kind {
        KeyFileKind::LocalFile => {
            ", without a passphrase: who steals this disk can read everything \
             (ouroboros key passwd sets one; keep a copy of the key elsewhere)"
        }
        _ => ", under your passphrase (keep a copy of the key elsewhere)",
    });
    line
}

/// The whole hash a prefix stands for.
pub(crate) fn resolve(session: &dyn Session, word: &HashWord) -> Result<VertexHash, Failure> {
    match word.digits().parse() {
        Ok(hash) => Ok(hash),
        Err(_) => Ok(session.resolve(word.digits())?),
    }
}

/// What files are stored and restored with.
pub(crate) fn transfer<'a>(
    session: &'a dyn Session,
    bar: &'a Bar<'_>,
) -> Transfer<'a, SystemFiles> {
    Transfer { session, files: &SystemFiles, events: bar, clock: &wall_clock, threads: 0 }
}

/// The wall clock as files count time.
fn wall_clock() -> FileTime {
    let now = Timestamp::now().as_nanosecond();
    let seconds = i64::try_from(now.div_euclid(1_000_000_000)).unwrap_or(0);
    FileTime { seconds, nanos: u32::try_from(now.rem_euclid(1_000_000_000)).unwrap_or(0) }
}

//! Kill -9 while a key file changes its passphrase: the old or the new one opens it, always.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crypt::{OsRandom, key_file};
use ouroborosdb::{Clock, KeyPlace, Passphrase};
use store::folder_disk::FolderDisk;

use super::{kill_after, spawn};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::random::Random;

const NAME: &str = "identity.key";
/// A change takes four stretchings; a kill comes anywhere in it, or after it.
const DELAY_US_MAX: u64 = 700_000;
/// Half of the kills wait for the new file: writing it is a thousandth of the time.
const DELAY_WRITE_US_MAX: u64 = 3_000;
const LOOK_PAUSE: Duration = Duration::from_micros(30);

/// Each look is a second later, so that calibration ends at the least cost there is: what is
/// tested is the change, not the cost.
struct HastyClock(AtomicU64);

impl Clock for HastyClock {
    fn now_ns(&self) -> u64 {
        self.0.fetch_add(1_000_000_000, Ordering::Relaxed)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

fn place(folder: &Path) -> Result<KeyPlace, Failure> {
    let disk = FolderDisk::open(folder, true).map_err(|error| Failure::at(folder)(error.source))?;
    let path = folder.join(NAME).display().to_string();
    Ok(KeyPlace { disk: Arc::new(disk), name: NAME.to_owned(), path })
}

/// Round by round another passphrase; every fifth time none.
fn passphrase(round: u64) -> Option<Passphrase> {
    (!round.is_multiple_of(5)).then(|| Passphrase::from(format!("passphrase {round}")))
}

/// The child: changes the passphrase of `round - 1` into that of `round`.
pub(crate) fn run_child(mut arguments: Arguments) -> Result<(), Failure> {
    let folder = arguments.path()?;
    arguments.number("seed", 0)?;
    let round = arguments.number("round", 0)?;
    arguments.end()?;
    let clock = HastyClock(AtomicU64::new(0));
    let (old, new) = (passphrase(round / 1000), passphrase(round % 1000));
    place(&folder)?
        .rekey(old.as_ref(), new.as_ref(), &OsRandom, &clock)
        .map_err(Failure::database("rekey"))
}

/// Whether the file needs exactly this passphrase, or none, and is that user.
fn opens(path: &Path, passphrase: Option<Passphrase>, user: model::UserId) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    let is_kind = key_file::kind(&bytes)
        .is_ok_and(|kind| (kind == key_file::Kind::LocalFile) == passphrase.is_none());
    let opened = key_file::open(&bytes, passphrase.as_ref().map(Passphrase::expose));
    let identity = opened.and_then(crypt::Identity::from_root);
    is_kind && identity.is_ok_and(|identity| identity.user_id() == user)
}

pub(super) fn run(rounds: u64, seed: u64) -> Result<(), Failure> {
    let folder = PathBuf::from(format!("target/kill9-passwd-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
    let mut random = Random::new(seed);
    let installed = ouroborosdb::install_identity(
        &folder.join(NAME),
        crypt::Root::random(&OsRandom),
        None,
        ouroborosdb::Occupied::Refuse,
    );
    let user = installed.map_err(Failure::database("install"))?.user;
    let (mut now, mut changed, mut left_over, mut problems) = (0, 0u64, 0u64, 0);
    for round in 1..=rounds {
        let next = 1 + round % 900;
        let temporary = folder.join(format!("{NAME}.tmp"));
        let mut delay = random.below(DELAY_US_MAX);
        let is_aimed = random.below(2) == 0;
        if is_aimed {
            std::fs::remove_file(&temporary).ok();
        }
        let mut child = spawn("kill9-passwd", &folder, seed, now * 1000 + next)?;
        if is_aimed {
            while !temporary.exists() && child.try_wait().is_ok_and(|ended| ended.is_none()) {
                std::thread::sleep(LOOK_PAUSE);
            }
            delay = random.below(DELAY_WRITE_US_MAX);
        }
        kill_after(child, delay, &folder)?;
        left_over += u64::from(temporary.exists());
        let opens = |number| opens(&folder.join(NAME), passphrase(number), user);
        if opens(next) {
            now = next;
            changed += 1;
        } else if !opens(now) {
            println!("round {round}: neither passphrase opens {}", folder.display());
            problems += 1;
            break;
        }
    }
    println!(
        "kill9 passwd: seed {seed}: {rounds} kills, {changed} with the new passphrase, {} with the \
         old, {left_over} with a temporary file, {problems} problems",
        rounds - changed
    );
    if problems == 0 {
        std::fs::remove_dir_all(&folder).map_err(Failure::at(&folder))?;
    }
    Failure::unless_none(problems, "key file that is lost")
}

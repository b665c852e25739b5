//! Kill -9 at any microsecond: a child puts and says over a pipe what was acknowledged, the parent
//! kills it, opens the store again and holds it to its word (design T5, goal R3).
//!
//! What this cannot show is power loss: the page cache survives a killed process. The simulated
//! disk is for that.

mod items;
mod passwd;
mod verify;
mod writer;

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ouroborosdb::{CheckRequest, Session, Silent};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::random::Random;
use items::Ack;
pub(crate) use passwd::run_child as run_passwd;
use verify::Oracle;
pub(crate) use writer::{run as run_writer, run_opener};

/// A new store after so many rounds: creating one is killed as well, and disks stay small.
const ROUNDS_PER_STORE: u64 = 25;
/// A quarter of the kills come early: while the store is made, opened, recovered.
const DELAY_EARLY_US_MAX: u64 = 40_000;
const DELAY_US_MAX: u64 = 400_000;
const SIGKILL: i32 = 9;

#[derive(Default)]
struct Figures {
    kills: u64,
    kills_before_open: u64,
    kills_in_recovery: u64,
    acks: usize,
    log_bytes_max: u64,
    reopen_us: Vec<u64>,
    problems: Vec<String>,
}

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let rounds = arguments.number("rounds", 100)?;
    let seed = arguments.number("seed", 1)?;
    let is_passwd = arguments.flag("passwd");
    arguments.end()?;
    if is_passwd {
        return passwd::run(rounds, seed);
    }
    let folder = PathBuf::from(format!("target/kill9-{}", std::process::id()));
    let mut figures = Figures::default();
    let stores = rounds.div_ceil(ROUNDS_PER_STORE);
    for store in 0..stores {
        let count = ROUNDS_PER_STORE.min(rounds - store * ROUNDS_PER_STORE);
        let data = folder.join(store.to_string());
        std::fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
        one_store(&data, seed.wrapping_add(store), count, &mut figures)?;
        if !figures.problems.is_empty() {
            figures.problems.iter().take(20).for_each(|problem| println!("{problem}"));
            println!("kept: {} (seed {})", data.display(), seed.wrapping_add(store));
            break;
        }
        std::fs::remove_dir_all(&folder).map_err(Failure::at(&folder))?;
    }
    figures.print(seed);
    Failure::unless_none(figures.problems.len(), "broken promise")
}

fn one_store(data: &Path, seed: u64, rounds: u64, figures: &mut Figures) -> Result<(), Failure> {
    let mut random = Random::new(seed);
    let mut oracle = Oracle::new(seed);
    for round in 0..rounds {
        let acks = killed_writer(data, seed, round, &mut random, figures)?;
        figures.acks += acks.len();
        oracle.remember(round, acks);
        if random.below(3) == 0 {
            let delay = random.below(DELAY_EARLY_US_MAX / 2);
            let opener = spawn("kill9-opener", data, seed, round)?;
            kill_after(opener, delay, data)?;
            figures.kills_in_recovery += 1;
        }
        let is_last = round + 1 == rounds;
        // Now and then several kills in a row, with no clean end between them.
        if is_last || random.below(2) == 0 {
            figures.log_bytes_max = figures.log_bytes_max.max(log_len(data));
            let start = Instant::now();
            let database = open(data)?;
            figures.reopen_us.push(micros(start.elapsed()));
            oracle.verify(&database, is_last, &mut figures.problems)?;
            if is_last {
                deep_check(&database, &mut figures.problems)?;
            }
        }
    }
    Ok(())
}

/// The library's own opening, with nothing special.
fn open(data: &Path) -> Result<ouroborosdb::Database, Failure> {
    let options = ouroborosdb::Options::default();
    ouroborosdb::Database::open(data, options).map_err(Failure::database("open"))
}

fn killed_writer(
    data: &Path,
    seed: u64,
    round: u64,
    random: &mut Random,
    figures: &mut Figures,
) -> Result<Vec<Ack>, Failure> {
    let is_early = random.below(4) == 0;
    let delay = random.below(if is_early { DELAY_EARLY_US_MAX } else { DELAY_US_MAX });
    let writer = spawn("kill9-writer", data, seed, round)?;
    let said = kill_after(writer, delay, data)?;
    figures.kills += 1;
    if !said.starts_with(writer::OPENED) {
        figures.kills_before_open += 1;
    }
    // A last line without its end was never said.
    let whole = said.rfind('\n').map_or("", |end| said.split_at(end).0);
    Ok(whole.lines().filter_map(Ack::parse).collect())
}

fn spawn(command: &str, data: &Path, seed: u64, round: u64) -> Result<Child, Failure> {
    let program = std::env::current_exe().map_err(Failure::at(Path::new("xtask")))?;
    Command::new(program)
        .arg(command)
        .arg(data)
        .args(["--seed", &seed.to_string(), "--round", &round.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::at(data))
}

/// What the child said until it was killed. One that ended by itself in any other way than
/// success has met an error, which is a finding.
fn kill_after(mut child: Child, delay_us: u64, data: &Path) -> Result<String, Failure> {
    let mut pipe = child.stdout.take().expect("stdout is piped");
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        pipe.read_to_end(&mut said).map(|_| said)
    });
    std::thread::sleep(Duration::from_micros(delay_us));
    child.kill().map_err(Failure::at(data))?;
    let status = child.wait().map_err(Failure::at(data))?;
    let said = reader.join().expect("reading a pipe does not panic").map_err(Failure::at(data))?;
    if status.signal() != Some(SIGKILL) && !status.success() {
        return Err(Failure::Program {
            program: format!("the writer on {}", data.display()),
            detail: status.to_string(),
        });
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn deep_check(session: &dyn Session, problems: &mut Vec<String>) -> Result<(), Failure> {
    let request = CheckRequest { deep: true, rebuild: false };
    let report = session.check(&request, &Silent).map_err(Failure::database("check"))?;
    let lines = report.findings.iter().map(|f| format!("check: {}: {}", f.object, f.problem));
    problems.extend(lines);
    Ok(())
}

/// Bytes in open blocks: what an opening has to read.
fn log_len(data: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(data.join("open")) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Figures {
    fn print(&mut self, seed: u64) {
        self.reopen_us.sort_unstable();
        println!(
            "kill9: seed {seed}: {} kills ({} before the store was open) and {} in recovery; {} \
             acknowledged, {} problems",
            self.kills,
            self.kills_before_open,
            self.kills_in_recovery,
            self.acks,
            self.problems.len()
        );
        println!(
            "reopen: {} times, p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms; log up to {:.1} MB",
            self.reopen_us.len(),
            quantile_ms(&self.reopen_us, 50),
            quantile_ms(&self.reopen_us, 99),
            quantile_ms(&self.reopen_us, 100),
            float(self.log_bytes_max) / 1e6
        );
    }
}

/// Of sorted microseconds, in ms.
fn quantile_ms(sorted_us: &[u64], percent: usize) -> f64 {
    let last = sorted_us.len().saturating_sub(1);
    let value = sorted_us.get((last * percent).div_ceil(100)).copied().unwrap_or(0);
    float(value) / 1e3
}

/// For printing only: exact below 2^32, and figures here are rounded anyway.
fn float(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_list() {
        let list: Vec<u64> = (1..=101).map(|ms| ms * 1000).collect();
        assert!((quantile_ms(&list, 50) - 51.0).abs() < 1e-9);
        assert!((quantile_ms(&list, 99) - 100.0).abs() < 1e-9);
        assert!((quantile_ms(&list, 100) - 101.0).abs() < 1e-9);
        assert!(quantile_ms(&[], 50).abs() < 1e-9);
    }
}

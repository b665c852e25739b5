//! What needs a process of its own: peak memory, and a crash.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use ouroborosdb::{Ack, Database, Options, PutRequest, Session, Silent};
use serde_json::json;

use super::clock::memory_peak_bytes;
use super::data::Noise;
use super::io_failed;
use super::row::Row;
use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;

/// What a child does, in the words of its hidden flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Puts a stream.
    Put,
    /// Puts a stream with little memory, on one core.
    PutSmall,
    /// Reads it back.
    Get,
    /// Reads it back with little memory, on one core.
    GetSmall,
    /// Fills the log, synced, and dies without closing.
    Die,
}

/// What a child tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) memory_peak_bytes: u64,
}

/// Memory for the index of a small machine.
const MEMORY_SMALL: usize = 16 * 1024 * 1024;
const CONTENT: &str = "stream";

/// A child's life: works in the data folder, tells one line.
pub(crate) fn run(context: &Context, role: Role, size: u64) -> Result<(), Failure> {
    let options = match role {
        Role::PutSmall | Role::GetSmall => {
            Options { memory_bytes: MEMORY_SMALL, threads: 1, ..Options::default() }
        }
        Role::Put | Role::Get | Role::Die => Options::default(),
    };
    let db = Database::open(context.data_folder()?, options)?;
    match role {
        Role::Put | Role::PutSmall => drop(db.put(CONTENT, stream(&db, size)?)?),
        Role::Get | Role::GetSmall => read_all(&db)?,
        Role::Die => die(&db, size)?,
    }
    db.close()?;
    let peak = memory_peak_bytes().unwrap_or(0);
    context.output.result(|| peak.to_string(), || json!({ "memory_peak_bytes": peak }))
}

/// Different bytes each time, so that nothing deduplicates.
fn stream(db: &Database, size: u64) -> Result<std::io::Take<Noise>, Failure> {
    let seed = db.stats()?.vertices;
    Ok(Noise::new(0x5eed ^ (seed << 32)).take(size))
}

fn read_all(db: &Database) -> Result<(), Failure> {
    let mut content = db.get(CONTENT)?;
    let mut piece = vec![0; 1024 * 1024];
    while content.read(&mut piece).map_err(|error| io_failed("reading back", &error))? > 0 {}
    Ok(())
}

/// Durable contents of 16 KiB, then the end no one sees coming.
fn die(db: &Database, size: u64) -> Result<(), Failure> {
    let mut noise = Noise::new(81);
    for n in 0..size / 16_384 {
        let name = model::Name::new(format!("log/{n:06}")).map_err(ouroborosdb::Error::from)?;
        let request = PutRequest { name: Some(name), ack: Ack::Deferred, ..PutRequest::default() };
        Session::put(db, &request, &mut noise.take_bytes(16_384).as_slice(), &Silent)?;
        if n % 16 == 15 {
            db.sync()?;
        }
    }
    db.sync()?;
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::KILL)
        .map_err(|error| io_failed("ending itself", &error.into()))
}

/// Starts a child on `folder`; what it told, nothing when it was to die.
pub(crate) fn start(folder: &Path, role: Role, size: u64) -> Result<Option<Told>, Failure> {
    let failed = |error| io_failed("starting a process to measure", &error);
    let word = clap::ValueEnum::to_possible_value(&role).map(|value| value.get_name().to_owned());
    let child = Command::new(std::env::current_exe().map_err(failed)?)
        .arg("--data")
        .arg(folder)
        .args(["--json", "bench", "--child", &word.unwrap_or_default()])
        .args(["--child-bytes", &size.to_string()])
        .env_remove("OUROBOROS_IDENTITY")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(failed)?;
    if role == Role::Die {
        return if child.status.code().is_none() { Ok(None) } else { Err(strange()) };
    }
    let told: serde_json::Value = serde_json::from_slice(&child.stdout).map_err(|_| strange())?;
    let peak = told.get("memory_peak_bytes").and_then(serde_json::Value::as_u64);
    Ok(Some(Told { memory_peak_bytes: peak.ok_or_else(strange)? }))
}

fn strange() -> Failure {
    Failure::new(Kind::Internal, "a process that was started to measure did not end as it should")
}

/// A row about peak memory.
pub(crate) fn memory_row(what: impl Into<String>, told: Told) -> Row {
    Row::new("P10", what, super::mib(told.memory_peak_bytes), "MiB")
}

//! Peak memory of one stream (P10), each in a process of its own.

use super::child::{Role, Told, memory_row, start};
use super::lab::Lab;
use super::mib;
use super::row::Row;
use crate::failure::Failure;

/// The goal for any single put or get, in MiB.
const PEAK_MAX_MIB: f64 = 150.0;
/// What is meant by a machine of 128 MB.
const SMALL_MAX_MIB: f64 = 122.0;
/// A long run's stream.
const LONG_LEN: u64 = 8 * 1024 * 1024 * 1024;

/// P10.
pub(crate) fn memory(lab: &Lab<'_>) -> Result<(), Failure> {
    let len = if lab.is_long { LONG_LEN } else { lab.size };
    let put = child(lab, "p10", Role::Put, len)?;
    let get = child(lab, "p10", Role::Get, len)?;
    lab.remove("p10")?;
    let what = |verb| format!("peak memory, {verb} {:.0} MiB", mib(len));
    lab.print(&memory_row(what("put"), put).at_most(PEAK_MAX_MIB))?;
    lab.print(&memory_row(what("get"), get).at_most(PEAK_MAX_MIB))?;
    let put = child(lab, "p10", Role::PutSmall, lab.size)?;
    let get = child(lab, "p10", Role::GetSmall, lab.size)?;
    lab.remove("p10")?;
    lab.print(&memory_row("16 MiB for the index, one core: put", put).at_most(SMALL_MAX_MIB))?;
    lab.print(&memory_row("16 MiB for the index, one core: get", get).at_most(SMALL_MAX_MIB))?;
    tenfold(lab)
}

/// A put into a store with ten times the data.
fn tenfold(lab: &Lab<'_>) -> Result<(), Failure> {
    let len = lab.size / 4;
    let first = child(lab, "p10", Role::Put, len)?;
    let mut last = first;
    for _ in 0..10 {
        last = child(lab, "p10", Role::Put, len)?;
    }
    lab.remove("p10")?;
    let row = memory_row("peak memory, put into ten times the data", last);
    let row: Row = row.against("MiB, into an empty store", mib(first.memory_peak_bytes));
    lab.print(&row.ratio_at_most(1.2))
}

fn child(lab: &Lab<'_>, name: &str, role: Role, len: u64) -> Result<Told, Failure> {
    lab.check()?;
    let told = start(&lab.path(name), role, len)?;
    told.ok_or_else(|| Failure::usage("a child that lives tells its memory"))
}

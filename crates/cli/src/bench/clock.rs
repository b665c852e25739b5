//! What this process used: wall time, processor time, memory. The only clock of `bench`.

use std::io::Read;

use rustix::fs::{Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};

/// What a piece of work took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// By the clock on the wall.
    pub(crate) wall_s: f64,
    /// User and system time of all threads of this process.
    pub(crate) cpu_s: f64,
}

/// Runs `work` and measures it.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Spent) {
    let (wall, cpu) = (seconds(ClockId::Monotonic), seconds(ClockId::ProcessCPUTime));
    let done = work();
    let wall_s = seconds(ClockId::Monotonic) - wall;
    let cpu_s = seconds(ClockId::ProcessCPUTime) - cpu;
    (done, Spent { wall_s, cpu_s })
}

/// Seconds since some moment in the past, never going back.
pub(crate) fn monotonic_s() -> f64 {
    seconds(ClockId::Monotonic)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    // Below 2^53 nanoseconds, which is 104 days, nothing is rounded away.
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory this process ever had resident, in bytes; `None` where the system does not tell.
pub(crate) fn memory_peak_bytes() -> Option<u64> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let status = rustix::fs::open("/proc/self/status", flags, Mode::empty()).ok()?;
    let mut text = String::new();
    std::fs::File::from(status).read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

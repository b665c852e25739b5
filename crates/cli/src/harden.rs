//! Keys live in this process: no core dump, no debugger of another process of the user, and no
//! secret in a crash report.

use std::io::Write;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::exit::Kind;

/// Forbids core dumps and tracing. Best effort: a system that refuses is still usable.
pub(crate) fn process() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).ok();
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).ok();
}

/// Any panic, on whatever thread, ends the process with one line and exit code 5. The message of
/// the panic is not shown, since it may hold content; the place is.
pub(crate) fn panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!(" at {at}"));
        writeln!(
            std::io::stderr(),
            "error: a defect of ouroboros {}{place}; what was reported as stored is safe. \
             Please report this line and the command.",
            env!("CARGO_PKG_VERSION"),
        )
        .ok();
        std::process::exit(i32::from(Kind::Internal.code()));
    }));
}

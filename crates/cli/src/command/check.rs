//! `check`.

use clap::Args;
use ouroborosdb::{CheckRequest, Finding};
use serde_json::json;

use crate::context::Context;
use crate::exit::Kind;
use crate::failure::Failure;
use crate::progress::Bar;

/// What findings call the files that `--rebuild` makes anew.
const DERIVED: &str = "index";
/// Names of one finding that are printed; the object leads to the rest.
const NAMES_SHOWN_MAX: usize = 20;

/// Verifies the store
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros check --deep")]
pub(crate) struct Check {
    /// Read and verify every byte, not only structure
    #[arg(long)]
    deep: bool,
    /// First throw away and rebuild everything that is derived
    ///
    /// Goes on also where acknowledged bytes of an open block are lost: what can be read of it is
    /// written again, the damaged file is kept in `damaged/`, and what is lost is named.
    #[arg(long)]
    rebuild: bool,
    /// Go on with a store that is older than what was seen of it
    ///
    /// After an older copy was put in its place, or commits were taken away. What is missing is named,
    /// once; from then on what there is now counts.
    #[arg(long)]
    accept_rollback: bool,
}

/// One line per finding, then what was looked at. Any finding that is left is exit code 4.
pub(crate) fn run(context: &Context, args: Check) -> Result<(), Failure> {
    let session = context.open_checked(args.rebuild, args.accept_rollback)?;
    let bar = Bar::bytes(context, "checking");
    let request = CheckRequest { deep: args.deep, rebuild: args.rebuild };
    let report = session.check(&request, &bar);
    bar.clear();
    let report = report?;
    let mut findings = 0;
    for finding in &report.findings {
        let is_rebuilt = args.rebuild && finding.object.starts_with(DERIVED);
        print(context, finding, is_rebuilt)?;
        findings += usize::from(!is_rebuilt);
    }
    context.output.result(
        || {
            format!(
                "{findings} findings; {} blocks, {} objects, {} bytes, {} commits verified",
                report.blocks, report.objects, report.bytes_verified, report.commits
            )
        },
        || {
            json!({
                "blocks": report.blocks,
                "objects": report.objects,
                "bytes_verified": report.bytes_verified,
                "commits": report.commits,
                "findings": findings,
            })
        },
    )?;
    if findings == 0 {
        return Ok(());
    }
    Err(Failure::new(Kind::Corrupt, format!("the store is damaged: {findings} findings"))
        .hint("everything that is not named above can be read; --rebuild mends an index"))
}

fn print(context: &Context, finding: &Finding, is_rebuilt: bool) -> Result<(), Failure> {
    let names: Vec<&str> =
        finding.names.iter().take(NAMES_SHOWN_MAX).map(|name| name.as_str()).collect();
    context.output.result(
        || {
            let affected = match names.as_slice() {
                [] => String::new(),
                names => format!(" (needed by {})", names.join(", ")),
            };
            let rebuilt = if is_rebuilt { "; rebuilt" } else { "" };
            format!("{}: {}{affected}{rebuilt}", finding.object, finding.problem)
        },
        || {
            json!({
                "object": finding.object,
                "problem": finding.problem,
                "names": names,
                "names_total": finding.names.len(),
                "is_rebuilt": is_rebuilt,
            })
        },
    )
}

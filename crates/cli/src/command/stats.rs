//! `stats`.

use clap::Args;
use serde_json::{Map, Value};

use crate::context::{Absent, Context};
use crate::failure::Failure;

/// Counts what the store holds and what it costs
#[derive(Debug, Args)]
#[command(before_help = "Example: ouroboros stats")]
pub(crate) struct Stats {}

/// Prints one line per figure.
pub(crate) fn run(context: &Context, _args: Stats) -> Result<(), Failure> {
    let figures = figures(&context.open(Absent::Refuse)?.stats()?);
    let width = figures.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> =
        figures.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    let object = || {
        Value::Object(
            figures.iter().map(|(name, n)| ((*name).into(), (*n).into())).collect::<Map<_, _>>(),
        )
    };
    context.output.result(|| lines.join("\n"), object)
}

/// The names are the contract.
fn figures(stats: &ouroborosdb::Stats) -> [(&'static str, u64); 11] {
    [
        ("objects", stats.objects),
        ("vertices", stats.vertices),
        ("names", stats.names),
        ("blocks_open", stats.blocks_open),
        ("blocks_packed", stats.blocks_packed),
        ("bytes_content", stats.bytes_content),
        ("bytes_unique", stats.bytes_unique),
        ("bytes_stored", stats.bytes_stored),
        ("bytes_overhead", stats.bytes_overhead),
        ("bytes_index", stats.bytes_index),
        ("files_on_disk", stats.files_on_disk),
    ]
}

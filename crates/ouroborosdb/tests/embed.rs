//! The example in `examples/` works as written.

#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../examples/embed.rs"]
mod embed;

#[test]
fn the_example_runs_twice_in_one_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    embed::keep_notes(&data).expect("the first run");
    embed::keep_notes(&data).expect("the second run, on top of the first");
}

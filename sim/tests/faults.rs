//! Short forms of the failing-disk suites.

use ouroboros_sim as sim;
use sim::{faults, in_parallel};

#[test]
fn a_failed_sync_loses_nothing_acknowledged() {
    let figures = in_parallel(
        2,
        1,
        |seed| faults::failed_syncs(seed, 4),
        |figures| figures.count("failed syncs") >= 1_200,
    );
    figures.assert_clean();
}

#[test]
fn any_failed_operation_is_survived() {
    let figures = in_parallel(
        2,
        1,
        |seed| faults::failed_operations(seed, 37),
        |figures| figures.count("failed operations") >= 600,
    );
    figures.assert_clean();
}

#[test]
fn every_site_fails_and_is_survived() {
    let figures =
        in_parallel(2, 1, faults::failed_sites, |figures| figures.count("workloads") >= 4);
    figures.assert_clean();
    // The rest: free space is not asked for, a file is cut only after a block of direct writes.
    for operation in [
        "open",
        "read",
        "write",
        "sync",
        "length of",
        "rename",
        "remove",
        "list",
        "make folder",
        "sync folder",
        "lock",
        "identity of",
    ] {
        let prefix = format!("site {operation} ");
        let reached = figures.counts.keys().any(|name| name.starts_with(&prefix));
        assert!(reached, "{operation}: {:?}", figures.counts);
    }
}

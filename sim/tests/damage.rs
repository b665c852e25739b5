//! Short forms of the damage suites; the long ones are `cargo xtask flip`.

use ouroboros_sim as sim;
use sim::flip::{self, Reference};
use sim::{damage, in_parallel};

#[test]
fn damage_in_the_log_is_no_torn_tail() {
    let figures = in_parallel(
        2,
        1,
        |seed| damage::run(seed, 24),
        |figures| figures.count("corruptions below a watermark") >= 300,
    );
    figures.assert_clean();
}

#[test]
fn a_flipped_bit_is_never_a_wrong_byte() {
    let reference = Reference::new(1);
    flip::flips(&reference, 1_999, 7).assert_clean();
}

#[test]
fn a_file_missing_cut_swapped_or_old_is_told() {
    let reference = Reference::new(2);
    flip::files(&reference, 7).assert_clean();
}

#[test]
fn mutated_files_are_never_wrong_bytes() {
    let reference = Reference::new(3);
    flip::mutations(&reference, 4, 400).assert_clean();
}

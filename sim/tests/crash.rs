//! Short forms of the power-loss suites; the long ones are `cargo xtask crash`.

use ouroboros_sim as sim;
use sim::crash::{bare, run, run_with_packer};
use sim::in_parallel;
use sim::material::inline;
use sim::workload::{Clock, Plan, Size, Subject};
use store::disk::Disk;
use store::sim_disk::SimDisk;

#[test]
fn nothing_acknowledged_is_lost_at_any_power_loss() {
    let figures = in_parallel(
        2,
        1,
        |seed| run(Plan::draw(seed), 100, &bare),
        |figures| figures.count("images") >= 3_000,
    );
    figures.assert_clean();
    assert!(figures.count("crashes in recovery") > 1_000);
}

#[test]
fn frames_over_several_batches_survive_power_losses() {
    let clock = Clock::Steady;
    let plan = Plan { steps: 30, size: Size::Frames, clock, ..Plan::draw(11) };
    run(plan, 60, &bare).assert_clean();
}

#[test]
fn a_store_agrees_with_its_model_whatever_the_clock_does() {
    for (seed, clock) in
        [Clock::Steady, Clock::Frozen, Clock::Backwards, Clock::Jumping].into_iter().enumerate()
    {
        let seed = u64::try_from(seed).expect("there are four");
        let plan = Plan { steps: 1_000, clock, verify_every: 25, ..Plan::draw(seed + 90) };
        let sim = SimDisk::new(seed);
        let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(sim.clone());
        let mut subject = Subject::new(sim, disk, Plan { size: Size::Small, ..plan }, inline());
        subject.run().expect("a healthy disk");
    }
}

#[test]
fn a_block_never_survives_without_the_one_before_it() {
    for seed in [0, 1] {
        let plan = Plan { size: Size::Rollover, steps: 110, ..Plan::draw(seed + 300) };
        run_with_packer(plan, 24).assert_clean();
    }
}

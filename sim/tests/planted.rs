//! The benches bite: each planted mistake is found in few images.

use std::sync::Arc;

use ouroboros_sim as sim;
use sim::crash::run;
use sim::planted::Plant;
use sim::workload::Plan;
use sim::{Figures, in_parallel};
use store::disk::{Access, Caching, Disk, DiskFile};
use store::sim_disk::{ImageKind, SimDisk};

const SEEDS: u64 = 40;

fn hunt(plant: Plant) -> Figures {
    in_parallel(
        2,
        1,
        |seed| run(Plan::draw(seed), 100, &|sim| plant.over(sim)),
        |figures| figures.count("workloads") >= SEEDS,
    )
}

#[test]
fn every_planted_mistake_is_found() {
    std::panic::set_hook(Box::new(|_| ()));
    let missed: Vec<_> =
        Plant::ALL.into_iter().filter(|plant| hunt(*plant).findings.is_empty()).collect();
    drop(std::panic::take_hook());
    assert_eq!(missed, []);
}

/// The disk below keeps what it should and loses what it may.
#[test]
fn a_planted_disk_still_is_a_disk() {
    for plant in Plant::ALL {
        let sim = SimDisk::new(1);
        let disk: Arc<dyn Disk> = plant.over(sim.clone());
        let file = disk.open("f", Access::Create, Caching::Buffered).expect("a new file");
        file.write_at(0, b"content").expect("room");
        file.sync().expect("a healthy disk");
        let mut out = [0; 7];
        let image = sim.crash(ImageKind::All, 0);
        let file = image.open_file("f", Access::Read, Caching::Buffered).expect("it is there");
        assert_eq!(file.read_at(0, &mut out).ok(), Some(7));
        assert_eq!(&out, b"content", "{plant:?}");
    }
}

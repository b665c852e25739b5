//! Failing syncs (R5) and any failing operation (R6): nothing acknowledged is lost, nothing panics,
//! and on a healthy disk the store goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::disk::DiskOperation;
use store::fault_disk::{Fault, FaultDisk, FaultError, Site};
use store::sim_disk::{AfterFailedSync, ImageKind, SimDisk};
use store::sim_random::SimRandom;

use crate::figures::{Figures, caught};
use crate::material::{Keys, inline};
use crate::verify::verify;
use crate::workload::{Clock, Plan, Size, Subject};

/// Images made of each disk after its fault.
const IMAGES: usize = 3;

/// The sites of a workload on a healthy disk, and how often each is reached.
pub fn sites(plan: Plan) -> Result<BTreeMap<Site, u64>, String> {
    caught(|| {
        let sim = SimDisk::new(plan.seed);
        let disk = FaultDisk::over_sim(sim.clone());
        let mut subject = Subject::new(sim, Arc::new(disk.clone()), plan, inline());
        subject.run().map_err(|error| error.to_string())?;
        drop(subject);
        Ok(disk.sites())
    })
}

/// A workload for these benches.
pub fn plan(seed: u64) -> Plan {
    let size = if seed % 8 == 7 { Size::Frames } else { Size::Small };
    let clock = Clock::Jumping;
    Plan { seed, steps: 60, size, clock, verify_every: 0, ends_closed: seed.is_multiple_of(2) }
}

fn reached(sites: &BTreeMap<Site, u64>, operation: DiskOperation) -> u64 {
    sites.iter().filter(|(site, _)| site.operation == operation).map(|(_, count)| count).sum()
}

/// Every `stride`-th sync of a workload fails, in each model, once and for good.
pub fn failed_syncs(seed: u64, stride: usize) -> Figures {
    let mut figures = Figures::default();
    let plan = plan(seed);
    let sites = match sites(plan) {
        Ok(sites) => sites,
        Err(problem) => {
            figures.note(|| format!("{plan:?}"), Err(problem));
            return figures;
        }
    };
    let first = usize::try_from(seed).unwrap() % stride;
    for operation in [DiskOperation::Sync, DiskOperation::SyncDir] {
        for nth in (1..=reached(&sites, operation)).skip(first).step_by(stride) {
            for after in
                [AfterFailedSync::CleanNew, AfterFailedSync::CleanOld, AfterFailedSync::StillDirty]
            {
                for is_sticky in [false, true] {
                    let fault = Fault::new(nth, FaultError::Io).of(operation).sync(after, true);
                    let fault = if is_sticky { fault.sticky() } else { fault };
                    figures.add("failed syncs", 1);
                    let is_forgetful =
                        operation == DiskOperation::SyncDir && after != AfterFailedSync::StillDirty;
                    let outcome = caught(|| one(plan, fault.clone(), is_forgetful, &mut figures));
                    figures.note(|| format!("{plan:?} {fault:?}"), outcome);
                }
            }
        }
    }
    figures.add("sync sites", sites.keys().filter(|site| is_sync(site)).count() as u64);
    figures
}

fn is_sync(site: &Site) -> bool {
    matches!(site.operation, DiskOperation::Sync | DiskOperation::SyncDir)
}

/// Every `stride`-th operation of a workload fails with each error, once and for good, some of them
/// half done.
pub fn failed_operations(seed: u64, stride: usize) -> Figures {
    let mut figures = Figures::default();
    let plan = plan(seed);
    let sites = match sites(plan) {
        Ok(sites) => sites,
        Err(problem) => {
            figures.note(|| format!("{plan:?}"), Err(problem));
            return figures;
        }
    };
    let mut random = SimRandom::new(seed);
    let operations: u64 = sites.values().sum();
    let first = random.below(stride);
    for nth in (1..=operations).skip(first).step_by(stride) {
        for error in FaultError::ALL {
            let fault = Fault::new(nth, error);
            let fault = if random.chance(2) { fault.short(random.below(6000)) } else { fault };
            let fault = if random.chance(4) { fault.sticky() } else { fault };
            figures.add("failed operations", 1);
            let outcome = caught(|| one(plan, fault.clone(), false, &mut figures));
            figures.note(|| format!("{plan:?} {fault:?}"), outcome);
        }
    }
    for (site, count) in sites {
        figures.add(&format!("site {} {}", site.operation, site.path_class), count);
    }
    figures
}

/// Every I/O site of a workload fails at least once, and once for good.
pub fn failed_sites(seed: u64) -> Figures {
    let mut figures = Figures::default();
    let plan = plan(seed);
    let sites = match sites(plan) {
        Ok(sites) => sites,
        Err(problem) => {
            figures.note(|| format!("{plan:?}"), Err(problem));
            return figures;
        }
    };
    let mut random = SimRandom::new(seed ^ 0x517e);
    for (site, count) in sites {
        for is_sticky in [false, true] {
            let nth = 1 + random.bits() % count;
            let error = FaultError::ALL[random.below(FaultError::ALL.len())];
            let prefix = site.path_class.split('#').next().unwrap_or_default();
            let fault = Fault::new(nth, error).of(site.operation).on(prefix);
            let fault = if is_sticky { fault.sticky() } else { fault };
            let outcome = caught(|| one(plan, fault.clone(), false, &mut figures));
            figures.note(|| format!("{plan:?} {fault:?}"), outcome);
        }
        figures.add(&format!("site {} {}", site.operation, site.path_class), 2);
    }
    figures.add("workloads", 1);
    figures
}

/// One workload with one fault. Afterwards the disk is healthy again: once because only the process
/// died, and in images because the machine did.
///
/// `is_forgetful`: the fault made the filesystem drop names it still shows. No later process can know
/// that, so only the machine crashes.
fn one(plan: Plan, fault: Fault, is_forgetful: bool, figures: &mut Figures) -> Result<(), String> {
    let sim = SimDisk::recording(plan.seed);
    let disk = FaultDisk::over_sim(sim.clone());
    disk.inject(fault);
    let mut subject = Subject::new(sim.clone(), Arc::new(disk.clone()), plan, inline());
    let ended = subject.run();
    figures.add(if ended.is_ok() { "went on" } else { "ended with a typed error" }, 1);
    figures.add("faults met", disk.faults_met());
    let Subject { oracle, store, .. } = subject;
    drop(store);
    let keys = Keys::default();
    let mut random = SimRandom::new(plan.seed ^ disk.faults_met());
    let boundaries = sim.boundaries();
    for number in 0..IMAGES {
        let at = match number {
            0 => boundaries.last().copied().unwrap_or(0),
            _ => boundaries[random.below(boundaries.len())],
        };
        let kind = match number {
            0 => ImageKind::None,
            _ => ImageKind::MACHINE[random.below(ImageKind::MACHINE.len())],
        };
        let image = sim.image_at(at, kind, random.bits()).unwrap();
        let expected = oracle.expected(at);
        let store = keys.open(Arc::new(image), 5, inline());
        let store = store.map_err(|error| format!("{kind:?} after {at}: {error}"))?;
        verify(&store, &keys, &oracle, &expected)
            .map_err(|problem| format!("{kind:?} after {at}: {problem}"))?;
        figures.add("fault images", 1);
    }
    disk.clear_faults();
    if is_forgetful {
        return Ok(());
    }
    let store = keys.open(Arc::new(sim.clone()), 6, inline());
    let store = store.map_err(|error| format!("healthy again: {error}"))?;
    let expected = oracle.expected(u64::MAX);
    let present = verify(&store, &keys, &oracle, &expected)
        .map_err(|problem| format!("healthy again: {problem}"))?;
    let settled = oracle.settled(&present);
    let mut subject = Subject::resumed(sim.clone(), store, settled, Plan { seed: 77, ..plan });
    let went_on = subject.steps(4).and_then(|()| subject.close());
    went_on.map_err(|error| format!("writing on a healthy disk: {error}"))?;
    let store = keys.open(Arc::new(sim.crash(ImageKind::None, 0)), 7, inline());
    let store = store.map_err(|error| format!("after all: {error}"))?;
    let expected = subject.oracle.expected(u64::MAX);
    verify(&store, &keys, &subject.oracle, &expected)
        .map_err(|problem| format!("after all: {problem}"))?;
    crate::verify::check_deep(&store)
}

//! The thread that packs finished blocks, writes watermarks and checkpoints.

use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::store::Inner;

/// After so long without another batch a watermark is written (`reliability`, below the rules).
const WATERMARK_AFTER: Duration = Duration::from_millis(10);

pub(crate) fn start(inner: Arc<Inner>) -> JoinHandle<()> {
    thread::spawn(move || run(&inner))
}

fn run(inner: &Inner) {
    let mut lane = inner.lane();
    loop {
        if !lane.packing.is_empty() && !lane.is_read_only {
            // A failure left the store read-only or moved the objects: whoever waits is told.
            let packed = inner.pack_front(lane);
            drop(packed);
            if inner.checkpoint_if_due().is_err() {
                inner.lane().is_read_only = true;
                inner.changed.notify_all();
            }
            lane = inner.lane();
            continue;
        }
        if lane.is_closing {
            return;
        }
        if !lane.wants_watermark {
            lane = inner.wait(lane);
            continue;
        }
        let durable = lane.durable;
        let (guard, timeout) = inner
            .changed
            .wait_timeout(lane, WATERMARK_AFTER)
            .unwrap_or_else(PoisonError::into_inner);
        lane = guard;
        let is_idle = timeout.timed_out() && lane.durable == durable && lane.appended == durable;
        if is_idle && !lane.is_syncing && !lane.is_closing {
            lane.wants_watermark = false;
            inner.write_watermark(&mut lane);
        }
    }
}

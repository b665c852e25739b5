//! Looking after the store: packing, figures, verification.

use std::collections::BTreeMap;

use model::{Name, ObjectId};
use store::{Affected, Resealed, StoreStats};

use crate::engine::Engine;
use crate::error::Error;
use crate::session::{CheckReport, CheckRequest, Finding, Progress, Stats};

impl Engine {
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.sync_all()?;
        self.store.flush()?;
        self.save_frontier()
    }

    /// Seals everything of older epochs anew under the epoch of today.
    pub(crate) fn reseal(&self, progress: &dyn Progress) -> Result<Resealed, Error> {
        self.check_may_write()?;
        self.sync_all()?;
        Ok(self.store.reseal(&mut |done, total| progress.on_progress(done, total))?)
    }

    pub(crate) fn close(&self) -> Result<(), Error> {
        self.sync_all()?;
        self.store.close()?;
        self.save_frontier()
    }

    pub(crate) fn stats(&self) -> Result<Stats, Error> {
        self.settle_all_names()?;
        let StoreStats {
            objects,
            vertices,
            names,
            blocks_open,
            blocks_packed,
            bytes_content,
            bytes_unique,
            bytes_stored,
            bytes_overhead,
            bytes_index,
            files_on_disk,
        } = self.store.stats()?;
        Ok(Stats {
            objects,
            vertices,
            names,
            blocks_open,
            blocks_packed,
            bytes_content,
            bytes_unique,
            bytes_stored,
            bytes_overhead,
            bytes_index,
            files_on_disk,
        })
    }

    pub(crate) fn check(
        &self,
        request: &CheckRequest,
        progress: &dyn Progress,
    ) -> Result<CheckReport, Error> {
        self.sync_all()?;
        if request.rebuild {
            self.store.rebuild()?;
        }
        let report =
            self.store.check(request.deep, &mut |done, total| progress.on_progress(done, total))?;
        if !report.is_complete {
            return Err(Error::Interrupted);
        }
        let files = report.damage.into_iter().map(|damage| Finding {
            object: damage.file,
            problem: damage.problem,
            names: Vec::new(),
        });
        let records = self.findings.iter().cloned();
        let findings = records.chain(files).chain(findings_of(report.affected)).collect();
        Ok(CheckReport {
            blocks: report.blocks,
            objects: report.objects,
            bytes_verified: report.bytes_verified,
            commits: report.commits,
            findings,
        })
    }
}

/// One finding for each object, with the names that need it.
fn findings_of(affected: Vec<Affected>) -> impl Iterator<Item = Finding> {
    let mut objects: BTreeMap<ObjectId, Vec<Name>> = BTreeMap::new();
    for Affected { object, name, .. } in affected {
        let names = objects.entry(object).or_default();
        names.extend(name.filter(|name| names.last() != Some(name)));
    }
    objects.into_iter().map(|(object, names)| Finding {
        object: object.to_string(),
        problem: "missing or damaged".to_owned(),
        names,
    })
}

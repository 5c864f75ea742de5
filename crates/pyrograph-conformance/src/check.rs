//! The whole check: a device, the oracle, and the differences.

use std::{
    error::Error,
    panic::{self, AssertUnwindSafe},
};

use pyrograph_backend::{
    BackendTask, Device, DeviceSpec,
    vision::{VisionAutodiff, exact_products, set_exact_products},
};
use pyrograph_gradcheck::Oracle;

use crate::{
    ConformanceError,
    recorder::{Recorded, Work},
    registry::{Entry, entries},
    report::{ConformanceReport, EntryReport},
};

/// Holds every entry of the registry, or those with `only` in their name, on a device to the oracle.
///
/// # Errors
/// When no entry is meant, when the device is not there, and when the oracle cannot compute an entry. What the device gets wrong,
/// or fails at, is no error but part of the report.
pub fn check(spec: DeviceSpec, only: Option<&str>) -> Result<ConformanceReport, ConformanceError> {
    let entries = selected(only)?;
    let spec = spec.resolve();
    let _exact = ExactProducts::new();
    let reports = spec.run(OnDevice { entries })??;
    Ok(ConformanceReport::new(spec, reports))
}

/// The entries with `only` in their name; upper and lower case are the same.
fn selected(only: Option<&str>) -> Result<Vec<&'static Entry>, ConformanceError> {
    let Some(only) = only else {
        return Ok(entries().iter().collect());
    };
    let wanted = only.to_lowercase();
    let found = |entry: &&Entry| entry.name.to_lowercase().contains(&wanted);
    let selected: Vec<_> = entries().iter().filter(found).collect();
    if selected.is_empty() {
        return Err(ConformanceError::Unknown {
            seen: only.to_owned(),
            allowed: entries().iter().map(|entry| entry.name).collect(),
        });
    }
    Ok(selected)
}

/// As long as it lives, bf16 weights are widened: what rounded activations cost is no fault of a backend.
struct ExactProducts {
    before: bool,
}

impl ExactProducts {
    fn new() -> Self {
        let before = exact_products();
        set_exact_products(true);
        Self { before }
    }
}

impl Drop for ExactProducts {
    fn drop(&mut self) {
        set_exact_products(self.before);
    }
}

struct OnDevice {
    entries: Vec<&'static Entry>,
}

impl BackendTask for OnDevice {
    type Output = Result<Vec<EntryReport>, ConformanceError>;

    fn run<A: VisionAutodiff>(self, device: Device<A>) -> Self::Output {
        let Self { entries } = self;
        let oracle_device = Default::default();
        let of_entry = |entry: &&'static Entry| {
            let of_oracle = |work| {
                let recorded = entry.record::<Oracle>(&oracle_device, work);
                recorded.map_err(|source| ConformanceError::Oracle {
                    entry: entry.name,
                    source,
                })
            };
            let oracle = of_oracle(Work::Compare)?.cases;
            let differences = of_oracle(Work::Differences)?.differences;
            Ok(match on_device::<A>(entry, &device) {
                Ok(ours) => EntryReport::new(entry, &ours.cases, &oracle, &differences),
                Err(problem) => EntryReport::failed(entry, problem),
            })
        };
        entries.iter().map(of_entry).collect()
    }
}

/// The entry's cases; what a broken driver or kernel makes of them instead is a problem of the report, and the other entries go on.
fn on_device<A: VisionAutodiff>(entry: &Entry, device: &Device<A>) -> Result<Recorded, String> {
    let record = AssertUnwindSafe(|| entry.record::<A>(device, Work::Compare));
    match panic::catch_unwind(record) {
        Ok(Ok(recorded)) => Ok(recorded),
        Ok(Err(error)) => {
            let mut text = format!("could not be computed: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            Err(text)
        }
        Err(_) => Err("could not be computed: it panicked".to_owned()),
    }
}

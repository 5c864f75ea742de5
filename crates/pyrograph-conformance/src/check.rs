//! The whole check: a device, the oracle, and the differences.

use pyrograph_backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff};
use pyrograph_gradcheck::Oracle;

use crate::{
    ConformanceError,
    recorder::Work,
    registry::{Entry, entries},
    report::{ConformanceReport, EntryReport},
};

/// Holds every entry of the registry, or those with `only` in their name, on a device to the oracle.
///
/// # Errors
/// When no entry is meant, when the device is not there, and when an entry cannot be computed. A number that is off is no
/// error but part of the report.
pub fn check(spec: DeviceSpec, only: Option<&str>) -> Result<ConformanceReport, ConformanceError> {
    let entries = selected(only)?;
    let spec = spec.resolve();
    let reports = spec.run(OnDevice { spec, entries })??;
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

struct OnDevice {
    spec: DeviceSpec,
    entries: Vec<&'static Entry>,
}

impl BackendTask for OnDevice {
    type Output = Result<Vec<EntryReport>, ConformanceError>;

    fn run<A: VisionAutodiff>(self, device: Device<A>) -> Self::Output {
        let Self { spec, entries } = self;
        let oracle_device = Default::default();
        let of_entry = |entry: &&'static Entry| {
            let failed = |device: &str| {
                let device = device.to_owned();
                |source| ConformanceError::Entry {
                    entry: entry.name,
                    device,
                    source,
                }
            };
            let ours = entry
                .record::<A>(&device, Work::Compare)
                .map_err(failed(&spec.to_string()))?;
            let of_oracle = |work| {
                entry
                    .record::<Oracle>(&oracle_device, work)
                    .map_err(failed("the oracle"))
            };
            let oracle = of_oracle(Work::Compare)?.cases;
            let differences = of_oracle(Work::Differences)?.differences;
            Ok(EntryReport::new(entry, &ours.cases, &oracle, &differences))
        };
        entries.iter().map(of_entry).collect()
    }
}

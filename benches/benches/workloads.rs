//! Every workload on every backend of this build that starts here: operations, and the steps of the jobs.
//!
//!     cargo bench -p pyrograph-benches
//!     cargo bench -p pyrograph-benches --features ndarray,wgpu -- sprites/sample_step
//!
//! `RAYON_NUM_THREADS` sets the threads of `flex`;
//! `cargo xtask bench compare` sets the same for PyTorch and prints the ratios.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use pyrograph_backend::{BackendTask, Device, vision::VisionAutodiff};
use pyrograph_benches::{backend_name, devices};
use pyrograph_workloads::workloads;

/// The command's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Steps take up to seconds: few samples, of as few steps as their time allows.
const SAMPLES: usize = 10;

/// Where one backend's timings go.
struct Bench<'a> {
    criterion: &'a mut Criterion,
    backend: String,
}

impl BackendTask for Bench<'_> {
    type Output = ();

    /// Times each workload as `area/what/shape/backend`.
    fn run<A: VisionAutodiff>(self, device: Device<A>) {
        for workload in workloads::<A>(&device) {
            let name = workload.name();
            let (what, shape) = name.rsplit_once('/').unwrap_or((name, ""));
            let mut group = self.criterion.benchmark_group(what);
            group.sampling_mode(SamplingMode::Flat);
            // Made when criterion's filter has chosen it, once for warming up and measuring.
            let mut work = None;
            group.bench_function(BenchmarkId::new(shape, &self.backend), |bencher| {
                bencher.iter(work.get_or_insert_with(|| workload.start()));
            });
            group.finish();
        }
    }
}

fn every_backend(criterion: &mut Criterion) {
    for spec in devices() {
        let bench = Bench {
            criterion,
            backend: backend_name(spec),
        };
        spec.run(bench).expect("it started a moment ago");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5));
    targets = every_backend
}
criterion_main!(benches);

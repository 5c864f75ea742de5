//! The sprite job on every backend of this build that starts here: a sampling step, a training step, and the operations
//! that they are made of, at the shapes of the course's network (64 features, 16×16).
//!
//!     cargo bench -p pyrograph-benches
//!     cargo bench -p pyrograph-benches --features ndarray,wgpu -- sprites/sample_step
//!
//! Under three minutes on two cores with the default backend. `RAYON_NUM_THREADS` sets the threads of `flex`;
//! `benches/pytorch/compare.py` sets the same for PyTorch and prints the ratios.

mod operations;
mod steps;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use pyrograph::backend::{BackendTask, Device, vision::VisionAutodiff};
use pyrograph_benches::{backend_name, devices};

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

impl Bench<'_> {
    /// Times `body` as `area/op/shape/backend`; the device is done with it before the clock stops.
    fn time<A: VisionAutodiff, T>(
        &mut self,
        op: &str,
        shape: &str,
        device: &Device<A>,
        mut body: impl FnMut() -> T,
    ) {
        let mut group = self.criterion.benchmark_group(op);
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(BenchmarkId::new(shape, &self.backend), |bencher| {
            bencher.iter(|| {
                let output = body();
                A::sync(device).expect("the device computes");
                output
            });
        });
        group.finish();
    }
}

impl BackendTask for Bench<'_> {
    type Output = ();

    fn run<A: VisionAutodiff>(mut self, device: Device<A>) {
        steps::sample::<A>(&mut self, &device);
        steps::train::<A>(&mut self, &device);
        steps::add_noise::<A>(&mut self, &device);
        operations::all::<A>(&mut self, &device);
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

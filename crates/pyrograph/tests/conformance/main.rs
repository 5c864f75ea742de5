//! Every operation, the network, a training step and the samplers give the same numbers on every backend.
//!
//! The oracle is `NdArray<f64>` in plain burn operations. What is compared is one list of rows, made by one generic body;
//! `cargo test -p pyrograph --test conformance -- --nocapture` prints how far each backend is from the oracle.
//! A backend is tested when its feature is on, and a test of a backend that finds no device fails and says why.

// A build with CUDA and without WGPU has neither of its cases.
#[cfg(any(feature = "wgpu", not(feature = "cuda")))]
mod devices;
mod draw;
mod network;
mod operations;
mod rows;
mod sampling;

use std::sync::OnceLock;

use burn::backend::Autodiff;
use burn_ndarray::NdArray;
use pyrograph::backend::{BackendTask, Device, DeviceSpec, lock_autodiff, vision::VisionAutodiff};
use rows::{Cause, Row, Rows};

/// The backend whose numbers are held to be right: its default bodies in f64.
type Oracle = Autodiff<NdArray<f64>>;

/// Everything that is compared.
fn run_all<A: VisionAutodiff>(device: &Device<A>) -> Vec<Row> {
    let _turn = lock_autodiff();
    let mut rows = Rows::default();
    operations::add::<A>(&mut rows, device);
    network::add::<A>(&mut rows, device);
    sampling::add::<A>(&mut rows, device);
    rows.finish()
}

struct RunAll;

impl BackendTask for RunAll {
    type Output = Vec<Row>;

    fn run<A: VisionAutodiff>(self, device: Device<A>) -> Vec<Row> {
        run_all::<A>(&device)
    }
}

fn oracle() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| run_all::<Oracle>(&Default::default()))
}

#[track_caller]
fn assert_conforms(spec: DeviceSpec, tolerance: fn(Cause) -> f64) {
    let ours = spec.run(RunAll).unwrap_or_else(|error| {
        panic!("the test of `{spec}` needs that device, since its feature is on: {error}")
    });
    match rows::compare(&ours, oracle(), tolerance) {
        Ok(table) => println!("{spec} against NdArray<f64>\n{table}"),
        Err(report) => panic!("{spec} does not conform to NdArray<f64>\n{report}"),
    }
}

#[cfg(feature = "flex")]
#[test]
fn flex_gives_the_numbers_of_the_oracle() {
    assert_conforms(DeviceSpec::Cpu, Cause::tolerance);
}

#[test]
fn ndarray_in_f32_gives_the_numbers_of_the_oracle() {
    // burn-ndarray 0.21 takes the reciprocal of 32 values and more from the CPU's estimate, which has 8 bits on Arm and 12
    // on x86 (tracel-ai/burn#5553 mends it), and autodiff differentiates a division through it.
    assert_conforms(DeviceSpec::NdArray, |cause| match cause {
        Cause::F32OpGradient => 2.0_f64.powi(-8),
        cause => cause.tolerance(),
    });
}

#[cfg(feature = "wgpu")]
#[test]
fn wgpu_gives_the_numbers_of_the_oracle() {
    assert_conforms(DeviceSpec::Wgpu { index: None }, Cause::tolerance);
}

#[cfg(feature = "cuda")]
#[test]
fn cuda_gives_the_numbers_of_the_oracle() {
    assert_conforms(DeviceSpec::Cuda { index: 0 }, Cause::tolerance);
}

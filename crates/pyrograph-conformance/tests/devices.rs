//! Devices that a user names and that are not there.

// A build with CUDA and without WGPU has neither of these cases.
#![cfg(any(feature = "wgpu", not(feature = "cuda")))]

use pyrograph_backend::{BackendError, BackendTask, Device, DeviceSpec, vision::VisionAutodiff};

struct Nothing;

impl BackendTask for Nothing {
    type Output = ();

    fn run<A: VisionAutodiff>(self, _: Device<A>) {}
}

#[cfg(feature = "wgpu")]
#[test]
fn an_adapter_that_is_not_there_is_refused_with_the_indices_that_are() {
    let spec: DeviceSpec = "wgpu:99".parse().expect("a legal name");
    let error = spec
        .run(Nothing)
        .expect_err("no machine has a hundred adapters");
    assert!(matches!(error, BackendError::NotPresent { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("`wgpu:99`") && message.contains("indices 0 to "),
        "{message}"
    );
}

#[cfg(feature = "wgpu")]
#[test]
fn every_adapter_of_the_list_runs_by_its_index() {
    let listed = pyrograph_backend::list_devices();
    let adapters: Vec<_> = listed
        .iter()
        .filter(|device| device.spec.starts_with("wgpu:"))
        .collect();
    assert!(!adapters.is_empty(), "no WGPU adapter: {listed:?}");
    for adapter in adapters {
        let spec: DeviceSpec = adapter
            .spec
            .parse()
            .expect("the list prints what the parser reads");
        spec.run(Nothing)
            .unwrap_or_else(|error| panic!("{}: {error}", adapter.description));
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_backend_that_is_not_compiled_in_is_refused_with_its_feature() {
    let spec: DeviceSpec = "cuda".parse().expect("a legal name");
    let error = spec.run(Nothing).expect_err("left out of this build");
    assert!(matches!(error, BackendError::NotCompiled { .. }), "{error}");
    assert!(error.to_string().contains("--features cuda"), "{error}");
}

//! The list of devices in a program that is linked with CUDA: it must work without a driver too.

#![cfg(feature = "cuda")]

use pyrograph_backend::{
    BackendError, BackendKind, Device, DeviceSpec, InferenceTask, list_devices,
    vision::VisionBackend,
};

struct Nothing;

impl InferenceTask for Nothing {
    type Output = ();

    fn run<B: VisionBackend>(self, _: Device<B>) {}
}

#[test]
fn cuda_is_listed_by_its_gpus_or_with_what_is_missing() {
    let listed: Vec<_> = list_devices()
        .into_iter()
        .filter(|device| device.kind == BackendKind::Cuda)
        .collect();
    println!("{listed:#?}");
    assert!(!listed.is_empty(), "no line for CUDA");
    for device in listed {
        assert!(device.compiled);
        let spec: DeviceSpec = device.spec.parse().expect("the list prints a legal name");
        match (device.present, spec.infer(Nothing)) {
            (true, started) => started.expect("a listed GPU starts"),
            (false, refused) => {
                let error = refused.expect_err("nothing to run on");
                assert!(matches!(error, BackendError::NotPresent { .. }), "{error}");
                assert!(error.to_string().contains(&device.description), "{error}");
                assert!(
                    device.description.contains("CUDA"),
                    "{}",
                    device.description
                );
            }
        }
    }
}

//! What the benches share: the backends of this build, and their names in a bench's id.

use pyrograph_backend::{BackendKind, BackendTask, DeviceSpec};

/// The devices to time: one for each backend that is compiled in and starts here.
///
/// A backend without a device (no adapter, no driver) is named on stderr and left out.
pub fn devices() -> Vec<DeviceSpec> {
    let all = [
        DeviceSpec::Cpu,
        DeviceSpec::NdArray,
        DeviceSpec::Wgpu { index: None },
        DeviceSpec::Cuda { index: 0 },
    ];
    let compiled = all
        .into_iter()
        .filter(|spec| spec.kind().is_some_and(BackendKind::is_compiled));
    compiled.filter(starts).collect()
}

fn starts(spec: &DeviceSpec) -> bool {
    struct Nothing;
    impl BackendTask for Nothing {
        type Output = ();
        fn run<B: pyrograph_backend::vision::VisionAutodiff>(
            self,
            _: pyrograph_backend::Device<B>,
        ) {
        }
    }
    let started = spec.run(Nothing);
    if let Err(error) = &started {
        eprintln!("left out: {error}");
    }
    started.is_ok()
}

/// The last part of a bench's id, `area/op/shape/backend`.
pub fn backend_name(spec: DeviceSpec) -> String {
    spec.kind()
        .map_or_else(|| spec.to_string(), |kind| kind.to_string())
}

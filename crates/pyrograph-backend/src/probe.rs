//! Which devices are there. burn panics where an adapter or a driver is missing; this module finds out first.

#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "wgpu",
    feature = "cuda"
))]
use std::{
    panic::{self, UnwindSafe},
    sync::Mutex,
};

use crate::{BackendError, BackendKind, DeviceSpec, run::not_compiled};

/// One line of `pyrograph devices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What to write after `--device`; for a backend without a device, the name of the backend.
    pub spec: String,
    /// Its backend.
    pub kind: BackendKind,
    /// Whether this build holds the backend.
    pub compiled: bool,
    /// Whether there is something to run on.
    pub present: bool,
    /// The name of the adapter, or why there is none.
    pub description: String,
}

/// Every device that can be named, and what is known of it without starting it.
pub fn list_devices() -> Vec<DeviceInfo> {
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut list = vec![
        info(
            DeviceSpec::Cpu,
            BackendKind::Flex,
            Ok(format!("{cpus} threads, burn-flex")),
        ),
        info(
            DeviceSpec::NdArray,
            BackendKind::NdArray,
            Ok(format!("{cpus} threads, burn-ndarray")),
        ),
    ];
    list.extend(gpu_infos(BackendKind::Wgpu, wgpu_adapters(), |index| {
        DeviceSpec::Wgpu { index: Some(index) }
    }));
    list.extend(gpu_infos(BackendKind::Cuda, cuda_devices(), |index| {
        DeviceSpec::Cuda { index }
    }));
    list
}

fn info(spec: DeviceSpec, kind: BackendKind, found: Result<String, String>) -> DeviceInfo {
    let compiled = kind.is_compiled();
    let (present, description) = match found {
        Ok(name) => (compiled, name),
        Err(reason) => (false, reason),
    };
    DeviceInfo {
        spec: spec.to_string(),
        kind,
        compiled,
        present,
        description,
    }
}

fn gpu_infos(
    kind: BackendKind,
    found: Result<Vec<Adapter>, String>,
    spec: impl Fn(usize) -> DeviceSpec,
) -> Vec<DeviceInfo> {
    let none = |reason: String| {
        vec![DeviceInfo {
            spec: kind.to_string(),
            kind,
            compiled: kind.is_compiled(),
            present: false,
            description: reason,
        }]
    };
    match found {
        _ if !kind.is_compiled() => none(format!("not compiled in (feature `{kind}`)")),
        Ok(adapters) if adapters.is_empty() => none("no adapter found".into()),
        Ok(adapters) => (0..)
            .zip(adapters)
            .map(|(index, adapter)| info(spec(index), kind, Ok(adapter.name)))
            .collect(),
        Err(reason) => none(reason),
    }
}

/// What `auto` means here and now.
pub(crate) fn best_device() -> DeviceSpec {
    if cuda_devices().is_ok_and(|devices| !devices.is_empty()) {
        return DeviceSpec::Cuda { index: 0 };
    }
    let hardware = wgpu_adapters()
        .ok()
        .and_then(|adapters| adapters.iter().position(|adapter| adapter.is_hardware));
    match hardware {
        Some(index) => DeviceSpec::Wgpu { index: Some(index) },
        None if BackendKind::Flex.is_compiled() => DeviceSpec::Cpu,
        None if BackendKind::NdArray.is_compiled() => DeviceSpec::NdArray,
        None if BackendKind::Wgpu.is_compiled() => DeviceSpec::Wgpu { index: None },
        None => DeviceSpec::Cpu,
    }
}

/// Whether `spec` names something that is compiled in and there.
pub(crate) fn check(spec: DeviceSpec) -> Result<(), BackendError> {
    if !spec.kind().is_none_or(BackendKind::is_compiled) {
        return Err(not_compiled(spec));
    }
    let (found, index) = match spec {
        DeviceSpec::Wgpu { index } => (wgpu_adapters(), index.unwrap_or(0)),
        DeviceSpec::Cuda { index } => (cuda_devices(), index),
        DeviceSpec::Auto | DeviceSpec::Cpu | DeviceSpec::NdArray => return Ok(()),
    };
    let reason = match found {
        Ok(adapters) if index < adapters.len() => return Ok(()),
        Ok(adapters) if adapters.is_empty() => "no adapter or driver was found".into(),
        Ok(adapters) => format!("indices 0 to {} are there", adapters.len() - 1),
        Err(reason) => reason,
    };
    Err(BackendError::NotPresent {
        seen: spec.to_string(),
        reason,
    })
}

/// Runs one small computation, so that a device that is listed but broken fails here and not in the middle of a job.
#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "wgpu",
    feature = "cuda"
))]
pub(crate) fn start<B: burn::tensor::backend::Backend>(
    spec: DeviceSpec,
    device: &B::Device,
) -> Result<(), BackendError> {
    use burn::tensor::Tensor;

    let device = panic::AssertUnwindSafe(device);
    let total = quietly(move || {
        let ones = Tensor::<B, 1>::ones([4], *device);
        ones.sum().into_data().iter::<f32>().sum::<f32>()
    });
    let reason = match total {
        Ok(4.0) => return Ok(()),
        Ok(other) => format!("1 + 1 + 1 + 1 gave {other} on it"),
        Err(reason) => reason,
    };
    Err(BackendError::DoesNotStart {
        seen: spec.to_string(),
        reason,
    })
}

/// A GPU as its driver names it.
#[derive(Clone, Debug)]
struct Adapter {
    name: String,
    /// False for software adapters such as lavapipe.
    is_hardware: bool,
    /// burn's name for it.
    #[cfg(feature = "wgpu")]
    device: burn_wgpu::WgpuDevice,
}

#[cfg(feature = "wgpu")]
fn wgpu_adapters() -> Result<Vec<Adapter>, String> {
    use burn_wgpu::{
        WgpuDevice,
        graphics::{AutoGraphicsApi, GraphicsApi},
    };
    use wgpu::DeviceType;

    let adapters = quietly(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: AutoGraphicsApi::backend().into(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        pollster::block_on(instance.enumerate_adapters(AutoGraphicsApi::backend().into()))
            .iter()
            .map(wgpu::Adapter::get_info)
            .collect::<Vec<_>>()
    })?;
    // burn counts the adapters of each type apart.
    let mut counts = [0; 3];
    let mut next = |slot: usize| {
        counts[slot] += 1;
        counts[slot] - 1
    };
    Ok(adapters
        .into_iter()
        .map(|info| {
            let device = match info.device_type {
                DeviceType::DiscreteGpu => WgpuDevice::DiscreteGpu(next(0)),
                DeviceType::IntegratedGpu => WgpuDevice::IntegratedGpu(next(1)),
                DeviceType::VirtualGpu => WgpuDevice::VirtualGpu(next(2)),
                DeviceType::Cpu => WgpuDevice::Cpu,
                DeviceType::Other => WgpuDevice::DefaultDevice,
            };
            Adapter {
                name: format!("{} ({:?}, {:?})", info.name, info.device_type, info.backend),
                is_hardware: info.device_type != DeviceType::Cpu,
                device,
            }
        })
        .collect())
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_adapters() -> Result<Vec<Adapter>, String> {
    Ok(Vec::new())
}

/// burn's name for the adapter that `spec` names, or for the preferred one.
#[cfg(feature = "wgpu")]
pub(crate) fn wgpu_device(spec: DeviceSpec) -> Result<burn_wgpu::WgpuDevice, BackendError> {
    let DeviceSpec::Wgpu { index: Some(index) } = spec else {
        return Ok(burn_wgpu::WgpuDevice::DefaultDevice);
    };
    let found = wgpu_adapters()
        .ok()
        .and_then(|adapters| adapters.into_iter().nth(index));
    found
        .map(|adapter| adapter.device)
        .ok_or_else(|| BackendError::NotPresent {
            seen: spec.to_string(),
            reason: "it has gone since it was listed".into(),
        })
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> Result<Vec<Adapter>, String> {
    use burn::tensor::backend::Backend;

    let count = quietly(|| burn_cuda::Cuda::<f32, i32>::device_count(0))
        .map_err(|reason| format!("no CUDA driver: {reason}"))?;
    Ok((0..count)
        .map(|index| Adapter {
            name: format!("NVIDIA GPU {index}, burn-cuda"),
            is_hardware: true,
            #[cfg(feature = "wgpu")]
            device: burn_wgpu::WgpuDevice::DiscreteGpu(index),
        })
        .collect())
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> Result<Vec<Adapter>, String> {
    Ok(Vec::new())
}

/// Runs `body` and turns a panic into its message, without printing it.
#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "wgpu",
    feature = "cuda"
))]
fn quietly<T>(body: impl FnOnce() -> T + UnwindSafe) -> Result<T, String> {
    // The hook is global to the process: one probe at a time.
    static HOOK: Mutex<()> = Mutex::new(());
    let _guard = HOOK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(body);
    panic::set_hook(hook);
    result.map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        text.or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        })
        .unwrap_or_else(|| "the driver gave no reason".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(
        feature = "flex",
        feature = "ndarray",
        feature = "wgpu",
        feature = "cuda"
    ))]
    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(quietly(|| 3), Ok(3));
        assert_eq!(
            quietly(|| -> i32 { panic!("no {}", "driver") }),
            Err("no driver".into())
        );
    }

    #[test]
    fn the_list_names_every_backend() {
        let list = list_devices();
        for kind in BackendKind::ALL {
            let lines: Vec<_> = list.iter().filter(|line| line.kind == kind).collect();
            assert!(!lines.is_empty(), "{kind}");
            assert!(lines.iter().all(|line| line.compiled == kind.is_compiled()));
            assert!(lines.iter().all(|line| line.compiled || !line.present));
        }
    }

    #[test]
    fn auto_resolves_to_a_device_that_checks() {
        let spec = best_device();
        assert_ne!(spec, DeviceSpec::Auto);
        check(spec).expect("the device that auto names");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_backend_left_out_is_refused_with_the_feature_to_add() {
        let error = check(DeviceSpec::Cuda { index: 0 })
            .expect_err("left out")
            .to_string();
        assert!(
            error.contains("--features cuda") && error.contains("it has:"),
            "{error}"
        );
    }
}

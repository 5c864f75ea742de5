//! Which devices are there. burn panics where an adapter or a driver is missing; this module finds out first.

#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "wgpu",
    feature = "cuda"
))]
use std::{
    any::Any,
    panic::{self, UnwindSafe},
    sync::{Arc, Mutex, PoisonError},
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
    /// Threads in force, on a CPU.
    pub threads: Option<usize>,
    /// The vector instructions in force, of a CPU by burn-flex.
    pub vectors: Option<String>,
}

/// Every device that can be named, and what is known of it without starting it.
pub fn list_devices() -> Vec<DeviceInfo> {
    let count = cpu_threads();
    let threads = match count {
        1 => "1 thread".to_owned(),
        count => format!("{count} threads"),
    };
    let (vectors, fault) = match cpu_vectors() {
        Ok(vectors) => (vectors, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let on_flex = vectors.iter().cloned().chain(["burn-flex".into()]);
    let flex = match fault {
        Some(fault) => Err(fault),
        None => Ok([vec![threads.clone()], on_flex.collect()]
            .concat()
            .join(", ")),
    };
    let mut list = vec![
        DeviceInfo {
            vectors,
            threads: Some(count),
            ..info(DeviceSpec::Cpu, BackendKind::Flex, flex)
        },
        DeviceInfo {
            threads: Some(count),
            ..info(
                DeviceSpec::NdArray,
                BackendKind::NdArray,
                Ok(format!("{threads}, burn-ndarray")),
            )
        },
    ];
    list.extend(gpu_infos(BackendKind::Wgpu, wgpu_adapters(), |index| {
        DeviceSpec::Wgpu { index: Some(index) }
    }));
    list.extend(gpu_infos(BackendKind::Cuda, cuda_devices(), |index| {
        DeviceSpec::Cuda { index }
    }));
    list
}

/// Threads that the kernels run on: those of the machine, or what `RAYON_NUM_THREADS` says.
fn cpu_threads() -> usize {
    #[cfg(feature = "flex")]
    {
        rayon::current_num_threads()
    }
    #[cfg(not(feature = "flex"))]
    {
        std::thread::available_parallelism().map_or(1, |n| n.get())
    }
}

/// The vector instructions in force, where there are kernels that choose.
fn cpu_vectors() -> Result<Option<String>, BackendError> {
    #[cfg(feature = "flex")]
    {
        crate::vision::vector_words().map(Some)
    }
    #[cfg(not(feature = "flex"))]
    {
        Ok(None)
    }
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
        threads: None,
        vectors: None,
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
            threads: None,
            vectors: None,
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
        DeviceSpec::Cpu => return cpu_vectors().map(drop),
        DeviceSpec::Auto | DeviceSpec::NdArray => return Ok(()),
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
        Err(reason) if spec.kind() == Some(BackendKind::Cuda) => cuda_words(&reason),
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
        .map_err(|reason| cuda_words(&reason))?;
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

/// What keeps CUDA from running, in words: `reason` is the message of a panic.
#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "wgpu",
    feature = "cuda"
))]
fn cuda_words(reason: &str) -> String {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if says(&["nvrtc"]) {
        return "the library NVRTC of the CUDA toolkit was not found (libnvrtc.so, on Windows nvrtc64_*.dll): install the toolkit".into();
    }
    // A server thread that ends in a panic is all that burn says of a missing library.
    if says(&["dynamically load", "libcuda", "nvcuda", "RecvError"]) {
        return "no CUDA driver was found (libcuda.so.1, on Windows nvcuda.dll): install NVIDIA's driver".into();
    }
    if says(&["NO_DEVICE", "no CUDA-capable device"]) {
        return "the CUDA driver finds no NVIDIA GPU".into();
    }
    let first_line = reason.lines().next().unwrap_or_default();
    format!("the CUDA driver does not answer: {first_line}")
}

/// Runs `body` and turns a panic into its message, without printing it. Of several panics, on
/// several threads, the first one says the cause.
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
    let first = Arc::new(Mutex::new(None::<String>));
    let heard = Arc::clone(&first);
    panic::set_hook(Box::new(move |info| {
        let mut first = heard.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            *first = words_of(info.payload());
        }
    }));
    let result = panic::catch_unwind(body);
    panic::set_hook(hook);
    result.map_err(|payload| {
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first
            .or_else(|| words_of(payload.as_ref()))
            .unwrap_or_else(|| "the driver gave no reason".into())
    })
}

/// The message of a panic.
#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "wgpu",
    feature = "cuda"
))]
fn words_of(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| Some((*payload.downcast_ref::<&str>()?).to_owned()))
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
        // A thread that dies is the cause, what its channel says is not.
        let by_a_thread = quietly(|| {
            let thread = std::thread::spawn(|| panic!("Unable to dynamically load libcuda.so"));
            assert!(thread.join().is_ok(), "RecvError");
        });
        let reason = by_a_thread.expect_err("a panic");
        assert!(reason.contains("libcuda.so"), "{reason}");
    }

    #[cfg(any(
        feature = "flex",
        feature = "ndarray",
        feature = "wgpu",
        feature = "cuda"
    ))]
    #[test]
    fn a_missing_cuda_driver_is_said_in_words() {
        for (reason, words) in [
            (
                "Unable to dynamically load the \"cuda\" shared library",
                "no CUDA driver was found",
            ),
            (
                "called `Result::unwrap()` on an `Err` value: RecvError",
                "install NVIDIA's driver",
            ),
            (
                "Unable to dynamically load the \"nvrtc\" shared library",
                "NVRTC",
            ),
            ("DriverError(CUDA_ERROR_NO_DEVICE)", "no NVIDIA GPU"),
            ("out of luck\nand lines", "does not answer: out of luck"),
        ] {
            let text = cuda_words(reason);
            assert!(text.contains(words) && !text.contains("unwrap"), "{text}");
        }
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
        let cpu = list.iter().find(|line| line.kind == BackendKind::Flex);
        let cpu = cpu.expect("a line of its own");
        assert!(cpu.threads.is_some_and(|count| count > 0));
        if cpu.present {
            let vectors = cpu.vectors.as_deref().expect("chosen");
            assert!(cpu.description.contains(vectors), "{cpu:?}");
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

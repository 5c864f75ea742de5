//! Running a generic body on the backend that a specification names.

use burn::tensor::backend::BackendTypes;

use crate::{BackendError, BackendKind, DeviceSpec, probe, vision::VisionAutodiff};

/// The device of a backend.
pub type Device<B> = <B as BackendTypes>::Device;

/// A body that is generic over the backend: a function with a type parameter, which a closure cannot have.
///
/// A task that only infers uses `B::InnerBackend`.
pub trait BackendTask {
    /// What it yields on any backend.
    type Output;

    /// Runs on one backend.
    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output;
}

impl DeviceSpec {
    /// Replaces `Auto` by the device that would be used.
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto => probe::best_device(),
            spec => spec,
        }
    }

    /// Runs `task` on this device.
    ///
    /// # Errors
    /// When the backend is not compiled in, when there is no such adapter or driver, or when a first small computation
    /// on it fails.
    pub fn run<T: BackendTask>(self, task: T) -> Result<T::Output, BackendError> {
        let spec = self.resolve();
        probe::check(spec)?;
        match spec {
            #[cfg(feature = "flex")]
            Self::Cpu => on::<burn_flex::Flex, T>(spec, Default::default(), task),
            #[cfg(feature = "ndarray")]
            Self::NdArray => on::<burn_ndarray::NdArray<f32>, T>(spec, Default::default(), task),
            #[cfg(feature = "wgpu")]
            Self::Wgpu { index } => {
                on::<burn_wgpu::Wgpu, T>(spec, probe::wgpu_device(spec, index)?, task)
            }
            #[cfg(feature = "cuda")]
            Self::Cuda { index } => {
                on::<burn_cuda::Cuda, T>(spec, burn_cuda::CudaDevice::new(index), task)
            }
            #[allow(unreachable_patterns)] // Reached when a feature above is off.
            spec => {
                drop(task);
                Err(not_compiled(spec))
            }
        }
    }
}

/// The error for a backend that this build leaves out.
pub(crate) fn not_compiled(spec: DeviceSpec) -> BackendError {
    BackendError::NotCompiled {
        seen: spec.to_string(),
        // `Auto` resolves to the CPU when nothing else is there.
        kind: spec.kind().unwrap_or(BackendKind::Flex),
        compiled: BackendKind::compiled_list(),
    }
}

#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "wgpu",
    feature = "cuda"
))]
fn on<B, T>(spec: DeviceSpec, device: Device<B>, task: T) -> Result<T::Output, BackendError>
where
    B: crate::vision::VisionBackend,
    T: BackendTask,
{
    probe::start::<B>(spec, &device)?;
    Ok(task.run::<burn::backend::Autodiff<B>>(device))
}

//! Running a generic body on the backend that a specification names.

use burn::tensor::backend::BackendTypes;

use crate::{
    BackendError, BackendKind, DeviceSpec, probe,
    vision::{VisionAutodiff, VisionBackend},
};

/// The device of a backend.
pub type Device<B> = <B as BackendTypes>::Device;

/// A body that is generic over the backend: a function with a type parameter, which a closure cannot have.
///
/// A task that only infers is an [`InferenceTask`].
pub trait BackendTask {
    /// What it yields on any backend.
    type Output;

    /// Runs on one backend.
    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output;
}

/// A body that only infers: generic over a backend without gradients.
pub trait InferenceTask {
    /// What it yields on any backend.
    type Output;

    /// Runs on one backend.
    fn run<B: VisionBackend>(self, device: Device<B>) -> Self::Output;
}

/// A task that infers among those that differentiate: it runs on the backend beneath.
struct Beneath<T>(T);

impl<T: InferenceTask> BackendTask for Beneath<T> {
    type Output = T::Output;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        self.0.run::<B::InnerBackend>(device)
    }
}

/// A body that runs on several devices of one backend at once.
pub trait DevicesTask {
    /// What it yields on any backend.
    type Output;

    /// Runs on `device`, which is the main one, and on `others`.
    fn run<B: VisionAutodiff>(self, device: Device<B>, others: Vec<Device<B>>) -> Self::Output;
}

/// A task for one device among those for several.
struct OnOne<T>(T);

impl<T: BackendTask> DevicesTask for OnOne<T> {
    type Output = T::Output;

    fn run<B: VisionAutodiff>(self, device: Device<B>, _: Vec<Device<B>>) -> Self::Output {
        self.0.run::<B>(device)
    }
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
        self.run_with(&[], OnOne(task))
    }

    /// Runs `task`, which only infers, on this device.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn infer<T: InferenceTask>(self, task: T) -> Result<T::Output, BackendError> {
        self.run(Beneath(task))
    }

    /// Runs `task` on this device, the main one, and on `others`, which are of the same backend.
    ///
    /// # Errors
    /// As [`run`](Self::run), for each of them; and when they are of several backends.
    pub fn run_with<T: DevicesTask>(
        self,
        others: &[Self],
        task: T,
    ) -> Result<T::Output, BackendError> {
        let spec = self.resolve();
        for other in others {
            if other.kind() != spec.kind() {
                return Err(BackendError::Mixed {
                    seen: other.to_string(),
                    main: spec.to_string(),
                });
            }
        }
        let specs: Vec<Self> = [spec].iter().chain(others).copied().collect();
        for spec in &specs {
            probe::check(*spec)?;
        }
        match spec {
            #[cfg(feature = "flex")]
            Self::Cpu => on::<burn_flex::Flex, T>(&specs, |_| Ok(Default::default()), task),
            #[cfg(feature = "ndarray")]
            Self::NdArray => {
                on::<burn_ndarray::NdArray<f32>, T>(&specs, |_| Ok(Default::default()), task)
            }
            #[cfg(feature = "wgpu")]
            Self::Wgpu { .. } => on::<burn_wgpu::Wgpu, T>(&specs, probe::wgpu_device, task),
            #[cfg(feature = "cuda")]
            Self::Cuda { .. } => {
                let device = |spec| match spec {
                    Self::Cuda { index } => Ok(burn_cuda::CudaDevice::new(index)),
                    // All are of one kind.
                    _ => Ok(Default::default()),
                };
                on::<burn_cuda::Cuda, T>(&specs, device, task)
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
fn on<B, T>(
    specs: &[DeviceSpec],
    device: impl Fn(DeviceSpec) -> Result<Device<B>, BackendError>,
    task: T,
) -> Result<T::Output, BackendError>
where
    B: VisionBackend,
    T: DevicesTask,
{
    let mut devices = Vec::with_capacity(specs.len());
    for spec in specs {
        let device = device(*spec)?;
        probe::start::<B>(*spec, &device)?;
        devices.push(device);
    }
    // The main one is always there.
    let main = devices.remove(0);
    Ok(task.run::<burn::backend::Autodiff<B>>(main, devices))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    struct Count;

    impl DevicesTask for Count {
        type Output = usize;

        fn run<B: VisionAutodiff>(self, _: Device<B>, others: Vec<Device<B>>) -> usize {
            1 + others.len()
        }
    }

    struct Name;

    impl InferenceTask for Name {
        type Output = (String, bool);

        fn run<B: VisionBackend>(self, device: Device<B>) -> (String, bool) {
            (B::name(&device), B::ad_enabled(&device))
        }
    }

    #[test]
    fn a_task_that_infers_runs_on_the_named_device_without_gradients() {
        let spec: DeviceSpec = "cpu".parse().expect("a device");
        let seen = spec.infer(Name).expect("the CPU");
        assert_eq!(seen, ("flex".to_owned(), false));
    }

    #[test]
    fn a_task_has_every_device_and_those_of_two_backends_are_refused() {
        let run = |others: &[DeviceSpec]| DeviceSpec::Cpu.run_with(others, Count);
        assert_eq!(run(&[]).expect("the CPU"), 1);
        assert_eq!(run(&[DeviceSpec::Cpu; 2]).expect("the CPU"), 3);
        let error = run(&[DeviceSpec::Cuda { index: 1 }]).expect_err("another backend");
        assert!(matches!(error, BackendError::Mixed { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("`cuda:1`") && text.contains("`cpu`"),
            "{text}"
        );
    }
}

//! Backend glue for pyrograph.
//!
//! - [`DeviceSpec`]: what a user writes (`cpu`, `wgpu:1`, `cuda`) and how a generic body runs on
//!   it: one that trains ([`BackendTask`]), or one that only infers ([`InferenceTask`]).
//! - [`vision`]: [`VisionBackend`](vision::VisionBackend), the seam for fused kernels.
//! - `Flex`, `NdArray`, `Wgpu`, `Cuda`: burn's backends by type, each with its feature; `Oracle`,
//!   NdArray in f64, with `oracle`.
//! - [`rng`]: seeded noise made on the host, the same on every backend.
//!
//! This is the only crate with backend features: `flex` (default), `ndarray`, `wgpu`, `cuda`, `oracle`
//! (NdArray in f64), and `fusion` for the GPU ones.
//!
//! ```
//! # mod pyrograph { pub use burn; pub use pyrograph_backend as backend; }
//! use pyrograph::backend::{Device, DeviceSpec, InferenceTask, vision::VisionBackend};
//! use pyrograph::burn::tensor::Tensor;
//!
//! struct Sum(Vec<f32>);
//! impl InferenceTask for Sum {
//!     type Output = f32;
//!     fn run<B: VisionBackend>(self, device: Device<B>) -> f32 {
//!         let data = Tensor::<B, 1>::from_floats(self.0.as_slice(), &device);
//!         data.sum().into_data().iter::<f32>().sum()
//!     }
//! }
//! let spec: DeviceSpec = "cpu".parse()?;
//! # #[cfg(feature = "flex")]
//! assert_eq!(spec.infer(Sum(vec![1.0, 2.0]))?, 3.0);
//! # Ok::<(), pyrograph::backend::BackendError>(())
//! ```

mod autodiff_lock;
mod device;
mod error;
#[cfg(feature = "oracle")]
mod oracle;
mod probe;
pub mod rng;
mod run;
pub mod vision;

#[cfg(feature = "cuda")]
pub use burn_cuda::Cuda;
#[cfg(feature = "flex")]
pub use burn_flex::Flex;
#[cfg(feature = "oracle")]
pub use burn_ndarray::NdArray;
#[cfg(feature = "wgpu")]
pub use burn_wgpu::Wgpu;

pub use autodiff_lock::{AutodiffLock, lock_autodiff};
pub use device::{BackendKind, DeviceSpec};
pub use error::BackendError;
#[cfg(feature = "oracle")]
pub use oracle::{OracleBackend, OracleDevice};
pub use probe::{DeviceInfo, list_devices};
pub use run::{BackendTask, Device, DevicesTask, InferenceTask};

/// What other backends are held to: burn's NdArray in f64, with gradients (feature `oracle`).
#[cfg(feature = "oracle")]
pub type Oracle = burn::backend::Autodiff<OracleBackend>;

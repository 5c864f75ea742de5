//! Backend glue for pyrograph.
//!
//! - [`DeviceSpec`]: what a user writes (`cpu`, `wgpu:1`, `cuda`) and how a generic body runs on it ([`BackendTask`]).
//! - [`vision`]: [`VisionBackend`](vision::VisionBackend), the seam for fused kernels.
//! - [`rng`]: seeded noise made on the host, the same on every backend.
//!
//! This is the only crate with backend features: `flex` (default), `ndarray`, `wgpu`, `cuda`, and `fusion` for the GPU ones.
//!
//! ```
//! use pyrograph_backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff};
//! use burn::tensor::Tensor;
//!
//! struct Sum(Vec<f32>);
//! impl BackendTask for Sum {
//!     type Output = f32;
//!     fn run<B: VisionAutodiff>(self, device: Device<B>) -> f32 {
//!         let data = Tensor::<B::InnerBackend, 1>::from_floats(self.0.as_slice(), &device);
//!         data.sum().into_data().iter::<f32>().sum()
//!     }
//! }
//! let spec: DeviceSpec = "cpu".parse()?;
//! # #[cfg(feature = "flex")]
//! assert_eq!(spec.run(Sum(vec![1.0, 2.0]))?, 3.0);
//! # Ok::<(), pyrograph_backend::BackendError>(())
//! ```

mod autodiff_lock;
mod device;
mod error;
mod probe;
pub mod rng;
mod run;
pub mod vision;

pub use autodiff_lock::{AutodiffLock, lock_autodiff};
pub use device::{BackendKind, DeviceSpec};
pub use error::BackendError;
pub use probe::{DeviceInfo, list_devices};
pub use run::{BackendTask, Device, DevicesTask};

/// What other backends are held to: burn's NdArray in f64, with gradients.
#[cfg(feature = "ndarray")]
pub type Oracle = burn::backend::Autodiff<burn_ndarray::NdArray<f64>>;

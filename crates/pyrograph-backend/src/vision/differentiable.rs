//! The backends that train.

use burn::tensor::backend::AutodiffBackend;

use super::VisionBackend;

/// A backend that trains: it differentiates, and so does what lies beneath it draw.
pub trait VisionAutodiff: VisionBackend + AutodiffBackend<InnerBackend: VisionBackend> {}

impl<T> VisionAutodiff for T where T: VisionBackend + AutodiffBackend<InnerBackend: VisionBackend> {}

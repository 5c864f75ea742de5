//! Why a number may differ from the oracle's, which sets how far.

use pyrograph_backend::BackendKind;

/// The cause of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// None: made on the host and carried over.
    Exact,
    /// One operation in f32.
    Operation,
    /// The gradient of one operation: a sum over a batch of products in f32.
    OperationGradient,
    /// A whole network in f32, once or a few times.
    Network,
    /// A gradient through a whole network.
    NetworkGradient,
}

impl Cause {
    /// The largest error, as a share of the largest value of the tensor.
    pub(crate) fn tolerance(self, kind: Option<BackendKind>) -> f64 {
        match self {
            Self::Exact => 0.0,
            Self::Operation => 1e-5,
            // burn-ndarray 0.21 takes the reciprocal of 32 f32 values and more from the CPU's estimate, which has 8 bits on
            // Arm and 12 on x86 (tracel-ai/burn#5553 mends it), and autodiff differentiates a division through it.
            Self::OperationGradient if kind == Some(BackendKind::NdArray) => 2.0_f64.powi(-8),
            Self::OperationGradient | Self::Network => 1e-4,
            Self::NetworkGradient => 1e-3,
        }
    }
}

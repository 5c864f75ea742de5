//! Why a number may differ from the oracle's, which sets how far.

/// The cause of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// None: made on the host and carried over.
    Exact,
    /// One operation in f32.
    Operation,
    /// A convolution by Winograd's method in f32, whose transforms round too.
    Winograd,
    /// The gradient of one operation: a sum over a batch of products in f32.
    OperationGradient,
    /// A whole network in f32, once or a few times.
    Network,
    /// A gradient through a whole network.
    NetworkGradient,
}

impl Cause {
    /// The largest error, as a share of the largest value of the tensor.
    pub(crate) fn tolerance(self) -> f64 {
        match self {
            Self::Exact => 0.0,
            Self::Operation => 1e-5,
            Self::Winograd => 2e-5,
            Self::OperationGradient | Self::Network => 1e-4,
            Self::NetworkGradient => 1e-3,
        }
    }
}

//! What the methods of [`VisionBackend`](super::VisionBackend) yield beside single tensors.

/// What batch norm with the batch's own statistics yields.
#[derive(Clone, Debug)]
pub struct BatchNormOutput<F> {
    /// The normalised, scaled, shifted and activated output [batch, channels, height, width].
    pub output: F,
    /// The batch's mean `[channels]`.
    pub mean: F,
    /// The batch's biased variance `[channels]`.
    pub variance: F,
}

/// Where the statistics of a batch norm come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormStatistics {
    /// From elsewhere, as in sampling: constants.
    Given,
    /// From the input itself, as in training.
    OfBatch,
}

/// The gradients of a norm.
#[derive(Clone, Debug)]
pub struct NormGradients<F> {
    /// ∂x [batch, channels, height, width].
    pub x: F,
    /// ∂weight `[channels]`.
    pub weight: F,
    /// ∂bias `[channels]`.
    pub bias: F,
}

/// The gradients of [`VisionBackend::modulate`](super::VisionBackend::modulate).
#[derive(Clone, Debug)]
pub struct ModulateGradients<F> {
    /// ∂x [batch, channels, height, width].
    pub x: F,
    /// ∂scale [batch, channels, 1, 1].
    pub scale: F,
    /// ∂shift [batch, channels, 1, 1].
    pub shift: F,
}

/// A distance from a constant, with its gradient.
#[derive(Clone, Debug)]
pub struct Distance<F> {
    /// `[1]`: the distance.
    pub value: F,
    /// The gradient of the distance to the first argument, in its shape; no gradient reaches it.
    pub gradient: F,
}

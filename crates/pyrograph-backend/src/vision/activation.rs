//! The activations that a kernel can fuse.

use serde::{Deserialize, Serialize};

/// Where [`Activation::Relu6`] ends.
pub(super) const RELU6_TOP: f32 = 6.0;

/// The slope within [`Activation::QuickGelu`].
pub(super) const QUICK_GELU: f32 = 1.702;

/// An elementwise activation that follows a convolution or a norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` above zero, and this share of it at zero and below (Maas et al., 2013); 0 or more.
    LeakyRelu(f32),
    /// `min(max(x, 0), 6)`, of the MobileNets; its slope is 0 at both corners.
    Relu6,
    /// `x·Φ(x)` with the exact normal distribution function (erf, not the tanh approximation).
    Gelu,
    /// `x·σ(1.702·x)`, the approximation of GELU in OpenAI's CLIP.
    QuickGelu,
    /// `x·σ(x)`, also called swish.
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Every activation, for tests and tables; the leaky one with the slope of `torch`'s examples of GANs.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Relu,
        Self::LeakyRelu(0.2),
        Self::Relu6,
        Self::Gelu,
        Self::QuickGelu,
        Self::Silu,
        Self::Tanh,
    ];
}

//! The activations that a kernel can fuse.

use serde::{Deserialize, Serialize};

/// An elementwise activation that follows a convolution or a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x·Φ(x)` with the exact normal distribution function (erf, not the tanh approximation).
    Gelu,
    /// `x·σ(x)`, also called swish.
    Silu,
}

impl Activation {
    /// Every activation, for tests and tables.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Relu, Self::Gelu, Self::Silu];
}

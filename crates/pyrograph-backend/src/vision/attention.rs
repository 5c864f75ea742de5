//! How attention is computed.

use burn::tensor::DType;

/// What products may be rounded to on the way to their sums, which are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Products {
    /// The tensors' own type.
    #[default]
    Full,
    /// bf16, where the processor has such products; see
    /// [`set_exact_products`](super::set_exact_products).
    Bf16,
}

impl Products {
    /// Those that go with weights of this type.
    pub fn of_weights(dtype: DType) -> Self {
        match dtype {
            DType::BF16 | DType::QFloat(_) => Self::Bf16,
            _ => Self::Full,
        }
    }
}

/// The numbers of scaled dot-product attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionOptions {
    /// Factor of the scores.
    pub scale: f64,
    /// The type of its products on Flex, whose tensors are f32; other backends have their tensors' type.
    pub products: Products,
}

impl From<f64> for AttentionOptions {
    fn from(scale: f64) -> Self {
        Self {
            scale,
            products: Products::default(),
        }
    }
}

/// The tensors of a pass of attention, from which its backward step finds the gradients.
#[derive(Clone, Debug)]
pub struct AttentionPass<F> {
    /// [batch, heads, n, d].
    pub query: F,
    /// [batch, heads, m, d].
    pub key: F,
    /// [batch, heads, m, e].
    pub value: F,
    /// Broadcastable to [batch, heads, n, m].
    pub bias: Option<F>,
    /// Whether the gradient of the bias is wanted. A mask needs none.
    pub bias_is_learned: bool,
    /// [batch, heads, n, e]: the result.
    pub output: F,
}

impl<F> AttentionPass<F> {
    /// The same pass on other tensors.
    pub(super) fn map<G>(self, f: impl Fn(F) -> G) -> AttentionPass<G> {
        AttentionPass {
            query: f(self.query),
            key: f(self.key),
            value: f(self.value),
            bias: self.bias.map(&f),
            bias_is_learned: self.bias_is_learned,
            output: f(self.output),
        }
    }
}

/// The gradients of attention, each in the shape and the float type of its tensor.
#[derive(Clone, Debug)]
pub struct AttentionGradients<F> {
    /// ∂query [batch, heads, n, d].
    pub query: F,
    /// ∂key [batch, heads, m, d].
    pub key: F,
    /// ∂value [batch, heads, m, e].
    pub value: F,
    /// ∂bias in its own shape; none without a bias that is learned.
    pub bias: Option<F>,
}

impl<F> AttentionGradients<F> {
    /// The same gradients as other tensors.
    pub(super) fn map<G>(self, f: impl Fn(F) -> G) -> AttentionGradients<G> {
        AttentionGradients {
            query: f(self.query),
            key: f(self.key),
            value: f(self.value),
            bias: self.bias.map(f),
        }
    }
}

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

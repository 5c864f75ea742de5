//! Weights in int8 with a scale for each output.

use burn::tensor::{
    Tensor, TensorData, TensorPrimitive,
    quantization::{QuantLevel, QuantScheme, QuantStore, QuantValue},
};

use super::VisionBackend;

/// The largest number of a quantised weight; the smallest is its negative.
pub const QUANTISED_MAX: i8 = i8::MAX;

/// Factors of a block's size, each of which burn keeps in 8 bits.
const FACTORS: usize = 5;

/// How a layer multiplies with a weight in int8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Int8Products {
    /// The weights alone are int8: activations are bf16 or f32.
    #[default]
    WeightsAlone,
    /// Activations are quantised as they come, a scale for each token of a linear layer and 1×1 convolution and for
    /// each image of another convolution; products are whole numbers.
    ///
    /// Flex does so where a layer has more than four tokens, an output sees 24 to 65,536 numbers, and products need not
    /// be [exact](super::set_exact_products); else, and on other backends, the weights alone are int8. A value that is
    /// not finite makes NaN of all outputs that have its scale.
    Activations,
}

impl Int8Products {
    /// What burn's scheme of a weight says: its values have the whole range of int8 for
    /// [`Activations`](Self::Activations), and the symmetric one for the weights alone.
    pub fn of_scheme(scheme: &QuantScheme) -> Self {
        match scheme.value {
            QuantValue::Q8F => Self::Activations,
            _ => Self::WeightsAlone,
        }
    }

    /// The scheme with what [`of_scheme`](Self::of_scheme) reads.
    pub fn in_scheme(self, scheme: QuantScheme) -> QuantScheme {
        scheme.with_value(match self {
            Self::WeightsAlone => QuantValue::Q8S,
            Self::Activations => QuantValue::Q8F,
        })
    }
}

/// burn's scheme of weights whose blocks are the `values` of one output; none where burn cannot state such a block, whose
/// size must be a product of five numbers below 256.
pub fn quantised_scheme(values: usize) -> Option<QuantScheme> {
    let mut block = [1_u8; FACTORS];
    let mut rest = values;
    for factor in &mut block {
        let largest = (1..=usize::from(u8::MAX))
            .rev()
            .find(|f| rest.is_multiple_of(*f))?;
        *factor = u8::try_from(largest).ok()?;
        rest /= largest;
    }
    (rest == 1).then(|| QuantScheme {
        value: QuantValue::Q8S,
        store: QuantStore::Native,
        level: QuantLevel::block(block),
        ..QuantScheme::default()
    })
}

/// A weight [out, ..] of `numbers` in int8, each of which counts as often as the scale of its output says: one scale
/// for each output. [`linear`](super::linear), its other forms and [`conv2d`](super::conv2d) take it, and it is not
/// widened as a whole for them. None where the backend does not keep such weights, or where [`quantised_scheme`] has no
/// scheme. `products` stays with the weight.
///
/// Weights like this are constants: no gradient reaches them.
///
/// # Panics
/// When `numbers` are of another type, or not as many outputs as `scales`.
pub fn quantised_weight<B: VisionBackend, const D: usize>(
    numbers: TensorData,
    scales: Vec<f32>,
    products: Int8Products,
    device: &B::Device,
) -> Option<Tensor<B, D>> {
    let weight = B::quantised_weight(numbers, scales, products, device)?;
    Some(Tensor::from_primitive(TensorPrimitive::QFloat(weight)))
}

/// The kernel of a 1×1 convolution [out, in, 1, 1] as the weight [out, in] of a linear layer.
pub fn matrix_of<B: VisionBackend>(kernel: Tensor<B, 4>) -> Tensor<B, 2> {
    let [outputs, inner, _, _] = kernel.dims();
    match kernel.into_primitive() {
        TensorPrimitive::QFloat(kernel) => {
            Tensor::from_primitive(TensorPrimitive::QFloat(B::quantised_matrix(kernel)))
        }
        kernel => Tensor::<B, 4>::from_primitive(kernel).reshape([outputs, inner]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_has_blocks_of_the_values_of_an_output() {
        for values in [1, 5, 255, 320, 1280, 2560 * 9, 2 * 251 * 253] {
            let scheme = quantised_scheme(values).expect("a product of small numbers");
            let QuantLevel::Block(block) = scheme.level else {
                panic!("{scheme:?}");
            };
            assert_eq!(block.num_elements(), values);
            for products in [Int8Products::WeightsAlone, Int8Products::Activations] {
                let scheme = products.in_scheme(scheme);
                assert_eq!(Int8Products::of_scheme(&scheme), products);
            }
        }
        for values in [0, 257, 2 * 263] {
            assert!(quantised_scheme(values).is_none(), "{values}");
        }
    }
}

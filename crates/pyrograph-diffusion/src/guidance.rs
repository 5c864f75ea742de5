//! Classifier-free guidance: Ho & Salimans, <https://arxiv.org/abs/2207.12598>, equation 6.

use burn::tensor::{Tensor, backend::Backend};

use crate::DiffusionError;
use crate::ops::require_shape;

/// `m = m_∅ + w (m_c − m_∅)`: away from the unconditional prediction, towards the conditional.
///
/// | variable | symbol | meaning |
/// | --- | --- | --- |
/// | `unconditional` | `m_∅` | the network's output without context |
/// | `conditional` | `m_c` | its output with context |
/// | `scale` | `w` | 1 is no guidance, Stable Diffusion's default is 7.5 |
///
/// The paper's own weight, and that of the sprite course's code, is `w − 1`. At `scale` 1 the
/// conditional output is returned as it is, so a caller may skip the unconditional call then.
///
/// # Shapes
/// Both inputs and the output are equal in shape.
///
/// # Errors
/// [`DiffusionError::Shape`] where the outputs differ in shape, [`DiffusionError::Number`] for a
/// scale that is not finite.
pub fn classifier_free_guidance<B: Backend, const D: usize>(
    unconditional: Tensor<B, D>,
    conditional: Tensor<B, D>,
    scale: f64,
) -> Result<Tensor<B, D>, DiffusionError> {
    require_shape("the conditional output", &conditional, &unconditional)?;
    if !scale.is_finite() {
        return Err(DiffusionError::Number {
            name: "the guidance scale",
            seen: scale,
            allowed: "finite numbers",
        });
    }
    if scale == 1.0 {
        return Ok(conditional);
    }
    Ok(unconditional.clone() + (conditional - unconditional).mul_scalar(scale))
}

/// [`classifier_free_guidance`] of a network called once on a doubled batch, the unconditional
/// items first, as in diffusers.
///
/// # Shapes
/// `output`: `[2·batch, …]`; the result is `[batch, …]`.
///
/// # Errors
/// [`DiffusionError::Shape`] for a batch that is odd or empty, and those of
/// [`classifier_free_guidance`].
pub fn guide_doubled_batch<B: Backend, const D: usize>(
    output: Tensor<B, D>,
    scale: f64,
) -> Result<Tensor<B, D>, DiffusionError> {
    let shape = output.dims();
    let batch = shape[0] / 2;
    if batch == 0 || shape[0] % 2 == 1 {
        let mut expected = shape.to_vec();
        expected[0] = 2 * batch.max(1);
        return Err(DiffusionError::Shape {
            name: "the doubled batch",
            seen: shape.to_vec(),
            expected,
        });
    }
    let unconditional = output.clone().narrow(0, 0, batch);
    let conditional = output.narrow(0, batch, batch);
    classifier_free_guidance(unconditional, conditional, scale)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, TensorData};
    use burn_flex::Flex;

    use super::*;

    fn tensor(values: [f32; 3]) -> Tensor<Flex, 2> {
        Tensor::from_data([values], &Default::default())
    }

    fn assert_equal(seen: Tensor<Flex, 2>, expected: [f32; 3]) {
        seen.into_data()
            .assert_eq(&TensorData::from([expected]), true);
    }

    #[test]
    fn guidance_extrapolates_from_the_unconditional_output() {
        let (plain, with) = ([1.0, 2.0, -1.0], [2.0, 2.0, 0.0]);
        for (scale, expected) in [(1.0, with), (0.0, plain), (7.5, [8.5, 2.0, 6.5])] {
            assert_equal(
                classifier_free_guidance(tensor(plain), tensor(with), scale).unwrap(),
                expected,
            );
            let doubled = Tensor::cat(vec![tensor(plain), tensor(with)], 0);
            assert_equal(guide_doubled_batch(doubled, scale).unwrap(), expected);
        }
    }

    #[test]
    fn a_scale_that_is_no_number_is_refused() {
        let refused = classifier_free_guidance(tensor([0.0; 3]), tensor([0.0; 3]), f64::NAN);
        assert!(matches!(refused, Err(DiffusionError::Number { .. })));
    }

    #[test]
    fn a_batch_that_cannot_be_halved_is_refused() {
        let refused = guide_doubled_batch(tensor([0.0; 3]), 2.0);
        assert!(matches!(refused, Err(DiffusionError::Shape { seen, .. }) if seen == [1, 3]));
    }

    #[test]
    fn outputs_of_different_shapes_are_refused() {
        let longer = Tensor::cat(vec![tensor([0.0; 3]), tensor([0.0; 3])], 0);
        let refused = classifier_free_guidance(tensor([0.0; 3]), longer, 2.0);
        assert!(matches!(refused, Err(DiffusionError::Shape { .. })));
    }
}

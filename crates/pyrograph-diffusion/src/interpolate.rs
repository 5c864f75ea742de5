//! Paths between two noises along which every point is still plausible noise.

use burn::tensor::{Tensor, backend::Backend};

use crate::DiffusionError;
use crate::ops::{in_dtype, require_shape, widened};

/// Cosine above which two vectors count as parallel: the arc is then a chord to within f32
/// rounding, and dividing by its sine would amplify that rounding.
const PARALLEL: f64 = 0.9995;
/// Least norm to divide by, so that an item of zeros yields no NaN.
const MIN_NORM: f64 = 1e-12;

/// Spherical interpolation, item by item:
/// `sin((1 − w)θ)/sin θ · a + sin(wθ)/sin θ · b`, `cos θ = ⟨a, b⟩/(‖a‖‖b‖)`
/// (Shoemake 1985; for latents, [White](https://arxiv.org/abs/1609.04468)).
///
/// The norm passes smoothly from `‖a‖` to `‖b‖`, where a straight line would dip below both: noise
/// of too small a norm makes a flat, grey picture. Items that are (anti)parallel, `|cos θ| > 0.9995`,
/// are interpolated along the straight line. Nothing is read from the device.
///
/// | variable | symbol |
/// | --- | --- |
/// | `from`, `to` | `a`, `b` |
/// | `weight` | `w`: 0 gives `a`, 1 gives `b` |
///
/// # Shapes
/// `from`, `to` and the output: `[batch, …]`, equal.
///
/// # Errors
/// [`DiffusionError::Shape`] where the two differ, [`DiffusionError::Number`] for a weight outside
/// 0 to 1.
pub fn slerp<B: Backend, const D: usize>(
    from: Tensor<B, D>,
    to: Tensor<B, D>,
    weight: f64,
) -> Result<Tensor<B, D>, DiffusionError> {
    check(&from, &to, weight)?;
    let (shape, dtype) = (from.dims(), from.dtype());
    let from = widened(from);
    let to = in_dtype(to, from.dtype());

    // [batch, all the rest]
    let batch = shape[0];
    let width: usize = shape[1..].iter().product();
    let (a, b) = (from.reshape([batch, width]), to.reshape([batch, width]));
    let norm = |v: &Tensor<B, 2>| {
        v.clone()
            .powi_scalar(2)
            .sum_dim(1)
            .sqrt()
            .clamp_min(MIN_NORM)
    };

    // [batch, 1]; unit vectors first, for the product of two norms may overflow.
    let cosine = (a.clone().div(norm(&a)) * b.clone().div(norm(&b))).sum_dim(1);
    let parallel = cosine.clone().abs().greater_elem(PARALLEL);
    // Parallel items get some other angle, so that their unused arc is finite as well.
    let angle = cosine.mask_fill(parallel.clone(), 0.0).acos();
    let sine = angle.clone().sin();
    let arc = |share: f64| angle.clone().mul_scalar(share).sin() / sine.clone();
    let scale = |share: f64| arc(share).mask_fill(parallel.clone(), share);

    let mixed = a * scale(1.0 - weight) + b * scale(weight);
    Ok(in_dtype(mixed.reshape(shape), dtype))
}

/// `((1 − w) a + w b)/√((1 − w)² + w²)`: the straight line, scaled so that independent standard
/// normal `a` and `b` give standard normal noise at every `w`.
///
/// Unlike [`slerp`] it assumes that `a` and `b` are independent: between equal noises it overshoots,
/// by `√2` half-way.
///
/// # Shapes
/// `from`, `to` and the output are equal in shape.
///
/// # Errors
/// Those of [`slerp`].
pub fn lerp_preserving_variance<B: Backend, const D: usize>(
    from: Tensor<B, D>,
    to: Tensor<B, D>,
    weight: f64,
) -> Result<Tensor<B, D>, DiffusionError> {
    check(&from, &to, weight)?;
    let norm = (1.0 - weight).hypot(weight);
    Ok(from.mul_scalar((1.0 - weight) / norm) + to.mul_scalar(weight / norm))
}

fn check<B: Backend, const D: usize>(
    from: &Tensor<B, D>,
    to: &Tensor<B, D>,
    weight: f64,
) -> Result<(), DiffusionError> {
    require_shape("the second noise", to, from)?;
    if (0.0..=1.0).contains(&weight) {
        return Ok(());
    }
    Err(DiffusionError::Number {
        name: "the interpolation weight",
        seen: weight,
        allowed: "0 to 1",
    })
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    /// Rounding of a few f32 operations on values near 1.
    const F32_OP: f32 = 1e-5;

    fn tensor<const N: usize>(values: [[f32; 2]; N]) -> Tensor<Flex, 3> {
        Tensor::<Flex, 2>::from_data(values, &Default::default()).reshape([N, 1, 2])
    }

    fn assert_close(seen: Tensor<Flex, 3>, expected: &[f32]) {
        let seen: Vec<f32> = seen.into_data().to_vec().unwrap();
        assert_eq!(seen.len(), expected.len());
        for (seen, expected) in seen.iter().zip(expected) {
            // Written so that NaN fails.
            assert!(
                (seen - expected).abs() <= F32_OP,
                "{seen} is not {expected}"
            );
        }
    }

    #[test]
    fn half_way_between_orthogonal_noises_slerp_keeps_the_norm_of_each_item() {
        let (a, b) = (
            tensor([[1.0, 0.0], [0.0, 3.0]]),
            tensor([[0.0, 1.0], [3.0, 0.0]]),
        );
        let half = std::f32::consts::FRAC_1_SQRT_2;
        assert_close(
            slerp(a, b, 0.5).unwrap(),
            &[half, half, 3.0 * half, 3.0 * half],
        );
    }

    #[test]
    fn both_paths_begin_and_end_at_the_noises_given() {
        let (a, b) = ([[0.3, -1.2], [2.0, 0.5]], [[-0.7, 0.4], [0.1, -0.9]]);
        for (weight, end) in [(0.0, a), (1.0, b)] {
            assert_close(
                slerp(tensor(a), tensor(b), weight).unwrap(),
                end.as_flattened(),
            );
            assert_close(
                lerp_preserving_variance(tensor(a), tensor(b), weight).unwrap(),
                end.as_flattened(),
            );
        }
    }

    #[test]
    fn parallel_antiparallel_and_zero_items_are_interpolated_along_the_line() {
        let a = tensor([[1.0, 1.0], [1.0, 1.0], [0.0, 0.0], [2.0, 0.0]]);
        let b = tensor([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0], [6.0, 0.0]]);
        let expected = [1.0, 1.0, 0.5, 0.5, 0.0, 0.0, 3.0, 0.0];
        assert_close(slerp(a, b, 0.25).unwrap(), &expected);
    }

    #[test]
    fn the_scaled_line_keeps_the_variance_of_independent_noises() {
        let (a, b) = (tensor([[1.0, 0.0]]), tensor([[0.0, 1.0]]));
        let norm = 0.25f32.hypot(0.75);
        assert_close(
            lerp_preserving_variance(a, b, 0.25).unwrap(),
            &[0.75 / norm, 0.25 / norm],
        );
    }

    #[test]
    fn weights_outside_zero_to_one_are_refused() {
        for weight in [-0.1, 1.1, f64::NAN] {
            let (a, b) = (tensor([[1.0, 0.0]]), tensor([[0.0, 1.0]]));
            assert!(matches!(
                slerp(a.clone(), b.clone(), weight),
                Err(DiffusionError::Number { .. })
            ));
            assert!(matches!(
                lerp_preserving_variance(a, b, weight),
                Err(DiffusionError::Number { .. })
            ));
        }
    }
}

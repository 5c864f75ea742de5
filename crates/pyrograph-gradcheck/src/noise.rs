//! How many digits of a function's values are rounding.

use crate::{
    GradCheckError,
    compare::{Beside, Stop},
    numbers::norm,
    random::direction,
    settings::Precision,
};

/// Values whose rounding is larger than this share of them are no f64 values: a deep network rounds
/// to 1e-14 or so.
pub(crate) const LOST: f64 = 1e-11;
/// Lines on which values are taken.
const LINES: usize = 5;
/// Equidistant values on each line.
const POINTS: usize = 7;
/// Their distance as a share of the step.
const DISTANCE: f64 = 0.25;
/// Fourth differences of independent roundings have this many times the variance: 1 + 16 + 36 + 16
/// + 1.
const VARIANCE: f64 = 70.0;
/// The place among all tensors from which the directions of other checks are far.
const PLACE: usize = 1 << 30;

/// The rounding of a function's values as a share of their size, from fourth differences along
/// random lines near `values`: of a smooth function these vanish. The median over lines and outputs
/// is taken, so that kinks on some of them do not count.
///
/// 0 where the function is not finite there, or does not depend on the tensor.
pub(crate) fn relative_noise(
    seed: u64,
    precision: &Precision,
    values: &[f64],
    beside: &Beside<'_>,
) -> Result<f64, GradCheckError> {
    let count = values.len() as f64;
    let distance = DISTANCE * precision.step * norm(values).max(1.0) / count.sqrt();
    let mut shares = Vec::new();
    for line in 0..LINES {
        let along = direction(seed, PLACE, line, values.len());
        let mut taken = Vec::with_capacity(POINTS);
        for point in 1..=POINTS {
            let by = distance * point as f64;
            let moved: Vec<f64> = values
                .iter()
                .zip(&along)
                .map(|(at, along)| precision.round(at + by * along))
                .collect();
            match beside(&moved) {
                Ok(outputs) => taken.push(outputs),
                Err(Stop::Finding(_)) => return Ok(0.0),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
        shares.extend((0..taken[0].len()).filter_map(|output| {
            let values: Vec<f64> = taken.iter().map(|outputs| outputs[output]).collect();
            noise_of(&values)
        }));
    }
    shares.sort_by(f64::total_cmp);
    Ok(shares.get(shares.len() / 2).copied().unwrap_or(0.0))
}

/// The rounding of one output's values on a line, as a share of their size; `None` where they do
/// not move.
fn noise_of(values: &[f64]) -> Option<f64> {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return None;
    }
    let fourths = values
        .windows(5)
        .map(|v| v[0] - 4.0 * v[1] + 6.0 * v[2] - 4.0 * v[3] + v[4]);
    let squares = fourths.map(|d| d * d);
    let variance = squares.sum::<f64>() / (values.len() - 4) as f64 / VARIANCE;
    let size = norm(values) / (values.len() as f64).sqrt();
    Some(variance.sqrt() / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(f: impl Fn(f64) -> f64) -> f64 {
        let values = [0.3, -1.2, 2.0];
        let beside = |moved: &[f64]| Ok(moved.iter().map(|&x| f(x)).collect());
        relative_noise(0, &Precision::F64, &values, &beside).expect("never fails")
    }

    #[test]
    fn values_in_f64_have_its_rounding_and_those_in_f32_have_theirs() {
        for f in [f64::sin, f64::exp, |x: f64| x.abs() + 1.0] {
            let wide = noise(f);
            assert!(wide < 1e-14, "{wide:e}");
            let narrow = noise(|x| f64::from(f(x) as f32));
            assert!((1e-9..1e-6).contains(&narrow), "{narrow:e}");
            // As sigmoid of f64 tensors: what goes in and what comes out is f64.
            let inside = noise(|x| x * f64::from(f(f64::from(x as f32)) as f32));
            assert!((1e-9..1e-6).contains(&inside), "{inside:e}");
        }
    }

    #[test]
    fn kinks_and_constants_are_no_noise() {
        assert_eq!(noise(|_| 3.0), 0.0);
        let bends = noise(|x| (x - 0.3).max(0.0) + (x + 1.2).max(0.0) + x);
        assert!(bends < LOST, "{bends:e}");
    }
}

//! Activations as straight-line f32 arithmetic, which compilers vectorise.

use super::super::Activation;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts, the first exact in few bits, so that `n·ln 2` loses nothing.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// 1.5·2²³: adding it rounds a small number to a whole one, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Beyond these, exp would leave the normal numbers.
const EXP_RANGE: (f32, f32) = (-87.0, 88.0);

/// eˣ to 2 units in the last place (Cephes' expf); inputs are clamped to [−87, 88].
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = x.clamp(EXP_RANGE.0, EXP_RANGE.1);
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let p = 1.987_569_2e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_66;
    let p = p * r + 0.5;
    let value = p * r * r + r + 1.0;
    // 2ⁿ: n stands in the low bits of `shifted`, and goes into the exponent's place.
    let power = f32::from_bits(
        shifted
            .to_bits()
            .wrapping_sub(ROUND.to_bits())
            .wrapping_add(127)
            << 23,
    );
    value * power
}

/// Φ(x) and φ(x), the normal distribution's function and density, to 4e-7: erf by Abramowitz and Stegun 7.1.26, which
/// shares its exponential with the density.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const INVERSE_SQRT_TAU: f32 = 0.398_942_3;
    let half_square = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let p = 1.061_405_4;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * half_square;
    let cdf = if x < 0.0 { tail } else { 1.0 - tail };
    (cdf, INVERSE_SQRT_TAU * half_square)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `act(x)`.
#[inline(always)]
pub(super) fn value(x: f32, act: Activation) -> f32 {
    match act {
        Activation::Identity => x,
        // Not `max`, which would turn NaN into 0.
        Activation::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::Gelu => x * normal(x).0,
        Activation::Silu => x * sigmoid(x),
    }
}

/// `act′(x)`.
#[inline(always)]
pub(super) fn slope(x: f32, act: Activation) -> f32 {
    match act {
        Activation::Identity => 1.0,
        Activation::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                1.0
            }
        }
        Activation::Gelu => {
            let (cdf, density) = normal(x);
            cdf + x * density
        }
        Activation::Silu => {
            let s = sigmoid(x);
            s * (1.0 + x * (1.0 - s))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_good_to_two_parts_in_ten_million() {
        for i in -8600..8700 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 2e-7, "{x}");
        }
        assert!(exp(-1e9) < 1e-37 && exp(1e9).is_finite());
    }

    #[test]
    fn the_normal_distribution_is_good_to_four_parts_in_ten_million() {
        // Φ by its series in f64: ½ + φ(x)·Σ x^(2k+1)/(2k+1)!!.
        for i in -500..=500 {
            let x = f64::from(i) / 100.0;
            let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            let (mut term, mut sum) = (x, x);
            for k in 1..200 {
                term *= x * x / f64::from(2 * k + 1);
                sum += term;
            }
            let (cdf, pdf) = normal(x as f32);
            assert!(
                (f64::from(cdf) - (0.5 + density * sum)).abs() < 4e-7,
                "Φ({x})"
            );
            assert!((f64::from(pdf) - density).abs() < 4e-7, "φ({x})");
        }
    }

    #[test]
    fn what_is_not_a_number_stays_none() {
        for act in Activation::ALL {
            assert!(value(f32::NAN, act).is_nan(), "{act:?}");
        }
    }
}

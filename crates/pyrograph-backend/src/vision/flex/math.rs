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

/// eˣ to 2 units in the last place (Cephes' expf) on [−87, 88]; 0 below and infinite above, so that no factor revives a tail.
#[inline(always)]
pub(super) fn exp(argument: f32) -> f32 {
    let x = argument.clamp(EXP_RANGE.0, EXP_RANGE.1);
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
    let inside = value * power;
    let above_zero = if argument < EXP_RANGE.0 { 0.0 } else { inside };
    if argument > EXP_RANGE.1 {
        f32::INFINITY
    } else {
        above_zero
    }
}

/// Φ(x) and φ(x), the normal distribution's function and density, to 4e-6 of their own values for |x| up to 13, and 0 or 1 beyond.
///
/// Φ(−|x|) = ½·erfcx(|x|/√2)·e^(−x²/2), so that nothing cancels and the exponential serves both. erfcx(z) = t·Q(t) with
/// t = 1/(1 + 0.38·z) after Abramowitz and Stegun 7.1.26, and Q of degree 8 fitted to erfcx for 2e-8 of its value on z ≤ 11.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const INVERSE_SQRT_TAU: f32 = 0.398_942_3;
    const Q: [f32; 9] = [
        0.214_411_8,
        0.213_906_2,
        0.203_994_26,
        0.138_327_79,
        0.230_740_72,
        -0.162_444_36,
        0.364_684_2,
        -0.262_663_1,
        0.059_042_52,
    ];
    let power = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.38 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let mut q = Q[8];
    let mut at = 8;
    while at > 0 {
        at -= 1;
        q = q * t + Q[at];
    }
    let tail = 0.5 * t * q * power;
    let cdf = if x < 0.0 { tail } else { 1.0 - tail };
    (cdf, INVERSE_SQRT_TAU * power)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh(x) to 3e-7 of its own value: 1 − 2/(e²ˣ + 1), and near zero, where that cancels, the polynomial of Cephes' `tanhf`.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let z = x * x;
    let near = ((((-0.005_704_988_7 * z + 0.020_639_09) * z - 0.053_739_715) * z + 0.133_314_42)
        * z
        - 0.333_332_8)
        * z
        * x
        + x;
    let far = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    (if x.abs() < 0.625 { near } else { far }).copysign(x)
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
        Activation::LeakyRelu(slope) => {
            if x <= 0.0 {
                x * slope
            } else {
                x
            }
        }
        Activation::Gelu => x * normal(x).0,
        Activation::Silu => x * sigmoid(x),
        Activation::Tanh => tanh(x),
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
        Activation::LeakyRelu(slope) => {
            if x <= 0.0 {
                slope
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
        Activation::Tanh => {
            // 1 − tanh²(x) without the difference.
            let power = exp(-2.0 * x.abs());
            let sum = 1.0 + power;
            4.0 * power / (sum * sum)
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
        assert_eq!((exp(-1e9), exp(1e9)), (0.0, f32::INFINITY));
    }

    /// Φ(−x) for x > 0 in f64: its series near zero, the continued fraction of its tail far out.
    fn tail(x: f64) -> f64 {
        let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        if x > 3.0 {
            let below = (1..=80).rev().fold(x, |below, n| x + f64::from(n) / below);
            return density / below;
        }
        let (mut term, mut sum) = (x, x);
        for k in 1..200 {
            term *= x * x / f64::from(2 * k + 1);
            sum += term;
        }
        0.5 - density * sum
    }

    #[test]
    fn the_normal_distribution_and_gelu_are_good_to_a_few_parts_in_a_million_of_their_own_values() {
        for i in 1..1300 {
            let x = f64::from(i as f32 / 100.0);
            let (below, above) = (normal(-x as f32), normal(x as f32));
            let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
            let off = |ours: f32, exact: f64| (f64::from(ours) / exact - 1.0).abs();
            assert!(off(below.0, tail(x)) < 4e-6, "Φ(−{x}) = {}", below.0);
            assert!(off(above.0, 1.0 - tail(x)) < 5e-7, "Φ({x}) = {}", above.0);
            assert!(off(below.1, density) < 4e-6, "φ({x}) = {}", below.1);

            let slope = slope(-x as f32, Activation::Gelu);
            let exact = tail(x) - x * density;
            // Beside the zero of the slope at −0.7518 its own value is nothing to measure by.
            let allowed = if (x - 0.75).abs() < 0.1 { 1e-4 } else { 6e-6 };
            assert!(
                off(slope, exact) < allowed,
                "GELU′(−{x}) = {slope}, {exact}"
            );
        }
    }

    #[test]
    fn the_hyperbolic_tangent_is_good_to_three_parts_in_ten_million() {
        for i in -1200..1200 {
            let x = i as f32 / 100.0 + 0.003;
            let exact = f64::from(x).tanh();
            assert!((f64::from(tanh(x)) / exact - 1.0).abs() < 3e-7, "{x}");
        }
        assert_eq!([tanh(1e9), tanh(-1e9), tanh(0.0)], [1.0, -1.0, 0.0]);
        assert!(tanh(1e-30) == 1e-30 && tanh(-0.0).is_sign_negative());
    }

    #[test]
    fn the_largest_numbers_meet_their_limits() {
        for x in [100.0, 1e10, 1e30, f32::MAX] {
            for act in [Activation::Gelu, Activation::Silu] {
                assert_eq!((value(x, act), value(-x, act)), (x, -0.0), "{act:?}({x})");
                assert_eq!((slope(x, act), slope(-x, act)), (1.0, 0.0), "{act:?}′({x})");
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_none() {
        for act in Activation::ALL {
            assert!(value(f32::NAN, act).is_nan(), "{act:?}");
        }
    }
}

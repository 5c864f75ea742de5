//! Mean, deviation and kurtosis of a set of values.

/// The kurtosis of a normal distribution.
const NORMAL_KURTOSIS: f64 = 3.0;

/// The first moments of a distribution of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueMoments {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the population.
    pub deviation: f64,
    /// The fourth central moment over the square of the variance: 3 for a normal distribution, 0 if
    /// all values are equal.
    pub kurtosis: f64,
}

impl ValueMoments {
    /// The moments of `values`; `None` without values.
    pub fn of(values: &[f32]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let (second, fourth) = values.iter().fold((0.0, 0.0), |(second, fourth), &value| {
            let square = (f64::from(value) - mean).powi(2);
            (second + square, fourth + square * square)
        });
        let (variance, fourth) = (second / count, fourth / count);
        Some(Self {
            mean,
            deviation: variance.sqrt(),
            kurtosis: if variance == 0.0 {
                0.0
            } else {
                fourth / (variance * variance)
            },
        })
    }

    /// The moments of `√ᾱ x_0 + √(1 − ᾱ) ε`, with `x_0` of these moments, `ε` standard normal, and
    /// `signal = √ᾱ`:
    ///
    /// mean `√ᾱ m`, variance `V = ᾱ s² + 1 − ᾱ`, kurtosis `(ᾱ² s⁴ k + 6 ᾱ (1 − ᾱ) s² + 3 (1 − ᾱ)²) / V²`.
    ///
    /// A sample of a diffusion model at that noise level should have these moments.
    #[must_use]
    pub fn diffused(self, signal: f64) -> Self {
        let alpha_cumprod = signal * signal;
        let noise = 1.0 - alpha_cumprod;
        let of_signal = alpha_cumprod * self.deviation * self.deviation;
        let variance = of_signal + noise;
        let fourth = of_signal * of_signal * self.kurtosis
            + 6.0 * of_signal * noise
            + NORMAL_KURTOSIS * noise * noise;
        Self {
            mean: signal * self.mean,
            deviation: variance.sqrt(),
            kurtosis: if variance == 0.0 {
                0.0
            } else {
                fourth / (variance * variance)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_close(seen: f64, expected: f64) {
        assert!((seen - expected).abs() < 1e-12, "{seen} is not {expected}");
    }

    #[test]
    fn moments_are_those_of_their_definition() {
        // Deviations of −3, −1, 1, 3 from 4: variance 5, fourth moment 41.
        let moments = ValueMoments::of(&[1.0, 3.0, 5.0, 7.0]).expect("values");
        assert_close(moments.mean, 4.0);
        assert_close(moments.deviation, 5_f64.sqrt());
        assert_close(moments.kurtosis, 41.0 / 25.0);
        let equal = ValueMoments::of(&[0.5; 9]).expect("values");
        assert_eq!((equal.deviation, equal.kurtosis), (0.0, 0.0));
        assert_eq!(ValueMoments::of(&[]), None);
    }

    #[test]
    fn a_mixture_with_noise_lies_between_the_data_and_the_normal_distribution() {
        // Pixels of −1 and 1 alone: the least kurtosis that there is.
        let data = ValueMoments::of(&[-1.0, 1.0]).expect("values");
        assert_eq!(data.diffused(1.0), data);
        let noise = data.diffused(0.0);
        assert_eq!(
            (noise.mean, noise.deviation, noise.kurtosis),
            (0.0, 1.0, 3.0)
        );
        // Half of each: (0.25·1 + 6·0.25 + 3·0.25)/1.
        let half = data.diffused(0.5_f64.sqrt());
        assert_close(half.deviation, 1.0);
        assert_close(half.kurtosis, 2.5);
    }

    #[test]
    fn a_mixture_of_many_values_has_the_moments_foretold() {
        // An even grid of deviation 1 stands for noise: every value meets all of it.
        let data = [-1.0_f32, -0.2, 0.1, 0.9, 0.9];
        let noise: Vec<f64> = (0..400)
            .map(|k| (2.0 * (f64::from(k) + 0.5) / 400.0 - 1.0) * 3_f64.sqrt())
            .collect();
        let noise_moments =
            ValueMoments::of(&noise.iter().map(|&v| v as f32).collect::<Vec<_>>()).expect("values");
        let signal = 0.8_f64;
        let spread = (1.0 - signal * signal).sqrt();
        let mixed: Vec<f32> = data
            .iter()
            .flat_map(|&x| {
                noise
                    .iter()
                    .map(move |e| (signal * f64::from(x) + spread * e) as f32)
            })
            .collect();
        let seen = ValueMoments::of(&mixed).expect("values");
        let expected = ValueMoments::of(&data).expect("values").diffused(signal);
        assert!((seen.mean - expected.mean).abs() < 1e-6);
        assert!((seen.deviation - expected.deviation).abs() < 1e-4);
        // Uniform noise has a kurtosis of 1.8 in place of 3: the rest of the sum is the same.
        let variance = expected.deviation.powi(2);
        let noise_share = spread.powi(4) / (variance * variance);
        let foretold = expected.kurtosis - (3.0 - noise_moments.kurtosis) * noise_share;
        assert!(
            (seen.kurtosis - foretold).abs() < 1e-3,
            "{seen:?} {foretold}"
        );
    }
}

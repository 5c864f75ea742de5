//! Random directions that are the same on every machine.

use pyrograph_base::{SplitMix64, rand::Rng};

/// A stream of normal values.
#[derive(Clone, Debug)]
pub(crate) struct Normals(SplitMix64);

impl Normals {
    /// A stream of its own for each pair.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(SplitMix64::of([seed, stream]))
    }

    /// Uniform in (0, 1): the middle of one of 2⁵² steps.
    fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Two independent values of the standard normal distribution (Box and Muller 1958).
    pub(crate) fn normal_pair(&mut self) -> [f64; 2] {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let angle = std::f64::consts::TAU * self.uniform();
        [radius * angle.cos(), radius * angle.sin()]
    }

    /// A direction drawn evenly from the unit sphere in `dim` dimensions, `dim` at least 1.
    pub(crate) fn direction(&mut self, dim: usize) -> Vec<f32> {
        let mut values: Vec<f64> = Vec::with_capacity(dim + 1);
        while values.len() < dim {
            values.extend(self.normal_pair());
        }
        values.truncate(dim);
        // Not 0: `uniform` is never 1, so each radius is above 0, and a cosine of 0 is not
        // representable.
        let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        values
            .into_iter()
            .map(|value| (value / norm) as f32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_have_the_moments_of_the_normal_distribution() {
        let mut stream = Normals::new(7, 0);
        let values: Vec<f64> = (0..50_000).flat_map(|_| stream.normal_pair()).collect();
        let moment = |power| values.iter().map(|x| x.powi(power)).sum::<f64>() / 100_000.0;
        assert!(moment(1).abs() < 0.015, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "{}", moment(2));
        assert!(moment(3).abs() < 0.05, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.12, "{}", moment(4));
    }

    #[test]
    fn directions_have_length_one_and_differ_by_seed_and_stream() {
        for dim in [1, 2, 3, 768] {
            let direction = Normals::new(1, 2).direction(dim);
            let length: f32 = direction.iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-5);
        }
        let direction = |seed, stream| Normals::new(seed, stream).direction(4);
        assert_eq!(direction(1, 2), direction(1, 2));
        assert_ne!(direction(1, 2), direction(1, 3));
        assert_ne!(direction(1, 2), direction(2, 2));
        assert_ne!(direction(1, 0), direction(0, 1));
    }
}

//! Random directions that are the same on every machine.

/// Step of splitmix64, the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The splitmix64 generator (Steele, Lea and Flood 2014): a counter and a finaliser, which
/// is plenty for directions and needs no dependency.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    /// A stream of its own for each pair.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(mix(mix(seed) ^ stream))
    }

    fn next(&mut self) -> u64 {
        let value = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN);
        value
    }

    /// Uniform in (0, 1): the middle of one of 2⁵² steps.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
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

/// The finaliser of splitmix64.
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The published first outputs for the state 0.
        let mut stream = SplitMix(0);
        assert_eq!(stream.next(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(stream.next(), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(stream.next(), 0x06C4_5D18_8009_454F);
    }

    #[test]
    fn normal_values_have_the_moments_of_the_normal_distribution() {
        let mut stream = SplitMix::new(7, 0);
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
            let direction = SplitMix::new(1, 2).direction(dim);
            let length: f32 = direction.iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-5);
        }
        let direction = |seed, stream| SplitMix::new(seed, stream).direction(4);
        assert_eq!(direction(1, 2), direction(1, 2));
        assert_ne!(direction(1, 2), direction(1, 3));
        assert_ne!(direction(1, 2), direction(2, 2));
        assert_ne!(direction(1, 0), direction(0, 1));
    }
}

//! A small seeded generator.

use std::f64::consts::TAU;

/// splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A uniform number strictly between 0 and 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A standard exponential number.
    pub(crate) fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }

    /// A standard normal number, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// A gamma number of scale 1 and `shape` ≥ 1, by Marsaglia and Tsang (2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// A beta number; both parameters are at least 1.
    pub(crate) fn beta(&mut self, a: f64, b: f64) -> f64 {
        let first = self.gamma(a);
        first / (first + self.gamma(b))
    }
}

/// The body of request `index` among `count`, drawn without state, so that clients need none in common.
pub(crate) fn drawn_index(seed: u64, index: u64, count: usize) -> usize {
    let mixed = SplitMix::new(seed ^ index.wrapping_mul(0xD134_2543_DE82_EF95)).next_u64();
    // The remainder is below `count`, a usize.
    (mixed % count.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_distributions() {
        let mut random = SplitMix::new(7);
        let mut mean = |draw: &mut dyn FnMut(&mut SplitMix) -> f64| {
            (0..20_000).map(|_| draw(&mut random)).sum::<f64>() / 20_000.0
        };
        assert!((mean(&mut |r| r.uniform()) - 0.5).abs() < 0.01);
        assert!((mean(&mut |r| r.exponential()) - 1.0).abs() < 0.03);
        assert!((mean(&mut |r| r.gamma(3.5)) - 3.5).abs() < 0.06);
        assert!((mean(&mut |r| r.beta(2.0, 6.0)) - 0.25).abs() < 0.01);
    }

    #[test]
    fn every_body_is_drawn_and_the_seed_decides() {
        let draw = |seed| (0..64).map(|i| drawn_index(seed, i, 3)).collect::<Vec<_>>();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!((0..3).all(|body| draw(1).contains(&body)));
    }
}

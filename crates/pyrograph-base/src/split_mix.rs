//! splitmix64.

use std::convert::Infallible;

use rand::{SeedableRng, TryRng};

/// The golden ratio in 64 bits.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// splitmix64 ([Steele, Lea and Flood 2014](https://doi.org/10.1145/2660193.2660195)): a counter and a finaliser. Its
/// numbers are the same on every machine and in every release. Do not use it for secrets.
///
/// ```
/// use pyrograph_base::{SplitMix64, rand::{Rng, RngExt}};
///
/// let mut random = SplitMix64::new(0);
/// assert_eq!(random.next_u64(), 0xE220_A839_7B1D_CDAF);
/// assert!((0.0..1.0).contains(&random.random::<f32>()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitMix64 {
    counter: u64,
}

impl SplitMix64 {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { counter: seed }
    }

    /// The stream of a seed and of what it is used for: streams of other parts are other streams.
    pub fn of<const N: usize>(parts: [u64; N]) -> Self {
        Self::new(hash(parts))
    }

    /// A number below `sides`; 0 if `sides` is 0. The probabilities of two numbers differ by 2⁻⁶⁴ at most. It takes one
    /// number of the stream.
    pub fn below(&mut self, sides: usize) -> usize {
        // The upper half of the product, which is below `sides`.
        ((u128::from(self.bits()) * sides as u128) >> 64) as usize
    }

    /// A number in [0, 1), evenly spread over multiples of 2⁻²⁴. It takes one number of the stream.
    pub fn unit(&mut self) -> f32 {
        // The upper 24 bits, which a 32-bit float holds exactly.
        (self.bits() >> 40) as f32 / (1_u32 << 24) as f32
    }

    /// A number from `low` to `high`, evenly spread. It takes one number of the stream.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with probability `p`: never at 0, always at 1. It takes one number of the stream.
    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// The shuffle of Fisher and Yates: for i from `items.len() - 1` down to 1, item i is swapped with item
    /// `below(i + 1)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    fn bits(&mut self) -> u64 {
        let number = mix(self.counter);
        self.counter = self.counter.wrapping_add(STEP);
        number
    }
}

impl TryRng for SplitMix64 {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.bits() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for to in to.chunks_mut(size_of::<u64>()) {
            to.copy_from_slice(&self.bits().to_le_bytes()[..to.len()]);
        }
        Ok(())
    }
}

impl SeedableRng for SplitMix64 {
    type Seed = [u8; 8];

    fn from_seed(seed: [u8; 8]) -> Self {
        Self::new(u64::from_le_bytes(seed))
    }

    fn seed_from_u64(seed: u64) -> Self {
        Self::new(seed)
    }
}

/// A number that depends on every bit of all parts and on their order.
pub fn hash<const N: usize>(parts: [u64; N]) -> u64 {
    parts.into_iter().fold(0, |hash, part| mix(hash ^ part))
}

/// The number of a counter.
const fn mix(counter: u64) -> u64 {
    let z = counter.wrapping_add(STEP);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The published first outputs for the state 0.
        let published = [
            0xE220_A839_7B1D_CDAF,
            0x6E78_9E6A_A1B9_65F4,
            0x06C4_5D18_8009_454F,
        ];
        let mut stream = SplitMix64::new(0);
        assert_eq!(published, std::array::from_fn(|_| stream.next_u64()));
        assert_eq!(
            SplitMix64::seed_from_u64(7),
            SplitMix64::from_seed([7, 0, 0, 0, 0, 0, 0, 0])
        );
        let mut bytes = [0; 11];
        SplitMix64::new(0).fill_bytes(&mut bytes);
        assert_eq!(bytes[..8], published[0].to_le_bytes());
        assert_eq!(bytes[8..], published[1].to_le_bytes()[..3]);
        assert_eq!(SplitMix64::new(0).next_u32(), 0xE220_A839);
    }

    #[test]
    fn streams_differ_by_each_part_and_by_their_order() {
        let first = |parts| SplitMix64::of(parts).next_u64();
        let base = first([1, 2, 3]);
        assert_eq!(base, first([1, 2, 3]));
        for other in [[2, 1, 3], [1, 3, 2], [0, 2, 3], [1, 2, 4]] {
            assert_ne!(base, first(other), "{other:?}");
        }
        // A seed of its own is a stream of its own, not the seed's.
        assert_ne!(SplitMix64::of([0]), SplitMix64::new(0));
    }

    #[test]
    fn numbers_are_evenly_spread_and_keep_their_bounds() {
        let mut random = SplitMix64::new(3);
        let numbers: Vec<f32> = (0..10_000).map(|_| random.unit()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        // A standard deviation of 0.003 around the mean.
        let mean = numbers.iter().sum::<f32>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.012, "{mean}");
        let mut counts = [0; 7];
        (0..7_000).for_each(|_| counts[random.below(7)] += 1);
        // A thousand each, with a standard deviation of 29.
        let even = counts.iter().all(|count| (860..1140).contains(count));
        assert!(even, "{counts:?}");
        assert_eq!(random.below(0), 0);
        let hits = (0..10_000).filter(|_| random.chance(0.3)).count();
        assert!((2800..3200).contains(&hits), "{hits}");
        assert!((0..1000).all(|_| random.chance(1.0) && !random.chance(0.0)));
        assert!((0..1000).all(|_| (2.0..=5.0).contains(&random.range(2.0, 5.0))));
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        SplitMix64::new(5).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}

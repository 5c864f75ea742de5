//! The deterministic choices behind a sprite.

/// Step of splitmix64 (Steele, Lea and Flood 2014), the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A splitmix64 stream of choices.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// A stream of its own for each triple.
    pub(super) fn new(class: u64, seed: u64, index: u64) -> Self {
        Self(scramble(scramble(scramble(seed) ^ index) ^ class))
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(GOLDEN);
        // The multiply-shift takes the upper half of the product, which is below `sides`.
        ((u128::from(scramble(self.0)) * sides as u128) >> 64) as usize
    }

    /// One of `choices`, each as likely as any other.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())]
    }

    /// A number in [-1, 1), evenly spread.
    pub(super) fn offset(&mut self) -> f32 {
        // 24 bits, which a 32-bit float holds exactly.
        self.roll(1 << 24) as f32 / (1_u32 << 23) as f32 - 1.0
    }

    /// True once in `sides` times.
    pub(super) fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

/// The finaliser of splitmix64.
fn scramble(state: u64) -> u64 {
    let z = state.wrapping_add(GOLDEN);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

//! The deterministic choices behind a sprite or a digit.

use pyrograph_base::{SplitMix64, rand::Rng};

/// A stream of choices.
#[derive(Clone, Debug)]
pub(crate) struct Dice(SplitMix64);

impl Dice {
    /// A stream of its own for each triple.
    pub(crate) fn new(class: u64, seed: u64, index: u64) -> Self {
        let mut numbers = SplitMix64::of([seed, index, class]);
        // Sprites have always been drawn from the second number on.
        numbers.next_u64();
        Self(numbers)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0.below(sides)
    }

    /// One of `choices`, each as likely as any other.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())]
    }

    /// A number in [-1, 1), evenly spread.
    pub(crate) fn offset(&mut self) -> f32 {
        // 24 bits, which a 32-bit float holds exactly.
        self.roll(1 << 24) as f32 / (1_u32 << 23) as f32 - 1.0
    }

    /// True once in `sides` times.
    pub(crate) fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }
}

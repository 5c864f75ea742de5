//! The random numbers behind a scene.

use pyrograph_base::SplitMix64;

/// Tells scenes from the other uses of a seed, which are numbered in `pyrograph-data`.
const SCENE: u64 = 9;

/// The choices of one scene.
pub(super) type Draws = SplitMix64;

/// The choices of the scene at `index` of the set of `seed`.
pub(super) fn draws_of(seed: u64, index: usize) -> Draws {
    SplitMix64::of([seed, 0, SCENE, index as u64])
}

//! Seeded weights: the cotangent that reduces an output to a number, and the directions of projected checks.

use pyrograph_backend::rng::{NoiseKey, Purpose};

/// The stream of the cotangent; directions start after it, and plain normal inputs before it.
const COTANGENT: u64 = 1;
const DIRECTIONS: u64 = 2;
/// More directions a tensor than anyone takes.
const DIRECTIONS_A_TENSOR: u64 = 1 << 20;

/// Weights of random sign and a size between ½ and 1½: no element's part can vanish, as it can with normal noise.
fn weights(seed: u64, stream: u64, count: usize) -> Vec<f64> {
    let draws = NoiseKey::new(seed, Purpose::Other, stream).uniform(0, count);
    draws
        .into_iter()
        .map(|draw| {
            let twice = 2.0 * f64::from(draw);
            if twice < 1.0 {
                -0.5 - twice
            } else {
                twice - 0.5
            }
        })
        .collect()
}

/// The weights of an output's elements; 1 for a single one, so that its report shows the plain gradient.
pub(crate) fn cotangent(seed: u64, count: usize) -> Vec<f64> {
    if count == 1 {
        vec![1.0]
    } else {
        weights(seed, COTANGENT, count)
    }
}

/// Direction `number` of the tensor at place `at`.
pub(crate) fn direction(seed: u64, at: usize, number: usize, count: usize) -> Vec<f64> {
    let stream = DIRECTIONS + at as u64 * DIRECTIONS_A_TENSOR + number as u64;
    weights(seed, stream, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_weight_vanishes_and_both_signs_occur() {
        let weights = direction(3, 2, 1, 10_000);
        assert!(weights.iter().all(|w| (0.5..=1.5).contains(&w.abs())));
        let negative = weights.iter().filter(|w| **w < 0.0).count();
        assert!((4_700..5_300).contains(&negative), "{negative}");
    }

    #[test]
    fn a_seed_gives_the_same_weights_and_another_gives_others() {
        assert_eq!(direction(3, 0, 0, 8), direction(3, 0, 0, 8));
        assert_ne!(direction(3, 0, 0, 8), direction(4, 0, 0, 8));
        assert_ne!(direction(3, 0, 0, 8), direction(3, 0, 1, 8));
        assert_ne!(direction(3, 0, 0, 8), direction(3, 1, 0, 8));
        assert_ne!(cotangent(3, 8), cotangent(4, 8));
    }

    #[test]
    fn a_single_output_has_weight_one() {
        assert_eq!(cotangent(9, 1), [1.0]);
    }
}

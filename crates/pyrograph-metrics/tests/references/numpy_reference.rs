//! The figures agree with numpy's; see `fixtures/sliced_wasserstein/make.py`.

use pyrograph_metrics::{SlicedWassersteinConfig, nearest_neighbour_distances, sliced_wasserstein};
use serde_json::Value;

/// In one dimension all directions agree, and only the arithmetic in f32 differs.
const F32_OP: f64 = 1e-5;
/// Relative error of the mean over 20 000 random directions, of which numpy draws others.
const DIRECTIONS: f64 = 0.015;

fn reference(key: &str) -> Vec<Value> {
    let text = include_str!("../fixtures/sliced_wasserstein/reference.json");
    let reference: Value = serde_json::from_str(text).unwrap();
    reference[key].as_array().unwrap().clone()
}

fn count(case: &Value, key: &str) -> usize {
    usize::try_from(case[key].as_u64().unwrap()).unwrap()
}

/// The items of `set_of` in `make.py`.
fn set_of(seed: u64, items: usize, dim: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    };
    let mut value = || {
        let value = next() * 2.0 - 1.0;
        value * value + seed as f32 / 10.0
    };
    (0..items * dim).map(|_| value()).collect()
}

#[test]
fn sliced_wasserstein_agrees_with_numpy() {
    for case in reference("sliced_wasserstein") {
        let dim = count(&case, "dim");
        let a = set_of(1, count(&case, "items_a"), dim);
        let b = set_of(2, count(&case, "items_b"), dim);
        let quantiles = count(&case, "quantiles");
        let (projections, tolerance) = if dim == 1 {
            (1, F32_OP)
        } else {
            (20_000, DIRECTIONS)
        };
        let config = SlicedWassersteinConfig {
            projections,
            quantiles,
            seed: 0,
        };
        let seen = sliced_wasserstein(&a, &b, dim, &config).unwrap();
        let expected = case["distance"].as_f64().unwrap();
        assert!((seen / expected - 1.0).abs() < tolerance, "{case}: {seen}");
    }
}

#[test]
fn nearest_neighbours_agree_with_numpy() {
    for case in reference("nearest") {
        let dim = count(&case, "dim");
        let samples = set_of(1, count(&case, "samples"), dim);
        let training = set_of(2, count(&case, "training"), dim);
        let seen = nearest_neighbour_distances(&samples, &training, dim).unwrap();
        let expected = case["index"]
            .as_array()
            .unwrap()
            .iter()
            .zip(case["distance"].as_array().unwrap());
        assert_eq!(seen.len(), expected.len());
        for (seen, (index, distance)) in seen.iter().zip(expected) {
            assert_eq!(seen.index as u64, index.as_u64().unwrap(), "{case}");
            let distance = distance.as_f64().unwrap();
            assert!(
                (f64::from(seen.distance) - distance).abs() < F32_OP,
                "{case}"
            );
        }
    }
}

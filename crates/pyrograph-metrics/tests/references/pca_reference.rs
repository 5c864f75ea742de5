//! Principal components agree with scikit-learn's exact ones; see `fixtures/pca/make.py`.

use pyrograph_metrics::Pca;
use serde_json::Value;

/// What the iteration leaves: relative for residuals and variances, absolute for components.
const ITERATION: f64 = 1e-3;

/// The items of `items_of` in `make.py`.
fn items_of(seed: u64, items: usize, dim: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let values: Vec<f32> = (0..items * dim).map(|_| next()).collect();
    let mix = |item: &[f32], index: usize| {
        let spread = 4.0 / (1.0 + index as f32);
        (item[index] + item[(index + 1) % dim] * 0.5) * spread + 3.0
    };
    let items = values.chunks(dim);
    items
        .flat_map(|item| (0..dim).map(move |index| mix(item, index)))
        .collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn components_and_residuals_agree_with_scikit_learn() {
    let text = include_str!("../fixtures/pca/reference.json");
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    for case in cases {
        let count = |key: &str| usize::try_from(case[key].as_u64().unwrap()).unwrap();
        let (items, dim, components) = (count("items"), count("dim"), count("components"));
        let name = format!("{items} items of {dim}, {components} components");
        let pca = Pca::fit(&items_of(1, items, dim), dim, components).unwrap();
        let relative = |seen: f64, expected: f64| {
            assert!(
                (seen / expected - 1.0).abs() < ITERATION,
                "{name}: {seen} {expected}"
            );
        };
        let variances = numbers(&case["explained_variance"]);
        assert_eq!(pca.explained_variance().len(), variances.len());
        for (&seen, expected) in pca.explained_variance().iter().zip(variances) {
            relative(seen, expected);
        }
        for (&seen, expected) in pca
            .components()
            .iter()
            .zip(numbers(&case["first_component"]))
        {
            assert!((f64::from(seen) - expected).abs() < ITERATION, "{name}");
        }
        let residuals = pca.residual_norms(&items_of(2, 10, dim)).unwrap();
        for (seen, expected) in residuals.into_iter().zip(numbers(&case["residuals"])) {
            relative(seen.into(), expected);
        }
    }
}

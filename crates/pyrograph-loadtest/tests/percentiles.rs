//! Figures beside those of numpy.

use pyrograph_loadtest::{BootstrapOptions, Latencies, percentile};
use serde_json::Value;

const FIXTURE: &str = include_str!("fixtures/percentiles/numpy.json");

fn numbers(values: &Value) -> Vec<f64> {
    let values = values.as_array().expect("an array");
    values
        .iter()
        .map(|value| value.as_f64().expect("a number"))
        .collect()
}

#[test]
fn percentiles_are_those_of_numpy() {
    let fixture: Value = serde_json::from_str(FIXTURE).expect("the fixture");
    for case in fixture["cases"].as_array().expect("cases") {
        let mut values = numbers(&case["values"]);
        values.sort_by(f64::total_cmp);
        for pair in case["percentiles"].as_array().expect("pairs") {
            let pair = numbers(pair);
            let seen = percentile(&values, pair[0]);
            // The JSON reader may round the last bit of a number.
            assert!(
                (seen - pair[1]).abs() <= 4.0 * f64::EPSILON * pair[1],
                "{pair:?}: {seen}"
            );
        }
    }
}

#[test]
fn figures_have_numpys_mean_deviation_and_percentiles() {
    let fixture: Value = serde_json::from_str(FIXTURE).expect("the fixture");
    for case in fixture["cases"].as_array().expect("cases") {
        let mut latencies = Latencies::new();
        numbers(&case["values"])
            .into_iter()
            .for_each(|value| latencies.record(value));
        let figures = latencies
            .figures(&BootstrapOptions::default())
            .expect("figures");
        let close = |seen_ms: f64, seconds: &Value| {
            let seconds = seconds.as_f64().expect("a number");
            assert!(
                (seen_ms / 1e3 - seconds).abs() < 1e-12,
                "{seen_ms} ms and {seconds} s"
            );
        };
        close(figures.mean_ms, &case["mean"]);
        close(figures.standard_deviation_ms, &case["std"]);
        close(figures.p50_ms, &case["percentiles"][3][1]);
        close(figures.p95_ms, &case["percentiles"][5][1]);
        close(figures.p99_ms, &case["percentiles"][6][1]);
        close(figures.max_ms, &case["percentiles"][8][1]);
    }
}

#[test]
fn intervals_of_figures_depend_on_the_seed_alone() {
    let mut latencies = Latencies::new();
    (1..=300).for_each(|i| latencies.record(f64::from(i).ln_1p()));
    let spread = |seed| {
        let options = BootstrapOptions {
            seed,
            ..Default::default()
        };
        latencies
            .figures(&options)
            .expect("figures")
            .spread
            .expect("a spread")
    };
    assert_eq!(spread(1), spread(1));
    let intervals = |seed| {
        [
            spread(seed).p50_ms,
            spread(seed).p95_ms,
            spread(seed).p99_ms,
        ]
    };
    assert_ne!(intervals(1), intervals(2));
    let [low, high] = spread(1).p95_ms;
    let p95 = latencies
        .figures(&BootstrapOptions::default())
        .expect("figures")
        .p95_ms;
    assert!(low < p95 && p95 < high, "{low} < {p95} < {high}");
}

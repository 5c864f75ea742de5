//! `pyrograph bench`.

use crate::common::*;

#[test]
fn a_workload_is_timed_and_comes_as_json() {
    let only = ["--only", "add_noise", "--seconds", "0", "--quiet"];
    let text = succeeds(&[&["bench", "--device", "cpu", "--json"][..], &only].concat());
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let workload = &json["workloads"][0];
    assert_eq!(workload["name"], "sprites/add_noise/b100");
    assert_eq!(workload["timing"]["runs"], 3);
    assert!(workload["timing"]["median_ms"].as_f64().expect("a number") > 0.0);
}

#[test]
fn an_unknown_workload_and_a_negative_time_are_refused() {
    refuses(
        &["bench", "--only", "conv9d"],
        &["`conv9d`", "sprites/train_step/b100"],
    );
    refuses(&["bench", "--seconds=-1"], &["-1", "0 or more"]);
    refuses(&["bench", "--seconds", "nan"], &["NaN", "0 or more"]);
}

//! `pyrograph gradcheck`.

use crate::common::*;

#[test]
fn a_device_that_is_right_passes_with_a_line_for_each_entry() {
    let text = succeeds(&["gradcheck", "--device", "cpu", "--only", "POOL"]);
    for word in ["max_pool2d", "avg_pool2d", "`cpu` gives the numbers of f64"] {
        assert!(text.contains(word), "{text}");
    }
    assert!(!text.contains("conv2d"), "{text}");
}

#[test]
fn the_table_comes_as_json_too() {
    let text = succeeds(&[
        "gradcheck",
        "--device",
        "cpu",
        "--only",
        "BatchNorm2d",
        "--json",
    ]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["passed"], true);
    assert_eq!(json["device"], "cpu");
    assert_eq!(json["entries"][0]["name"], "BatchNorm2d");
    assert!(
        json["entries"][0]["gradient"]["error"]
            .as_f64()
            .expect("a number")
            < 1e-4
    );
}

#[test]
fn an_unknown_entry_is_refused_with_the_names_and_an_absent_device_with_its_feature() {
    refuses(
        &["gradcheck", "--only", "conv9d"],
        &["`conv9d`", "ContextUnet", "DDIM"],
    );
    if !cfg!(feature = "cuda") {
        refuses(&["gradcheck", "--device", "cuda"], &["--features cuda"]);
    }
}

//! `pyrograph bench`.

use pyrograph::vision::read_image;
use serde_json::Value;

use crate::{common::*, pictures::pipeline};

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

/// The numbers at `keys`, all of which must be there.
#[track_caller]
fn numbers<const N: usize>(value: &Value, keys: [&str; N]) -> [f64; N] {
    keys.map(|key| {
        value[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {value}"))
    })
}

#[test]
fn pictures_are_measured_by_steps_and_types_as_json_and_as_a_plot() {
    let (_guard, root) = folder();
    let (model, plot) = (pipeline("base", &root), root.join("seconds.png"));
    let text = succeeds(&[
        "bench",
        "txt2img",
        "--model",
        text(&model),
        "--steps",
        "2,4",
        "--dtype",
        "f32,bf16",
        "--price-per-hour",
        "0.36",
        "--repeats",
        "2",
        "--count",
        "2",
        "--device",
        "cpu",
        "--json",
        "--quiet",
        "--scheduler",
        "dpm++2m",
        "--plot",
        text(&plot),
    ]);
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["weights"], "files");
    assert_eq!(value["method"], "computed");
    assert_eq!(value["scheduler"], "dpm++2m");
    assert_eq!(
        numbers(
            &value,
            [
                "width",
                "height",
                "count",
                "repeats",
                "price_per_hour",
                "guidance"
            ]
        ),
        [64.0, 64.0, 2.0, 2.0, 0.36, 7.5]
    );
    let types = value["types"].as_array().expect("types");
    assert_eq!(types.len(), 2);
    for (figures, dtype) in types.iter().zip(["f32", "bf16"]) {
        assert_eq!(figures["dtype"], dtype);
        assert!(figures["peak_memory_bytes"].as_u64().expect("Linux tells") > 1 << 20);
        let parts = ["text", "unet_pass", "vae", "load", "first_picture"];
        let [text, pass, vae, load, first] = numbers(&figures["seconds"], parts);
        assert!(
            first > load && text > 0.0 && pass > 0.0 && vae > 0.0,
            "{figures}"
        );
        for (picture, steps) in figures["pictures"]
            .as_array()
            .expect("pictures")
            .iter()
            .zip([2.0, 4.0])
        {
            assert_eq!(numbers(picture, ["steps", "passes"]), [steps, steps]);
            let [total] = numbers(&picture["seconds"], ["total"]);
            let expected = (text + steps * pass + vae) / 2.0;
            assert!((total - expected).abs() < 1e-9, "{total} is not {expected}");
            let [cost] = numbers(picture, ["cost_per_1000"]);
            assert!((cost - 0.1 * total).abs() < 1e-9, "{cost} of {total} s");
        }
    }
    assert_eq!(
        read_image(&plot).expect("a picture").dimensions(),
        (960, 540)
    );
}

#[test]
fn whole_pictures_are_timed_and_shown_as_a_table() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let table = succeeds(&[
        "bench",
        "txt2img",
        "--model",
        text(&model),
        "--steps",
        "3",
        "--dtype",
        "f16",
        "--repeats",
        "1",
        "--whole",
        "--guidance",
        "1",
        "--width",
        "128",
        "--device",
        "cpu",
        "--quiet",
        "--scheduler",
        "pndm",
    ]);
    assert!(
        table.contains("128 × 64, guidance 1, 1 at a time, pndm; cpu"),
        "{table}"
    );
    assert!(
        table.contains("1 whole run of each number of steps"),
        "{table}"
    );
    assert!(
        !table.contains("random") && !table.contains("cost"),
        "{table}"
    );
    // PNDM calls the UNet once more than it has steps.
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let row = rows
        .iter()
        .find(|row| row.starts_with(&["f16", "3", "4"]))
        .expect("a row");
    assert_eq!(row.len(), 7, "{table}");
    assert!(row[6].parse::<f64>().expect("seconds") >= 0.0);
}

#[test]
fn whole_pictures_of_other_types_are_compared_with_those_of_f32() {
    let (_guard, root) = folder();
    let model = pipeline("base", &root);
    let bench = |dtypes: &str, more: &[&str]| {
        let start = [
            "bench",
            "txt2img",
            "--model",
            text(&model),
            "--dtype",
            dtypes,
        ];
        let few = [
            "--steps",
            "2,3",
            "--repeats",
            "1",
            "--device",
            "cpu",
            "--quiet",
        ];
        succeeds(&[&start[..], &few, more].concat())
    };
    let printed = bench("int8,f32,bf16", &["--whole", "--count", "2", "--json"]);
    let value: Value = serde_json::from_str(&printed).expect("JSON");
    let ratios = |place: usize| -> Vec<Option<f64>> {
        let pictures = value["types"][place]["pictures"].as_array().expect("two");
        let of = pictures.iter().map(|picture| &picture["against_f32"]);
        of.map(|of| of["psnr_db"].as_f64()).collect()
    };
    assert_eq!(ratios(1), [None, None]);
    assert_eq!(value["types"][1]["pictures"][0]["against_f32"], Value::Null);
    for place in [0, 2] {
        for ratio in ratios(place) {
            let ratio = ratio.expect("another picture");
            assert!(ratio > 15.0 && ratio < 90.0, "{place}: {ratio}");
        }
        let picture = &value["types"][place]["pictures"][0]["against_f32"];
        let [error] = numbers(picture, ["mean_squared_error"]);
        let [ratio] = numbers(picture, ["psnr_db"]);
        assert!((ratio - 10.0 * (255.0 * 255.0 / error).log10()).abs() < 1e-9);
    }
    let table = bench("f32,bf16", &["--whole"]);
    assert!(
        table.contains("PSNR to f32") && table.contains(" dB"),
        "{table}"
    );
    // Computed pictures are not there to compare, and without f32 there is nothing to compare with.
    for (dtypes, more) in [
        ("f32,bf16", &[][..]),
        ("bf16,f16", &["--whole"]),
        ("bf16", &["--whole"]),
    ] {
        let table = bench(dtypes, more);
        assert!(!table.contains("PSNR"), "{table}");
    }
}

#[test]
fn measurements_that_make_no_sense_are_refused() {
    let bench = |more: &[&str], words: &[&str]| {
        refuses(
            &[&["bench", "txt2img", "--device", "cpu"], more].concat(),
            words,
        );
    };
    bench(&["--steps", "0"], &["--steps", "0", "1..=1000"]);
    bench(&["--steps", ""], &["--steps"]);
    bench(&["--steps", "20,,30"], &["--steps"]);
    bench(&["--steps", "20,30,20"], &["--steps lists 20 twice"]);
    bench(&["--dtype", ""], &["--dtype", "f32", "bf16", "f16"]);
    bench(&["--dtype", "f32,f8"], &["f8", "f32", "bf16", "f16"]);
    bench(&["--dtype", "f32,f32"], &["--dtype lists f32 twice"]);
    for price in ["-1", "nan", "inf", "cheap"] {
        bench(
            &["--price-per-hour", price],
            &["--price-per-hour", price, "from 0 on"],
        );
    }
    bench(&["--repeats", "0"], &["--repeats"]);
    bench(&["--count", "0"], &["--count"]);
    bench(&["--taesd", "tiny"], &["--model"]);
    bench(&["--plot", "seconds.jpg"], &["--plot", "png"]);
    bench(&["--model", "nowhere"], &["--model nowhere", "random"]);
    // The workloads' flags are none of this job's.
    refuses(&["bench", "--only", "conv", "txt2img"], &["--only"]);
}

#[test]
fn a_type_that_cannot_be_measured_is_named_and_nothing_is_drawn() {
    let (_guard, root) = folder();
    let (model, plot) = (pipeline("base", &root), root.join("seconds.png"));
    let of = [
        "bench",
        "txt2img",
        "--model",
        text(&model),
        "--device",
        "cpu",
        "--plot",
        text(&plot),
    ];
    let wrong = ["--width", "100", "--dtype", "bf16,f32"];
    refuses(
        &[&of[..], &wrong].concat(),
        &["multiple of 8", "the measurement in bf16 failed"],
    );
    refuses(
        &[&of[..], &["--width", "100", "--dtype", "bf16"]].concat(),
        &["multiple of 8"],
    );
    assert!(!plot.exists());
}

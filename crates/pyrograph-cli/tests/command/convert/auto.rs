//! `convert --dtype auto`.

use std::{collections::BTreeMap, fs, path::Path};

use pyrograph::{
    models::weights::{StateDict, TensorEntry},
    vision::read_image,
};
use serde_json::Value;

use super::{TEXT_ENCODER, UNET, VAE, manifest, open, pipeline, save};
use crate::{
    common::{folder, refuses, succeeds, text},
    pictures,
};

/// What every conversion of these tests is given.
const SMALL: [&str; 4] = ["--calibration-size", "8", "--quiet", "--json"];

/// Converts by these flags, and gives what is said of the layers.
#[track_caller]
fn convert(source: &Path, out: &Path, more: &[&str]) -> Value {
    let start = [
        "convert",
        text(source),
        "--out",
        text(out),
        "--dtype",
        "auto",
    ];
    let printed = succeeds(&[&start[..], &SMALL, more].concat());
    let value: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(value["dtype"], "auto");
    value["auto"].clone()
}

/// The layers of the blocks by their keys in a file: whether each is int8.
fn layers(dict: &StateDict) -> BTreeMap<String, bool> {
    let blocks = ["down_blocks.", "mid_block.", "up_blocks."];
    let of = |key: &str| {
        let tensor = dict.get(key).expect(key);
        let is_layer = blocks.iter().any(|block| key.starts_with(block))
            && key.ends_with(".weight")
            && tensor.shape().len() > 1;
        is_layer.then(|| (key.to_owned(), tensor.type_name().starts_with("int8")))
    };
    dict.keys().filter_map(of).collect()
}

/// The names of layers and whether int8 was chosen, as a report has them.
fn chosen(report: &Value) -> BTreeMap<String, bool> {
    let rows = report["layers"].as_array().expect("layers").iter();
    rows.map(|row| {
        let name = row["name"].as_str().expect("a name");
        (format!("{name}.weight"), row["choice"] != "bf16")
    })
    .collect()
}

#[test]
fn a_limit_near_nothing_takes_bf16_and_a_large_one_int8() {
    let (_guard, path) = folder();
    let source = path.join("source");
    pipeline(&source);
    for (limit, expected) in [("1e-12", false), ("10", true)] {
        let out = path.join(limit);
        let report = convert(&source, &out, &["--error-limit", limit]);
        let unet = open(out.join(UNET));
        assert!(
            layers(&unet).values().all(|is_int8| *is_int8 == expected),
            "{limit}"
        );
        // The report's rows are the layers.
        assert_eq!(chosen(&report), layers(&unet));
        for key in unet.keys().filter(|key| !layers(&unet).contains_key(*key)) {
            assert_eq!(unet.get(key).expect(key).type_name(), "bf16", "{key}");
        }
        for name in [TEXT_ENCODER, VAE] {
            let dict = open(out.join(name));
            let mut types = dict.keys().map(|key| dict.get(key).expect(key).type_name());
            assert!(types.all(|name| name == "bf16"));
        }
        let manifest = manifest(&out);
        assert_eq!(manifest["dtype"], "auto");
        assert_eq!(
            manifest["error_limit"],
            limit.parse::<f64>().expect("a number")
        );
        let totals = report["totals"].as_array().expect("types");
        let count = |name: &str| {
            let of = totals
                .iter()
                .find(|total| total["type"] == name)
                .expect(name);
            of["layers"].as_u64().expect("a number") as usize
        };
        let all = layers(&unet).len();
        let of_int8 = count("int8") + count("int8-activations");
        let of_bf16 = count("bf16");
        assert_eq!(
            (of_int8, of_bf16),
            if expected { (all, 0) } else { (0, all) }
        );
    }
}

#[test]
fn a_layer_with_outliers_stays_bf16_and_the_mixed_folder_runs_as_others_do() {
    let (_guard, path) = folder();
    let (source, out, file) = (
        path.join("source"),
        path.join("out"),
        path.join("report.json"),
    );
    pipeline(&source);
    let mut dict = open(source.join(UNET));
    let key = "mid_block.resnets.0.conv2.weight";
    let tensor = dict.get(key).expect(key);
    let (shape, mut values) = (tensor.shape().to_vec(), tensor.to_f32());
    let most = values
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let channel = shape[1..].iter().product::<usize>();
    for (output, values) in values.chunks_mut(channel).enumerate() {
        values[output % channel] = 8.0 * most;
    }
    dict.insert(key, TensorEntry::from_f32(shape, values));
    save(&dict, &source.join(UNET));

    let first = convert(&source, &path.join("all"), &["--error-limit", "10"]);
    let error = |name: &str| {
        let rows = first["layers"].as_array().expect("layers");
        let row = rows.iter().find(|row| row["name"] == name).expect(name);
        row["errors"]["int8"].as_f64().expect("a number")
    };
    let usual = layers(&dict).into_keys().filter(|other| other != key);
    let usual = usual.map(|key| error(key.strip_suffix(".weight").expect("a weight")));
    let usual = usual.fold(0.0, f64::max);
    let with_outliers = error("mid_block.resnets.0.conv2");
    assert!(with_outliers > usual, "{with_outliers} {usual}");

    let limit = ((with_outliers + usual) / 2.0).to_string();
    let report = convert(
        &source,
        &out,
        &["--error-limit", &limit, "--report", text(&file)],
    );
    let written: Value = serde_json::from_slice(&fs::read(&file).expect("written")).expect("JSON");
    assert_eq!(written, report);
    let unet = open(out.join(UNET));
    for (other, is_int8) in layers(&unet) {
        assert_eq!(is_int8, other != key, "{other}");
    }
    let mut rows = report["layers"].as_array().expect("layers").iter();
    let row = rows
        .find(|row| row["name"] == "mid_block.resnets.0.conv2")
        .expect("a row");
    assert_eq!(
        (&row["choice"], &row["within_limit"]),
        (&"bf16".into(), &true.into())
    );
    for name in ["f32", "bf16", "int8", "int8-activations"] {
        assert!(row["seconds"][name].as_f64().expect(name) > 0.0);
    }

    // As stored, by every command that opens such folders.
    let said = succeeds(&["inspect", text(&out)]);
    assert!(
        said.contains("bf16, f32, int8") || said.contains("bf16, int8"),
        "{said}"
    );
    let draw = |model: &Path, name: &str| {
        let picture = path.join(name);
        let start = [
            "txt2img",
            "a cat",
            "--model",
            text(model),
            "--steps",
            "2",
            "--seed",
            "1",
        ];
        let more = ["--device", "cpu", "--quiet", "--out", text(&picture)];
        succeeds(&[&start[..], &more].concat());
        read_image(&picture).expect("a picture")
    };
    let (ours, exact) = (draw(&out, "ours.png"), draw(&source, "exact.png"));
    let pairs = ours.as_raw().iter().zip(exact.as_raw());
    let squares = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    let error = squares.sum::<f64>() / ours.as_raw().len() as f64;
    assert!(error > 0.0 && error < 400.0, "{error}");
    let forward = |model: &Path, dtype: &str| -> Vec<f32> {
        let (inputs, outputs) = (path.join("in.safetensors"), path.join("out.safetensors"));
        let config = fs::read(model.join("unet/config.json")).expect("a config");
        let config: Value = serde_json::from_slice(&config).expect("JSON");
        let width = config["cross_attention_dim"].as_u64().expect("a width") as usize;
        let mut dict = StateDict::new();
        for (name, shape) in [
            ("sample", vec![1, 4, 8, 8]),
            ("timestep", vec![1]),
            ("encoder_hidden_states", vec![1, 7, width]),
        ] {
            let count = shape.iter().product::<usize>();
            let values = (0..count).map(|i| (i as f32 * 0.7).sin() + 0.5).collect();
            dict.insert(name, TensorEntry::from_f32(shape, values));
        }
        save(&dict, &inputs);
        let (weights, config) = (model.join(UNET), model.join("unet/config.json"));
        let start = ["forward", "sd-unet", "--device", "cpu", "--dtype", dtype];
        let files = [
            "--weights",
            text(&weights),
            "--config",
            text(&config),
            "--input",
            text(&inputs),
            "--output",
            text(&outputs),
        ];
        succeeds(&[&start[..], &files].concat());
        open(outputs).get("sample").expect("an output").to_f32()
    };
    let (ours, exact) = (forward(&out, "stored"), forward(&source, "f32"));
    let most = exact
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let pairs = ours.iter().zip(&exact);
    let worst = pairs.fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst > 0.0 && worst < 0.1 * most, "{worst} of {most}");
    // A second conversion keeps the types.
    let again = path.join("again");
    succeeds(&["convert", text(&out), "--out", text(&again), "--quiet"]);
    assert_eq!(layers(&open(again.join(UNET))), layers(&unet));
    refuses(
        &[
            "convert",
            text(&out),
            "--out",
            text(&path.join("twice")),
            "--dtype",
            "auto",
        ],
        &["int8 already", "f32, bf16 or f16", "--dtype stored"],
    );
    assert!(!path.join("twice").exists());
}

#[test]
fn a_pipeline_of_nine_channels_is_converted_too() {
    let (_guard, path) = folder();
    let (source, out) = (pictures::pipeline("nine", &path), path.join("out"));
    let report = convert(&source, &out, &["--error-limit", "10"]);
    assert_eq!(chosen(&report), layers(&open(out.join(UNET))));
    assert!(chosen(&report).values().all(|is_int8| *is_int8));
}

#[test]
fn the_table_has_a_row_for_each_layer_and_ends_with_the_totals() {
    let (_guard, path) = folder();
    let (source, out) = (path.join("source"), path.join("out"));
    pipeline(&source);
    let start = [
        "convert",
        text(&source),
        "--out",
        text(&out),
        "--dtype",
        "auto",
    ];
    let table = succeeds(&[&start[..], &SMALL[..3], &["--calibration-seed", "3"]].concat());
    let count = layers(&open(out.join(UNET))).len();
    let rows = table
        .lines()
        .filter(|line| line.contains("blocks.") || line.contains("mid_block."));
    assert_eq!(rows.count(), count, "{table}");
    let last = table.lines().last().expect("totals");
    assert!(
        last.starts_with("int8-activations: ")
            && last.contains("; int8: ")
            && last.contains("; bf16: "),
        "{last}"
    );
    assert!(last.ends_with("within an error of 0.02"), "{last}");
    // The layers' types depend on the seed alone.
    let again = path.join("again");
    let start = [
        "convert",
        text(&source),
        "--out",
        text(&again),
        "--dtype",
        "auto",
    ];
    succeeds(&[&start[..], &SMALL[..3], &["--calibration-seed", "3"]].concat());
    let read = |folder: &Path| fs::read(folder.join(UNET)).expect("written");
    assert!(read(&out) == read(&again), "two conversions differ");
}

#[test]
fn flags_of_auto_are_refused_without_it_and_so_are_limits_that_are_none() {
    let (_guard, path) = folder();
    let (source, out) = (path.join("source"), path.join("out"));
    pipeline(&source);
    let start = ["convert", text(&source), "--out", text(&out)];
    let report = path.join("report.json");
    for (flag, value) in [
        ("--error-limit", "0.01"),
        ("--calibration-size", "16"),
        ("--calibration-seed", "1"),
        ("--calibration-prompt", "a cat"),
        ("--report", text(&report)),
    ] {
        refuses(
            &[&start[..], &["--dtype", "int8", flag, value]].concat(),
            &[flag, "needs --dtype auto", "int8"],
        );
        refuses(
            &[&start[..], &[flag, value]].concat(),
            &[flag, "needs --dtype auto", "stored"],
        );
    }
    for limit in ["0", "-0.1", "nan", "inf", "1 %"] {
        refuses(
            &[&start[..], &["--dtype", "auto", "--error-limit", limit]].concat(),
            &["--error-limit", limit, "above 0"],
        );
    }
    refuses(
        &[&start[..], &["--dtype", "auto", "--calibration-size", "0"]].concat(),
        &["--calibration-size", "1..=256"],
    );
    let inside = source.join("report.json");
    refuses(
        &[&start[..], &["--dtype", "auto", "--report", text(&inside)]].concat(),
        &["--report", "would overwrite the input"],
    );
    refuses(
        &[&start[..], &["--dtype", "int4"]].concat(),
        &["`int4`", "int8-activations, auto"],
    );
    assert!(!out.exists() && !report.exists());
}

//! `--dtype` of the commands that run detectors, sprites and the networks of anomaly scores.

use std::{fs, path::Path};

use pyrograph::{
    models::weights::{Precision, StateDict},
    vision::write_png,
};
use serde_json::Value;

use crate::{
    anomaly::{fit, train as train_dcgan},
    common::{folder, pyrograph, refuses, run, succeeds, text, train},
    detection::{FEW, detector, json, picture},
};

/// The greatest difference between outputs of weights in f32 and in half precision, at a scale of 1: bf16 rounds by 2⁻⁹ at
/// each of the layers.
const HALF: f64 = 3e-2;

/// That the values are near, and the greatest difference.
#[track_caller]
fn assert_near(values: &[f64], exact: &[f64], scale: f64) -> f64 {
    assert_eq!(values.len(), exact.len());
    let differences = values.iter().zip(exact).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f64::max);
    assert!(worst <= HALF * scale, "{worst} at a scale of {scale}");
    worst
}

/// That the values are near and not the same.
#[track_caller]
fn assert_rounded(values: &[f64], exact: &[f64], scale: f64) {
    let worst = assert_near(values, exact, scale);
    assert!(worst > 0.0, "the type of the weights changed nothing");
}

/// The numbers at `field` of every element of a list.
fn numbers(list: &Value, field: &str) -> Vec<f64> {
    let list = list.as_array().expect("a list").iter();
    list.map(|item| item[field].as_f64().expect("a number"))
        .collect()
}

/// The tensor `samples` of a file.
fn samples(path: &Path) -> Vec<f64> {
    let dict = StateDict::open(path).expect("written");
    let values = dict.get("samples").expect("samples").to_f32();
    values.into_iter().map(f64::from).collect()
}

#[test]
fn a_detector_in_bf16_is_nearly_as_sure_as_in_f32() {
    let (_guard, path) = folder();
    let (_, fresh, _) = detector(&path);
    let (image, out) = (path.join("a.png"), path.join("out"));
    write_png(&image, &picture(120, 80)).expect("writable");
    // A fresh network is as unsure of everything in every type.
    let trained = path.join("run");
    let train = ["train", "ssd", "--width", "0.03125", "--steps", "2"];
    let few = [
        "--scenes",
        "4",
        "--batch-size",
        "2",
        "--quiet",
        "--device",
        "cpu",
    ];
    succeeds(&[&train[..], &few, &["--out", text(&trained)]].concat());
    let detect = |network: [&str; 2], more: &[&str]| -> Value {
        let start = [
            "detect",
            text(&image),
            network[0],
            network[1],
            "--out",
            text(&out),
            "--score",
            "0.01",
            "--top-k",
            "20",
        ];
        json(&[&start[..], more].concat())["images"][0]["detections"].clone()
    };
    let of_run = ["--run", text(&trained)];
    let usual = detect(of_run, &[]);
    assert_eq!(detect(of_run, &["--dtype", "f32"]), usual);
    let exact = numbers(&usual, "score");
    for dtype in ["bf16", "f16"] {
        let found = detect(of_run, &["--dtype", dtype]);
        assert_rounded(&numbers(&found, "score"), &exact, 1.0);
    }
    // The type of the file says nothing.
    let narrow = path.join("narrow.safetensors");
    let dict = StateDict::open(&fresh).expect("readable");
    let quiet = |_: &str, _: &_| Ok(());
    dict.save_as(&narrow, dict.metadata(), Precision::F16, quiet)
        .expect("writable");
    let in_f32 = numbers(&detect(["--weights", text(&narrow)], &[]), "score");
    let in_bf16 = detect(["--weights", text(&narrow)], &["--dtype", "bf16"]);
    assert_near(&numbers(&in_bf16, "score"), &in_f32, 1.0);

    let scenes = ["eval", "ssd", "--run", text(&trained), "--data", "scenes"];
    let few = ["--scenes", "2", "--dtype", "bf16"];
    let report = json(&[&scenes[..], &few, &FEW[..4]].concat());
    assert_eq!(report["images"], 2);
}

#[test]
fn sprites_in_bf16_are_nearly_those_in_f32() {
    let (_guard, path) = folder();
    let (out, save) = (path.join("run"), path.join("samples.safetensors"));
    run(&train(&out, &["--steps", "4"]));
    let sample = |more: &[&str]| {
        let start = ["sample", "sprites", "--run", text(&out), "--device", "cpu"];
        let walk = [
            "--sampler",
            "ddim",
            "--steps",
            "3",
            "-n",
            "4",
            "--save",
            text(&save),
        ];
        succeeds(&[&start[..], &walk, more].concat());
        samples(&save)
    };
    let usual = sample(&[]);
    assert_eq!(sample(&["--dtype", "f32"]), usual);
    for dtype in ["bf16", "f16"] {
        // Three steps of a hardly trained network make errors larger.
        assert_rounded(&sample(&["--dtype", dtype]), &usual, 8.0);
    }
    let judge = ["eval", "sprites", "--run", text(&out), "--sampler", "ddim"];
    let few = ["--steps", "2", "-n", "6", "--dtype", "bf16"];
    let judged = json(&[&judge[..], &few].concat());
    let distance = &judged["results"][0]["report"]["sliced_wasserstein"];
    assert!(distance.as_f64().expect("a number") > 0.0);
}

#[test]
fn the_encoder_scores_in_bf16_and_a_search_is_refused() {
    let (_guard, path) = folder();
    let (out, save) = (path.join("run"), path.join("samples.safetensors"));
    train_dcgan(&out, "6", &[]);
    fit(&out, &[]);
    let start = [
        "anomaly",
        "score",
        "--run",
        text(&out),
        "--per-class",
        "4",
        "--device",
        "cpu",
        "--method",
    ];
    let scored = |more: &[&str]| -> Value {
        let printed = succeeds(&[&start[..], more, &["--json"]].concat());
        serde_json::from_str::<Value>(&printed).expect("JSON")["results"].clone()
    };
    for method in ["encoder", "search"] {
        assert_eq!(scored(&[method, "--dtype", "f32"]), scored(&[method]));
    }
    let usual = scored(&["encoder"]);
    for dtype in ["bf16", "f16"] {
        let results = scored(&["encoder", "--dtype", dtype]);
        for field in ["score", "residual", "discrimination"] {
            let exact = numbers(&usual, field);
            let scale = exact.iter().copied().fold(0.0, f64::max);
            assert_rounded(&numbers(&results, field), &exact, scale);
        }
    }
    let said = pyrograph(&[&start[..], &["encoder", "--dtype", "bf16"]].concat()).stderr;
    let said = String::from_utf8(said).expect("text");
    assert!(
        said.contains("the threshold was drawn with weights in f32"),
        "{said}"
    );
    for method in ["search", "warm"] {
        refuses(
            &[&start[..], &[method, "--dtype", "bf16"]].concat(),
            &["--dtype bf16 needs --method encoder", method],
        );
    }

    let sample = |more: &[&str]| {
        let start = ["sample", "dcgan", "--run", text(&out), "--device", "cpu"];
        let (picture, save) = (path.join("samples.png"), text(&save));
        let files = ["-n", "3", "--out", text(&picture), "--save", save];
        succeeds(&[&start[..], &files, more].concat());
        samples(Path::new(save))
    };
    let usual = sample(&[]);
    assert_eq!(sample(&["--dtype", "f32"]), usual);
    assert_rounded(&sample(&["--dtype", "bf16"]), &usual, 1.0);
}

#[test]
fn an_unknown_type_is_refused_with_those_that_are_known() {
    let (_guard, path) = folder();
    let missing = path.join("run");
    for command in [
        &["detect", "a.png"][..],
        &["eval", "ssd"],
        &["sample", "sprites"],
        &["eval", "sprites"],
        &["sample", "dcgan"],
        &["anomaly", "score"],
    ] {
        let more = ["--run", text(&missing), "--dtype", "int8"];
        refuses(
            &[command, &more].concat(),
            &["--dtype", "int8", "f32, bf16, f16"],
        );
        let help = succeeds(&[command, &["--help"]].concat());
        assert!(help.contains("--dtype <DTYPE>"), "{command:?}\n{help}");
    }
    assert!(fs::read_dir(&path).expect("a folder").next().is_none());
}

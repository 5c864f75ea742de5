//! Clipping, moments and measures of sampling sprites.

use std::{fs, path::Path};

use pyrograph::models::weights::StateDict;
use serde_json::Value;

use crate::common::*;

/// Standard output as JSON, and standard error.
#[track_caller]
fn sample(run: &Path, more: &[&str]) -> (Value, String) {
    let words = ["sample", "sprites", "--run", text(run), "--device", "cpu"];
    let words = [&words[..], &["--json", "-n", "4", "--steps", "6"], more].concat();
    let output = pyrograph(&words);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}\n{errors}");
    let value = serde_json::from_slice(&output.stdout).expect("JSON");
    (value, errors)
}

fn numbers(path: &Path, key: &str) -> (Vec<usize>, Vec<f32>) {
    let dict = StateDict::open(path).expect("numbers");
    let tensor = dict.get(key).expect("the tensor");
    (tensor.shape().to_vec(), tensor.to_f32())
}

fn largest(path: &Path) -> f32 {
    let (_, values) = numbers(path, "samples");
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

#[test]
fn a_cosine_run_is_sampled_within_the_range_of_pixels() {
    let (_guard, path) = folder();
    let (out, save) = (path.join("run"), path.join("s.safetensors"));
    let cosine = ["--steps", "2", "--schedule", "cosine", "--timesteps", "30"];
    // Its own picture is clipped as well.
    let words: Vec<_> = train(&out, &cosine);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let output = pyrograph(&words);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !errors.contains("warning"),
        "{errors}"
    );

    for sampler in ["ddpm", "ddim", "dpm++", "euler"] {
        let (value, errors) = sample(&out, &["--sampler", sampler, "--save", text(&save)]);
        assert!(largest(&save) <= 1.001, "{sampler}");
        assert!(value["beyond_range"].is_null(), "{value}");
        assert!(
            errors.contains("clipped to ±1") && errors.contains("--clip off"),
            "{errors}"
        );
    }
    let (value, errors) = sample(&out, &["--clip", "off", "--save", text(&save)]);
    assert!(largest(&save) > 3.0);
    assert_eq!(value["beyond_range"]["images"], 4);
    let words = [
        "warning:",
        "4 of 4 images leave",
        "--clip 1",
        "--dynamic-threshold",
    ];
    assert!(words.iter().all(|word| errors.contains(word)), "{errors}");
    let threshold = [
        &["--dynamic-threshold"][..],
        &["--dynamic-threshold", "0.9", "--threshold-max", "2"],
    ];
    for more in threshold {
        let (_, errors) = sample(&out, &[more, &["--save", text(&save)]].concat());
        assert!(
            largest(&save) <= 1.001 && !errors.contains("clipped"),
            "{errors}"
        );
    }
}

#[test]
fn the_courses_schedule_is_not_clipped_and_far_values_are_warned_of() {
    let (_guard, path) = folder();
    let out = path.join("run");
    run(&train(&out, &["--steps", "1"]));
    let save = path.join("s.safetensors");
    let (value, errors) = sample(&out, &["--save", text(&save)]);
    assert!(largest(&save) > 3.0, "an untrained network");
    assert!(value["beyond_range"]["largest"].as_f64().expect("a number") > 3.0);
    assert!(
        errors.contains("warning:")
            && errors.contains("--clip 1")
            && !errors.contains("clipped to"),
        "{errors}"
    );
    let (_, errors) = sample(&out, &["--clip", "1", "--save", text(&save)]);
    assert!(
        largest(&save) <= 1.001 && !errors.contains("warning"),
        "{errors}"
    );
}

#[test]
fn bounds_that_are_none_are_refused() {
    let (_guard, path) = folder();
    let out = path.join("run");
    run(&train(&out, &["--steps", "1"]));
    let refuse = |more: &[&str], words: &[&str]| {
        let command = ["sample", "sprites", "--run", text(&out), "--device", "cpu"];
        refuses(&[&command[..], more].concat(), words);
    };
    refuse(&["--clip", "on"], &["--clip", "off"]);
    refuse(&["--clip", "-1"], &["'-1' for '--clip", "above 0"]);
    refuse(
        &["--clip", "1", "--dynamic-threshold"],
        &["--dynamic-threshold"],
    );
    refuse(&["--threshold-max", "2"], &["--dynamic-threshold"]);
    refuse(
        &["--dynamic-threshold", "2"],
        &["'2' for '--dynamic-threshold", "0 to 1"],
    );
    refuse(
        &["--clip", "1", "--sampler", "pndm"],
        &["--clip bounds", "--sampler pndm"],
    );
    refuse(&["--context", "None"], &["`None`", "hero", "`none` alone"]);
    refuse(&["--moments", "course"], &["--moments", "--strip"]);
    let strip = path.join("strip.png");
    refuse(
        &["--moments", "0", "--strip", text(&strip)],
        &["--moments", "course"],
    );
}

#[test]
fn the_moments_of_a_walk_are_saved_and_shown() {
    let (_guard, path) = folder();
    let (out, save, strip) = (
        path.join("run"),
        path.join("s.safetensors"),
        path.join("strip.png"),
    );
    run(&train(&out, &["--steps", "1"]));
    let ddim = [
        "sample",
        "sprites",
        "--run",
        text(&out),
        "--device",
        "cpu",
        "--sampler",
        "ddim",
        "--steps",
        "20",
        "-n",
        "3",
        "--save",
        text(&save),
    ];
    let with = |more: &[&str]| succeeds(&[&ddim[..], more].concat());
    with(&["--moments", "course", "--strip", text(&strip)]);
    assert!(fs::read(&strip).expect("strip").starts_with(b"\x89PNG"));
    let (shape, moments) = numbers(&save, "intermediate");
    assert_eq!(shape, [6, 3, 3, 16, 16]);
    let (_, timesteps) = numbers(&save, "timesteps");
    assert_eq!(timesteps, [500.0, 400.0, 300.0, 200.0, 100.0, 25.0]);
    let (_, samples) = numbers(&save, "samples");
    assert!(moments.ends_with(&samples), "the last moment is the end");

    with(&["--moments", "4"]);
    assert_eq!(numbers(&save, "intermediate").0, [4, 3, 3, 16, 16]);
    assert_eq!(numbers(&save, "timesteps").1, [400.0, 275.0, 150.0, 25.0]);
    assert_eq!(numbers(&save, "samples").1, samples);
    with(&[]);
    let dict = StateDict::open(&save).expect("numbers");
    assert!(dict.get("intermediate").is_none(), "nothing was asked for");
}

#[test]
fn an_evaluation_says_once_that_it_clips_and_why_heun_walks_more() {
    let (_guard, path) = folder();
    let out = path.join("run");
    let cosine = ["--steps", "1", "--schedule", "cosine", "--timesteps", "30"];
    run(&train(&out, &cosine));
    let eval = ["eval", "sprites", "--run", text(&out), "--device", "cpu"];
    let more = ["--sampler", "pndm,ddim,heun", "--steps", "5,5,5", "-n", "2"];
    let output = pyrograph(&[eval, more].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors.matches("clipped to").count(), 1, "{errors}");
    assert!(
        errors.contains("9 walked: heun calls the network twice")
            && errors.contains("6 walked: pndm visits one timestep twice"),
        "{errors}"
    );
}

#[test]
fn no_context_is_what_guidance_starts_from() {
    let (_guard, path) = folder();
    let (out, save) = (path.join("run"), path.join("s.safetensors"));
    run(&train(&out, &["--steps", "1"]));
    let of = |more: &[&str]| {
        sample(&out, &[&["--save", text(&save)], more].concat());
        numbers(&save, "samples").1
    };
    let none = of(&["--context", "none"]);
    let unguided = of(&["--context", "hero", "--guidance", "0"]);
    let close = none.iter().zip(&unguided);
    assert!(
        close
            .clone()
            .all(|(a, b)| (a - b).abs() <= 1e-3 * a.abs().max(1.0))
    );
    assert_ne!(none, of(&["--context", "hero"]));
}

#[test]
fn sampling_without_noise_is_measured_along_the_walk() {
    let (_guard, path) = folder();
    let (out, csv) = (path.join("run"), path.join("walk.csv"));
    // Enough held-out sprites for two of a class.
    run(&train(&out, &["--steps", "1", "--held-out", "0.4"]));
    let judged = succeeds(&[
        "eval",
        "sprites",
        "--run",
        text(&out),
        "--device",
        "cpu",
        "--json",
        "--sampler",
        "ddpm,ddpm-no-noise",
        "--steps",
        "10,10",
        "-n",
        "12",
        "--clip",
        "1",
        "--walk",
        text(&csv),
    ]);
    let judged: Value = serde_json::from_str(&judged).expect("JSON");
    let of = |sampler: usize, pointer: &str| {
        judged["results"][sampler]
            .pointer(pointer)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("{pointer} of {judged}"))
    };
    let diversity = of(0, "/report/diversity");
    assert!(diversity > 0.0 && of(0, "/report/diversity_held_out") > 0.0);
    // Both start from normal noise, as the forward process ends.
    for sampler in [0, 1] {
        let deviation = of(sampler, "/walk/0/seen/deviation");
        let expected = of(sampler, "/walk/0/expected/deviation");
        assert!(
            (deviation - expected).abs() < 0.05,
            "{deviation} {expected}"
        );
    }
    // A little later the one without noise has less of it.
    assert!(of(1, "/walk/3/seen/deviation") < of(0, "/walk/3/seen/deviation"));
    let csv = fs::read_to_string(csv).expect("CSV");
    // Ten steps have ten moments and the end, of two samplers.
    assert_eq!(csv.lines().count(), 1 + 2 * 11, "{csv}");
    assert!(csv.starts_with("sampler,step,signal,noise,mean,deviation,kurtosis,expected_mean"));
}

//! What the command writes, and what a kill leaves.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use pyrograph::models::weights::{StateDict, TensorEntry};

use crate::common::*;

#[test]
fn a_model_is_trained_sampled_and_judged() {
    let (_guard, path) = folder();
    let (out, grid, gif) = (
        path.join("run"),
        path.join("grid.png"),
        path.join("steps.gif"),
    );
    let (numbers, figure) = (path.join("samples.safetensors"), path.join("compare.png"));
    let result: serde_json::Value =
        serde_json::from_str(&run(&train(&out, &["--steps", "4"]))).expect("JSON");
    assert_eq!(
        (result["steps"].as_u64(), result["interrupted"].as_bool()),
        (Some(4), Some(false))
    );
    assert!(
        out.join("samples/loss.png").is_file()
            && out.join("checkpoints/step-4/ema.safetensors").is_file()
    );

    let common = [
        "sample",
        "sprites",
        "--run",
        text(&out),
        "--device",
        "cpu",
        "--json",
        "--seed",
        "7",
    ];
    let sample = |more: &[&str]| succeeds(&[&common[..], more].concat());
    sample(&[
        "--sampler",
        "ddim",
        "--steps",
        "3",
        "--out",
        text(&grid),
        "--gif",
        text(&gif),
        "--frames",
        "2",
    ]);
    assert!(
        fs::read(&grid).expect("grid").starts_with(b"\x89PNG")
            && fs::read(&gif).expect("gif").starts_with(b"GIF8")
    );
    sample(&[
        "--sampler",
        "ddpm",
        "--steps",
        "5",
        "-n",
        "2",
        "--context",
        "hero=0.5,food=0.5",
        "--guidance",
        "2",
        "--save",
        text(&numbers),
    ]);
    let samples = StateDict::open(&numbers).expect("numbers");
    assert_eq!(
        samples.get("samples").expect("samples").shape(),
        [2, 3, 16, 16]
    );
    sample(&[
        "--sampler",
        "dpm++",
        "--steps",
        "3",
        "-n",
        "3",
        "--context",
        "hero",
        "--interpolate",
        "8",
        "--out",
        text(&grid),
    ]);
    sample(&[
        "--sampler",
        "heun",
        "--karras",
        "--spacing",
        "trailing",
        "--final-sigma",
        "sigma_min",
        "--steps",
        "3",
        "-n",
        "2",
        "--out",
        text(&grid),
    ]);
    sample(&["--steps", "4", "-n", "5", "--compare-noise", text(&figure)]);
    assert!(figure.is_file());

    let judged = succeeds(&[
        "eval",
        "sprites",
        "--run",
        text(&out),
        "--device",
        "cpu",
        "--json",
        "--sampler",
        "ddim,dpm++",
        "--steps",
        "2,5",
        "-n",
        "6",
    ]);
    let judged: serde_json::Value = serde_json::from_str(&judged).expect("JSON");
    for (place, steps) in [(0, 2), (1, 5)] {
        let result = &judged["results"][place];
        assert_eq!(
            (
                result["steps"].as_u64(),
                result["report"]["samples"].as_u64()
            ),
            (Some(steps), Some(6))
        );
        assert!(
            result["report"]["sliced_wasserstein"]
                .as_f64()
                .expect("a number")
                > 0.0
        );
    }
}

#[test]
fn given_noise_is_what_sampling_starts_from() {
    let (_guard, path) = folder();
    let (out, noise, first, second) = (
        path.join("run"),
        path.join("x.safetensors"),
        path.join("a"),
        path.join("b"),
    );
    run(&train(&out, &["--steps", "1"]));
    let mut dict = StateDict::new();
    let values = (0..2 * 768).map(|i| (i as f32 * 0.7).sin()).collect();
    dict.insert("x_T", TensorEntry::from_f32(vec![2, 3, 16, 16], values));
    dict.save(&noise, Default::default()).expect("writable");
    for (save, seed) in [(&first, "1"), (&second, "2")] {
        succeeds(&[
            "sample",
            "sprites",
            "--run",
            text(&out),
            "--device",
            "cpu",
            "--sampler",
            "ddim",
            "--steps",
            "3",
            "--noise",
            text(&noise),
            "--seed",
            seed,
            "--save",
            text(save),
        ]);
    }
    let read = |path| {
        StateDict::open(path)
            .expect("numbers")
            .get("samples")
            .expect("samples")
            .clone()
    };
    assert_eq!(
        read(&first),
        read(&second),
        "DDIM has no noise but the given one"
    );
    refuses(
        &[
            "sample",
            "sprites",
            "--run",
            text(&out),
            "--noise",
            text(&noise),
            "-n",
            "3",
        ],
        &["-n is 3", "2 images"],
    );
}

#[test]
fn a_killed_run_resumes_to_the_losses_of_an_unbroken_one() {
    let (_guard, path) = folder();
    let (whole, killed) = (path.join("whole"), path.join("killed"));
    let steps = ["--steps", "30"];
    run(&train(&whole, &steps));
    let mut child = Command::new(env!("CARGO_BIN_EXE_pyrograph"))
        .args(train(&killed, &steps))
        .spawn()
        .expect("the binary runs");
    // Killed once there is a checkpoint; a run that has finished by then resumes to nothing, which must hold as well.
    let checkpoints = killed.join("checkpoints");
    while child.try_wait().expect("a child").is_none() {
        let begun = fs::read_dir(&checkpoints).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("step-"))
            })
        });
        if begun {
            child.kill().expect("a kill");
        }
        thread::sleep(Duration::from_millis(5));
    }
    // What a kill in the middle of a write leaves.
    fs::create_dir_all(checkpoints.join(".partial-29")).expect("writable");
    fs::write(checkpoints.join(".partial-29/model.safetensors"), "half").expect("writable");
    succeeds(&[
        "train",
        "sprites",
        "--out",
        text(&killed),
        "--resume",
        "--device",
        "cpu",
        "--json",
    ]);
    assert_eq!(metrics(&whole), metrics(&killed));
    let weights =
        |run: &Path| fs::read(run.join("checkpoints/step-30/model.safetensors")).expect("weights");
    assert!(weights(&whole) == weights(&killed), "the weights differ");
}

#[test]
fn a_recipe_is_read_and_flags_go_before_it() {
    let (_guard, path) = folder();
    let (recipe, out) = (path.join("recipe.toml"), path.join("run"));
    fs::write(&recipe, "steps = 9\nn-feat = 8\nbatch-size = 10\nprocedural = 60\nprediction = \"v\"\nschedule = \"cosine\"\n").expect("writable");
    let flags = [
        "--config",
        text(&recipe),
        "--steps",
        "2",
        "--device",
        "cpu",
        "--sample-every",
        "0",
    ];
    succeeds(&[&["train", "sprites", "--out", text(&out)], &flags[..]].concat());
    let config = fs::read_to_string(out.join("config.json")).expect("config");
    assert!(
        config.contains("\"v_prediction\"")
            && config.contains("\"cosine\"")
            && config.contains("\"steps\": 2"),
        "{config}"
    );
    fs::write(&recipe, "stepz = 9\n").expect("writable");
    refuses(
        &[
            "train",
            "sprites",
            "--out",
            text(&path.join("no")),
            "--config",
            text(&recipe),
        ],
        &["stepz", "recipe.toml"],
    );
    assert!(!path.join("no").exists(), "a refused run leaves no folder");
}

#[test]
fn forward_runs_a_pytorch_checkpoint_on_named_tensors() {
    let (_guard, path) = folder();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../pyrograph-models/tests/fixtures/context_unet");
    let (config, input, output) = (
        path.join("c.json"),
        path.join("in.safetensors"),
        path.join("out.safetensors"),
    );
    fs::write(
        &config,
        r#"{"in_channels": 1, "n_feat": 8, "n_cfeat": 5, "height": 16}"#,
    )
    .expect("writable");
    let cases = StateDict::open(fixtures.join("h16.safetensors")).expect("fixture");
    let mut inputs = StateDict::new();
    for key in ["x", "t", "c"] {
        inputs.insert(key, cases.get(key).expect(key).clone());
    }
    inputs.save(&input, Default::default()).expect("writable");
    let weights = fixtures.join("weights_legacy.pth");
    let forward = |weights: &Path, input: &Path| -> Vec<String> {
        let words = [
            "forward",
            "context-unet",
            "--weights",
            text(weights),
            "--config",
            text(&config),
            "--input",
            text(input),
            "--output",
            text(&output),
            "--device",
            "cpu",
        ];
        words.map(str::to_owned).to_vec()
    };
    run(&forward(&weights, &input));
    let (ours, theirs) = (
        StateDict::open(&output).expect("output"),
        cases.get("eps").expect("eps"),
    );
    let ours = ours.get("eps").expect("eps");
    assert_eq!(ours.shape(), theirs.shape());
    assert!(
        ours.to_f32()
            .iter()
            .zip(&theirs.to_f32())
            .all(|(a, b)| (a - b).abs() < 1e-4)
    );

    let wrong = |weights: &Path, input: &Path, words: &[&str]| {
        let arguments = forward(weights, input);
        refuses(
            &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            words,
        );
    };
    wrong(
        &fixtures.join("weights_partial.pth"),
        &input,
        &["122 missing", "down1.model.0.conv1.0.weight"],
    );
    let good = fs::read(&config).expect("there");
    fs::write(&config, "[1, 8, 5, 16]").expect("writable");
    wrong(&weights, &input, &["c.json", "an object"]);
    fs::write(&config, good).expect("writable");
    wrong(
        &fixtures.join("make.py"),
        &input,
        &["make.py", "safetensors"],
    );
    let bad = path.join("bad.safetensors");
    for (key, shape, word) in [
        ("x", vec![1, 3, 16, 16], "`x`"),
        ("c", vec![3, 4], "`c`"),
        ("t", vec![2], "`t`"),
        ("z", vec![1], "`z`"),
    ] {
        let mut inputs = inputs.clone();
        inputs.insert(
            key,
            TensorEntry::from_f32(shape.clone(), vec![0.5; shape.iter().product()]),
        );
        inputs.save(&bad, Default::default()).expect("writable");
        wrong(&weights, &bad, &[word]);
    }
    for time in [0.0, -0.5, 250.0, 1.5] {
        let mut inputs = inputs.clone();
        let times = inputs.get("t").expect("there");
        let times = with_value(times, 1, time);
        inputs.insert("t", times);
        inputs.save(&bad, Default::default()).expect("writable");
        wrong(
            &weights,
            &bad,
            &[&format!("t[1] is {time}"), "above 0 and up to 1"],
        );
    }
    let mut nan = inputs.clone();
    nan.insert(
        "x",
        with_value(inputs.get("x").expect("there"), 7, f32::NAN),
    );
    nan.save(&bad, Default::default()).expect("writable");
    wrong(
        &weights,
        &bad,
        &["input `x` holds NaN at place 7: inputs must be finite"],
    );
    let mut damaged = StateDict::open(&weights).expect("fixture");
    let tensor = damaged.get("out.0.bias").expect("there");
    let tensor = with_value(tensor, 2, f32::INFINITY);
    damaged.insert("out.0.bias", tensor);
    damaged.save(&bad, Default::default()).expect("writable");
    wrong(&bad, &input, &["`out.0.bias` holds inf at place 2"]);
}

#[test]
fn devices_names_the_one_that_would_be_used_or_says_why_there_is_none() {
    for device in ["auto", "cpu"] {
        let list = succeeds(&["devices", "--json", "--device", device]);
        let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
        let used = list["used"].as_str().expect("text");
        let lines = list["devices"].as_array().expect("a list");
        let marked: Vec<_> = lines.iter().filter(|line| line["used"] == true).collect();
        let [line] = marked.as_slice() else {
            panic!("one line is to be marked: {list}");
        };
        assert!(line["device"] == used && line["present"] == true, "{list}");
        assert!(succeeds(&["devices"]).contains("<- used"));
    }
    refuses(&["devices", "--device", "tpu"], &["tpu"]);
    for (device, compiled) in [
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
    ] {
        if compiled {
            continue; // Whether it is there depends on the machine.
        }
        let output = pyrograph(&["devices", "--device", device]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("burn-flex") && !text.contains("used"),
            "{text}"
        );
        refuses(
            &["devices", "--device", device],
            &[&format!("--features {device}")],
        );
    }
}

/// The same tensor with another value at one place.
fn with_value(tensor: &TensorEntry, at: usize, value: f32) -> TensorEntry {
    let mut values = tensor.to_f32();
    values[at] = value;
    TensorEntry::from_f32(tensor.shape().to_vec(), values)
}

//! A DCGAN from training to verdicts, and what is refused on the way.

use std::{fs, path::Path};

use serde_json::Value;

use crate::common::{pyrograph, refuses, succeeds, text};

/// Images of 16×16 and networks of width 4: seconds in the dev profile.
const TINY: [&str; 14] = [
    "--blocks",
    "2",
    "--width",
    "4",
    "--z-dim",
    "4",
    "--per-class",
    "20",
    "--batch-size",
    "8",
    "--sample-every",
    "0",
    "--device",
    "cpu",
];

pub(crate) fn train(out: &Path, steps: &str, more: &[&str]) -> Value {
    let words = [
        &[
            "train",
            "dcgan",
            "--json",
            "--out",
            text(out),
            "--steps",
            steps,
        ],
        &TINY[..],
        more,
    ]
    .concat();
    serde_json::from_str(&succeeds(&words)).expect("JSON")
}

pub(crate) fn fit(run: &Path, more: &[&str]) -> Value {
    let words = [
        &[
            "anomaly",
            "fit",
            "--json",
            "--run",
            text(run),
            "--encoder-steps",
            "10",
            "--steps",
            "5",
            "--pool",
            "10",
        ][..],
        &["--warm-steps", "3", "--device", "cpu"][..],
        more,
    ]
    .concat();
    serde_json::from_str(&succeeds(&words)).expect("JSON")
}

#[test]
fn a_dcgan_is_trained_fitted_and_scores_new_digits() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run");
    let trained = train(&run, "12", &[]);
    assert_eq!(trained["steps"], 12);
    assert!(trained["last"]["discriminator_loss"].is_f64());
    assert!(run.join("samples/step-0000012.png").is_file());
    assert!(run.join("samples/loss.png").is_file());

    // Nothing is scored before there is a threshold.
    let score = [
        "anomaly",
        "score",
        "--run",
        text(&run),
        "--per-class",
        "4",
        "--device",
        "cpu",
    ];
    refuses(&score, &["anomaly fit", text(&run)]);
    let fitted = fit(&run, &["--quantile", "0.9"]);
    for method in ["search", "encoder", "warm"] {
        let line = &fitted["calibrations"][method];
        assert_eq!(
            (&line["images"], &line["quantile"]),
            (&4.into(), &0.9.into()),
            "{method}"
        );
    }

    // The article's search is another than the one that was fitted.
    let article = ["--search-preset", "article", "--steps", "4", "--json"];
    let output = pyrograph(&[&score[..], &article].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("another search scores otherwise"),
        "{errors}"
    );
    let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(result["images"], 12);

    for method in ["search", "encoder", "warm"] {
        let out = folder.path().join(format!("{method}.csv"));
        let pictures = folder.path().join(method);
        let more = [
            "--method",
            method,
            "--out",
            text(&out),
            "--heatmaps",
            text(&pictures),
        ];
        let more = [&score[..], &more, &["--json", "--baseline"]].concat();
        let result: Value = serde_json::from_str(&succeeds(&more)).expect("JSON");
        assert_eq!(result["images"], 12);
        assert_eq!(result["results"].as_array().expect("a list").len(), 12);
        assert_eq!(result["results"][0]["label"], "2");
        assert!(result["results"][0]["verdict"].is_string());
        assert_eq!(result["report"]["normal"], 8);
        assert_eq!(result["report"]["anomalous"], 4);
        let auroc = result["report"]["auroc"].as_f64().expect("a number");
        assert!((0.0..=1.0).contains(&auroc));
        assert!(result["baseline"]["auroc"].is_f64());
        let at = &result["report"]["at_threshold"];
        let counted = [
            "true_positives",
            "false_positives",
            "false_negatives",
            "true_negatives",
        ];
        assert_eq!(
            counted
                .map(|name| at[name].as_u64().expect("a count"))
                .iter()
                .sum::<u64>(),
            12
        );
        let table = fs::read_to_string(&out).expect("a table");
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 13, "{table}");
        assert!(lines[0].starts_with("index,label,anomalous,score,normalised"));
        assert!(lines[1].starts_with("0,2,1,"), "{table}");
        assert!(
            lines[1].contains(",normal,") || lines[1].contains(",anomalous,"),
            "{table}"
        );
        for name in [
            "00000.png",
            "00011.png",
            "twins.png",
            "histogram.png",
            "roc.png",
        ] {
            assert!(pictures.join(name).is_file(), "{method}: {name}");
        }
    }

    // The model file alone is enough, one class is no failure, and another λ has no threshold.
    let model = run.join("anomaly.safetensors");
    let alone = [
        "anomaly",
        "score",
        "--model",
        text(&model),
        "--per-class",
        "4",
        "--json",
    ];
    let alone = [
        &alone[..],
        &["--classes", "7", "--method", "encoder", "--device", "cpu"],
    ]
    .concat();
    let result: Value = serde_json::from_str(&succeeds(&alone)).expect("JSON");
    assert!(result["report"]["auroc"].is_null() && result["threshold"].is_f64());
    let weighted = [&alone[..], &["--lambda", "0.5"]].concat();
    let result: Value = serde_json::from_str(&succeeds(&weighted)).expect("JSON");
    assert!(result["threshold"].is_null() && result["lambda"] == 0.5);
    refuses(
        &[&alone[..], &["--lambda", "1.5"]].concat(),
        &["lambda", "1.5", "0 to 1"],
    );
    refuses(
        &["anomaly", "score", "--run", text(&run), "--method", "guess"],
        &["search, encoder or warm"],
    );
    refuses(&[&score[..], &["--classes", "cat"]].concat(), &["cat"]);
    refuses(&[&alone[..], &["--limit", "0"]].concat(), &["0"]);
    refuses(&[&alone[..], &["--baseline"]].concat(), &["--run"]);

    // The encoder takes no steps, and says so.
    let encoder = [&score[..], &["--method", "encoder", "--steps", "500"]].concat();
    let said = String::from_utf8(pyrograph(&encoder).stderr).expect("text");
    assert!(said.contains("the search's flags have no effect"), "{said}");
    // Nothing that was read is written over, and no flag passes in silence.
    for (flags, words) in [
        (
            &["--out", text(&run.join("config.json"))][..],
            &["overwrite", "config.json"][..],
        ),
        (
            &["--heatmaps", text(&run.join("checkpoints"))],
            &["overwrite", "checkpoints"],
        ),
        (&["--normal", "7,tpyo"], &["tpyo"]),
        (&["--pool", "1000000"], &["pool is 1000000"]),
        (&["--restarts", "1000"], &["restarts", "32000"]),
    ] {
        refuses(&[&score[..], flags].concat(), words);
    }
    refuses(
        &["anomaly", "fit", "--run", text(&run), "--quantile", "1.5"],
        &["quantile", "1.5"],
    );

    // Samples, and the generator on named tensors.
    let picture = folder.path().join("samples.png");
    let numbers = folder.path().join("samples.safetensors");
    let sample = [
        "sample",
        "dcgan",
        "--run",
        text(&run),
        "-n",
        "5",
        "--out",
        text(&picture),
    ];
    succeeds(&[&sample[..], &["--save", text(&numbers), "--device", "cpu"]].concat());
    assert!(picture.is_file() && numbers.is_file());
    refuses(
        &["sample", "dcgan", "--run", text(&run), "-n", "0"],
        &["--count is 0"],
    );
}

#[test]
fn a_stopped_training_goes_on_and_only_limits_may_change() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    train(&whole, "12", &[]);
    train(&broken, "5", &[]);
    let resume = [
        "train",
        "dcgan",
        "--out",
        text(&broken),
        "--resume",
        "--device",
        "cpu",
    ];
    succeeds(&[&resume[..], &["--steps", "12"]].concat());
    let log = |run: &Path| fs::read_to_string(run.join("metrics.jsonl")).expect("a log");
    assert_eq!(log(&whole), log(&broken));
    refuses(
        &[&resume[..], &["--width", "8"]].concat(),
        &["--resume", "--steps"],
    );
    refuses(
        &["train", "dcgan", "--out", text(&broken), "--steps", "1"],
        &["not empty"],
    );
}

#[test]
fn a_folder_is_trained_on_by_its_normal_images_and_scored_as_a_whole() {
    use pyrograph::vision::{Rgb, RgbImage, write_png};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("parts");
    // Images of two sizes: bars that are normal, and bars with a cut.
    for (class, cut) in [("cut", true), ("normal", false)] {
        for index in 0..10_u32 {
            let image = RgbImage::from_fn(20 + index % 2, 20 + index % 2, |x, y| {
                let bar = (5 + index / 2..10 + index / 2).contains(&x) && !(cut && y > 9);
                Rgb([if bar { 255 } else { 0 }; 3])
            });
            let path = data.join(class).join(format!("{index}.png"));
            write_png(path, &image).expect("writable");
        }
    }
    let run = folder.path().join("run");
    let train = [
        &["train", "dcgan", "--out", text(&run), "--data", text(&data)],
        &[
            "--blocks",
            "2",
            "--width",
            "4",
            "--batch-size",
            "4",
            "--steps",
            "3",
        ][..],
        &["--held-out", "0.2", "--device", "cpu"],
    ];
    succeeds(&train.concat());
    let config = fs::read_to_string(run.join("config.json")).expect("a config");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["data"]["classes"][0], "normal");
    assert_eq!(config["fingerprint"]["images"], 10);
    // A resumed run finds the same images.
    let resume = [
        "train",
        "dcgan",
        "--out",
        text(&run),
        "--resume",
        "--steps",
        "4",
    ];
    succeeds(&[&resume[..], &["--device", "cpu"]].concat());
    fit(&run, &["--methods", "encoder"]);
    let score = [
        "anomaly",
        "score",
        "--run",
        text(&run),
        "--data",
        text(&data),
        "--json",
    ];
    let method = ["--method", "encoder", "--device", "cpu"];
    let result = succeeds(&[&score[..], &method].concat());
    let result: Value = serde_json::from_str(&result).expect("JSON");
    assert_eq!(result["report"]["normal"], 10);
    assert_eq!(result["report"]["anomalous"], 10);
    assert_eq!(result["results"][19]["label"], "cut");
}

#[test]
fn recipes_presets_and_losses_are_read_and_wrong_numbers_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let recipe = folder.path().join("recipe.toml");
    fs::write(&recipe, "loss = \"wgan-gp\"\nz-dim = 6\nfinal-rate = 0.5\n").expect("writable");
    let run = folder.path().join("run");
    train(&run, "2", &["--config", text(&recipe)]);
    let config = fs::read_to_string(run.join("config.json")).expect("a config");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    let training = &config["training"];
    assert_eq!(training["loss"], "wasserstein");
    assert_eq!(training["discriminator_steps"], 5);
    assert_eq!(training["penalty"]["unit"], 10.0);
    // The flag goes before the recipe.
    assert_eq!(
        (&training["model"]["z_dim"], &training["final_rate"]),
        (&4.into(), &0.5.into())
    );
    let new = folder.path().join("new");
    let begin = ["train", "dcgan", "--out", text(&new)];
    let cases: [(&[&str], &[&str]); 10] = [
        (&["--width", "0"], &["width is 0"]),
        (&["--blocks", "9"], &["blocks is 9"]),
        (&["--penalty", "-1"], &["penalty", "-1"]),
        (
            &["--discriminator-norm", "batch"],
            &["penalty", "batch norm"],
        ),
        (&["--held-out", "1.5"], &["--held-out is 1.5"]),
        (&["--label-smoothing", "2"], &["--label-smoothing is 2"]),
        (&["--normalisation", "cifar"], &["cifar", "tanh"]),
        (&["--classes", "x"], &["classes is x"]),
        (&["--jitter-shift", "3"], &["shift", "3"]),
        (&["--data", "/nowhere/mnist"], &["/nowhere/mnist"]),
    ];
    for (flags, words) in cases {
        refuses(&[&begin[..], flags].concat(), words);
        assert!(!new.exists(), "{flags:?}");
    }
    fs::write(&recipe, "losses = \"hinge\"\n").expect("writable");
    refuses(
        &[&begin[..], &["--config", text(&recipe)]].concat(),
        &["losses", "recipe.toml"],
    );
}

#[test]
fn damaged_data_are_refused_with_file_line_and_value() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("digits.csv");
    let new = folder.path().join("new");
    let begin = ["train", "dcgan", "--out", text(&new), "--data", text(&path)];
    let pixels = |value: &str| format!("{value},{}", vec!["0"; 783].join(","));
    let cases = [
        (format!("7,{}\n8,0,0\n", pixels("0")), "line 2"),
        (format!("7,{}\n", pixels("300")), "300"),
        (
            format!("label,{}\n7,{}\n", pixels("p"), pixels("grey")),
            "grey",
        ),
    ];
    for (rows, word) in cases {
        fs::write(&path, rows).expect("writable");
        refuses(&begin, &[word, "digits.csv"]);
    }
    assert!(!new.exists());
}

#[test]
fn forward_runs_both_networks_on_named_tensors() {
    let fixtures =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../pyrograph-models/tests/fixtures/dcgan");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("config.json");
    fs::write(&config, r#"{"z_dim": 6, "width": 2, "channels": 1}"#).expect("writable");
    let run = |model: &str, name: &str, inputs: &[&str]| {
        use pyrograph::models::weights::StateDict;
        let cases = StateDict::open(fixtures.join(name)).expect("a fixture");
        let (weights, input, output) = (
            folder.path().join("weights.safetensors"),
            folder.path().join("input.safetensors"),
            folder.path().join("output.safetensors"),
        );
        cases
            .part("weights.")
            .save(&weights, Default::default())
            .expect("writable");
        let mut tensors = StateDict::new();
        for name in inputs {
            tensors.insert(*name, cases.get(name).expect("a tensor").clone());
        }
        tensors.save(&input, Default::default()).expect("writable");
        let words = [
            "forward",
            model,
            "--weights",
            text(&weights),
            "--config",
            text(&config),
        ];
        let files = [
            "--input",
            text(&input),
            "--output",
            text(&output),
            "--device",
            "cpu",
        ];
        succeeds(&[&words[..], &files].concat());
        (cases, StateDict::open(&output).expect("readable"))
    };
    for (model, name, inputs, outputs) in [
        (
            "dcgan-generator",
            "generator.safetensors",
            ["z"],
            &["image"][..],
        ),
        (
            "dcgan-discriminator",
            "discriminator.safetensors",
            ["x"],
            &["logit", "feature"],
        ),
    ] {
        let (cases, found) = run(model, name, &inputs);
        assert_eq!(found.keys().count(), outputs.len());
        for key in outputs {
            let (ours, theirs) = (found.get(key).expect(key), cases.get(key).expect(key));
            assert_eq!(ours.shape(), theirs.shape(), "{key}");
            for (a, b) in ours.to_f32().iter().zip(&theirs.to_f32()) {
                assert!(
                    (a - b).abs() <= 1e-4 * b.abs().max(1.0),
                    "{key}: {a} is not {b}"
                );
            }
        }
    }
}

//! Runs that are interrupted, gone on with, or of another kind than a command needs.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use pyrograph::vision::{Rgb, RgbImage, write_png};
use serde_json::Value;

use crate::common::*;

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn resume_takes_the_same_flags_again_and_refuses_what_differs() {
    let (_guard, path) = folder();
    let out = path.join("run");
    let flags = ["--ema", "0", "--min-snr", "5", "--schedule", "cosine"];
    let first = [&flags[..], &["--steps", "2"]].concat();
    run(&train(&out, &first));
    let again = |more: &[&str]| train(&out, &[&flags[..], &["--resume"], more].concat());
    let result = json(&run(&again(&["--steps", "2"])));
    assert_eq!(result["steps"], 2);
    let result = json(&run(&again(&["--steps", "3", "--learning-rate", "1e-3"])));
    assert_eq!(result["steps"], 3);
    let log = metrics(&out);
    for (flag, value, has) in [
        ("--n-feat", "16", "8"),
        ("--ema", "0.9", "0"),
        ("--schedule", "linear", "cosine"),
        ("--seed", "4", "3"),
    ] {
        let arguments = [
            "train",
            "sprites",
            "--resume",
            "--device",
            "cpu",
            "--out",
            text(&out),
            flag,
            value,
        ];
        refuses(
            &arguments,
            &[
                &format!("{flag} is {value}"),
                &format!("has {has}"),
                "--steps",
            ],
        );
    }
    assert_eq!(metrics(&out), log);
}

#[test]
fn resume_takes_the_recipe_again() {
    let (_guard, path) = folder();
    let (out, recipe) = (path.join("run"), path.join("recipe.toml"));
    let lines =
        |width: u32| format!("procedural = 60\nn-feat = {width}\nsteps = 1\nclip-norm = 0\n");
    fs::write(&recipe, lines(8)).expect("writable");
    let start = ["train", "sprites", "--device", "cpu", "--json"];
    let paths = ["--config", text(&recipe), "--out", text(&out), "--resume"];
    let arguments = [&start[..], &paths].concat();
    // Nothing was begun: it begins, and says so.
    let output = pyrograph(&arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("no run was begun") && said.contains("begins now"),
        "{said}"
    );
    let longer = [&arguments[..], &["--steps", "2"]].concat();
    assert_eq!(json(&succeeds(&longer))["steps"], 2);
    fs::write(&recipe, lines(16)).expect("writable");
    refuses(&arguments, &["--n-feat is 16", "this run has 8"]);
}

#[test]
fn a_resume_into_a_folder_of_something_else_begins_nothing() {
    let (_guard, path) = folder();
    fs::write(path.join("thesis.txt"), "years of work").expect("writable");
    let arguments = train(&path, &["--resume", "--steps", "1"]);
    refuses(
        &words(&arguments),
        &["not empty", "thesis.txt", "a new or an empty folder"],
    );
    let file = path.join("thesis.txt");
    let arguments = train(&file, &["--resume", "--steps", "1"]);
    refuses(&words(&arguments), &["thesis.txt"]);
}

/// A run folder of a kind, with no more than the keys that tell it.
fn run_of(path: &Path, key: &str) -> PathBuf {
    let out = path.join(key);
    fs::create_dir_all(&out).expect("writable");
    let config = serde_json::json!({ "training": { key: 1 } });
    fs::write(out.join("config.json"), config.to_string()).expect("writable");
    out
}

#[test]
fn a_run_of_another_kind_is_named_by_every_command() {
    let (_guard, path) = folder();
    let sprites = run_of(&path, "context_names");
    let dcgan = run_of(&path, "generator_rate");
    let detector = run_of(&path, "evaluate_every");
    let kinds = [
        (&sprites, "a sprites run"),
        (&dcgan, "a DCGAN run"),
        (&detector, "a detector run"),
    ];
    let commands: [(&[&str], &Path); 12] = [
        (&["sample", "sprites", "--run"], &sprites),
        (&["eval", "sprites", "--run"], &sprites),
        (&["train", "sprites", "--resume", "--out"], &sprites),
        (&["sample", "dcgan", "--run"], &dcgan),
        (&["anomaly", "fit", "--run"], &dcgan),
        (&["anomaly", "score", "--run"], &dcgan),
        (&["train", "dcgan", "--resume", "--out"], &dcgan),
        (&["detect", "a.png", "--run"], &detector),
        (&["eval", "ssd", "--run"], &detector),
        (&["train", "ssd", "--resume", "--out"], &detector),
        (&["eval", "compare", "--runs"], &detector),
        (
            &[
                "train",
                "distill",
                "--scenes",
                "6",
                "--out",
                "student",
                "--teacher",
            ],
            &detector,
        ),
    ];
    for (command, own) in commands {
        for (run, kind) in kinds.iter().filter(|(run, _)| run.as_path() != own) {
            let arguments = [command, &[text(run)]].concat();
            refuses(&arguments, &[kind, "is needed here"]);
        }
    }
    // A file is not a folder, and the checkpoints of a run are not the run.
    let file = sprites.join("config.json");
    refuses(
        &["sample", "sprites", "--run", text(&file)],
        &["this is a file", "within the run"],
    );
}

#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status();
    assert!(sent.expect("sent").success());
}

/// Reads until a line has `words`.
#[cfg(unix)]
fn read_until(errors: &mut impl BufRead, words: &str) {
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        assert!(errors.read_line(&mut line).expect("text") > 0, "it ended");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_training_says_what_it_does_shows_progress_and_exits_with_130_after_a_checkpoint()
{
    let (_guard, path) = folder();
    let out = path.join("run");
    let mut child = Command::new(env!("CARGO_BIN_EXE_pyrograph"))
        .args(train(&out, &["--steps", "1000000"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // Standard error is no terminal: a line says how far the training is.
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    read_until(&mut errors, "of 1000000 · ");
    send("-INT", &child);
    let mut said = String::new();
    errors.read_to_string(&mut said).expect("text");
    assert!(
        said.contains("checkpoint") && said.contains("second Ctrl-C"),
        "{said}"
    );
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(130));
    let result = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(result["interrupted"], true);
    let steps = result["steps"].as_u64().expect("a number");
    assert!(out.join(format!("checkpoints/step-{steps}")).is_dir());
    let more = (steps + 1).to_string();
    let again = train(&out, &["--resume", "--steps", &more]);
    assert_eq!(json(&run(&again))["interrupted"], false);
}

#[cfg(target_os = "linux")]
#[test]
fn a_training_under_nohup_outlives_its_terminal_and_another_ends_after_a_checkpoint() {
    let (_guard, path) = folder();
    // The tests may run under nohup themselves: each child is told what to do with the signal.
    for (name, heeded) in [
        ("plain", "--default-signal=HUP"),
        ("nohup", "--ignore-signal=HUP"),
    ] {
        let out = path.join(name);
        let mut child = Command::new("env")
            .arg(heeded)
            .arg(env!("CARGO_BIN_EXE_pyrograph"))
            .args(train(&out, &["--steps", "1000000"]))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("coreutils");
        let mut errors = BufReader::new(child.stderr.take().expect("piped"));
        // By then signals are heard.
        read_until(&mut errors, "of 1000000 · ");
        send("-HUP", &child);
        match name {
            "plain" => read_until(&mut errors, "stopping: "),
            _ => {
                // It goes on: two more lines of progress, none of stopping, until Ctrl-C.
                let mut lines = errors.by_ref().lines().map(|line| line.expect("text"));
                for line in lines.by_ref().take(2) {
                    assert!(line.contains("of 1000000 · "), "{name}: {line}");
                }
                send("-INT", &child);
            }
        }
        let mut said = String::new();
        errors.read_to_string(&mut said).expect("text");
        let status = child.wait().expect("ended");
        assert_eq!(status.code(), Some(130), "{name}: {said}");
        let last = metrics(&out).lines().count();
        assert!(out.join(format!("checkpoints/step-{last}")).is_dir());
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_the_last_evaluation_of_a_training_exits_with_130() {
    let (_guard, path) = folder();
    let out = path.join("run");
    let flags = "--scenes 4 --width 0.1 --batch-size 2 --augment none --steps 2 --device cpu";
    let mut child = Command::new(env!("CARGO_BIN_EXE_pyrograph"))
        .args(["train", "ssd", "--json", "--out", text(&out)])
        .args(flags.split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    // The checkpoint comes before the evaluation, which ends with `best.safetensors`.
    while !out.join("checkpoints/step-2").is_dir() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    send("-INT", &child);
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(130));
    let result = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(
        (&result["interrupted"], &result["steps"]),
        (&true.into(), &2.into())
    );
}

#[test]
fn resume_takes_another_path_to_the_same_data() {
    let (_guard, path) = folder();
    let (data, out) = (path.join("data"), path.join("run"));
    for (place, class) in ["a", "b", "a", "b"].into_iter().enumerate() {
        let image = RgbImage::from_pixel(16, 16, Rgb([place as u8 * 60, 90, 200]));
        write_png(data.join(format!("{class}/{place}.png")), &image).expect("writable");
    }
    let around = data.join("a/../../data");
    let arguments = |data: &Path, more: &[&str]| {
        let words = [
            "train",
            "sprites",
            "--out",
            text(&out),
            "--data",
            text(data),
        ];
        let flags = "--n-feat 8 --held-out 0 --sample-every 0 --device cpu --json";
        let flags: Vec<_> = flags.split(' ').collect();
        let all = [&words[..], &flags, more].concat();
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    run(&arguments(&data, &["--steps", "1"]));
    let again = run(&arguments(&around, &["--steps", "2", "--resume"]));
    assert_eq!(json(&again)["steps"], 2);
    let other = arguments(&data.join("a"), &["--steps", "3", "--resume"]);
    refuses(&words(&other), &["--data is", "but this run has"]);
}

#[cfg(target_os = "linux")]
#[test]
fn paths_that_are_not_in_utf_8_are_shown_and_refused_where_a_run_keeps_them() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let (_guard, path) = folder();
    let out = path.join(OsStr::from_bytes(b"run-\xff"));
    let train = |more: &[&OsStr]| {
        Command::new(env!("CARGO_BIN_EXE_pyrograph"))
            .args(["train", "sprites", "--json", "--steps", "1"])
            .args(TINY.iter().skip(2))
            .args(more)
            .output()
            .expect("the binary runs")
    };
    let output = train(&[
        "--procedural".as_ref(),
        "60".as_ref(),
        "--out".as_ref(),
        out.as_ref(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let result = json(&String::from_utf8_lossy(&output.stdout));
    assert!(
        result["run"]
            .as_str()
            .expect("text")
            .ends_with("run-\u{fffd}")
    );

    let other = path.join("other");
    let output = train(&[
        "--data".as_ref(),
        out.as_ref(),
        "--out".as_ref(),
        other.as_ref(),
    ]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("--data") && said.contains("not in UTF-8"),
        "{said}"
    );
    assert!(!other.exists());
}

#[test]
fn a_run_that_diverges_before_a_checkpoint_gives_advice_that_can_be_followed() {
    let (_guard, path) = folder();
    let out = path.join("run");
    let wild = [
        "--learning-rate",
        "1e25",
        "--clip-norm",
        "0",
        "--steps",
        "20",
    ];
    let arguments = train(&out, &wild);
    let output = pyrograph(&words(&arguments));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for word in [
        "begin a new run",
        "--learning-rate",
        "--clip-norm",
        "nothing was saved",
    ] {
        assert!(errors.contains(word), "{errors}");
    }
    assert!(!errors.contains("whole"), "{errors}");
    assert!(!metrics(&out).is_empty(), "the steps before it are logged");
}

#[test]
fn a_damaged_last_checkpoint_is_passed_over_by_sample() {
    let (_guard, path) = folder();
    let out = path.join("run");
    run(&train(&out, &["--steps", "5"]));
    let average = out.join("checkpoints/step-5/ema.safetensors");
    let mut bytes = fs::read(&average).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&average, bytes).expect("writable");
    let picture = path.join("a.png");
    let start = [
        "sample",
        "sprites",
        "--run",
        text(&out),
        "--out",
        text(&picture),
    ];
    let more = ["--sampler", "ddim", "--steps", "1", "--device", "cpu"];
    let output = pyrograph(&[&start[..], &more].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && picture.is_file(), "{errors}");
    assert!(
        errors.contains("ema.safetensors") && errors.contains("older checkpoint of step 3"),
        "{errors}"
    );
}

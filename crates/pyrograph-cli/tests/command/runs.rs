//! Runs that are resumed, wrongly or rightly.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use pyrograph::vision::{Rgb, RgbImage, read_image, write_png};

use crate::common::*;

fn resume(out: &Path, more: &[&str]) -> Vec<String> {
    let words = [
        "train",
        "sprites",
        "--json",
        "--resume",
        "--device",
        "cpu",
        "--out",
        text(out),
    ];
    words
        .iter()
        .chain(more)
        .map(|word| (*word).to_owned())
        .collect()
}

#[track_caller]
fn refuses_resume(out: &Path, more: &[&str], words: &[&str]) {
    let arguments = resume(out, more);
    refuses(
        &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
        words,
    );
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// `count` images of two classes, red ones and blue ones, no two equal.
fn images(folder: &Path, side: u32, count: u8) {
    for class in ["blue", "red"] {
        for i in 0..count {
            let image = RgbImage::from_fn(side, side, |x, _| match class {
                "red" => Rgb([255, i, x as u8]),
                _ => Rgb([x as u8, i, 255]),
            });
            write_png(folder.join(class).join(format!("{i}.png")), &image).expect("writable");
        }
    }
}

#[test]
fn a_limit_that_is_refused_does_not_reach_the_config() {
    let (_guard, path) = folder();
    let out = path.join("run");
    run(&train(&out, &["--steps", "2"]));
    let config = fs::read(out.join("config.json")).expect("there");
    for bad in [
        ["--steps", "0"],
        ["--epochs", "0"],
        ["--max-minutes", "0"],
        ["--max-minutes", "nan"],
        ["--max-minutes", "-1"],
    ] {
        refuses_resume(&out, &bad, &[" is ", "but must be"]);
        assert!(
            fs::read(out.join("config.json")).expect("there") == config,
            "{bad:?}"
        );
    }
    let result = json(&run(&resume(&out, &["--steps", "3"])));
    assert_eq!(result["steps"], 3);
}

#[test]
fn a_folder_is_trained_in_by_one_process_and_free_when_that_is_killed() {
    let (_guard, path) = folder();
    let out = path.join("run");
    let mut child = Command::new(env!("CARGO_BIN_EXE_pyrograph"))
        .args(train(
            &out,
            &["--steps", "1000000", "--checkpoint-every", "1"],
        ))
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    // Once it logs losses, it holds the lock.
    while !out.join("metrics.jsonl").exists() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        thread::sleep(Duration::from_millis(5));
    }
    refuses_resume(
        &out,
        &["--steps", "1"],
        &["another process is training", "run"],
    );
    let again = train(&out, &["--steps", "1"]);
    refuses(
        &again.iter().map(String::as_str).collect::<Vec<_>>(),
        &["run"],
    );
    child.kill().expect("a kill");
    child.wait().expect("dead");
    run(&resume(&out, &["--steps", "1"]));
}

#[test]
fn a_run_knows_its_images_from_any_folder_and_refuses_others() {
    let (_guard, path) = folder();
    let (data, out) = (path.join("data"), path.join("run"));
    images(&data, 32, 12);
    let flags = [
        "--n-feat",
        "8",
        "--batch-size",
        "8",
        "--sample-every",
        "0",
        "--device",
        "cpu",
    ];
    let train = |data: &str, more: &[&str]| {
        let words = [
            "train",
            "sprites",
            "--out",
            text(&out),
            "--data",
            data,
            "--steps",
            "2",
        ];
        Command::new(env!("CARGO_BIN_EXE_pyrograph"))
            .args([&words[..], &flags, more].concat())
            .current_dir(&path)
            .output()
            .expect("the binary runs")
    };
    for (more, words) in [
        (&[][..], ["height is 32", "--side"]),
        (&["--side", "17"], ["height is 17", "[16, 20, 24, 28]"]),
        (&["--side", "-1"], ["-1", "--side"]),
    ] {
        let output = train("data", more);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(words.iter().all(|word| errors.contains(word)), "{errors}");
        assert!(!out.exists());
    }
    let output = train("data", &["--side", "16", "--held-out", "0.25"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // The tests run in another folder than the training did.
    run(&resume(&out, &["--steps", "3"]));
    let eval = [
        "eval",
        "sprites",
        "--run",
        text(&out),
        "--device",
        "cpu",
        "--json",
    ];
    let eval = [&eval[..], &["--sampler", "ddim", "--steps", "2"]].concat();
    assert_eq!(json(&succeeds(&eval))["classes"][1], "red");

    let image = data.join("red/3.png");
    let mut pixels = read_image(&image).expect("readable");
    pixels.put_pixel(0, 0, Rgb([0, 255, 0]));
    write_png(&image, &pixels).expect("writable");
    let words = ["the data have changed", "24 images of 16×16×3 in 2 classes"];
    let log = metrics(&out);
    refuses_resume(&out, &["--steps", "4"], &words);
    refuses(&eval, &words);
    assert_eq!(metrics(&out), log);
}

#[test]
fn a_lost_last_picture_is_made_again_and_only_what_was_made_is_named() {
    let (_guard, path) = folder();
    let out = path.join("run");
    let first = json(&run(&train(&out, &["--steps", "4"])));
    let picture = out.join("samples/epoch-00001-step-0000004.png");
    assert_eq!(first["picture"], text(&picture));
    let before = fs::read(&picture).expect("there");
    assert!(
        json(&run(&resume(&out, &[])))["picture"].is_null(),
        "there was one already"
    );
    fs::remove_file(&picture).expect("there");
    assert_eq!(json(&run(&resume(&out, &[])))["picture"], text(&picture));
    assert!(fs::read(&picture).expect("there") == before);
}

#[test]
fn a_picture_on_the_way_shows_eight_classes_of_many() {
    let (_guard, path) = folder();
    let (data, out) = (path.join("data"), path.join("run"));
    for class in 0..20 {
        let image = RgbImage::from_pixel(16, 16, Rgb([class * 9, 0, 200]));
        write_png(data.join(format!("{class:02}/a.png")), &image).expect("writable");
    }
    let words = [
        "train",
        "sprites",
        "--out",
        text(&out),
        "--data",
        text(&data),
        "--json",
    ];
    let flags = [
        "--n-feat",
        "8",
        "--steps",
        "1",
        "--held-out",
        "0",
        "--device",
        "cpu",
    ];
    let result = json(&succeeds(&[&words[..], &flags].concat()));
    let picture = read_image(result["picture"].as_str().expect("a path")).expect("a picture");
    assert!(
        (8 * 64..9 * 64).contains(&picture.height()),
        "{}",
        picture.height()
    );
}

#[test]
fn damage_is_named_and_the_older_checkpoint_taken() {
    let (_guard, path) = folder();
    let out = path.join("run");
    // 54 sprites in batches of 20: three steps an epoch.
    run(&train(&out, &["--steps", "5"]));
    let optimizer = out.join("checkpoints/step-5/optimizer.bin");
    let mut bytes = fs::read(&optimizer).expect("there");
    bytes[40] ^= 255;
    fs::write(&optimizer, bytes).expect("writable");
    let arguments = resume(&out, &["--steps", "6"]);
    let output = pyrograph(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("optimizer.bin") && errors.contains("older checkpoint of step 3"),
        "{errors}"
    );

    let log = out.join("metrics.jsonl");
    let lines = fs::read_to_string(&log)
        .expect("there")
        .replacen("\"step\":2", "garbage", 1);
    fs::write(&log, lines).expect("writable");
    refuses_resume(&out, &["--steps", "7"], &["metrics.jsonl", "line 2"]);
}

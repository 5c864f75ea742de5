//! What is found out of outputs before any work is done.

use std::{fs, path::Path};

use crate::common::*;

/// A sampling that would take hours.
fn long<'a>(run: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["sample", "sprites", "--run", text(run), "--device", "cpu"];
    [&words[..], &["-n", "60000"], more].concat()
}

#[test]
fn outputs_that_cannot_be_written_are_refused_before_sampling() {
    let (_guard, path) = folder();
    let (out, file) = (path.join("run"), path.join("file"));
    run(&train(&out, &["--steps", "1"]));
    fs::write(&file, "").expect("writable");
    let inside = file.join("grid.png");
    for flag in ["--out", "--gif", "--save", "--compare-noise"] {
        refuses(&long(&out, &[flag, text(&path)]), &[text(&path)]);
        refuses(&long(&out, &[flag, text(&inside)]), &[text(&file)]);
    }
    let gif = path.join("x.gif");
    refuses(
        &long(&out, &["--gif", text(&gif), "--frames", "0"]),
        &["--frames is 0", "1 or more"],
    );
    refuses(
        &long(&out, &["--gif", text(&gif), "--out", text(&gif)]),
        &["--out and --gif are both"],
    );
    for (flag, name, kind) in [
        ("--out", "x.jpg", "png"),
        ("--gif", "x.png", "gif"),
        ("--strip", "x.gif", "png"),
        ("--save", "x.npz", "safetensors"),
    ] {
        let words = [flag, name, "is written as", kind];
        refuses(&long(&out, &[flag, text(&path.join(name))]), &words);
    }
    refuses(
        &long(&out, &["--compare-noise", "x.png", "--sampler", "ddim"]),
        &["a picture of ddpm", "--sampler is ddim"],
    );
    // The reason once, not once a layer.
    let output = pyrograph(&long(&out, &["--out", text(&inside)]));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors.matches("cannot write").count(), 1, "{errors}");
}

#[test]
fn outputs_do_not_overwrite_inputs() {
    let (_guard, path) = folder();
    let out = path.join("run");
    run(&train(&out, &["--steps", "1"]));
    let weights = out.join("checkpoints/step-1/ema.safetensors");
    let before = fs::read(&weights).expect("there");
    // By another way to the same file.
    let link = path.join("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&out, &link).expect("writable");
    #[cfg(not(unix))]
    let link = out.clone();
    let same = link.join("checkpoints/../checkpoints/step-1/ema.safetensors");
    for flag in ["--save", "--out"] {
        refuses(
            &long(&out, &[flag, text(&same)]),
            &[flag, "would overwrite"],
        );
        for source in ["--model", "--weights"] {
            let words = ["sample", "sprites", source, text(&weights), "-n", "60000"];
            refuses(
                &[&words[..], &[flag, text(&same)]].concat(),
                &[flag, "would overwrite"],
            );
        }
    }
    let forward = ["forward", "context-unet", "--weights", text(&weights)];
    let files = ["--input", text(&weights), "--output", text(&same)];
    refuses(
        &[&forward[..], &files].concat(),
        &["--output", "would overwrite"],
    );
    assert!(fs::read(&weights).expect("there") == before);
}

#[test]
fn more_steps_than_were_asked_for_are_announced() {
    let (_guard, path) = folder();
    let (out, grid) = (path.join("run"), path.join("grid.png"));
    run(&train(&out, &["--steps", "1"]));
    let sample = |steps| {
        let words = ["sample", "sprites", "--run", text(&out), "--device", "cpu"];
        let how = [
            "--sampler",
            "ddim",
            "-n",
            "1",
            "--out",
            text(&grid),
            "--steps",
            steps,
        ];
        let output = pyrograph(&[&words[..], &how].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    let errors = sample("7");
    assert!(
        errors.contains("7 steps asked, 8 walked") && errors.contains("= 71"),
        "{errors}"
    );
    assert!(!sample("5").contains("walked"));
}

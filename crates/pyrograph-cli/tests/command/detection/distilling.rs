//! `train distill`, at tiny size.

use std::{fs, path::Path};

use serde_json::Value;

use super::{detector, training::write_voc};
use crate::common::{folder, refuses, succeeds, text};

/// A step of a distillation on scenes from a detector that knows nothing.
fn distill<'a>(teacher: &'a Path, out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let start = [
        "train", "distill", "--device", "cpu", "--quiet", "--scenes", "6",
    ];
    let size = [
        "--student-width",
        "0.03125",
        "--batch-size",
        "2",
        "--steps",
        "2",
    ];
    let paths = ["--teacher", text(teacher), "--out", text(out)];
    [&start[..], &size, &paths, more].concat()
}

#[test]
fn a_student_learns_by_several_methods_and_goes_on_with_the_same_teacher() {
    let (_guard, path) = folder();
    let (teacher, ..) = detector(&path);
    let out = path.join("student");
    let printed = succeeds(&distill(
        &teacher,
        &out,
        &[
            "--method",
            "cwd:0.5,chen",
            "--projector",
            "mlp",
            "--any-teacher",
            "--json",
            "--held-out",
            "0.5",
        ],
    ));
    let value: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(value["steps"], 2);
    let terms = value["last"]["distillation"].as_object().expect("terms");
    let names: Vec<_> = terms.keys().map(String::as_str).collect();
    assert_eq!(names, ["bounded", "cwd", "soft"]);
    assert!(
        value["last"]["val_loc_loss"].is_number() && value["last"]["val_conf_loss"].is_number()
    );
    succeeds(&[
        "eval",
        "ssd",
        "--run",
        text(&out),
        "--device",
        "cpu",
        "--quiet",
    ]);

    let go_on = [
        "train",
        "distill",
        "--resume",
        "--steps",
        "3",
        "--out",
        text(&out),
        "--device",
        "cpu",
    ];
    let printed = succeeds(&[&go_on[..], &["--json", "--quiet"]].concat());
    let value: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(value["steps"], 3);
    refuses(&[&go_on[..], &["--until", "0.5"]].concat(), &["--resume"]);
    fs::write(&teacher, b"another file").expect("written");
    let longer = [
        "train",
        "distill",
        "--resume",
        "--steps",
        "4",
        "--out",
        text(&out),
        "--device",
        "cpu",
    ];
    refuses(&longer, &["not the teacher", "checksum"]);
}

#[test]
fn a_recipe_has_the_flags_of_both_and_weights_of_nothing_ask_no_teacher() {
    let (_guard, path) = folder();
    let (teacher, ..) = detector(&path);
    let recipe = path.join("recipe.toml");
    let lines = [
        "scenes = 6",
        "width = 0.03125",
        "batch-size = 2",
        "steps = 1",
        "method = \"pkd:0\"",
        "any-teacher = true",
        "schedule = \"exponential\"",
        "gamma = 0.5",
    ];
    fs::write(&recipe, lines.join("\n")).expect("written");
    let out = path.join("student");
    let start = [
        "train",
        "distill",
        "--config",
        text(&recipe),
        "--teacher",
        text(&teacher),
    ];
    succeeds(
        &[
            &start[..],
            &["--out", text(&out), "--device", "cpu", "--quiet"],
        ]
        .concat(),
    );
    let config = fs::read_to_string(out.join("config.json")).expect("written");
    assert!(
        config.contains("\"exponential\": 0.5") && config.contains("\"pkd\""),
        "{config}"
    );
    let log = fs::read_to_string(out.join("metrics.jsonl")).expect("written");
    assert!(!log.contains("distillation"), "{log}");
    fs::write(&recipe, "methods = \"pkd\"").expect("written");
    let refused = [&start[..], &["--out", text(&out), "--device", "cpu"]].concat();
    refuses(&refused, &["methods", "recipe.toml"]);
}

#[test]
fn what_cannot_be_learned_is_refused_and_leaves_no_folder() {
    let (_guard, path) = folder();
    let (teacher, ..) = detector(&path);
    let (out, empty) = (path.join("student"), path.join("empty"));
    fs::create_dir(&empty).expect("made");
    let voc = path.join("voc");
    write_voc(&voc);
    for (more, words) in [
        (&["--method", "fgd"][..], &["fgd", "score-l2", "lad"][..]),
        (&["--method", "chen:-1"], &["chen:-1", "0 or more"]),
        (
            &["--method", "chen", "--temperature", "0"],
            &["temperature", "0"],
        ),
        (
            &["--method", "cwd", "--set", "chen.margin=1"],
            &["no method of --method"],
        ),
        (&["--method", "chen:5"], &["hard losses"]),
        (&["--until", "0"], &["until is 0"]),
        (&["--teacher-every", "0"], &["--teacher-every is 0"]),
        (&["--cache", "0"], &["cached augmentations", "0"]),
        (&["--cache-file", "x.bin"], &["--cache-file needs --cache"]),
        (
            &["--unlabelled-share", "0.5"],
            &["--unlabelled-share needs --unlabelled"],
        ),
        (
            &["--unlabelled", text(&empty), "--batch-size", "4"],
            &["validation images"],
        ),
        (
            &["--teacher-classes", "cat"],
            &["ellipse", "--teacher-classes"],
        ),
        (
            &["--priors", "coco", "--method", "response"],
            &["priors", "coco"],
        ),
        (&[], &["mAP@.5", "--any-teacher"]),
        (
            &["--gamma", "0.5"],
            &["--gamma needs --schedule exponential"],
        ),
        (&["--schedule", "exponential"], &["--gamma"]),
        (&["--unfreeze-at", "0.5"], &["--unfreeze-at needs --freeze"]),
        (&["--images", "40"], &["40", "6"]),
    ] {
        // A teacher that knows nothing is refused by the last of all checks.
        let any: &[&str] = if more.is_empty() {
            &[]
        } else {
            &["--any-teacher"]
        };
        let asked = [&["--held-out", "0"][..], any, more].concat();
        let mut asked = distill(&teacher, &out, &asked);
        // A flag twice is an error of its own.
        if more.contains(&"--batch-size") {
            let place = asked
                .iter()
                .position(|word| *word == "--batch-size")
                .expect("there");
            asked.drain(place..place + 2);
        }
        refuses(&asked, words);
        assert!(!out.exists(), "{more:?} leaves a folder");
    }
    let no_teacher = ["train", "distill", "--scenes", "6", "--out", text(&out)];
    refuses(&no_teacher, &["--teacher is needed"]);
    let other_classes = [
        "train",
        "distill",
        "--data",
        text(&voc),
        "--teacher",
        text(&teacher),
        "--out",
        text(&out),
        "--device",
        "cpu",
    ];
    refuses(
        &other_classes,
        &["the teacher's classes", "ellipse", "--teacher-classes"],
    );
    let of_nothing = [
        "train",
        "distill",
        "--scenes",
        "6",
        "--width",
        "0.03125",
        "--batch-size",
        "4",
        "--steps",
        "1",
        "--teacher",
        text(&teacher),
        "--unlabelled",
        text(&empty),
        "--any-teacher",
        "--out",
        text(&out),
        "--device",
        "cpu",
    ];
    refuses(&of_nothing, &["no image"]);
    assert!(!out.exists());
    let missing = path.join("missing");
    refuses(&distill(&missing, &out, &[]), &["--teacher", "missing"]);
    refuses(&distill(&empty, &out, &[]), &["--teacher", "no run folder"]);
}

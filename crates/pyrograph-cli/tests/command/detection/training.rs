//! `train ssd`, at tiny size: what it trains on, what it is judged by, and what it leaves on disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pyrograph::vision::write_png;
use serde_json::{Value, json};

use super::picture;
use crate::common::{folder, refuses, succeeds, text};

const TINY: [&str; 8] = [
    "--width",
    "0.03125",
    "--batch-size",
    "2",
    "--steps",
    "1",
    "--quiet",
    "--json",
];

/// Six images in the layout of Pascal VOC: four to train on, two to judge by, and a part that is both.
pub(super) fn write_voc(folder: &Path) {
    let id = |number: usize| format!("image{number}");
    for number in 0..6 {
        let (width, height) = (64, 48);
        let picture = picture(width, height);
        write_png(
            folder.join(format!("JPEGImages/{}.png", id(number))),
            &picture,
        )
        .expect("writable");
        let (class, right) = (["dot", "star"][number % 2], 20 + 5 * number);
        let xml = format!(
            "<annotation><size><width>{width}</width><height>{height}</height></size><object><name>{class}</name>\
             <bndbox><xmin>4</xmin><ymin>6</ymin><xmax>{right}</xmax><ymax>40</ymax></bndbox></object></annotation>"
        );
        write(
            &folder.join(format!("Annotations/{}.xml", id(number))),
            &xml,
        );
    }
    for (part, numbers) in [("train", 0..4), ("val", 4..6), ("trainval", 0..6)] {
        let ids: Vec<_> = numbers.map(id).collect();
        write(
            &folder.join(format!("ImageSets/Main/{part}.txt")),
            &ids.join("\n"),
        );
    }
}

pub(super) fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    fs::write(path, text).expect("writable");
}

pub(super) fn train(data: &Path, out: &Path, more: &[&str]) -> Value {
    let arguments = ["train", "ssd", "--data", text(data), "--out", text(out)];
    let output = succeeds(&[&arguments, &TINY[..], more].concat());
    serde_json::from_str(&output).expect("JSON")
}

#[track_caller]
pub(super) fn train_refuses(data: &Path, out: &Path, more: &[&str], words: &[&str]) {
    let arguments = ["train", "ssd", "--data", text(data), "--out", text(out)];
    refuses(&[&arguments, &TINY[..], more].concat(), words);
    assert!(!out.exists(), "nothing is left of a run that was refused");
}

pub(super) fn config(run: &Path) -> Value {
    let file = fs::read_to_string(run.join("config.json")).expect("a run");
    serde_json::from_str(&file).expect("JSON")
}

#[test]
fn a_run_is_trained_judged_resumed_and_used() {
    let (_guard, path) = folder();
    let (data, run) = (path.join("data"), path.join("run"));
    write_voc(&data);
    let result = train(&data, &run, &[]);
    assert_eq!(result["steps"], 1);
    assert!(result["best_map"].is_number(), "{result}");
    assert!(Path::new(result["loss_curve"].as_str().expect("a path")).is_file());
    assert_eq!(config(&run)["validation"]["files"]["split"], "val");

    let arguments = [
        "train",
        "ssd",
        "--out",
        text(&run),
        "--resume",
        "--steps",
        "2",
        "--quiet",
        "--json",
    ];
    let resumed: Value = serde_json::from_str(&succeeds(&arguments)).expect("JSON");
    assert_eq!(resumed["steps"], 2);

    for more in [&[][..], &["--split", "train"]] {
        let arguments = [
            &["eval", "ssd", "--run", text(&run), "--quiet", "--json"],
            more,
        ]
        .concat();
        let report: Value = serde_json::from_str(&succeeds(&arguments)).expect("JSON");
        assert_eq!(report["images"], if more.is_empty() { 2 } else { 4 });
    }
    let (image, out) = (data.join("JPEGImages/image5.png"), path.join("found"));
    let arguments = [
        "detect",
        text(&image),
        "--run",
        text(&run),
        "--score",
        "0.01",
        "--out",
        text(&out),
        "--quiet",
        "--json",
    ];
    let found: Value = serde_json::from_str(&succeeds(&arguments)).expect("JSON");
    assert_eq!(found["classes"], json!(["dot", "star"]));

    // Other validation images would be another judge.
    write(&data.join("ImageSets/Main/val.txt"), "image4\n");
    let arguments = [
        "train",
        "ssd",
        "--out",
        text(&run),
        "--resume",
        "--steps",
        "3",
    ];
    refuses(&arguments, &["the data have changed"]);
}

#[test]
fn no_image_is_trained_on_and_judged_by() {
    let (_guard, path) = folder();
    let data = path.join("data");
    write_voc(&data);
    let run = path.join("run");
    let result = train(&data, &run, &["--split", "trainval", "--held-out", "0.34"]);
    assert_eq!(config(&run)["held_out"], 0.34);
    assert!(result["best_map"].is_number());
    // Of its own accord `val` would be taken, which is a part of it.
    let run = path.join("run2");
    train(&data, &run, &["--split", "trainval"]);
    assert_eq!(
        (&config(&run)["validation"], &config(&run)["held_out"]),
        (&Value::Null, &json!(0.1))
    );
    let out = path.join("run3");
    train_refuses(
        &data,
        &out,
        &["--split", "trainval", "--validation-split", "val"],
        &["image4"],
    );
}

#[test]
fn an_annotation_file_of_cocos_is_one_part() {
    let (_guard, path) = folder();
    let data = path.join("data");
    write_voc(&data);
    let images: Vec<_> = (0..6)
        .map(|id| json!({"id": id, "file_name": format!("image{id}.png"), "width": 64, "height": 48}))
        .collect();
    let annotations: Vec<_> = (0..6)
        .map(|id| json!({"id": id, "image_id": id, "category_id": 7, "bbox": [4, 6, 20, 30]}))
        .collect();
    let file = data.join("JPEGImages/all.json");
    let coco = json!({"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "dot"}]});
    write(&file, &coco.to_string());
    let run = path.join("run");
    train(&file, &run, &["--format", "coco", "--held-out", "0.34"]);
    assert_eq!(config(&run)["validation"], Value::Null);
    let out = path.join("run2");
    let more = ["--format", "coco", "--validation-split", "val"];
    train_refuses(&file, &out, &more, &["\"val\"", "a part by itself"]);
    refuses(
        &["eval", "ssd", "--run", text(&run), "--split", "test"],
        &["\"test\"", "a part by itself"],
    );
}

#[test]
fn what_does_not_fit_is_refused_before_a_folder_is_made() {
    let (_guard, path) = folder();
    let (data, out) = (path.join("data"), path.join("run"));
    write_voc(&data);
    let (model, weights, _) = super::detector(&path);
    let start = |file: &Path| ["--start".to_owned(), text(file).to_owned()];
    let [flag, file] = start(&model);
    train_refuses(
        &data,
        &out,
        &[&flag, &file],
        &["ellipse", "dot, star", "--transfer replace-heads"],
    );
    let [flag, file] = start(&weights);
    train_refuses(
        &data,
        &out,
        &[&flag, &file],
        &["conf.0.weight", "--transfer replace-heads"],
    );
    train_refuses(&data, &out, &["--transfer", "backbone"], &["--start"]);
    train_refuses(
        &data,
        &out,
        &["--more-devices", "cuda:1", "--device", "cpu"],
        &["`cuda:1`", "one backend"],
    );

    let replaced = path.join("replaced");
    train(
        &data,
        &replaced,
        &[&flag, &file, "--transfer", "replace-heads"],
    );
    assert_eq!(config(&replaced)["training"]["learning_rate"], 1e-3);
    // A run folder is its best network.
    let after = path.join("after");
    train(&data, &after, &["--start", text(&replaced)]);
    let from = config(&after)["training"]["start"]["path"].clone();
    let from = Path::new(from.as_str().expect("a path"));
    assert!(from.is_file() && from.starts_with(&replaced), "{from:?}");

    // An image of another size than is stated, which no step has reached yet.
    write_png(data.join("JPEGImages/image4.png"), &picture(48, 64)).expect("writable");
    train_refuses(&data, &out, &[], &["image4.png", "48", "64"]);
}

#[test]
fn flags_refine_a_recipe() {
    let (_guard, path) = folder();
    let (data, run) = (path.join("data"), path.join("run"));
    write_voc(&data);
    let recipe = path.join("recipe.toml");
    let lines = format!(
        "data = {:?}\nsplit = \"train\"\nlearning-rate = 0.5\n",
        text(&data)
    );
    write(&recipe, &lines);
    let arguments = [
        "train",
        "ssd",
        "--config",
        text(&recipe),
        "--out",
        text(&run),
        "--split",
        "trainval",
    ];
    succeeds(&[&arguments, &TINY[..]].concat());
    let config = config(&run);
    assert_eq!(config["data"]["files"]["split"], "trainval");
    assert_eq!(config["training"]["learning_rate"], 0.5);
}

/// A picture of the set must not be written over by a picture of what was found in it.
#[test]
fn an_evaluation_leaves_the_images_of_its_set_alone() {
    let (_guard, path) = folder();
    let data = path.join("data");
    write_voc(&data);
    let run = path.join("run");
    train(&data, &run, &[]);
    let images: PathBuf = data.join("JPEGImages");
    fs::rename(images.join("image4.png"), images.join("00000.png")).expect("movable");
    fs::rename(
        data.join("Annotations/image4.xml"),
        data.join("Annotations/00000.xml"),
    )
    .expect("movable");
    write(&data.join("ImageSets/Main/test.txt"), "00000\n");
    let before = fs::read(images.join("00000.png")).expect("there");
    let arguments = [
        "eval",
        "ssd",
        "--run",
        text(&run),
        "--split",
        "test",
        "--out",
        text(&images),
    ];
    refuses(&arguments, &["00000.png", "overwrite"]);
    assert_eq!(fs::read(images.join("00000.png")).expect("there"), before);
}

//! People's own labelled images: scores with file names, sets without labels, faults listed together.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pyrograph::vision::{Rgb, RgbImage, write_png};
use serde_json::Value;

use crate::common::{folder, pyrograph, refuses, succeeds, text};

/// Grey images with a bright square at another place each.
fn images(folder: &Path, names: &[&str], colour: [u8; 3]) {
    for (index, name) in names.iter().enumerate() {
        let place = index as u32 % 8;
        let image = RgbImage::from_fn(20, 20, |x, y| {
            let inside = (place..place + 8).contains(&x) && (place..place + 8).contains(&y);
            if inside { Rgb(colour) } else { Rgb([40; 3]) }
        });
        write_png(folder.join(name), &image).expect("writable");
    }
}

const GREY: [u8; 3] = [200; 3];

/// MVTec's layout: normal images to train on, and a test part.
fn mvtec(root: &Path) -> PathBuf {
    let data = root.join("data");
    let names: Vec<String> = (0..12).map(|index| format!("{index:03}.png")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    images(&data.join("train/good"), &names, GREY);
    images(&data.join("test/good"), &names[..2], GREY);
    images(&data.join("test/broken"), &names[..3], [255; 3]);
    data
}

fn train<'a>(data: &'a Path, run: &'a Path) -> Vec<&'a str> {
    let words = ["train", "dcgan", "--data", text(data), "--out", text(run)];
    let tiny = [
        "--blocks",
        "2",
        "--width",
        "4",
        "--z-dim",
        "4",
        "--steps",
        "2",
        "--batch-size",
        "4",
        "--sample-every",
        "0",
        "--device",
        "cpu",
    ];
    [&words[..], &tiny].concat()
}

fn fitted(data: &Path, run: &Path) {
    succeeds(&train(data, run));
    succeeds(&[
        "anomaly",
        "fit",
        "--run",
        text(run),
        "--encoder-steps",
        "2",
        "--methods",
        "encoder",
        "--device",
        "cpu",
    ]);
}

fn score(run: &Path, data: &Path, more: &[&str]) -> (Value, String) {
    let words = [
        "anomaly",
        "score",
        "--run",
        text(run),
        "--data",
        text(data),
        "--method",
        "encoder",
        "--device",
        "cpu",
        "--json",
    ];
    let output = pyrograph(&[&words[..], more].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).expect("JSON"), said)
}

#[test]
fn scores_carry_the_files_of_images_with_labels_or_without() {
    let (_guard, root) = folder();
    let (data, run) = (mvtec(&root), root.join("run"));
    fitted(&data, &run);

    let (table, pictures) = (root.join("scores.csv"), root.join("pictures"));
    let more = ["--out", text(&table), "--heatmaps", text(&pictures)];
    let (result, _) = score(&run, &data, &more);
    assert_eq!(result["results"][0]["file"], "test/good/000.png");
    assert_eq!(result["results"][2]["file"], "test/broken/000.png");
    assert_eq!(result["report"]["normal"], 2);
    let lines = fs::read_to_string(&table).expect("a table");
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[0].ends_with(",steps,file"), "{}", lines[0]);
    assert!(lines[3].ends_with(",test/broken/000.png"), "{}", lines[3]);
    assert!(pictures.join("00002-test-broken-000.png").is_file());

    // Anomalies alone are judged at the threshold.
    fs::remove_dir_all(data.join("test/good")).expect("there");
    let (result, _) = score(&run, &data.join("test"), &[]);
    assert_eq!(result["report"]["anomalous"], 3);
    assert!(result["report"]["auroc"].is_null());
    assert!(result["report"]["at_threshold"]["recall"].is_f64());

    // A folder of images, one image, a table of pixels.
    let (result, said) = score(&run, &data.join("test/broken"), &[]);
    assert_eq!(result["images"], 3);
    assert_eq!(result["results"][1]["file"], "001.png");
    assert!(result["results"][1]["label"].is_null() && result["report"].is_null());
    assert!(said.contains("no labels"), "{said}");
    let (result, _) = score(&run, &data.join("test/broken/001.png"), &[]);
    assert_eq!(result["results"][0]["file"], "001.png");
    let table = root.join("new.csv");
    let row = vec!["90"; 256].join(",");
    fs::write(&table, format!("{row}\n{row}\n")).expect("writable");
    let (result, _) = score(&run, &table, &[]);
    assert_eq!(result["results"][1]["file"], "new.csv:2");
}

#[test]
fn colours_and_grey_go_to_what_the_model_takes() {
    let (_guard, root) = folder();
    let (data, run) = (mvtec(&root), root.join("run"));
    fitted(&data, &run);
    let colours = root.join("colours");
    images(&colours, &["a.png", "b.png"], [250, 20, 20]);
    let (result, said) = score(&run, &colours, &[]);
    assert_eq!(result["images"], 2);
    assert!(said.contains("are made grey"), "{said}");

    let of_colours = root.join("of-colours");
    let words = [&train(&data, &of_colours)[..], &["--channels", "rgb"]].concat();
    succeeds(&words);
    succeeds(&[
        "anomaly",
        "fit",
        "--run",
        text(&of_colours),
        "--encoder-steps",
        "1",
        "--methods",
        "encoder",
        "--device",
        "cpu",
    ]);
    let (result, _) = score(&of_colours, &data, &[]);
    assert_eq!(result["images"], 5);
}

#[test]
fn faults_are_listed_before_a_run_folder_is_made_or_left_out() {
    let (_guard, root) = folder();
    let (data, run) = (mvtec(&root), root.join("run"));
    for name in ["100.png", "101.png"] {
        fs::write(data.join("train/good").join(name), "no image").expect("writable");
    }
    let words = train(&data, &run);
    refuses(
        &words,
        &[
            "2 faults in 14 items",
            "100.png",
            "101.png",
            "--skip-broken",
        ],
    );
    assert!(!run.exists());
    let strict = [&words[..], &["--strict"]].concat();
    let output = pyrograph(&strict);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("100.png") && !said.contains("101.png"),
        "{said}"
    );
    let skip = [&words[..], &["--skip-broken"]].concat();
    let output = pyrograph(&skip);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 items"), "{said}");
    // The run reads its data again in the same way.
    succeeds(&[
        "anomaly",
        "fit",
        "--run",
        text(&run),
        "--encoder-steps",
        "1",
        "--methods",
        "encoder",
        "--device",
        "cpu",
    ]);
}

#[test]
fn several_classes_of_which_none_is_normal_are_remarked_on() {
    let (_guard, root) = folder();
    let data = root.join("data");
    let names = ["a.png", "b.png", "c.png", "d.png"];
    images(&data.join("train/def_front"), &names, GREY);
    images(&data.join("train/ok_front"), &names, GREY);
    let run = root.join("run");
    let output = pyrograph(&train(&data, &run));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--classes ok_front"), "{said}");
}

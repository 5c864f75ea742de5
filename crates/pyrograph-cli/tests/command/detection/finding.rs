//! Images, what is found in them, and what is refused.

use std::{fs, path::Path};

use pyrograph::vision::{image_size, write_png};
use serde_json::Value;

use super::{CLAIMING_PNG, FEW, SHAPES, detector, picture};
use crate::common::{folder, pyrograph, refuses, succeeds, text};

#[test]
fn images_of_any_size_are_drawn_and_listed_in_their_own_pixels() {
    let (_guard, path) = folder();
    let (model, _, _) = detector(&path);
    let (images, out) = (path.join("images"), path.join("out"));
    write_png(images.join("wide.png"), &picture(200, 60)).expect("writable");
    write_png(images.join("tall.png"), &picture(40, 120)).expect("writable");
    let other = path.join("wide.gif");
    write_png(&other, &picture(90, 90)).expect("writable");
    let arguments = [
        "detect",
        "--weights",
        text(&model),
        text(&images),
        text(&other),
    ];
    let arguments = [&arguments[..], &FEW, &["--out", text(&out), "--json"]].concat();
    let result: Value = serde_json::from_str(&succeeds(&arguments)).expect("JSON");
    let listed = result["images"].as_array().expect("a list");
    let expected = [
        (images.join("tall.png"), 40.0, 120.0),
        (images.join("wide.png"), 200.0, 60.0),
        (other, 90.0, 90.0),
    ];
    assert_eq!(listed.len(), 3);
    for (found, (image, width, height)) in listed.iter().zip(&expected) {
        assert_eq!(found["image"], text(image));
        assert_eq!(
            [&found["width"], &found["height"]].map(Value::as_f64),
            [Some(*width), Some(*height)]
        );
        let detections = found["detections"].as_array().expect("a list");
        assert_eq!(detections.len(), 5);
        for object in detections {
            let corner = |place: usize| object["box"][place].as_f64().expect("a number");
            assert!(corner(0) <= corner(2) && corner(2) <= *width, "{object}");
            assert!(corner(1) <= corner(3) && corner(3) <= *height, "{object}");
            let class = object["class"].as_u64().expect("a class") as usize;
            assert_eq!(object["label"], SHAPES[class]);
        }
    }
    for (name, size) in [
        ("tall.png", (40, 120)),
        ("wide.png", (200, 60)),
        ("wide-2.png", (90, 90)),
    ] {
        assert_eq!(image_size(out.join(name)).expect("a picture"), size);
    }
    let file = fs::read_to_string(out.join("detections.json")).expect("there");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!(file["images"], result["images"]);
    // As short as numbers of single precision are.
    assert!(
        file.to_string().contains("\"score_threshold\":0.01}"),
        "{file}"
    );

    // One image at a time gives the same, and no pictures where none are wanted.
    let out = path.join("single");
    let arguments = [
        "detect",
        "--weights",
        text(&model),
        text(&images),
        "--batch",
        "1",
        "--no-pictures",
        "--out",
        text(&out),
    ];
    let said = succeeds(&[&arguments[..], &FEW].concat());
    assert!(said.contains("10 objects in 2 images"), "{said}");
    let names: Vec<_> = fs::read_dir(&out)
        .expect("a folder")
        .map(|entry| entry.expect("read").file_name())
        .collect();
    assert_eq!(names, ["detections.json"]);
}

#[test]
fn a_broken_image_is_named_and_holds_up_no_other() {
    let (_guard, path) = folder();
    let (model, _, _) = detector(&path);
    let (images, out) = (path.join("images"), path.join("out"));
    write_png(images.join("a.png"), &picture(50, 40)).expect("writable");
    fs::write(images.join("b.jpg"), "no image").expect("writable");
    fs::write(images.join("c.png"), CLAIMING_PNG).expect("writable");
    write_png(images.join("d.png"), &picture(60, 40)).expect("writable");
    let detect = |image: &Path| {
        let arguments = [
            "detect",
            "--weights",
            text(&model),
            text(image),
            "--out",
            text(&out),
            "--json",
        ];
        let output = pyrograph(&[&arguments[..], &FEW].concat());
        let errors = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(!errors.contains("panicked"), "{errors}");
        let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (result["images"].clone(), errors)
    };
    let (listed, errors) = detect(&images);
    assert!(
        errors.contains("b.jpg is not an image") && errors.contains("2 of 4 images"),
        "{errors}"
    );
    assert!(errors.contains("20000 by 20000"), "{errors}");
    assert!(
        listed[1]["error"]
            .as_str()
            .expect("a message")
            .contains("b.jpg")
    );
    assert!(
        listed[2]["error"]
            .as_str()
            .expect("a message")
            .contains("at most 100000000 pixels")
    );
    assert_eq!(listed[3]["detections"].as_array().expect("a list").len(), 5);
    assert!(out.join("d.png").is_file() && !out.join("b.png").exists());
    let (listed, errors) = detect(&images.join("b.jpg"));
    assert_eq!(listed.as_array().expect("a list").len(), 1);
    assert!(errors.contains("1 of 1 images"), "{errors}");
}

#[test]
fn wrong_requests_for_detections_are_refused() {
    let (_guard, path) = folder();
    let (model, _, _) = detector(&path);
    let (images, out) = (path.join("images"), path.join("out"));
    let image = images.join("a.png");
    write_png(&image, &picture(50, 40)).expect("writable");
    let before = fs::read(&image).expect("there");
    let detect = |more: &[&str], words: &[&str]| {
        let start = ["detect", "--weights", text(&model), "--device", "cpu"];
        refuses(&[&start[..], more].concat(), words);
    };
    let (from, to) = (text(&images), text(&out));
    detect(
        &[from, "--out", to, "--score", "-1"],
        &["score threshold", "-1.0", "0 to 1"],
    );
    detect(&[from, "--out", to, "--score", "nan"], &["NaN", "0 to 1"]);
    detect(
        &[from, "--out", to, "--nms", "1.5"],
        &["IoU threshold", "1.5", "0 to 1"],
    );
    detect(&[from, "--out", to, "--top-k", "0"], &["0", "at least 1"]);
    for batch in ["0", "100000"] {
        detect(&[from, "--out", to, "--batch", batch], &[batch, "1 to 256"]);
    }
    detect(&["--out", to], &["IMAGES"]);
    let (missing, empty) = (path.join("missing.png"), path.join("empty"));
    fs::create_dir(&empty).expect("writable");
    detect(
        &[text(&missing), "--out", to],
        &["missing.png", "no such file"],
    );
    detect(
        &[text(&empty), "--out", to],
        &["empty holds no images", "png, jpg"],
    );
    assert!(!out.exists());
    // Nothing that was read is written over.
    detect(&[from, "--out", from], &["a.png", "overwrite", "--out"]);
    detect(&[from, "--out", text(&image)], &["a.png"]);
    assert_eq!(fs::read(&image).expect("there"), before);
    refuses(&["detect", from], &["--run", "--weights"]);
    refuses(
        &["detect", from, "--run", to, "--classes", to],
        &["--run", "--classes"],
    );
    refuses(
        &["detect", from, "--run", text(&empty), "--device", "cpu"],
        &["no run folder"],
    );
}

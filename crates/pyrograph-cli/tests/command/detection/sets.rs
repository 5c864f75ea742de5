//! Images with boxes: looked at, and what a detector is scored on.

use std::fs;

use pyrograph::vision::{image_size, write_png};
use serde_json::Value;

use super::{SHAPES, detector, json, picture};
use crate::common::{folder, pyrograph, refuses, succeeds, text};

#[test]
fn data_are_shown_with_their_boxes_and_what_is_wrong_with_them_is_said() {
    let (_guard, path) = folder();
    let out = path.join("sheet.png");
    let preview = ["data", "preview", "--out", text(&out)];
    let some = [&preview[..], &["--count", "5", "--columns", "3", "--json"]].concat();
    let result: Value = serde_json::from_str(&succeeds(&some)).expect("JSON");
    assert_eq!(result["classes"], Value::from(SHAPES.to_vec()));
    assert!(result["objects"].as_u64().expect("a count") >= 1000);
    // Three images of 300 pixels in two rows, six pixels between and around.
    assert_eq!(image_size(&out).expect("a picture"), (924, 618));

    // A set of one image in the layout of VOC, one of whose boxes has no area.
    let data = path.join("voc");
    let at = |name: &str| data.join(name);
    for folder in ["Annotations", "JPEGImages", "ImageSets/Main"] {
        fs::create_dir_all(at(folder)).expect("writable");
    }
    let object = |name: &str, [x1, y1, x2, y2]: [u32; 4]| {
        format!(
            "<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        )
    };
    let annotation = format!(
        "<annotation><filename>a.png</filename><size><width>80</width><height>60</height><depth>3</depth></size>{}{}</annotation>",
        object("cell", [10, 10, 40, 30]),
        object("cell", [50, 50, 50, 50])
    );
    fs::write(at("Annotations/a.xml"), annotation).expect("writable");
    fs::write(at("ImageSets/Main/train.txt"), "a\n").expect("writable");
    write_png(at("JPEGImages/a.png"), &picture(80, 60)).expect("writable");
    let of_data = [
        &preview[..],
        &["--data", text(&data), "--augment", "none", "--count", "2"],
    ]
    .concat();
    let output = pyrograph(&of_data);
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(
        output.status.success() && errors.contains("has no area and was left out"),
        "{errors}"
    );
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(said.contains("1 image with 1 object: 1 cell"), "{said}");
    assert!(
        said.contains("80 pixels wide, 60 pixels high"),
        "the size is not shown: {said}"
    );

    refuses(
        &[&of_data[..], &["--split", "test"]].concat(),
        &["test", "train"],
    );
    refuses(
        &[&of_data[..], &["--format", "yolo"]].concat(),
        &["yolo", "voc and coco"],
    );
    refuses(
        &[&of_data[..], &["--classes", "dog"]].concat(),
        &["cell", "dog"],
    );
    refuses(
        &[&preview[..], &["--count", "0"]].concat(),
        &["--count is 0", "1 to 400"],
    );
    refuses(
        &[&preview[..], &["--columns", "1000"]].concat(),
        &["--columns is 1000", "1 to 400"],
    );
    refuses(
        &[&preview[..], &["--data", "scenes", "--classes", "dog"]].concat(),
        &["--classes", "built-in"],
    );
    let inside = at("sheet.png");
    let into = [
        "data",
        "preview",
        "--data",
        text(&data),
        "--out",
        text(&inside),
    ];
    refuses(&into, &["sheet.png", "overwrite"]);
}

#[test]
fn a_detector_is_scored_on_scenes_by_both_protocols() {
    let (_guard, path) = folder();
    let (model, weights, config) = detector(&path);
    let out = path.join("out");
    let start = ["eval", "ssd", "--weights", text(&model), "--data", "scenes"];
    let start = [&start[..], &["--scenes", "6"]].concat();
    let result = json(&[&start[..], &["--out", text(&out), "--pictures", "2"]].concat());
    let report = &result["report"];
    assert_eq!(
        (&report["images"], &result["images"]),
        (&6.into(), &6.into())
    );
    let classes = report["classes"].as_array().expect("a list");
    assert_eq!(classes.len(), 5);
    let truths: u64 = classes
        .iter()
        .map(|class| class["truths"].as_u64().expect("a count"))
        .sum();
    assert_eq!(Some(truths), result["objects"].as_u64());
    for figure in [
        &report["map"],
        &report["map_11_point"],
        &report["coco"]["ap"],
        &report["coco"]["ar_100"],
    ] {
        assert!((0.0..=1.0).contains(&figure.as_f64().expect("a figure")));
    }
    let file = fs::read_to_string(out.join("report.json")).expect("there");
    assert_eq!(
        serde_json::from_str::<Value>(&file).expect("JSON")["report"],
        *report
    );
    for name in ["pr_curves.png", "00000.png", "00003.png"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let said = succeeds(&[&start[..], &["--device", "cpu"]].concat());
    assert!(
        said.contains("AP@.5:.95") && said.contains("ellipse") && said.contains("COCO"),
        "{said}"
    );

    refuses(
        &["eval", "ssd", "--weights", text(&model), "--device", "cpu"],
        &["--data"],
    );
    let named = [
        "eval",
        "ssd",
        "--weights",
        text(&weights),
        "--config",
        text(&config),
    ];
    let named = [
        &named[..],
        &["--data", "scenes", "--scenes", "2", "--device", "cpu"],
    ]
    .concat();
    refuses(&named, &["ellipse", "1, 2, 3, 4, 5"]);
    refuses(
        &[&start[..], &["--score", "2"]].concat(),
        &["2.0", "0 to 1"],
    );
}

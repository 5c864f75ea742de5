//! Data as people have them: faults that are listed, images that EXIF turns, nothing to train on.

use std::fs;
use std::path::Path;

use pyrograph::vision::{image::codecs::jpeg::JpegEncoder, write_png};
use serde_json::json;

use super::{
    picture,
    training::{config, train, train_refuses, write, write_voc},
};
use crate::common::{folder, pyrograph, refuses, text};

/// What `data preview` says of the data, on standard error and output.
fn shown(data: &Path, more: &[&str]) -> String {
    let out = data.with_extension("png");
    let preview = ["data", "preview", "--augment", "none", "--count", "1"];
    let named = ["--data", text(data), "--out", text(&out)];
    let output = pyrograph(&[&preview[..], &named, more].concat());
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8(said).expect("text");
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn faults_are_listed_together_before_a_run_folder_is_made_or_passed_over() {
    let (_guard, path) = folder();
    let (data, out) = (path.join("data"), path.join("run"));
    write_voc(&data);
    let annotation = data.join("Annotations/image1.xml");
    let xml = fs::read_to_string(&annotation).expect("readable");
    write(&annotation, &xml.replace("<name>star</name>", ""));
    write(&data.join("Annotations/image2.xml"), "<annotation>");
    let both = ["image1.xml: object 1 has no name", "image2.xml, line 1"];
    train_refuses(&data, &out, &[], &[both[0], both[1], "--skip-broken"]);
    let strict = [
        "train",
        "ssd",
        "--data",
        text(&data),
        "--out",
        text(&out),
        "--strict",
    ];
    let error = String::from_utf8(pyrograph(&strict).stderr).expect("text");
    assert!(
        error.contains(both[0]) && !error.contains(both[1]),
        "{error}"
    );
    refuses(
        &[&strict[..], &["--skip-broken"]].concat(),
        &["--strict", "--skip-broken"],
    );

    // A file that was cut off shows in its end.
    let image = data.join("JPEGImages/image3.png");
    let bytes = fs::read(&image).expect("readable");
    fs::write(&image, &bytes[..bytes.len() - 6]).expect("writable");
    let said = shown(&data, &["--skip-broken", "--split", "trainval"]);
    assert!(said.contains("3 images with 3 objects"), "{said}");
    for word in [
        "left out: ",
        "image3.png is a PNG file that was cut off",
        "3 faults",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    train(
        &data,
        &out,
        &["--skip-broken", "--split", "trainval", "--held-out", "0.34"],
    );
    assert_eq!(config(&out)["data"]["files"]["options"]["faults"], "skip");
    assert_eq!(config(&out)["fingerprint"]["images"], 3);
}

#[test]
fn data_with_nothing_to_train_on_are_refused() {
    let (_guard, path) = folder();
    let (data, out) = (path.join("data"), path.join("run"));
    write_voc(&data);
    for number in 0..6 {
        let annotation = data.join(format!("Annotations/image{number}.xml"));
        let xml = fs::read_to_string(&annotation).expect("readable");
        write(
            &annotation,
            &xml.replace("<bndbox>", "<difficult>1</difficult><bndbox>"),
        );
    }
    let words = ["nothing to train on", "4 difficult", "--difficult"];
    train_refuses(&data, &out, &[], &words);
    train(&data, &out, &["--difficult"]);
    let other = path.join("other");
    let classes = ["--classes", "ape", "--unknown-classes", "skip"];
    train_refuses(
        &data,
        &other,
        &classes,
        &["nothing to train on", "of the class dot"],
    );
    // Corners the wrong way round.
    for number in 0..6 {
        let annotation = data.join(format!("Annotations/image{number}.xml"));
        let xml = fs::read_to_string(&annotation).expect("readable");
        let swapped = xml.replace("xmin", "x").replace("xmax", "xmin");
        write(
            &annotation,
            &swapped.replace("<x>", "<xmax>").replace("</x>", "</xmax>"),
        );
    }
    let words = ["nothing to train on", "whose box was left out"];
    train_refuses(&data, &other, &["--difficult"], &words);
}

#[test]
fn images_without_an_annotation_are_said() {
    let (_guard, path) = folder();
    let data = path.join("data");
    write_voc(&data);
    fs::remove_file(data.join("Annotations/image0.xml")).expect("removable");
    let said = shown(&data, &["--split", "all"]);
    assert!(
        said.contains("left aside: 1 image without an annotation file, as image0.png"),
        "{said}"
    );
}

#[test]
fn a_photograph_that_exif_turns_unseen_is_said() {
    let (_guard, path) = folder();
    let data = path.join("data");
    write_voc(&data);
    let mut jpeg = Vec::new();
    let encoder = &mut JpegEncoder::new(&mut jpeg);
    encoder.encode_image(&picture(64, 48)).expect("encodable");
    let exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0";
    let turned = [&jpeg[..2], exif, &jpeg[2..]].concat();
    // Known by its contents.
    fs::write(data.join("JPEGImages/image0.png"), turned).expect("writable");
    let said = shown(&data, &[]);
    assert!(
        said.contains("image0: its EXIF data turn it by 180°"),
        "{said}"
    );
    let said = shown(&data, &["--exif", "stored"]);
    assert!(!said.contains("EXIF"), "{said}");
}

#[test]
fn one_image_is_a_batch_where_no_batch_norm_needs_two() {
    let (_guard, path) = folder();
    let (data, out) = (path.join("data"), path.join("run"));
    write_voc(&data);
    let one = ["--batch-size", "1"];
    let tiny = [
        "train",
        "ssd",
        "--data",
        text(&data),
        "--width",
        "0.03125",
        "--steps",
        "1",
        "--quiet",
    ];
    let refused = [&tiny[..], &one, &["--out", text(&out)]].concat();
    refuses(
        &refused,
        &["batch norm", "--batch-size", "--batch-norm off"],
    );
    let output = pyrograph(&[&refused[..], &["--batch-norm", "off"]].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn another_annotation_file_is_the_validation_by_the_names_of_its_classes() {
    let (_guard, path) = folder();
    let images = |first: usize, count: usize| -> Vec<_> {
        let image = |id: usize| json!({"id": id, "file_name": format!("image{id}.png"), "width": 64, "height": 48});
        (first..first + count).map(image).collect()
    };
    for id in 0..6 {
        write_png(path.join(format!("images/image{id}.png")), &picture(64, 48)).expect("writable");
    }
    let annotations = |first: usize, classes: &[usize]| -> Vec<_> {
        let ids = (first..).zip(classes);
        ids.map(|(id, class)| json!({"image_id": id, "category_id": class, "bbox": [4, 6, 20, 30]}))
            .collect()
    };
    let train_file = path.join("train.json");
    let categories = json!([{"id": 1, "name": "dot"}, {"id": 2, "name": "star"}]);
    let whole = json!({"images": images(0, 4), "annotations": annotations(0, &[1, 2, 1, 2]), "categories": categories});
    write(&train_file, &whole.to_string());
    // Other ids, and one category fewer.
    let other = path.join("judged by.json");
    let categories = json!([{"id": 7, "name": "star"}]);
    let part = json!({"images": images(4, 2), "annotations": annotations(4, &[7, 7]), "categories": categories});
    write(&other, &part.to_string());
    let run = path.join("run");
    let coco = ["--format", "coco", "--validation-data", text(&other)];
    let result = train(&train_file, &run, &coco);
    assert!(result["best_map"].is_number(), "{result}");
    assert_eq!(config(&run)["classes"], json!(["dot", "star"]));
    assert_eq!(
        config(&run)["validation"]["files"]["options"]["classes"],
        json!(["dot", "star"])
    );
}

//! Published weights, and one forward pass.

use std::{collections::HashMap, fs};

use pyrograph::{
    models::weights::{StateDict, TensorEntry},
    vision::write_png,
};
use serde_json::Value;

use super::{FEW, SHAPES, detector, json, picture};
use crate::common::{folder, pyrograph, refuses, text};

#[test]
fn published_weights_tell_their_numbers_and_need_as_many_names_as_classes() {
    let (_guard, path) = folder();
    let (model, weights, config) = detector(&path);
    let (image, names, out) = (path.join("a.png"), path.join("names.txt"), path.join("out"));
    write_png(&image, &picture(50, 40)).expect("writable");
    let detect = |weights: &'static str, more: &[&str], words: &[&str]| {
        let weights = path.join(weights);
        let start = [
            "detect",
            text(&image),
            "--out",
            text(&out),
            "--weights",
            text(&weights),
        ];
        refuses(&[&start[..], &FEW, more].concat(), words);
        assert!(!out.exists());
    };
    fs::write(&names, "BACKGROUND\none\ntwo\n").expect("writable");
    for file in ["weights.safetensors", "model.safetensors"] {
        let of_file = ["--config", text(&config), "--classes", text(&names)];
        detect(file, &of_file, &["--classes", "names.txt", "2 names", "5"]);
    }
    let other = path.join("other.json");
    for (text_of, words) in [
        (
            r#"{"num_classes": 4, "width": 0.03125}"#,
            &["conf.0.weight"][..],
        ),
        (
            r#"{"num_classes": 6, "with": 1}"#,
            &["other.json", "with", "width"],
        ),
        (
            r#"{"num_classes": 6, "width": 99}"#,
            &["width is 99", "0.03125 to 2"],
        ),
        ("[6]", &["other.json", "an object is expected"]),
    ] {
        fs::write(&other, text_of).expect("writable");
        detect("weights.safetensors", &["--config", text(&other)], words);
    }
    detect("none.safetensors", &[], &["none.safetensors"]);

    // With them the names are those of the file, or numbers.
    fs::write(&names, SHAPES.map(str::to_uppercase).join("\n")).expect("writable");
    let start = [
        "detect",
        text(&image),
        "--out",
        text(&out),
        "--score",
        "0.01",
    ];
    for (file, more, first) in [
        (&weights, &[][..], "1"),
        (&weights, &["--config", text(&config)], "1"),
        (
            &weights,
            &["--config", text(&config), "--classes", text(&names)],
            "ELLIPSE",
        ),
        (&model, &["--classes", text(&names)], "ELLIPSE"),
        (&model, &[], "ellipse"),
    ] {
        let result = json(&[&start[..], &["--weights", text(file)], more].concat());
        assert_eq!(result["classes"][0], first);
    }
}

#[test]
fn a_forward_pass_gives_offsets_logits_and_priors() {
    let (_guard, path) = folder();
    let (model, weights, config) = detector(&path);
    let (input, output) = (path.join("in.safetensors"), path.join("out.safetensors"));
    let write = |name: &str, shape: &[usize]| {
        let values = vec![0.5; shape.iter().product()];
        let mut dict = StateDict::new();
        dict.insert(name, TensorEntry::from_f32(shape.to_vec(), values));
        dict.save(&input, HashMap::new()).expect("writable");
    };
    write("x", &[2, 3, 300, 300]);
    let files = ["--input", text(&input), "--output", text(&output)];
    let start = [&["forward", "ssd300"][..], &files].concat();
    let published = ["--weights", text(&weights), "--config", text(&config)];
    let alone = ["--weights", text(&weights)];
    for more in [&["--weights", text(&model)][..], &published, &alone] {
        let result = json(&[&start[..], more].concat());
        assert_eq!(result["tensors"]["conf"], Value::from(vec![2, 8732, 6]));
        let dict = StateDict::open(&output).expect("written");
        assert_eq!(dict.get("loc").expect("there").shape(), [2, 8732, 4]);
        let priors = dict.get("priors").expect("there");
        assert_eq!(priors.shape(), [8732, 4]);
        // The first of Pascal VOC: in the middle of a cell of eight pixels, 30 pixels wide.
        let expected = [4.0 / 300.0, 4.0 / 300.0, 0.1, 0.1];
        let values = priors.to_f32();
        let first = values[..4].iter().zip(expected);
        assert!(
            first.into_iter().all(|(a, b)| (a - b).abs() < 1e-6),
            "{:?}",
            &values[..4]
        );
    }
    // Weights do not tell the prior boxes.
    let output = pyrograph(&[&start[..], &alone, &["--device", "cpu"]].concat());
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("`voc` are assumed") && said.contains("--config"),
        "{said}"
    );
    fs::write(&config, r#"{"num_classes": 6, "backbone": "vgg19"}"#).expect("writable");
    refuses(
        &[&start[..], &published].concat(),
        &["vgg19", "vgg16", "mobilenet-v2"],
    );
    fs::write(&config, r#"{"num_classes": 6, "priors": "mobilenet"}"#).expect("writable");
    refuses(
        &[&start[..], &published].concat(),
        &["priors is mobilenet", "38 cells"],
    );
    let whole = [&start[..], &["--weights", text(&model)]].concat();
    write("x", &[1, 3, 512, 512]);
    refuses(&whole, &["[1, 3, 512, 512]", "300"]);
    write("image", &[1, 3, 300, 300]);
    refuses(&whole, &["image", "expected x"]);
}

//! Objects in images: found, scored, looked at, and what is refused.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use pyrograph::{
    backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff},
    models::{
        ssd::{DetectorCard, SsdConfig},
        weights::{HostTensor, StateDict, save_model, state_dict_of},
    },
    vision::{ColourNormalisation, Rgb, RgbImage, image_size, write_png},
};
use serde_json::Value;

use crate::common::{folder, pyrograph, refuses, succeeds, text};

/// The classes of the built-in scenes, which a detector must have to be scored on them.
const SHAPES: [&str; 5] = ["ellipse", "rectangle", "triangle", "star", "cross"];
/// An image that claims 20,000 by 20,000 pixels, with the checksums right.
const CLAIMING_PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\x02\0\0\0\x6c\x12\xd1\x6e\0\0\0\x0bIDAT\x78\x9c\x63\x60\x80\x01\0\0\x0a\0\x01\x7f\x80\x74\x5e\0\0\0\0IEND\xae\x42\x60\x82";

/// Writes a detector that knows nothing: with its card, and as published weights are, without a word.
struct Save {
    model: PathBuf,
    weights: PathBuf,
}

impl BackendTask for Save {
    type Output = ();

    fn run<B: VisionAutodiff>(self, device: Device<B>) {
        let config = SsdConfig {
            width: 0.03125,
            ..SsdConfig::vgg16(6)
        };
        let card = DetectorCard {
            classes: SHAPES.map(String::from).to_vec(),
            normalisation: ColourNormalisation::SSD,
        };
        let network = config.init::<B::InnerBackend>(&device, 5).expect("legal");
        let notes = card.to_note().expect("finite");
        save_model(&network, &config, notes, self.model).expect("writable");
        let dict = state_dict_of(&network).expect("readable");
        dict.save(self.weights, HashMap::new()).expect("writable");
    }
}

/// Both files in `folder`, and the numbers of the published one.
fn detector(folder: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let at = |name| folder.join(name);
    let paths = (
        at("model.safetensors"),
        at("weights.safetensors"),
        at("config.json"),
    );
    let task = Save {
        model: paths.0.clone(),
        weights: paths.1.clone(),
    };
    DeviceSpec::Cpu.run(task).expect("a CPU");
    let config = r#"{"num_classes": 6, "width": 0.03125}"#;
    fs::write(&paths.2, config).expect("writable");
    paths
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 2) as u8, (x ^ y) as u8])
    })
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&succeeds(
        &[arguments, &["--json", "--device", "cpu"]].concat(),
    ))
    .expect("JSON")
}

/// What every detection of these tests is asked for: the untrained network is sure of nothing.
const FEW: [&str; 6] = ["--score", "0.01", "--top-k", "5", "--device", "cpu"];

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
        file.to_string().contains("\"score_threshold\":0.01,"),
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
fn published_weights_need_their_numbers_and_as_many_names_as_classes() {
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
    detect(
        "weights.safetensors",
        &[],
        &["--config", "weights.safetensors"],
    );
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
        (&weights, &["--config", text(&config)][..], "1"),
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
        &["missing.png", "No such file"],
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

#[test]
fn a_forward_pass_gives_offsets_logits_and_priors() {
    let (_guard, path) = folder();
    let (model, weights, config) = detector(&path);
    let (input, output) = (path.join("in.safetensors"), path.join("out.safetensors"));
    let write = |name: &str, shape: &[usize]| {
        let values = vec![0.5; shape.iter().product()];
        let mut dict = StateDict::new();
        dict.insert(
            name,
            HostTensor {
                shape: shape.to_vec(),
                values,
            },
        );
        dict.save(&input, HashMap::new()).expect("writable");
    };
    write("x", &[2, 3, 300, 300]);
    let files = ["--input", text(&input), "--output", text(&output)];
    let start = [&["forward", "ssd300"][..], &files].concat();
    let published = ["--weights", text(&weights), "--config", text(&config)];
    for more in [&["--weights", text(&model)][..], &published] {
        let result = json(&[&start[..], more].concat());
        assert_eq!(result["tensors"]["conf"], Value::from(vec![2, 8732, 6]));
        let dict = StateDict::open(&output).expect("written");
        assert_eq!(dict.get("loc").expect("there").shape, [2, 8732, 4]);
        let priors = dict.get("priors").expect("there");
        assert_eq!(priors.shape, [8732, 4]);
        // The first of Pascal VOC: in the middle of a cell of eight pixels, 30 pixels wide.
        let expected = [4.0 / 300.0, 4.0 / 300.0, 0.1, 0.1];
        let first = priors.values[..4].iter().zip(expected);
        assert!(
            first.into_iter().all(|(a, b)| (a - b).abs() < 1e-6),
            "{:?}",
            &priors.values[..4]
        );
    }
    refuses(
        &[&start[..], &["--weights", text(&weights)]].concat(),
        &["config"],
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

#[test]
fn data_are_shown_with_their_boxes_and_what_is_wrong_with_them_is_said() {
    let (_guard, path) = folder();
    let out = path.join("sheet.png");
    let preview = |more: &[&str]| [&["data", "preview", "--out", text(&out)], more].concat();
    let result: Value = serde_json::from_str(&succeeds(&preview(&[
        "--count",
        "5",
        "--columns",
        "3",
        "--json",
    ])))
    .expect("JSON");
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
    let of_data = preview(&["--data", text(&data), "--augment", "none", "--count", "2"]);
    let output = pyrograph(&of_data);
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(
        output.status.success() && errors.contains("has no area and was left out"),
        "{errors}"
    );
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(said.contains("1 images with 1 objects: 1 cell"), "{said}");

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
    refuses(&preview(&["--count", "0"]), &["--count is 0", "1 to 400"]);
    refuses(
        &preview(&["--columns", "1000"]),
        &["--columns is 1000", "1 to 400"],
    );
    refuses(
        &preview(&["--data", "scenes", "--classes", "dog"]),
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

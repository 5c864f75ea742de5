//! Where the files of a set in the layout of COCO are looked for.

use std::fs;

use pyrograph_data::DataError;
use pyrograph_data::detection::{DetectionFormat, DetectionSet};

use crate::coco::{INSTANCES, folder, open};
use crate::strict;
use crate::write;

#[test]
fn a_part_is_found_by_its_name_with_or_without_the_year() {
    let root = folder(INSTANCES);
    assert_eq!(
        open(&root, "train").unwrap(),
        open(&root, "train2017").unwrap()
    );
    let text = open(&root, "val").unwrap_err().to_string();
    assert!(
        text.ends_with("has no part \"val\": the parts are train2017"),
        "{text}"
    );
    // Not a part of train.
    let file = |part: &str| {
        root.path()
            .join(format!("annotations/instances_{part}.json"))
    };
    write(file("trainval2017"), INSTANCES);
    assert!(open(&root, "train").is_ok());
    write(file("train2014"), INSTANCES);
    let text = open(&root, "train").unwrap_err().to_string();
    assert!(
        text.contains("train2014, train2017, trainval2017"),
        "{text}"
    );
    // The exact name goes before.
    write(file("train"), INSTANCES);
    assert!(matches!(
        open(&root, "train"),
        Err(DataError::NoImageFile { .. })
    ));
    fs::rename(root.path().join("train2017"), root.path().join("images")).unwrap();
    assert_eq!(open(&root, "train").unwrap().len(), 2);
}

#[test]
fn a_json_file_is_a_set_with_its_images_beside() {
    let root = folder(INSTANCES);
    let whole = open(&root, "train").unwrap();
    let options = strict();
    let read = |path: &str| {
        let path = root.path().join(path);
        DetectionSet::open(path, DetectionFormat::Coco, "any", &options).unwrap()
    };
    assert_eq!(
        read("annotations/instances_train2017.json").samples(),
        whole.samples()
    );
    write(
        root.path().join("train2017/_annotations.coco.json"),
        INSTANCES,
    );
    assert_eq!(
        read("train2017/_annotations.coco.json").samples(),
        whole.samples()
    );
}

#[test]
fn images_are_found_by_the_last_part_of_their_name() {
    let root = folder(&INSTANCES.replacen("000042.png", "C:\\\\data\\\\000042.png", 1));
    let set = open(&root, "train").unwrap();
    assert_eq!(set.image(0).unwrap().dimensions(), (20, 10));
    fs::remove_file(root.path().join("train2017/000042.png")).unwrap();
    let error = open(&root, "train").unwrap_err();
    assert!(matches!(error, DataError::NoImageFile { .. }), "{error}");
}

#[test]
fn a_folder_without_the_layout_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let text = open(&root, "train").unwrap_err().to_string();
    assert!(text.contains("no folder annotations"), "{text}");
    write(
        root.path().join("annotations/instances_train.json"),
        INSTANCES,
    );
    let text = open(&root, "train").unwrap_err().to_string();
    assert!(text.contains("000042.png"), "{text}");
    assert!("yolo".parse::<DetectionFormat>().is_err());
    assert_eq!(
        "coco".parse::<DetectionFormat>().unwrap(),
        DetectionFormat::Coco
    );
}

//! Ids, names and sizes in COCO's form as other tools write them.

use std::fs;

use pyrograph_data::detection::DetectionSet;
use tempfile::TempDir;

use crate::coco::{INSTANCES, folder, open};
use crate::write_image;

fn with(changes: &[(&str, &str)]) -> TempDir {
    let mut text = INSTANCES.to_owned();
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    folder(&text)
}

fn read(changes: &[(&str, &str)]) -> DetectionSet {
    open(&with(changes), "train").unwrap()
}

#[test]
fn ids_may_be_texts() {
    let plain = read(&[]).checksum();
    let numbers = [
        ("\"id\": 42", "\"id\": \"42\""),
        ("\"id\": 7}", "\"id\": \"7\"}"),
        ("\"category_id\": 2,", "\"category_id\": \"2\","),
    ];
    assert_eq!(read(&numbers).checksum(), plain);
    let words = [
        ("\"id\": 42", "\"id\": \"x-1\""),
        ("\"image_id\": 42", "\"image_id\": \"x-1\""),
        ("\"category_id\": 90", "\"category_id\": \"t\""),
        ("\"id\": 90", "\"id\": \"t\""),
    ];
    // Numbers go before texts, so that the order of the classes is the same.
    assert_eq!(read(&words).checksum(), plain);
    let text = open(&with(&[("\"id\": 42", "\"id\": \"042\"")]), "train")
        .unwrap_err()
        .to_string();
    assert!(text.contains("annotations[0].image_id is \"42\""), "{text}");
}

#[test]
fn a_size_that_is_missing_is_that_of_the_image() {
    let plain = read(&[]);
    for (old, new) in [
        ("\"height\": 10, \"width\": 20, ", ""),
        ("\"width\": 20", "\"width\": null"),
        ("\"height\": 10", "\"height\": 0"),
    ] {
        let set = read(&[(old, new)]);
        let size = |set: &DetectionSet| (set.samples()[0].width, set.samples()[0].height);
        assert_eq!(size(&set), size(&plain), "{new}");
    }
}

#[test]
fn of_categories_of_one_name_the_one_with_objects_is_the_class() {
    let set = read(&[("plane", "bicycle")]);
    assert_eq!(set.class_names(), ["bicycle", "toothbrush"]);
    assert_eq!(set.class_counts(), [1, 1]);
    // None of them has an object.
    let set = read(&[(
        "{\"id\": 5, \"name\": \"plane\"}",
        "{\"id\": 5, \"name\": \"plane\"}, {\"id\": 6, \"name\": \"plane\"}",
    )]);
    assert_eq!(set.class_names(), ["bicycle", "plane", "toothbrush"]);
}

#[test]
fn images_of_one_name_in_several_folders_are_told_apart() {
    for separator in ["/", "\\\\"] {
        let name = |folder: &str| ["set", folder, "a.png"].join(separator);
        let (x, y) = (name("x"), name("y"));
        let root = with(&[("000042.png", &x), ("000007.png", &y)]);
        for (part, size) in [("x", (20, 10)), ("y", (20, 10))] {
            let below = root.path().join("train2017").join(part);
            fs::create_dir_all(&below).unwrap();
            write_image(below.join("a.png"), size);
        }
        let files = open(&root, "train").unwrap().files();
        assert!(
            files[0].ends_with("x/a.png") && files[1].ends_with("y/a.png"),
            "{files:?}"
        );
    }
}

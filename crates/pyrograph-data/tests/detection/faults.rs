//! Several faults at once.

use std::fs;

use pyrograph_data::detection::{AnnotationError, DetectionFormat, DetectionOptions, DetectionSet};
use pyrograph_data::{DataError, Faults};
use tempfile::TempDir;

use crate::voc::{add, read_with};
use crate::{coco, write};

fn options(faults: Faults) -> DetectionOptions {
    DetectionOptions {
        faults,
        ..DetectionOptions::default()
    }
}

/// Five images, of which `b` has broken XML, `c` an object without a name, and `d` no file.
fn folder() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    for id in ["a", "b", "c", "d", "e"] {
        add(path, id, &[("cat", [1.0, 2.0, 5.0, 6.0])]);
    }
    write(path.join("ImageSets/Main/train.txt"), "a\nb\nc\nd\ne\n");
    write(path.join("Annotations/b.xml"), "<annotation><size>");
    let c = fs::read_to_string(path.join("Annotations/c.xml")).unwrap();
    write(
        path.join("Annotations/c.xml"),
        c.replace("<name>cat</name>", ""),
    );
    fs::remove_file(path.join("JPEGImages/d.png")).unwrap();
    root
}

#[test]
fn all_faults_are_listed_and_the_first_alone_where_that_is_wanted() {
    let root = folder();
    write(root.path().join("JPEGImages/e.png"), "no image");
    let text = read_with(&root, options(Faults::List))
        .unwrap_err()
        .to_string();
    assert!(text.contains(": 4 faults in 5 items:\n"), "{text}");
    assert!(text.contains("--skip-broken"), "{text}");
    for said in [
        "b.xml, line 1",
        "c.xml: object 1 has no name",
        "d.{png",
        "e.png is not an image",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let error = read_with(&root, options(Faults::Strict)).unwrap_err();
    assert!(
        matches!(error, DataError::Annotation(AnnotationError::Xml { .. })),
        "{error:?}"
    );
}

#[test]
fn images_with_faults_are_left_out_and_said_where_that_is_wanted() {
    let root = folder();
    let set = read_with(&root, options(Faults::Skip)).unwrap();
    let names: Vec<_> = set
        .samples()
        .iter()
        .map(|sample| sample.name.as_str())
        .collect();
    assert_eq!(names, ["a", "e"]);
    assert_eq!(set.broken().len(), 3);
    assert!(
        set.broken()[1].contains("c.xml: object 1 has no name"),
        "{:?}",
        set.broken()
    );

    // A file that is cut off shows in its header and end alone.
    let path = root.path().join("JPEGImages/e.png");
    let whole = fs::read(&path).unwrap();
    write(&path, &whole[..whole.len() - 3]);
    let set = set.without_broken_images(&mut || {}).unwrap();
    assert_eq!((set.len(), set.broken().len()), (1, 4));
    assert!(set.broken()[3].contains("e.png is a PNG file that was cut off"));
    write(root.path().join("JPEGImages/a.png"), "");
    let error = set.without_broken_images(&mut || {}).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("1 fault in 1 item:"), "{text}");
    assert!(text.contains("a.png is not an image"), "{text}");
}

#[test]
fn an_unknown_class_is_no_fault_to_be_passed_over() {
    let root = folder();
    let options = DetectionOptions {
        classes: Some(vec!["dog".into()]),
        ..options(Faults::Skip)
    };
    let error = read_with(&root, options).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("a.xml") && text.contains("\"cat\""), "{text}");
    assert!(text.contains("--unknown-classes skip"), "{text}");
    assert!(!text.contains("--skip-broken"), "{text}");
}

#[test]
fn faults_of_coco_are_listed_by_file_item_and_field() {
    let text = coco::INSTANCES
        .replacen("[1.5, 2, 3.25, 4]", "[1.5]", 1)
        .replacen(
            "\"id\": 9, \"image_id\": 42",
            "\"id\": 9, \"image_id\": 99",
            1,
        );
    let root = coco::folder(&text);
    let format = DetectionFormat::Coco;
    let open = |faults| DetectionSet::open(root.path(), format, "train", &options(faults));
    let said = open(Faults::List).unwrap_err().to_string();
    assert!(said.contains(": 2 faults in 2 items:"), "{said}");
    assert!(said.contains("annotations[1].image_id is \"99\""), "{said}");
    assert!(said.contains("annotations[0].bbox is [1.5]"), "{said}");
    // The image of the broken box goes, as it would teach that there is nothing.
    let set = open(Faults::Skip).unwrap();
    assert_eq!(set.samples()[0].name, "000007.png");
    assert_eq!((set.len(), set.broken().len()), (1, 2));
}

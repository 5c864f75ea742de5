//! What the options make of classes, boxes and corners, in the layout of Pascal VOC.

use pyrograph_data::DataError;
use pyrograph_data::detection::{
    BeyondImage, BoxAction, BoxFault, BoxPolicy, Degenerate, DetectionOptions, UnknownClass,
    VocCorners,
};
use pyrograph_vision::BoundingBox;
use tempfile::TempDir;

use crate::strict;
use crate::voc::{add, folder, read, read_with};

#[test]
fn classes_that_are_not_known_are_refused_or_counted() {
    let root = folder();
    let options = |unknown| DetectionOptions {
        classes: Some(vec!["emu".to_owned(), "cat".to_owned()]),
        unknown,
        ..strict()
    };
    let text = read_with(&root, options(UnknownClass::Refuse))
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("b.xml: object 2 of b is of class \"ape\": the classes are emu, cat"),
        "{text}"
    );
    let set = read_with(&root, options(UnknownClass::Skip)).unwrap();
    assert_eq!(set.class_counts(), [0, 1]);
    assert_eq!(set.skipped_classes(), [("ape".to_owned(), 1)]);
}

#[test]
fn classes_have_names_and_no_two_the_same() {
    let root = folder();
    for classes in [&[][..], &["cat", "cat"], &["cat", ""]] {
        let classes = classes.iter().map(|&name| name.to_owned()).collect();
        let options = DetectionOptions {
            classes: Some(classes),
            ..strict()
        };
        let error = read_with(&root, options).unwrap_err();
        assert!(matches!(error, DataError::BadClasses { .. }), "{error}");
    }
}

/// Boxes without an area, beyond the image, and sound.
fn with_faults() -> TempDir {
    let root = folder();
    let faulty = [
        ("cat", [504.0, 337.0, 504.0, 337.0]),
        ("dog", [15.0, 2.0, 23.5, 6.0]),
        ("ape", [f32::NAN, 2.0, 5.0, 6.0]),
        ("ape", [1.0, 2.0, 5.0, 6.0]),
    ];
    add(root.path(), "b", &faulty);
    root
}

#[test]
fn every_box_that_is_changed_or_left_out_has_a_remark() {
    let set = read(&with_faults(), "train").unwrap();
    assert_eq!(set.class_counts(), [1, 0, 1]);
    let said = set
        .remarks()
        .iter()
        .map(|remark| (remark.object, remark.fault, remark.action));
    let clipped = BoundingBox::new(15.0, 2.0, 20.0, 6.0);
    let expected = [
        (1, BoxFault::NoArea, BoxAction::Skipped),
        (2, BoxFault::Beyond, BoxAction::Clipped(clipped)),
        (3, BoxFault::NotFinite, BoxAction::Skipped),
    ];
    assert!(said.eq(expected), "{:?}", set.remarks());
    let text = set.remarks()[0].to_string();
    let sentence =
        "b.xml, object 1 of b: the box [504, 337, 504, 337] of cat has no area and was left out";
    assert!(text.ends_with(sentence), "{text}");
    let text = set.remarks()[1].to_string();
    let sentence =
        "the box [15, 2, 23.5, 6] of dog goes beyond the image and was clipped to [15, 2, 20, 6]";
    assert!(text.ends_with(sentence), "{text}");
    assert_eq!(set.samples()[0].objects[0].bbox, clipped);
}

#[test]
fn boxes_with_faults_are_refused_where_that_is_wanted() {
    let root = with_faults();
    let with = |boxes| read_with(&root, DetectionOptions { boxes, ..strict() });
    let boxes = BoxPolicy {
        degenerate: Degenerate::Refuse,
        ..BoxPolicy::default()
    };
    let text = with(boxes).unwrap_err().to_string();
    assert!(
        text.ends_with("b.xml, object 1 of b: the box [504, 337, 504, 337] of cat has no area"),
        "{text}"
    );
    let boxes = BoxPolicy {
        beyond: BeyondImage::Refuse,
        ..BoxPolicy::default()
    };
    let error = with(boxes).unwrap_err();
    assert!(
        matches!(error, DataError::BoxRefused { object: 2, .. }),
        "{error}"
    );
}

#[test]
fn corners_count_from_one_where_that_is_said() {
    let options = DetectionOptions {
        voc_corners: VocCorners::OneBased,
        ..strict()
    };
    let set = read_with(&folder(), options).unwrap();
    let [cat, ape] = &set.samples()[0].objects[..] else {
        panic!("{set:?}");
    };
    assert_eq!(cat.bbox, BoundingBox::new(0.0, 1.0, 4.0, 5.0));
    // Beyond the left and upper edge, as 0 is no pixel counted from 1.
    assert_eq!(ape.bbox, BoundingBox::new(0.0, 0.0, 19.0, 9.0));
    assert_eq!(set.remarks().len(), 1);
}

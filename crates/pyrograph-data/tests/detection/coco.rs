//! The layout of COCO.

use std::fs;

use proptest::prelude::*;
use pyrograph_data::DataError;
use pyrograph_data::detection::{
    AnnotationError, BeyondImage, BoxPolicy, DetectionFormat, DetectionOptions, DetectionSet,
    UnknownClass,
};
use pyrograph_vision::BoundingBox;
use tempfile::TempDir;

use crate::{strict, write, write_image};

/// Categories out of order with gaps, an image without objects, and fields that are not needed.
pub(crate) const INSTANCES: &str = r#"{
  "info": {"year": 2017, "scores": [1e3, null]},
  "images": [
    {"license": 4, "file_name": "000042.png", "height": 10, "width": 20, "id": 42},
    {"file_name": "000007.png", "height": 10, "width": 20, "id": 7}
  ],
  "annotations": [
    {"id": 1, "image_id": 42, "category_id": 90, "bbox": [1.5, 2, 3.25, 4], "area": 13.0, "iscrowd": 0,
     "segmentation": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]},
    {"id": 9, "image_id": 42, "category_id": 2, "bbox": [0, 0, 20, 10], "iscrowd": 1,
     "segmentation": {"counts": [3, 4], "size": [10, 20]}}
  ],
  "categories": [
    {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
    {"id": 2, "name": "bicycle"},
    {"id": 5, "name": "plane"}
  ]
}"#;

/// `annotations/instances_train2017.json` with this text, and images in `train2017/`.
pub(crate) fn folder(text: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path().join("annotations/instances_train2017.json"),
        text,
    );
    for name in ["000042.png", "000007.png"] {
        write_image(root.path().join("train2017").join(name), (20, 10));
    }
    root
}

pub(crate) fn open(root: &TempDir, split: &str) -> Result<DetectionSet, DataError> {
    let options = strict();
    DetectionSet::open(root.path(), DetectionFormat::Coco, split, &options)
}

fn refusal(old: &str, new: &str) -> DataError {
    assert!(INSTANCES.contains(old), "{old}");
    open(&folder(&INSTANCES.replacen(old, new, 1)), "train").unwrap_err()
}

#[test]
fn classes_are_the_categories_in_the_order_of_their_ids() {
    let root = folder(INSTANCES);
    let set = open(&root, "train").unwrap();
    assert_eq!(set.class_names(), ["bicycle", "plane", "toothbrush"]);
    assert_eq!(set.class_counts(), [1, 0, 1]);
    assert_eq!((set.len(), set.remarks()), (2, &[][..]));
    let sample = &set.samples()[0];
    assert_eq!(
        (sample.name.as_str(), sample.width, sample.height),
        ("000042.png", 20, 10)
    );
    let [brush, bicycles] = &sample.objects[..] else {
        panic!("{sample:?}");
    };
    assert_eq!((brush.class, bicycles.class), (2, 0));
    assert_eq!(brush.bbox, BoundingBox::new(1.5, 2.0, 4.75, 6.0));
    assert!(bicycles.crowd && !brush.crowd);
    assert!(set.samples()[1].objects.is_empty());
    assert_eq!(set.image(1).unwrap().dimensions(), (20, 10));
}

#[test]
fn the_classes_of_a_model_are_found_by_name() {
    let root = folder(INSTANCES);
    let options = |unknown| DetectionOptions {
        classes: Some(vec!["toothbrush".to_owned(), "yacht".to_owned()]),
        unknown,
        ..strict()
    };
    let open = |unknown| {
        DetectionSet::open(
            root.path(),
            DetectionFormat::Coco,
            "train",
            &options(unknown),
        )
    };
    let text = open(UnknownClass::Refuse).unwrap_err().to_string();
    let said = "object 2 of 000042.png is of class \"bicycle\": the classes are toothbrush, yacht";
    assert!(
        text.contains("instances_train2017.json") && text.contains(said),
        "{text}"
    );
    let set = open(UnknownClass::Skip).unwrap();
    assert_eq!(set.class_counts(), [1, 0]);
    assert_eq!(set.skipped_classes(), [("bicycle".to_owned(), 1)]);
}

#[test]
fn wrong_values_are_named_by_their_place() {
    for (old, new, said) in [
        ("\"id\": 7}", "\"id\": 42}", "images[1].id is \"42\""),
        ("000007", "000042", "images[1].file_name is \"000042.png\""),
        ("\"id\": 9", "\"id\": 1", "annotations[1].id is \"1\""),
        (
            "\"image_id\": 42",
            "\"image_id\": 43",
            "annotations[0].image_id is \"43\"",
        ),
        (
            "\"category_id\": 2",
            "\"category_id\": 3",
            "annotations[1].category_id is \"3\"",
        ),
        ("\"id\": 5", "\"id\": 2", "categories[2].id is \"2\""),
    ] {
        let error = refusal(old, new);
        let text = error.to_string();
        assert!(matches!(error, DataError::AnnotationValue { .. }), "{text}");
        assert!(text.contains(said), "{text}");
    }
    // The types of the fields, and those that are missing.
    for (old, new, said) in [
        (
            "3.25, 4]",
            "3.25]",
            "annotations[0].bbox is [1.5, 2, 3.25]: allowed is four finite numbers",
        ),
        ("[1.5", "[null", "annotations[0].bbox is [null, 2, 3.25, 4]"),
        ("1.5", "NaN", "annotations[0].bbox is [null, 2, 3.25, 4]"),
        ("[1.5, 2, 3.25, 4]", "[]", "annotations[0].bbox is []"),
        (
            "\"iscrowd\": 1",
            "\"iscrowd\": 2",
            "annotations[1].iscrowd is 2: allowed is 0 or 1",
        ),
        (
            "\"area\": 13.0",
            "\"area\": -1",
            "annotations[0].area is -1",
        ),
        (
            "\"id\": 7}",
            "\"id\": [7]}",
            "images[1].id is a list: allowed is a whole number or a text",
        ),
        (
            "\"width\": 20",
            "\"width\": \"20\"",
            "images[0].width is the string \"20\": allowed is a whole number of pixels, or 0 for that of the image file",
        ),
        ("\"width\": 20", "\"width\": -20", "images[0].width is -20"),
        (
            "\"name\": \"plane\"",
            "\"title\": 1",
            "categories[2] has no name",
        ),
        (
            "\"file_name\": \"000042.png\", ",
            "",
            "images[0] has no file_name: give a name",
        ),
        (
            "\"annotations\"",
            "\"notes\"",
            "an object without annotations; its fields are: images, categories, info, notes",
        ),
    ] {
        let text = refusal(old, new).to_string();
        assert!(
            text.contains("instances_train2017.json") && text.contains(said),
            "{text}"
        );
    }
    let error = refusal("toothbrush", "bicycle");
    assert!(matches!(error, DataError::BadClasses { .. }), "{error}");
}

#[test]
fn what_is_no_json_of_this_form_is_refused_with_its_line() {
    for (old, new, said) in [
        (
            "1.5",
            "1e999",
            "line 8, column 63: annotations[0]: no JSON that can be read: number out of range",
        ),
        (
            "\"id\": 9,",
            "\"id\": 9",
            "annotations[1]: no JSON that can be read: expected",
        ),
        (
            "[\n    {\"license\"",
            "7, [\n    {\"license\"",
            "images: there is integer `7` where a list is needed",
        ),
    ] {
        let error = refusal(old, new);
        let text = error.to_string();
        assert!(
            matches!(error, DataError::Annotation(AnnotationError::Json { .. })),
            "{text}"
        );
        assert!(text.contains(said), "{text}");
    }
    let cut = &INSTANCES[..INSTANCES.find("toothbrush").unwrap()];
    let text = open(&folder(cut), "train").unwrap_err().to_string();
    assert!(
        text.contains("categories[0]: the file ends too early"),
        "{text}"
    );
    for (text, said) in [
        (
            "[{\"image_id\": 1, \"score\": 0.5}]",
            "is a list of detections",
        ),
        ("[]", "is a list"),
        ("{}", "its fields are: none"),
    ] {
        let error = open(&folder(text), "train").unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(
                error,
                DataError::Annotation(AnnotationError::NoInstances { .. })
            ),
            "{text}"
        );
        assert!(text.contains(said), "{text}");
    }
    assert!(matches!(
        open(&folder(""), "train"),
        Err(DataError::Annotation(AnnotationError::Json { .. }))
    ));
    let text = r#"{"images": [], "annotations": [], "categories": []}"#;
    assert!(matches!(
        open(&folder(text), "train"),
        Err(DataError::Empty { .. })
    ));
}

#[test]
fn boxes_without_an_area_and_beyond_the_image_are_cleaned_with_remarks() {
    let text = INSTANCES.replacen("3.25, 4]", "0, 4]", 1);
    let text = text.replacen("[0, 0, 20, 10]", "[-1, 0, 22, 10]", 1);
    let root = folder(&text);
    let set = open(&root, "train").unwrap();
    let said: Vec<_> = set.remarks().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2);
    assert!(said[0].ends_with("object 1 of 000042.png: the box [1.5, 2, 1.5, 6] of toothbrush has no area and was left out"));
    assert!(said[1].ends_with("object 2 of 000042.png: the box [-1, 0, 21, 10] of bicycle goes beyond the image and was clipped to [0, 0, 20, 10]"));
    let boxes = BoxPolicy {
        beyond: BeyondImage::Keep,
        ..BoxPolicy::default()
    };
    let options = DetectionOptions { boxes, ..strict() };
    let set = DetectionSet::open(root.path(), DetectionFormat::Coco, "train", &options).unwrap();
    assert_eq!(
        (set.remarks().len(), set.samples()[0].objects[0].bbox.x2),
        (1, 21.0)
    );
}

#[test]
fn a_box_up_to_the_edge_of_its_image_is_not_clipped_for_a_rounding() {
    let text = INSTANCES.replacen("[0, 0, 20, 10]", "[8.9, 4.1, 11.1, 5.9]", 1);
    assert!(open(&folder(&text), "train").unwrap().remarks().is_empty());
}

#[test]
fn a_file_cut_off_or_changed_anywhere_is_read_or_refused() {
    let root = folder(INSTANCES);
    let path = root.path().join("annotations/instances_train2017.json");
    let places = 0..INSTANCES.len();
    proptest!(|(end in places.clone(), place in places.clone(), byte in 0_u8..128)| {
        fs::write(&path, &INSTANCES[..end]).unwrap();
        let refused = matches!(open(&root, "train"), Err(DataError::Annotation(AnnotationError::Json { .. })));
        prop_assert!(refused);
        let mut bytes = INSTANCES.as_bytes().to_vec();
        bytes[place] = byte;
        fs::write(&path, bytes).unwrap();
        if let Ok(set) = open(&root, "train") {
            prop_assert_eq!(set.class_counts().iter().sum::<usize>(), set.objects());
        }
    });
}

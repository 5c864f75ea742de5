//! Sets written in the form of COCO's annotations.

use std::fs;
use std::path::Path;

use pyrograph_data::detection::{
    BoxObject, CocoInstances, DetectionOptions, DetectionSet, SetError,
};
use pyrograph_data::{DataError, Faults};
use pyrograph_vision::{BoundingBox, write_png};

use crate::coco::{INSTANCES, folder, open};
use crate::voc;

/// The set that the reader makes of `instances`, whose images lie in `images`.
fn read_back(instances: &CocoInstances, images: &Path) -> DetectionSet {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.json");
    fs::write(&path, serde_json::to_vec(instances).unwrap()).unwrap();
    DetectionSet::from_coco(path, images, &DetectionOptions::default()).unwrap()
}

/// The objects with the areas and without the flags that the form of COCO gives them.
fn as_coco(set: &DetectionSet) -> Vec<Vec<BoxObject>> {
    let object = |object: &BoxObject| BoxObject {
        area: Some(object.area.unwrap_or_else(|| {
            let BoundingBox { x1, y1, x2, y2 } = object.bbox;
            let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(f64::from);
            ((x2 - x1) * (y2 - y1)) as f32
        })),
        difficult: false,
        truncated: false,
        ..*object
    };
    let samples = set.samples().iter();
    samples
        .map(|sample| sample.objects.iter().map(object).collect())
        .collect()
}

#[test]
fn a_set_in_the_layout_of_coco_comes_back_equal() {
    // Corners and areas that are no short decimals, and an object beyond the image.
    let text = INSTANCES.replacen("[1.5, 2, 3.25, 4]", "[0.1, 0.2, 13.3, 4.7]", 1);
    let text = text.replacen("[0, 0, 20, 10]", "[-1, 0.3, 22, 9.1]", 1);
    let root = folder(&text);
    let set = open(&root, "train").unwrap();
    let again = read_back(&set.to_coco(), &root.path().join("train2017"));
    assert_eq!(again.class_names(), set.class_names());
    for (sample, again) in set.samples().iter().zip(again.samples()) {
        assert_eq!((&again.name, again.width), (&sample.name, sample.width));
    }
    let objects: Vec<_> = again.samples().iter().map(|s| s.objects.clone()).collect();
    assert_eq!(objects, as_coco(&set));
    // A second time nothing is added.
    let twice = read_back(&again.to_coco(), &root.path().join("train2017"));
    assert_eq!(twice, again);
    assert_eq!(twice.checksum(), again.checksum());
}

#[test]
fn sets_of_other_origins_come_back_with_the_names_of_their_files() {
    let root = voc::folder();
    let set = voc::read(&root, "test").unwrap();
    let again = read_back(&set.to_coco(), &root.path().join("JPEGImages"));
    assert_eq!(again.samples()[0].name, "c.1.png");
    assert_eq!(again.samples()[0].objects, as_coco(&set)[0]);
    assert_eq!(again.class_names(), set.class_names());

    let folder = root.path().join("JPEGImages");
    let bare = DetectionSet::unlabelled(root.path(), set.class_names().to_vec()).unwrap();
    assert_eq!(read_back(&bare.to_coco(), root.path()), bare);
    let bare = DetectionSet::unlabelled(&folder, set.class_names().to_vec()).unwrap();
    assert_eq!(bare.shared_with(&set), Some("c.1.png"));

    let scenes = crate::drawn::scenes(3, 48, 1);
    let drawn = tempfile::tempdir().unwrap();
    for (index, sample) in scenes.samples().iter().enumerate() {
        let path = drawn.path().join(format!("{}.png", sample.name));
        write_png(path, &scenes.image(index).unwrap()).unwrap();
    }
    let again = read_back(&scenes.to_coco(), drawn.path());
    again.check_images(Faults::List, &mut || {}).unwrap();
    let objects: Vec<_> = again.samples().iter().map(|s| s.objects.clone()).collect();
    assert_eq!(objects, as_coco(&scenes));
    assert_eq!(again.image(2).unwrap(), scenes.image(2).unwrap());
}

#[test]
fn the_json_has_the_fields_of_coco_and_scores_where_given() {
    let root = folder(INSTANCES);
    let set = open(&root, "train").unwrap();
    let json = |instances: &CocoInstances| serde_json::to_value(instances).unwrap();
    let scored = set.to_coco_with_scores(&[vec![0.5, 0.75], vec![]]).unwrap();
    assert_eq!((scored.images(), scored.annotations()), (2, 2));
    let expected = serde_json::json!({
        "images": [
            {"id": 1, "file_name": "000042.png", "width": 20, "height": 10},
            {"id": 2, "file_name": "000007.png", "width": 20, "height": 10},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1.5, 2.0, 3.25, 4.0],
             "area": 13.0, "iscrowd": 0, "score": 0.5},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0.0, 0.0, 20.0, 10.0],
             "area": 200.0, "iscrowd": 1, "score": 0.75},
        ],
        "categories": [
            {"id": 1, "name": "bicycle"},
            {"id": 2, "name": "plane"},
            {"id": 3, "name": "toothbrush"},
        ],
    });
    assert_eq!(json(&scored), expected);
    let plain = json(&set.to_coco());
    assert!(plain["annotations"][0].get("score").is_none());
    let images = root.path().join("train2017");
    assert_eq!(
        read_back(&scored, &images),
        read_back(&set.to_coco(), &images)
    );
}

#[test]
fn scores_that_do_not_fit_the_objects_are_refused() {
    let root = folder(INSTANCES);
    let set = open(&root, "train").unwrap();
    let refusal = |scores: &[Vec<f32>]| set.to_coco_with_scores(scores).unwrap_err();
    let error = refusal(&[vec![0.5, 0.5]]);
    let said = "the number of lists of scores: 1 where 2, one for each image, is needed";
    assert_eq!(error.to_string(), said);
    let error = refusal(&[vec![0.5], vec![]]);
    let said = "the number of scores: 1 where 2, one for each object of 000042.png, is needed";
    assert_eq!(error.to_string(), said);
    let error = refusal(&[vec![0.5, f32::NAN], vec![]]);
    assert!(matches!(
        error,
        DataError::Set(SetError::ObjectValue { .. })
    ));
    let said = "object 2 of 000042.png: the score is NaN: allowed is a finite number";
    assert_eq!(error.to_string(), said);
}

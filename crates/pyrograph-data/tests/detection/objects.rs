//! Sets that get other objects.

use pyrograph_data::DataError;
use pyrograph_data::detection::{BoxObject, DetectionSet, SetError};
use pyrograph_vision::BoundingBox;

use crate::coco::{INSTANCES, folder, open};

fn scenes() -> DetectionSet {
    crate::drawn::scenes(3, 48, 5)
}

fn object([x1, y1, x2, y2]: [f32; 4], class: usize) -> BoxObject {
    BoxObject::new(BoundingBox::new(x1, y1, x2, y2), class)
}

#[test]
fn a_set_without_objects_has_the_same_images() {
    let text = INSTANCES.replacen("3.25, 4]", "0, 4]", 1);
    let root = folder(&text);
    for set in [scenes(), open(&root, "train").unwrap()] {
        let bare = set.clone().without_objects();
        assert!(set.objects() > 0);
        assert_eq!((bare.objects(), bare.remarks().len()), (0, 0));
        assert_eq!(
            (bare.len(), bare.class_names()),
            (set.len(), set.class_names())
        );
        for (index, (bare_sample, sample)) in bare.samples().iter().zip(set.samples()).enumerate() {
            assert_eq!(bare_sample.name, sample.name);
            assert_eq!(bare.image(index).unwrap(), set.image(index).unwrap());
        }
        // Objects that are given back make the set again, but for the remarks.
        let objects = set.samples().iter().map(|sample| sample.objects.clone());
        let again = bare.with_objects(objects.collect()).unwrap();
        assert_eq!(again.samples(), set.samples());
    }
}

#[test]
fn boxes_are_clipped_to_their_image() {
    let objects = vec![
        vec![object([-3.0, 4.0, 60.0, 47.5], 2)],
        vec![],
        vec![
            object([1.0, 2.0, 3.0, 4.0], 0),
            object([0.0, 0.0, 48.0, 48.0], 1),
        ],
    ];
    let set = scenes().with_objects(objects.clone()).unwrap();
    assert_eq!(
        set.samples()[0].objects,
        [object([0.0, 4.0, 48.0, 47.5], 2)]
    );
    assert!(set.samples()[1].objects.is_empty());
    assert_eq!(set.samples()[2].objects, objects[2]);
    assert_eq!(set.class_counts()[..3], [1, 1, 1]);
}

#[test]
fn lists_that_are_not_as_many_as_the_images_are_refused() {
    let error = scenes().with_objects(vec![vec![]; 2]).unwrap_err();
    let said = "the number of lists of objects: 2 where 3, one for each image, is needed";
    assert_eq!(error.to_string(), said);
}

#[test]
fn objects_that_cannot_be_are_refused_by_their_place() {
    let good = object([1.0, 2.0, 3.0, 4.0], 0);
    let classes = scenes().class_names().len();
    let place = "object 2 of scene-5-1";
    let allowed = "allowed is a box with an area in the image of 48 by 48 pixels";
    let boxed = |corners, said: &str| {
        let said = format!("{place}: the box is {said}: {allowed}");
        (object(corners, 0), said)
    };
    let area = BoxObject {
        area: Some(f32::NAN),
        ..good
    };
    let cases = [
        (
            BoxObject {
                class: classes,
                ..good
            },
            format!(
                "{place}: the class is {classes}: allowed is 0 to {}",
                classes - 1
            ),
        ),
        (
            area,
            format!("{place}: the area is NaN: allowed is a finite number of 0 or more"),
        ),
        boxed([5.0, 5.0, 5.0, 9.0], "[5, 5, 5, 9], which has no area"),
        boxed(
            [48.0, 5.0, 50.0, 9.0],
            "[48, 5, 50, 9], which lies outside the image",
        ),
        boxed(
            [f32::NAN, 5.0, 6.0, 9.0],
            "[NaN, 5, 6, 9], which has a corner that is no finite number",
        ),
    ];
    for (bad, said) in cases {
        let objects = vec![vec![good], vec![good, bad], vec![]];
        let error = scenes().with_objects(objects).unwrap_err();
        assert!(
            matches!(error, DataError::Set(SetError::ObjectValue { .. })),
            "{error:?}"
        );
        assert_eq!(error.to_string(), said);
    }
}

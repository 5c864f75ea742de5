//! Real data in the layout of Pascal VOC: the blood cells of `$PYROGRAPH_DATA/bccd`, where at hand.

use pyrograph_data::detection::{
    ALL_ANNOTATIONS, BoxAction, BoxFault, DetectionFormat, DetectionOptions, DetectionSet,
};
use pyrograph_vision::BoundingBox;

fn bccd(split: &str) -> Option<DetectionSet> {
    let Some(root) = std::env::var_os("PYROGRAPH_DATA") else {
        eprintln!("skipped: PYROGRAPH_DATA is not set");
        return None;
    };
    let folder = std::path::Path::new(&root).join("bccd");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    let options = DetectionOptions::default();
    Some(DetectionSet::open(folder, DetectionFormat::Voc, split, &options).unwrap())
}

#[test]
fn the_parts_have_the_counts_of_their_provenance() {
    let images = [
        ("train", 205),
        ("val", 87),
        ("trainval", 292),
        ("test", 72),
        (ALL_ANNOTATIONS, 364),
    ];
    for (split, images) in images {
        let Some(set) = bccd(split) else { return };
        assert_eq!(set.len(), images, "{split}");
        assert_eq!(set.class_names(), ["Platelets", "RBC", "WBC"]);
    }
}

#[test]
fn two_boxes_without_an_area_are_left_out_of_4888() {
    let Some(set) = bccd(ALL_ANNOTATIONS) else {
        return;
    };
    let remarks = set.remarks().iter();
    let said: Vec<_> = remarks
        .map(|remark| {
            (
                remark.image.as_str(),
                remark.object,
                remark.fault,
                remark.action,
                remark.bbox,
            )
        })
        .collect();
    let point = |x, y| BoundingBox::new(x, y, x, y);
    let expected = [
        (
            "BloodImage_00338",
            13,
            BoxFault::NoArea,
            BoxAction::Skipped,
            point(504.0, 337.0),
        ),
        (
            "BloodImage_00343",
            4,
            BoxFault::NoArea,
            BoxAction::Skipped,
            point(181.0, 329.0),
        ),
    ];
    assert_eq!(said, expected);
    // The provenance counts 4155 red cells with these two.
    assert_eq!(set.class_counts(), [361, 4153, 372]);
    eprintln!("{} remarks", set.remarks().len());
    set.remarks()
        .iter()
        .for_each(|remark| eprintln!("{remark}"));
}

#[test]
fn every_image_has_the_size_that_is_stated() {
    let Some(set) = bccd("test") else { return };
    for index in 0..set.len() {
        assert_eq!(set.image(index).unwrap().dimensions(), (640, 480));
    }
}

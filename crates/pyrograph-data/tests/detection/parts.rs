//! Parts of a set, and what tells sets apart.

use pyrograph_data::DataError;
use pyrograph_data::detection::DetectionSet;
use tempfile::TempDir;

use crate::{strict, write, write_image};

/// Ten images named by their number, each with one box of that width; that of image 0 has no area.
fn ten() -> (TempDir, DetectionSet) {
    let root = tempfile::tempdir().unwrap();
    let images: Vec<_> = (0..10)
        .map(|id| format!(r#"{{"id": {id}, "file_name": "{id}.png", "width": 20, "height": 10}}"#))
        .collect();
    let boxes: Vec<_> = (0..10)
        .map(|id| format!(r#"{{"image_id": {id}, "category_id": 3, "bbox": [0, 0, {id}, 5]}}"#))
        .collect();
    let (images, boxes) = (images.join(","), boxes.join(","));
    let categories = r#"[{"id": 3, "name": "cat"}]"#;
    let text = format!(
        r#"{{"images": [{images}], "annotations": [{boxes}], "categories": {categories}}}"#
    );
    write(root.path().join("a.json"), &text);
    (0..10).for_each(|id| write_image(root.path().join(format!("{id}.png")), (20, 10)));
    let options = strict();
    let set = DetectionSet::from_coco(root.path().join("a.json"), root.path(), &options).unwrap();
    (root, set)
}

fn names(set: &DetectionSet) -> Vec<&str> {
    set.samples()
        .iter()
        .map(|sample| sample.name.as_str())
        .collect()
}

#[test]
fn a_subset_keeps_the_order_wanted_and_the_remarks_on_its_images() {
    let (_root, set) = ten();
    assert_eq!((set.objects(), set.remarks().len()), (9, 1));
    let part = set.subset(&[4, 0]);
    assert_eq!(names(&part), ["4.png", "0.png"]);
    assert_eq!((part.objects(), part.remarks()), (1, set.remarks()));
    assert_eq!(part.image(1).unwrap().dimensions(), (20, 10));
    let part = set.subset(&[4]);
    assert!(part.remarks().is_empty());
    assert_eq!(part.class_names(), ["cat"]);
    assert!(set.subset(&[]).is_empty());
}

#[test]
fn the_seed_decides_which_images_are_held_out() {
    let (_root, set) = ten();
    let (rest, held_out) = set.split_off(0.3, 5).unwrap();
    assert_eq!((rest.len(), held_out.len()), (7, 3));
    let mut together = [names(&rest), names(&held_out)].concat();
    assert!(names(&rest).is_sorted() && names(&held_out).is_sorted());
    together.sort_unstable();
    assert_eq!(together, names(&set));
    assert_eq!(set.split_off(0.3, 5).unwrap(), (rest, held_out));
    let others = (0..20).map(|seed| set.split_off(0.3, seed).unwrap().1);
    let first = set.split_off(0.3, 5).unwrap().1;
    assert!(
        others
            .into_iter()
            .any(|other| names(&other) != names(&first))
    );
}

#[test]
fn a_part_held_out_may_be_nothing_or_all() {
    let (_root, set) = ten();
    assert_eq!(set.split_off(0.0, 0).unwrap().0, set);
    assert_eq!(set.split_off(1.0, 0).unwrap().1, set);
    for share in [-0.1, 1.1, f64::NAN] {
        let error = set.split_off(share, 0).unwrap_err();
        assert!(matches!(error, DataError::Range { .. }), "{error}");
    }
}

#[test]
fn a_smaller_choice_is_a_part_of_a_larger_one_and_keeps_the_order() {
    let (_root, set) = ten();
    for seed in 0..8 {
        let chosen: Vec<DetectionSet> = (1..=10)
            .map(|count| set.choose(count, seed).unwrap())
            .collect();
        for (count, part) in (1..).zip(&chosen) {
            assert_eq!(part.len(), count);
            assert!(names(part).is_sorted());
            assert_eq!(part.class_names(), set.class_names());
            let has_first = names(part).contains(&"0.png");
            assert_eq!(part.remarks().len(), usize::from(has_first));
        }
        for pair in chosen.windows(2) {
            let larger = names(&pair[1]);
            assert!(names(&pair[0]).iter().all(|name| larger.contains(name)));
        }
        assert_eq!(chosen[9], set);
        assert_eq!(set.choose(4, seed).unwrap(), chosen[3]);
    }
    let of_four = |seed| set.choose(4, seed).unwrap();
    assert!((1..20).any(|seed| names(&of_four(seed)) != names(&of_four(0))));
    // Drawn images as well as files.
    let scenes = crate::drawn::scenes(100, 48, 3);
    let [few, more] = [25, 50].map(|count| scenes.choose(count, 7).unwrap());
    assert!(names(&few).iter().all(|name| names(&more).contains(name)));
    assert_eq!(few.image(0).unwrap().dimensions(), (48, 48));
}

#[test]
fn a_choice_differs_from_the_split_of_the_same_seed() {
    let scenes = crate::drawn::scenes(100, 48, 3);
    for seed in 0..4 {
        let (_, held_out) = scenes.split_off(0.5, seed).unwrap();
        let chosen = scenes.choose(50, seed).unwrap();
        assert_ne!(names(&held_out), names(&chosen));
    }
}

#[test]
fn a_choice_is_the_same_in_every_release() {
    let (_root, set) = ten();
    let chosen = set.choose(4, 0).unwrap();
    assert_eq!(names(&chosen), CHOSEN);
}

/// `choose(4, 0)` of ten images, computed once by a second implementation in Python.
const CHOSEN: [&str; 4] = ["1.png", "2.png", "4.png", "9.png"];

#[test]
fn a_choice_of_none_or_of_more_than_there_are_is_refused() {
    let (_root, set) = ten();
    for count in [0, 11, usize::MAX] {
        let allowed = "allowed is 1 to the number there are";
        let said = format!("{count} images cannot be chosen from 10: {allowed}");
        assert_eq!(set.choose(count, 0).unwrap_err().to_string(), said);
    }
    assert!(set.subset(&[]).choose(1, 0).is_err());
}

#[test]
fn the_checksum_sees_images_objects_and_their_order() {
    let (root, set) = ten();
    assert_eq!(set.checksum(), ten().1.checksum());
    let reordered = set.subset(&[1, 0, 2, 3, 4, 5, 6, 7, 8, 9]);
    let shorter = set.subset(&[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let path = root.path().join("a.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = |old: &str, new: &str| {
        write(&path, text.replacen(old, new, 1));
        DetectionSet::from_coco(&path, root.path(), &strict()).unwrap()
    };
    let others = [
        reordered,
        shorter,
        changed("[0, 0, 3, 5]", "[0, 0, 3, 5.5]"),
        changed("\"cat\"", "\"dog\""),
        changed("\"width\": 20", "\"width\": 21"),
        changed("\"image_id\": 5", "\"iscrowd\": 1, \"image_id\": 5"),
    ];
    for other in others {
        assert_ne!(other.checksum(), set.checksum(), "{other:?}");
    }
}

//! The objects that a training learns from.

use pyrograph_data::detection::{BoxAction, Untrained};

use crate::voc::{add, read};
use crate::{coco, write};

#[test]
fn difficult_objects_and_crowds_are_counted_apart() {
    let set = coco::open(&coco::folder(coco::INSTANCES), "train").unwrap();
    assert_eq!(set.class_counts(), [1, 0, 1]);
    assert_eq!(set.trained_counts(false), [0, 0, 1]);
    let (difficult, crowds) = (0, 1);
    assert_eq!(set.untrained(true), Untrained { difficult, crowds });

    let root = tempfile::tempdir().unwrap();
    add(root.path(), "a", &[("cat", [1.0, 2.0, 5.0, 6.0])]);
    let path = root.path().join("Annotations/a.xml");
    let text = std::fs::read_to_string(&path).unwrap();
    write(
        &path,
        text.replace("<bndbox>", "<difficult>1</difficult><bndbox>"),
    );
    let set = read(&root, "all").unwrap();
    assert_eq!(
        (set.trained_counts(false), set.trained_counts(true)),
        (vec![0], vec![1])
    );
    let (difficult, crowds) = (1, 0);
    assert_eq!(set.untrained(false), Untrained { difficult, crowds });
}

#[test]
fn corners_that_are_shares_of_the_image_are_remarked_on() {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), "a", &[("cat", [0.25, 0.3, 0.66, 0.77])]);
    let set = read(&root, "all").unwrap();
    assert!(set.boxes_look_like_shares());
    assert_eq!((set.objects(), set.remarks().len()), (1, 1));
    assert_eq!(set.remarks()[0].action, BoxAction::Kept);
    let text = set.remarks()[0].to_string();
    assert!(
        text.ends_with("is less than a pixel wide or high and was kept"),
        "{text}"
    );
    add(root.path(), "b", &[("cat", [1.0, 2.0, 5.0, 6.0])]);
    assert!(!read(&root, "all").unwrap().boxes_look_like_shares());
}

//! Data as labelling tools and collections of data leave them.

use std::fs;
use std::path::Path;

use pyrograph_data::DataError;
use pyrograph_data::detection::{AnnotationError, DetectionFormat, DetectionSet};

use crate::voc::add;
use crate::{coco, strict, write, write_image};

fn open(
    path: impl AsRef<Path>,
    format: DetectionFormat,
    split: &str,
) -> Result<DetectionSet, DataError> {
    DetectionSet::open(path, format, split, &strict())
}

fn voc(path: impl AsRef<Path>, split: &str) -> Result<DetectionSet, DataError> {
    open(path, DetectionFormat::Voc, split)
}

fn names(set: &DetectionSet) -> Vec<&str> {
    set.samples()
        .iter()
        .map(|sample| sample.name.as_str())
        .collect()
}

/// Moves the images and annotations of VOC's own layout to other folders.
fn move_to(root: &Path, annotations: &str, images: &str) {
    for (own, other) in [("Annotations", annotations), ("JPEGImages", images)] {
        let other = root.join(other);
        fs::create_dir_all(&other).unwrap();
        for file in fs::read_dir(root.join(own)).unwrap() {
            let file = file.unwrap();
            fs::rename(file.path(), other.join(file.file_name())).unwrap();
        }
        fs::remove_dir(root.join(own)).unwrap();
    }
}

#[test]
fn annotations_and_images_may_lie_in_folders_of_other_names_or_in_one() {
    for (annotations, images) in [
        ("annotations", "images"),
        ("labels", "data"),
        ("xmls", "imgs"),
        ("Labels", "Images"),
        (".", "."),
    ] {
        let root = tempfile::tempdir().unwrap();
        add(root.path(), "a", &[("cat", [1.0, 2.0, 5.0, 6.0])]);
        add(root.path(), "b.1", &[("ape", [1.0, 2.0, 5.0, 6.0])]);
        move_to(root.path(), annotations, images);
        let set = voc(root.path(), "all").unwrap();
        assert_eq!(names(&set), ["a", "b.1"], "{annotations}");
        assert_eq!(set.image(1).unwrap().dimensions(), (20, 10));
        let text = voc(root.path(), "train").unwrap_err().to_string();
        assert!(
            text.ends_with("has no part \"train\": the parts are all"),
            "{text}"
        );
    }
}

#[test]
fn a_folder_for_each_part_has_the_classes_of_all() {
    let root = tempfile::tempdir().unwrap();
    for (part, class) in [("train", "cat"), ("valid", "ape"), ("test", "dog")] {
        let folder = root.path().join(part);
        add(&folder, part, &[(class, [1.0, 2.0, 5.0, 6.0])]);
        move_to(&folder, ".", ".");
    }
    for (split, name) in [
        ("train", "train"),
        ("val", "valid"),
        ("validation", "valid"),
        ("test", "test"),
    ] {
        let set = voc(root.path(), split).unwrap();
        assert_eq!(names(&set), [name]);
        assert_eq!(set.class_names(), ["ape", "cat", "dog"]);
    }
    // A part by itself.
    assert_eq!(
        names(&voc(root.path().join("train"), "train").unwrap()),
        ["train"]
    );
    let text = voc(root.path(), "all").unwrap_err().to_string();
    assert!(
        text.contains("several, give one: test, train, valid"),
        "{text}"
    );
}

#[test]
fn parts_may_be_folders_within_those_of_annotations_and_images() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    for part in ["train", "val"] {
        add(path, part, &[(part, [1.0, 2.0, 5.0, 6.0])]);
        for (folder, file) in [
            ("Annotations", format!("{part}.xml")),
            ("JPEGImages", format!("{part}.png")),
        ] {
            let below = path.join(folder).join(part);
            fs::create_dir_all(&below).unwrap();
            fs::rename(path.join(folder).join(&file), below.join(file)).unwrap();
        }
    }
    let set = voc(path, "val").unwrap();
    assert_eq!((names(&set), set.class_names().len()), (vec!["val"], 2));
    assert_eq!(
        names(&voc(path, "all").unwrap()),
        ["train/train", "val/val"]
    );
}

#[test]
fn an_image_is_found_in_any_case_and_extension_and_by_a_windows_path() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    for (id, file, filename) in [
        ("a", "a.Jpg", "a"),
        ("b", "B.PNG", "b.jpg"),
        ("c", "c.tif", r"C:\Users\x\c.tif"),
        ("d", "other name.bmp", r"C:\Users\x\other name.bmp"),
        ("e", "renamed.webp", "renamed.jpg"),
    ] {
        add(path, id, &[("cat", [1.0, 2.0, 5.0, 6.0])]);
        let annotation = path.join(format!("Annotations/{id}.xml"));
        let text = fs::read_to_string(&annotation).unwrap();
        write(&annotation, text.replace("other.png", filename));
        let images = path.join("JPEGImages");
        // Files are known by their contents.
        fs::rename(images.join(format!("{id}.png")), images.join(file)).unwrap();
    }
    let set = voc(path, "all").unwrap();
    assert_eq!(names(&set), ["a", "b", "c", "d", "e"]);
    assert_eq!(set.image(1).unwrap().dimensions(), (20, 10));
}

#[test]
fn of_images_that_their_extensions_tell_apart_the_annotation_names_one() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    add(path, "a", &[("cat", [1.0, 2.0, 5.0, 6.0])]);
    write_image(path.join("JPEGImages/a.bmp"), (20, 10));
    let error = voc(path, "all").unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Annotation(AnnotationError::AmbiguousImage { .. })
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("a.xml could be of each of a.bmp, a.png"),
        "{error}"
    );
    let annotation = path.join("Annotations/a.xml");
    let text = fs::read_to_string(&annotation).unwrap();
    for filename in ["a.bmp", "A.BMP"] {
        write(&annotation, text.replace("other.png", filename));
        let set = voc(path, "all").unwrap();
        assert!(set.files()[0].ends_with("a.bmp"), "{filename}");
    }
    // Two annotations of one image.
    write(
        path.join("Annotations/b.xml"),
        text.replace("other.png", "a.bmp"),
    );
    let error = voc(path, "all").unwrap_err();
    assert!(error.to_string().contains("b.xml: the image is"), "{error}");
}

#[test]
fn coco_is_read_from_the_folders_of_its_tools() {
    for (file, images, split) in [
        ("train/_annotations.coco.json", "train", "train"),
        ("valid/_annotations.coco.json", "valid", "val"),
        ("labels.json", "data", "all"),
        ("result.json", "images", "all"),
        ("annotations/train.json", "train", "train"),
        ("annotations/train_annotations.json", "images", "train"),
        (
            "annotations/instances_default.json",
            "images/default",
            "default",
        ),
        ("Annotations/instances_train.json", "images", "train"),
        ("train/annotations.json", "train/images", "train"),
        ("train.json", "images", "train"),
    ] {
        let root = tempfile::tempdir().unwrap();
        write(root.path().join(file), coco::INSTANCES);
        for name in ["000042.png", "000007.png"] {
            write_image(root.path().join(images).join(name), (20, 10));
        }
        let set = open(root.path(), DetectionFormat::Coco, split)
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(set.image(1).unwrap().dimensions(), (20, 10), "{file}");
        let by_file = open(root.path().join(file), DetectionFormat::Coco, "any").unwrap();
        assert_eq!(by_file.samples(), set.samples(), "{file}");
    }
}

#[test]
fn the_file_of_another_part_is_found_beside_an_annotation_file() {
    for (file, split, other) in [
        (
            "train/_annotations.coco.json",
            "valid",
            "valid/_annotations.coco.json",
        ),
        (
            "train/_annotations.coco.json",
            "val",
            "valid/_annotations.coco.json",
        ),
        (
            "annotations/instances_train2017.json",
            "val",
            "annotations/instances_val2017.json",
        ),
        ("train.json", "val", "val.json"),
    ] {
        let root = tempfile::tempdir().unwrap();
        for path in [file, other] {
            write(root.path().join(path), coco::INSTANCES);
        }
        let found = DetectionSet::part_beside(root.path().join(file), split).unwrap();
        assert_eq!(found, root.path().join(other));
        let text = DetectionSet::part_beside(root.path().join(file), "dev")
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("has no part \"dev\": the parts are"),
            "{text}"
        );
    }
}

#[test]
fn a_folder_of_other_annotations_says_what_there_is() {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path().join("annotations/person_keypoints_train.json"),
        coco::INSTANCES,
    );
    let text = open(root.path(), DetectionFormat::Coco, "train")
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("person_keypoints_train.json") && text.contains("itself as the data"),
        "{text}"
    );
}

#[test]
fn numbers_of_other_tools_are_read_as_the_reference_reads_them() {
    let set = coco::open(&coco::folder(coco::INSTANCES), "train").unwrap();
    for (old, new) in [
        ("\"image_id\": 42", "\"image_id\": 42.0"),
        ("\"category_id\": 90", "\"category_id\": 9.0e1"),
        ("\"iscrowd\": 0", "\"iscrowd\": false"),
        ("\"iscrowd\": 1", "\"iscrowd\": true"),
        ("\"iscrowd\": 0", "\"iscrowd\": null"),
        ("\"width\": 20", "\"width\": 0"),
        ("\"id\": 7}", "\"id\": 7.0}"),
        ("\"id\": 9", "\"id\": \"nine\""),
        ("\"scores\": [1e3, null]", "\"scores\": [NaN, -Infinity]"),
    ] {
        let text = coco::INSTANCES.replacen(old, new, 1);
        assert_ne!(text, coco::INSTANCES, "{old}");
        let read = coco::open(&coco::folder(&text), "train").unwrap();
        let objects = |set: &DetectionSet| {
            set.samples()
                .iter()
                .map(|s| s.objects.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(objects(&read), objects(&set), "{new}");
        assert_eq!(
            (read.samples()[0].width, read.samples()[0].height),
            (20, 10)
        );
    }
    // Python writes NaN for an area that pandas did not know.
    let text = coco::INSTANCES.replacen("13.0", "NaN", 1);
    let read = coco::open(&coco::folder(&text), "train").unwrap();
    assert_eq!(read.samples()[0].objects[0].area, None);
}

#[test]
fn an_image_of_coco_is_found_in_any_case() {
    let text = coco::INSTANCES.replacen("000042.png", "Images\\\\000042.PNG", 1);
    let root = coco::folder(&text);
    let set = coco::open(&root, "train").unwrap();
    assert!(set.files()[0].ends_with("train2017/000042.png"));
}

#[test]
fn data_of_the_other_layout_are_called_so() {
    let root = coco::folder(coco::INSTANCES);
    let text = voc(root.path(), "train").unwrap_err().to_string();
    assert!(text.ends_with("--format coco"), "{text}");
    let root = crate::voc::folder();
    let text = open(root.path(), DetectionFormat::Coco, "train")
        .unwrap_err()
        .to_string();
    assert!(text.ends_with("--format voc"), "{text}");
}

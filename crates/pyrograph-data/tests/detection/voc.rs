//! The layout of Pascal VOC.

use std::fs;
use std::path::Path;

use pyrograph_data::DataError;
use pyrograph_data::detection::{ALL_ANNOTATIONS, DetectionFormat, DetectionOptions, DetectionSet};
use pyrograph_vision::BoundingBox;
use tempfile::TempDir;

use crate::{strict, write, write_image};

/// An object: its class and its corners.
pub(crate) type Object<'a> = (&'a str, [f32; 4]);

/// The annotation of an image of 20 by 10 pixels.
fn annotation(objects: &[Object<'_>]) -> String {
    let object = |(name, [x1, y1, x2, y2]): &Object<'_>| {
        format!(
            "<object><name>{name}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>\
             <xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>\n"
        )
    };
    let objects: String = objects.iter().map(object).collect();
    format!(
        "<annotation>\n<filename>other.png</filename>\n<size><width>20</width><height>10</height></size>\n\
         {objects}</annotation>\n"
    )
}

pub(crate) fn add(root: &Path, id: &str, objects: &[Object<'_>]) {
    write(
        root.join(format!("Annotations/{id}.xml")),
        annotation(objects),
    );
    write_image(root.join(format!("JPEGImages/{id}.png")), (20, 10));
}

/// Two images to train on and one to test with.
pub(crate) fn folder() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let path = root.path();
    add(
        path,
        "b",
        &[
            ("cat", [1.0, 2.0, 5.0, 6.0]),
            ("ape", [0.0, 0.0, 20.0, 10.0]),
        ],
    );
    add(path, "a", &[]);
    add(path, "c.1", &[("dog", [1.5, 2.0, 5.0, 6.0])]);
    write(path.join("ImageSets/Main/train.txt"), "b\r\na\r\n\r\n");
    write(path.join("ImageSets/Main/test.txt"), "\u{feff}c.1  -1\n");
    root
}

pub(crate) fn read(root: &TempDir, split: &str) -> Result<DetectionSet, DataError> {
    DetectionSet::from_voc(root.path(), split, &strict())
}

pub(crate) fn read_with(
    root: &TempDir,
    options: DetectionOptions,
) -> Result<DetectionSet, DataError> {
    DetectionSet::from_voc(root.path(), "train", &options)
}

#[test]
fn every_part_has_the_classes_of_all_annotations() {
    let root = folder();
    let train = read(&root, "train").unwrap();
    let test = read(&root, "test").unwrap();
    for set in [&train, &test] {
        assert_eq!(set.class_names(), ["ape", "cat", "dog"]);
        assert!(set.remarks().is_empty() && set.skipped_classes().is_empty());
    }
    // In the order of the file, images without objects included.
    let names: Vec<_> = train.samples().iter().map(|sample| &sample.name).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!((train.len(), train.objects(), test.objects()), (2, 2, 1));
    assert_eq!(train.class_counts(), [1, 1, 0]);
    let [cat, ape] = &train.samples()[0].objects[..] else {
        panic!("{train:?}");
    };
    assert_eq!((cat.class, ape.class), (1, 0));
    assert_eq!(cat.bbox, BoundingBox::new(1.0, 2.0, 5.0, 6.0));
    assert_eq!(train.image(0).unwrap().dimensions(), (20, 10));
    assert_eq!(test.samples()[0].name, "c.1");
}

#[test]
fn all_annotations_are_a_part_unless_a_file_has_that_name() {
    let root = folder();
    assert_eq!(read(&root, ALL_ANNOTATIONS).unwrap().len(), 3);
    write(root.path().join("ImageSets/Main/all.txt"), "a");
    assert_eq!(read(&root, ALL_ANNOTATIONS).unwrap().len(), 1);
}

#[test]
fn the_folders_may_lie_deeper_in_one_folder_only() {
    let outer = tempfile::tempdir().unwrap();
    let year = |name: &str| {
        let inner = outer.path().join("VOCdevkit").join(name);
        add(&inner, "a", &[("cat", [1.0, 2.0, 5.0, 6.0])]);
        write(inner.join("ImageSets/Main/train.txt"), "a");
    };
    year("VOC2007");
    let options = strict();
    let open = || DetectionSet::open(outer.path(), DetectionFormat::Voc, "train", &options);
    assert_eq!(open().unwrap().objects(), 1);
    year("VOC2012");
    let text = open().unwrap_err().to_string();
    assert!(
        text.contains("several") && text.contains("VOC2007, VOC2012"),
        "{text}"
    );
}

#[test]
fn a_folder_without_the_layout_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let text = read(&root, "train").unwrap_err().to_string();
    assert!(text.contains("no folder Annotations"), "{text}");
    write(root.path().join("Annotations/a.xml"), annotation(&[]));
    let text = read(&root, "train").unwrap_err().to_string();
    assert!(text.contains("no folder JPEGImages"), "{text}");
    let missing = DetectionSet::from_voc("not/there", "train", &strict());
    assert!(
        matches!(missing, Err(DataError::Read { .. })),
        "{missing:?}"
    );
}

#[test]
fn a_part_that_is_missing_is_answered_with_those_there_are() {
    let root = folder();
    let text = read(&root, "val").unwrap_err().to_string();
    assert!(
        text.ends_with("has no part \"val\": the parts are test, train, all"),
        "{text}"
    );
    fs::remove_dir_all(root.path().join("ImageSets")).unwrap();
    let text = read(&root, "val").unwrap_err().to_string();
    assert!(text.ends_with("the parts are all"), "{text}");
}

#[test]
fn a_part_may_be_neither_empty_nor_name_an_image_twice() {
    let root = folder();
    let file = root.path().join("ImageSets/Main/train.txt");
    write(&file, "\n \n");
    let error = read(&root, "train").unwrap_err();
    assert!(matches!(error, DataError::Empty { .. }), "{error}");
    write(&file, "a\nb\n\na 1\n");
    let text = read(&root, "train").unwrap_err().to_string();
    assert!(text.contains("train.txt: line 4 is \"a\""), "{text}");
}

#[test]
fn an_id_may_end_in_what_could_be_a_flag() {
    let root = folder();
    add(root.path(), "frame 1", &[("cat", [1.0, 2.0, 5.0, 6.0])]);
    write(
        root.path().join("ImageSets/Main/train.txt"),
        "frame 1\nframe 1 -1\na 1",
    );
    // As a whole line, then with a flag: the same image twice.
    let text = read(&root, "train").unwrap_err().to_string();
    assert!(text.contains("line 2 is \"frame 1\""), "{text}");
}

#[test]
fn annotations_and_images_that_are_missing_are_named() {
    let root = folder();
    let images = root.path().join("JPEGImages");
    fs::remove_file(images.join("a.png")).unwrap();
    let error = read(&root, "train").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, DataError::NoImageFile { .. }), "{text}");
    assert!(
        text.contains("a.xml") && text.contains("other.png"),
        "{text}"
    );
    // What the annotation names is taken where nothing has the name of the id.
    write_image(images.join("other.png"), (20, 10));
    assert_eq!(read(&root, "train").unwrap().len(), 2);

    write(root.path().join("ImageSets/Main/train.txt"), "zebra");
    let text = read(&root, "train").unwrap_err().to_string();
    assert!(
        text.contains("cannot read") && text.contains("zebra.xml"),
        "{text}"
    );
}

#[test]
fn a_broken_file_of_another_part_is_met_while_classes_are_collected() {
    let root = folder();
    write(root.path().join("Annotations/c.1.xml"), "<annotation>");
    let text = read(&root, "train").unwrap_err().to_string();
    assert!(
        text.contains("c.1.xml, line 1") && text.contains("ends within"),
        "{text}"
    );
    let classes = Some(vec!["cat".to_owned(), "ape".to_owned()]);
    let options = DetectionOptions {
        classes,
        ..strict()
    };
    assert_eq!(
        read_with(&root, options).unwrap().class_names(),
        ["cat", "ape"]
    );
}

#[test]
fn an_image_of_another_size_than_stated_is_refused_when_it_is_read() {
    let root = folder();
    write_image(root.path().join("JPEGImages/b.png"), (10, 20));
    let set = read(&root, "train").unwrap();
    let error = set.image(0).unwrap_err();
    let said = matches!(
        error,
        DataError::SizeMismatch {
            seen: (10, 20),
            stated: (20, 10),
            ..
        }
    );
    assert!(said && error.to_string().contains("b.png"), "{error}");
    write(root.path().join("JPEGImages/b.png"), "no image");
    let error = set.image(0).unwrap_err();
    assert!(matches!(error, DataError::Image(_)), "{error}");
}

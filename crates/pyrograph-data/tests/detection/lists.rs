//! Lists of the parts of VOC's layout as other tools write them.

use std::fs;

use tempfile::TempDir;

use crate::voc::{add, read};
use crate::write;

/// Images `a`, `b.7` and `c d`, of which the last two are listed in these lines.
fn folder(lines: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for id in ["a", "b.7", "c d"] {
        add(root.path(), id, &[("cat", [1.0, 2.0, 5.0, 6.0])]);
    }
    write(root.path().join("ImageSets/Main/train.txt"), lines);
    root
}

fn names(root: &TempDir) -> Vec<String> {
    let set = read(root, "train").unwrap();
    set.samples()
        .iter()
        .map(|sample| sample.name.clone())
        .collect()
}

#[test]
fn a_line_may_be_the_path_of_an_image_or_of_an_annotation() {
    for lines in [
        "b.7\nc d",
        "b.7.png\nc d.PNG",
        "b.7.xml\nc d.xml",
        "JPEGImages/b.7.png\n./JPEGImages/c d.png",
        "/media/disk/VOC/JPEGImages/b.7.png\n../VOC/JPEGImages/c d.png",
        "C:\\VOC\\JPEGImages\\b.7.png\r\nC:\\VOC\\JPEGImages\\c d.png\r\n",
        "JPEGImages/b.7.png Annotations/b.7.xml\nc d  -1",
    ] {
        assert_eq!(names(&folder(lines)), ["b.7", "c d"], "{lines}");
    }
}

#[test]
fn a_line_without_an_annotation_is_named_as_it_stands() {
    let root = folder("a\nJPEGImages/e.png");
    let text = read(&root, "train").unwrap_err().to_string();
    assert!(text.contains("JPEGImages/e.png"), "{text}");
    let root = folder("a\n/etc/e.png");
    let text = read(&root, "train").unwrap_err().to_string();
    assert!(text.contains("line 2 is \"/etc/e.png\""), "{text}");
}

#[test]
fn lists_may_lie_beside_the_folders() {
    let root = folder("");
    fs::remove_dir_all(root.path().join("ImageSets")).unwrap();
    write(root.path().join("train.txt"), "c d\n");
    write(root.path().join("classes.txt"), "cat\n");
    assert_eq!(names(&root), ["c d"]);
    let text = read(&root, "val").unwrap_err().to_string();
    assert!(text.ends_with("the parts are train, all"), "{text}");
    // Other texts are no parts.
    assert!(read(&root, "classes").is_err());
}

#[test]
fn images_without_an_annotation_are_known() {
    let root = folder("a");
    assert!(read(&root, "all").unwrap().unannotated().is_empty());
    fs::remove_file(root.path().join("Annotations/b.7.xml")).unwrap();
    assert_eq!(read(&root, "all").unwrap().unannotated(), ["b.7.png"]);
    // A list says which images it is about.
    assert!(read(&root, "train").unwrap().unannotated().is_empty());
}

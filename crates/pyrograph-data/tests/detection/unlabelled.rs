//! Folders of images without annotations, and images that sets share.

use std::fs;
use std::path::Path;

use pyrograph_data::DataError;
use pyrograph_data::detection::DetectionSet;
use tempfile::TempDir;

use crate::voc;
use crate::{write, write_image};

fn classes() -> Vec<String> {
    vec!["cat".into(), "dog".into()]
}

fn read(folder: impl AsRef<Path>) -> Result<DetectionSet, DataError> {
    DetectionSet::unlabelled(folder, classes())
}

fn names(set: &DetectionSet) -> Vec<&str> {
    let samples = set.samples().iter();
    samples.map(|sample| sample.name.as_str()).collect()
}

/// Images at three depths, and files that are none.
fn folder() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in ["b.PNG", "a/z.png", "a/deep/er/y.png", "a.b.png", "c.png"] {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let png = root.path().join("a.png.tmp");
        write_image(&png, (20, 10));
        fs::rename(png, path).unwrap();
    }
    write(root.path().join("a/notes.txt"), "no image");
    write(root.path().join(".hidden.png"), "no image");
    write(root.path().join(".cache/x.png"), "no image");
    root
}

#[test]
fn every_image_below_the_folder_is_read_sorted_by_its_path() {
    let root = folder();
    let set = read(root.path()).unwrap();
    let expected = ["a.b.png", "a/deep/er/y.png", "a/z.png", "b.PNG", "c.png"];
    assert_eq!(names(&set), expected);
    assert_eq!(set.class_names(), classes());
    assert_eq!((set.objects(), set.remarks().len()), (0, 0));
    for (index, sample) in set.samples().iter().enumerate() {
        assert_eq!((sample.width, sample.height), (20, 10));
        assert_eq!(set.image(index).unwrap().dimensions(), (20, 10));
    }
    assert_eq!(set.choose(2, 1).unwrap().len(), 2);
}

#[test]
fn a_folder_that_is_missing_or_without_images_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("none");
    let error = read(&missing).unwrap_err();
    assert!(matches!(&error, DataError::Read { path, .. } if *path == missing));
    let error = read(root.path()).unwrap_err();
    assert!(matches!(&error, DataError::Empty { path } if path == root.path()));
    write(root.path().join("notes.txt"), "no image");
    assert!(matches!(read(root.path()), Err(DataError::Empty { .. })));
    // A file is no folder.
    let file = read(root.path().join("notes.txt"));
    assert!(matches!(file, Err(DataError::Read { .. })));
}

#[test]
fn a_file_that_is_no_image_is_named() {
    let root = folder();
    write(root.path().join("a/deep/bad.jpg"), "no image");
    let error = read(root.path()).unwrap_err();
    assert!(matches!(error, DataError::Image(_)), "{error:?}");
    assert!(error.to_string().contains("bad.jpg"), "{error}");
}

#[test]
fn classes_without_a_name_or_of_one_name_are_refused() {
    let root = folder();
    for names in [vec![], vec!["cat", "cat"], vec!["cat", ""]] {
        let names = names.into_iter().map(String::from).collect();
        let refused = DetectionSet::unlabelled(root.path(), names);
        assert!(matches!(refused, Err(DataError::BadClasses { .. })));
    }
}

#[cfg(unix)]
#[test]
fn links_to_a_folder_above_do_not_repeat_images() {
    let root = folder();
    std::os::unix::fs::symlink(root.path(), root.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink(root.path(), root.path().join("up")).unwrap();
    assert_eq!(read(root.path()).unwrap().len(), 5);
}

#[test]
fn images_that_another_set_has_can_be_left_out() {
    let root = voc::folder();
    let train = voc::read(&root, "train").unwrap();
    // The same files by another path.
    let folder = root.path().join("Annotations/../JPEGImages");
    let all = read(folder).unwrap();
    assert_eq!(names(&all), ["a.png", "b.png", "c.1.png"]);
    assert_eq!(all.shared_with(&train), Some("a.png"));
    let rest = all.without(&train);
    assert_eq!(names(&rest), ["c.1.png"]);
    assert_eq!(rest.shared_with(&train), None);
    assert!(all.without(&all).is_empty());

    let scenes = |count, seed| crate::drawn::scenes(count, 48, seed);
    assert_eq!(names(&scenes(4, 1).without(&scenes(3, 1))), ["scene-1-3"]);
    assert_eq!(scenes(4, 1).without(&scenes(4, 2)), scenes(4, 1));
}

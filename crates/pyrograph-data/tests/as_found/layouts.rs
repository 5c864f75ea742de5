//! Folders of images as data sets and people lay them out.

use std::fs;

use pyrograph_data::{DataError, Faults, LabelledReading, Split, SpriteReader};

use super::{GREY, RED, folder, read_as, said, with, write};

fn unlabelled(root: &tempfile::TempDir) -> Result<LabelledReading, DataError> {
    read_as(root.path(), Split::Test, |reader| reader.unlabelled = true)
}

fn names(reading: &LabelledReading) -> Vec<&str> {
    let images = &reading.images;
    (0..images.len())
        .filter_map(|i| images.item_name(i))
        .collect()
}

#[test]
fn masks_among_images_without_classes_are_left_out_and_said() {
    let root = folder(&[("a.png", GREY), ("a_mask.png", RED), ("masks/a.png", RED)]);
    let reading = unlabelled(&root).unwrap();
    assert_eq!(names(&reading), ["a.png"]);
    assert!(said(&reading.remarks, "2 entries"), "{:?}", reading.remarks);
    let kept = read_as(root.path(), Split::Test, |reader| {
        reader.unlabelled = true;
        reader.options.keep_masks = true;
    });
    // The folder of masks is then one of a class.
    assert!(matches!(kept, Err(DataError::LooseImage { .. })));
    fs::remove_dir_all(root.path().join("masks")).unwrap();
    let kept = read_as(root.path(), Split::Test, |reader| {
        reader.unlabelled = true;
        reader.options.keep_masks = true;
    });
    assert_eq!(names(&kept.unwrap()), ["a.png", "a_mask.png"]);
    // What is asked for by name is scored.
    let mask = root.path().join("a_mask.png");
    let one = read_as(&mask, Split::Test, |reader| reader.unlabelled = true);
    assert_eq!(names(&one.unwrap()), ["a_mask.png"]);
}

#[test]
fn a_part_may_be_a_folder_of_images_where_no_labels_are_needed() {
    let root = folder(&[
        ("train/good/a.png", GREY),
        ("test/b.png", GREY),
        ("test/c.png", GREY),
    ]);
    let reading = unlabelled(&root).unwrap();
    assert_eq!(names(&reading), ["test/b.png", "test/c.png"]);
    assert!(!reading.has_labels);
    let error = read_as(root.path(), Split::Test, |_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("in no folders of classes"), "{error}");
}

#[test]
fn folders_that_lie_deeper_are_named() {
    let root = folder(&[
        ("Images/Normal/a.png", GREY),
        ("Images/Anomaly/a.png", GREY),
    ]);
    let error = read_as(root.path(), Split::Train, |_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("Images does: give that"), "{error}");
}

#[test]
fn images_of_formats_that_are_not_read_are_no_other_files() {
    let root = tempfile::tempdir().unwrap();
    write(&root, "good/1.heic", b"ftypheic");
    write(&root, "good/2.pgm", b"P5 1 1 255 1");
    let error = read_as(root.path(), Split::Train, |_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("HEIC") && error.contains("PGM"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_a_fault_among_others() {
    let root = folder(&[("good/a.png", GREY), ("good/b.png", GREY)]);
    let link = root.path().join("good/c.png");
    std::os::unix::fs::symlink(root.path().join("missing"), link).unwrap();
    let read = |faults| {
        let options = with(move |options| options.faults = faults);
        read_as(root.path(), Split::Train, options)
    };
    let error = read(Faults::List).unwrap_err().to_string();
    assert!(
        error.contains("c.png") && error.contains("--skip-broken"),
        "{error}"
    );
    assert_eq!(read(Faults::Skip).unwrap().images.len(), 2);
}

#[test]
fn files_that_are_cut_are_listed_with_those_that_are_no_images() {
    let root = folder(&[("good/a.png", GREY), ("good/b.png", GREY)]);
    let path = root.path().join("good/b.png");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 12]).unwrap();
    write(&root, "good/c.png", b"<html>");
    let cut = |error: String| {
        for part in ["2 faults", "b.png", "c.png"] {
            assert!(error.contains(part), "{error}");
        }
    };
    cut(read_as(root.path(), Split::Train, |_| ())
        .unwrap_err()
        .to_string());
    let sprites = SpriteReader::default();
    let read = sprites.read(root.path(), &mut |_, _| ());
    cut(read.unwrap_err().to_string());
}

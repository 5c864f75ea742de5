//! Labelled images from folders of files: a folder a class, and the layout of MVTec AD.

use std::fs;

use pyrograph_data::{DataError, LabelledImages, Split};
use pyrograph_vision::{Rgb, RgbImage, VisionError, write_png};
use tempfile::TempDir;

const GREY: Rgb<u8> = Rgb([90, 90, 90]);
const RED: Rgb<u8> = Rgb([255, 0, 0]);

/// A folder with one-coloured images of the given paths, sizes (height, width) and colours.
fn folder(images: &[(&str, (u32, u32), Rgb<u8>)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, (height, width), colour) in images {
        let image = RgbImage::from_pixel(*width, *height, *colour);
        write_png(root.path().join(path), &image).unwrap();
    }
    root
}

fn read(root: &TempDir, split: Split) -> Result<LabelledImages, DataError> {
    LabelledImages::from_folder(root.path(), split, None)
}

#[test]
fn the_normal_class_comes_first_and_the_others_by_name() {
    for normal in ["normal", "good", "Normal"] {
        let root = folder(&[
            ("bent/b.png", (2, 3), GREY),
            ("bent/a.png", (2, 3), Rgb([1, 1, 1])),
            (&format!("{normal}/x.png"), (2, 3), GREY),
            ("ash/y.png", (2, 3), GREY),
        ]);
        let set = LabelledImages::open(root.path(), Split::Train).unwrap();
        assert_eq!(set.class_names(), [normal, "ash", "bent"]);
        assert_eq!(set.labels(), [0, 1, 2, 2]);
        assert_eq!(set.normal_class(), Some(0));
        assert_eq!((set.channels(), set.height(), set.width()), (1, 2, 3));
        // Files by name, and grey is one channel.
        assert_eq!((set.pixels(2), set.pixels(3)), (&[1; 6][..], &[90; 6][..]));
        // There is nothing to split by.
        assert_eq!(LabelledImages::open(root.path(), Split::Test).unwrap(), set);
    }
}

#[test]
fn one_colour_makes_all_images_rgb() {
    let root = folder(&[
        ("normal/a.png", (1, 2), GREY),
        ("normal/b.png", (1, 2), RED),
        ("odd/c.png", (1, 2), GREY),
    ]);
    let set = read(&root, Split::Train).unwrap();
    assert_eq!((set.channels(), set.len()), (3, 3));
    assert_eq!(set.pixels(0), [90; 6]);
    assert_eq!(set.pixels(1), [255, 255, 0, 0, 0, 0]);
    assert_eq!(set.pixels(2), [90; 6]);
}

/// The layout of MVTec AD.
fn mvtec() -> TempDir {
    let root = folder(&[
        ("train/good/000.png", (4, 4), GREY),
        ("train/good/001.png", (4, 4), GREY),
        ("test/crack/000.png", (4, 4), RED),
        ("test/good/000.png", (4, 4), GREY),
        ("test/bent/000.png", (4, 4), GREY),
        ("ground_truth/crack/000_mask.png", (4, 4), GREY),
        ("test/ground_truth/000_mask.png", (4, 4), GREY),
    ]);
    fs::write(root.path().join("license.txt"), "text").unwrap();
    root
}

#[test]
fn the_parts_of_mvtec_have_the_same_classes() {
    let root = mvtec();
    let train = LabelledImages::open(root.path(), Split::Train).unwrap();
    let test = LabelledImages::open(root.path(), Split::Test).unwrap();
    for set in [&train, &test] {
        assert_eq!(set.class_names(), ["good", "bent", "crack"]);
        assert_eq!(set.normal_class(), Some(0));
    }
    assert_eq!(train.class_counts(), [2, 0, 0]);
    assert_eq!(test.class_counts(), [1, 1, 1]);
    // Only the test images hold a colour.
    assert_eq!((train.channels(), test.channels()), (1, 3));
    assert_eq!(train.to_rgb().channels(), 3);
}

#[test]
fn a_part_that_is_missing_is_refused_by_name() {
    let root = folder(&[("train/good/a.png", (2, 2), GREY)]);
    assert_eq!(read(&root, Split::Train).unwrap().len(), 1);
    let text = read(&root, Split::Test).unwrap_err().to_string();
    assert!(
        text.contains("there is no folder") && text.contains("test"),
        "{text}"
    );

    fs::create_dir_all(root.path().join("test/good")).unwrap();
    let error = read(&root, Split::Test).unwrap_err();
    assert!(
        matches!(error, DataError::NoLabelledImages { .. }),
        "{error}"
    );
}

#[test]
fn images_of_another_size_are_refused_by_name_or_resized() {
    let root = folder(&[("normal/a.png", (4, 6), GREY), ("odd/b.png", (6, 4), RED)]);
    let error = read(&root, Split::Train).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(
            error,
            DataError::MixedShapes {
                seen: (6, 4),
                first: (4, 6),
                ..
            }
        ),
        "{text}"
    );
    assert!(text.contains("b.png is 4 by 6 pixels"), "{text}");

    let set = LabelledImages::from_folder(root.path(), Split::Train, Some((5, 3))).unwrap();
    assert_eq!((set.len(), set.height(), set.width()), (2, 5, 3));
    assert_eq!(set.pixels(0), [90; 45]);
    for size in [(0, 3), (3, 4097)] {
        let result = LabelledImages::from_folder(root.path(), Split::Train, Some(size));
        assert!(matches!(result, Err(DataError::Range { .. })));
    }
}

#[test]
fn resizing_on_the_way_in_is_resizing_afterwards() {
    let root = tempfile::tempdir().unwrap();
    let image = RgbImage::from_fn(7, 5, |x, y| Rgb([x as u8 * 30, y as u8 * 50, 9]));
    write_png(root.path().join("normal/a.png"), &image).unwrap();
    let whole = read(&root, Split::Train).unwrap();
    let small = LabelledImages::from_folder(root.path(), Split::Train, Some((3, 4))).unwrap();
    assert_eq!(small, whole.resized(3, 4).unwrap());
}

#[test]
fn a_file_that_is_no_image_is_named() {
    for name in ["notes.txt", "b.png", "scan.tif"] {
        let root = folder(&[("normal/a.png", (2, 2), GREY)]);
        fs::write(root.path().join("normal").join(name), "no image").unwrap();
        let error = read(&root, Split::Train).unwrap_err();
        assert!(
            matches!(&error, DataError::Image(error) if matches!(**error, VisionError::Decode { .. }))
                && error.to_string().contains(name),
            "{error}"
        );
    }
}

#[test]
fn what_systems_leave_behind_and_folders_without_files_are_left_out() {
    let root = folder(&[
        ("normal/a.png", (2, 2), GREY),
        ("normal/deep/b.png", (9, 9), RED),
    ]);
    for name in [".DS_Store", "Thumbs.db", "desktop.ini"] {
        fs::write(root.path().join("normal").join(name), "no image").unwrap();
    }
    fs::create_dir(root.path().join("empty")).unwrap();
    let set = read(&root, Split::Train).unwrap();
    assert_eq!(
        (set.len(), set.class_names()),
        (1, &["normal".to_owned()][..])
    );
}

#[test]
fn images_beside_the_folders_and_folders_without_images_are_refused() {
    let root = folder(&[("normal/a.png", (2, 2), GREY), ("b.png", (2, 2), GREY)]);
    assert!(matches!(
        read(&root, Split::Train),
        Err(DataError::LooseImage { .. })
    ));
    let root = folder(&[("b.png", (2, 2), GREY)]);
    let error = read(&root, Split::Train).unwrap_err();
    assert!(
        matches!(error, DataError::NoLabelledImages { .. }),
        "{error}"
    );
    fs::create_dir(root.path().join("src")).unwrap();
    fs::write(root.path().join("src/main.rs"), "fn main() {}").unwrap();
    let error = read(&root, Split::Train).unwrap_err();
    assert!(
        matches!(error, DataError::NoLabelledImages { .. }),
        "{error}"
    );
    let missing = LabelledImages::from_folder(root.path().join("missing"), Split::Train, None);
    assert!(matches!(missing, Err(DataError::Read { .. })));
}

//! What the headers of image files show: sizes, EXIF orientations, ends.

use std::fs;

use pyrograph_data::detection::{DetectionOptions, DetectionSet, ImageChecks};
use pyrograph_data::{DataError, Faults};
use pyrograph_vision::Exif;
use tempfile::TempDir;

use crate::voc::{add, read_with};
use crate::{jpeg_bytes, write};

/// An image `a` whose annotation states 20 by 10, stored in this size with this orientation.
fn folder(size: (u32, u32), orientation: u8) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), "a", &[("cat", [1.0, 2.0, 5.0, 6.0])]);
    write(root.path().join("ImageSets/Main/train.txt"), "a");
    fs::remove_file(root.path().join("JPEGImages/a.png")).unwrap();
    write(
        root.path().join("JPEGImages/a.jpg"),
        jpeg_bytes(size, orientation),
    );
    root
}

fn set(root: &TempDir, exif: Exif) -> DetectionSet {
    let options = DetectionOptions {
        exif,
        ..DetectionOptions::default()
    };
    read_with(root, options).unwrap()
}

fn check(set: &DetectionSet) -> Result<ImageChecks, DataError> {
    let mut seen = 0;
    let checks = set.check_images(Faults::Strict, &mut || seen += 1);
    assert!(checks.is_err() || seen == set.len());
    checks
}

#[test]
fn a_photograph_is_read_upright_or_as_it_is_stored() {
    // Turned by a quarter: the stored picture is 10 by 20, and the upright one 20 by 10.
    let root = folder((10, 20), 6);
    let upright = set(&root, Exif::Upright);
    assert!(check(&upright).unwrap().turned.is_empty());
    assert_eq!(upright.image(0).unwrap().dimensions(), (20, 10));
    let stored = set(&root, Exif::Stored);
    let text = check(&stored).unwrap_err().to_string();
    assert!(
        text.contains("a.jpg") && text.contains("--exif upright"),
        "{text}"
    );
    assert!(stored.image(0).is_err());

    // The annotation is of the stored picture.
    let root = folder((20, 10), 6);
    let error = check(&set(&root, Exif::Upright)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, DataError::SizeMismatch { .. }), "{text}");
    assert!(
        text.contains("EXIF data turn it by 90°") && text.contains("--exif stored"),
        "{text}"
    );
    let stored = set(&root, Exif::Stored);
    assert!(check(&stored).unwrap().turned.is_empty());
    assert_eq!(stored.image(0).unwrap().dimensions(), (20, 10));
}

#[test]
fn a_turn_that_no_size_shows_is_said() {
    for (orientation, turn) in [(3, "by 180°"), (2, "left to right")] {
        let root = folder((20, 10), orientation);
        let upright = set(&root, Exif::Upright);
        let turned = check(&upright).unwrap().turned;
        assert_eq!(turned.len(), 1);
        assert_eq!((turned[0].image.as_str(), turned[0].turn), ("a", turn));
        let stored = set(&root, Exif::Stored);
        assert!(check(&stored).unwrap().turned.is_empty());
        // The pixels differ by the turn alone.
        let (upright, stored) = (upright.image(0).unwrap(), stored.image(0).unwrap());
        let y = if orientation == 3 { 9 } else { 0 };
        assert_eq!(upright.get_pixel(0, 0), stored.get_pixel(19, y));
    }
    let root = folder((20, 10), 1);
    let plain = set(&root, Exif::Upright);
    assert!(check(&plain).unwrap().turned.is_empty());
}

#[test]
fn a_turn_is_said_too_where_the_size_is_the_files() {
    let root = folder((10, 20), 6);
    let path = root.path().join("Annotations/a.xml");
    let text = fs::read_to_string(&path).unwrap();
    write(&path, text.replace("<width>20</width>", "<width>0</width>"));
    let upright = set(&root, Exif::Upright);
    assert_eq!(
        (upright.samples()[0].width, upright.samples()[0].height),
        (20, 10)
    );
    assert_eq!(check(&upright).unwrap().turned.len(), 1);
    let stored = set(&root, Exif::Stored);
    assert_eq!(
        (stored.samples()[0].width, stored.samples()[0].height),
        (10, 20)
    );
}

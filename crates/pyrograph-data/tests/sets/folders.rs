//! Folders of images, and what [`SpriteSet::open`] makes of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use pyrograph_data::{DataError, SpriteSet};
use pyrograph_vision::{Rgb, RgbImage, VisionError, enlarge, write_png};
use tempfile::TempDir;

const RED: Rgb<u8> = Rgb([255, 0, 0]);
const BLUE: Rgb<u8> = Rgb([0, 0, 255]);

/// A folder with one-coloured images of the given paths, sides and colours.
fn folder(images: &[(&str, u32, Rgb<u8>)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, side, colour) in images {
        write_png(
            root.path().join(path),
            &RgbImage::from_pixel(*side, *side, *colour),
        )
        .unwrap();
    }
    root
}

fn error_of(root: &TempDir, side: Option<usize>) -> DataError {
    SpriteSet::from_folder(root.path(), side).unwrap_err()
}

#[test]
fn folders_are_classes_in_the_order_of_their_names() {
    let root = folder(&[
        ("wolf/b.png", 4, RED),
        ("wolf/a.png", 4, BLUE),
        ("ant/x.PNG", 4, RED),
    ]);
    let set = SpriteSet::from_folder(root.path(), None).unwrap();
    assert_eq!(set.class_names(), ["ant", "wolf"]);
    assert_eq!((set.len(), set.side(), set.channels()), (3, 4, 3));
    assert_eq!([0, 1, 2].map(|index| set.class_of(index)), [0, 1, 1]);
    assert_eq!(
        (&set.pixels(1)[..3], &set.pixels(2)[..3]),
        (&BLUE.0[..], &RED.0[..])
    );
    assert_eq!(set.context(2), [0.0, 1.0]);
}

#[test]
fn without_folders_all_images_are_of_one_class() {
    let root = folder(&[("heroes/a.png", 3, RED), ("heroes/b.png", 3, BLUE)]);
    let set = SpriteSet::from_folder(root.path().join("heroes"), None).unwrap();
    assert_eq!(set.class_names(), ["heroes"]);
    assert_eq!((set.context_width(), set.context(1)), (1, &[1.0][..]));
}

#[test]
fn hidden_files_other_files_and_folders_without_images_are_left_out() {
    let root = folder(&[
        ("a.png", 3, RED),
        (".hidden.png", 5, RED),
        (".git/x.png", 7, RED),
    ]);
    fs::write(root.path().join("notes.txt"), "no image").unwrap();
    fs::create_dir(root.path().join("empty")).unwrap();
    let set = SpriteSet::from_folder(root.path(), None).unwrap();
    assert_eq!((set.len(), set.side()), (1, 3));
}

#[test]
fn images_are_resized_to_the_side_and_pixel_art_stays_as_it_was() {
    let art = RgbImage::from_fn(4, 4, |x, y| Rgb([(x * 60) as u8, (y * 60) as u8, 9]));
    let root = folder(&[("odd.png", 7, RED)]);
    write_png(root.path().join("art.png"), &enlarge(&art, 5).unwrap()).unwrap();
    let set = SpriteSet::from_folder(root.path(), Some(4)).unwrap();
    assert_eq!((set.len(), set.side()), (2, 4));
    assert_eq!(set.image(0), art);
    assert_eq!(set.image(1), RgbImage::from_pixel(4, 4, RED));
}

#[test]
fn images_that_do_not_fit_are_named() {
    let mixed = folder(&[("a.png", 3, RED), ("b.png", 5, RED)]);
    let error = error_of(&mixed, None);
    assert!(
        matches!(
            error,
            DataError::MixedSizes {
                seen: 5,
                first: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("b.png"), "{error}");

    let oblong = folder(&[("a.png", 3, RED)]);
    write_png(oblong.path().join("wide.png"), &RgbImage::new(4, 3)).unwrap();
    let error = error_of(&oblong, Some(3));
    assert!(
        matches!(
            error,
            DataError::NotSquare {
                width: 4,
                height: 3,
                ..
            }
        ),
        "{error}"
    );

    let broken = folder(&[("a.png", 3, RED)]);
    fs::write(broken.path().join("z.png"), b"no image").unwrap();
    let error = error_of(&broken, None);
    assert!(
        matches!(&error, DataError::Image(error) if matches!(**error, VisionError::Decode { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("z.png"), "{error}");

    let loose = folder(&[("a.png", 3, RED), ("class/b.png", 3, RED)]);
    let error = error_of(&loose, None);
    assert!(
        matches!(&error, DataError::LooseImage { path, .. } if path.ends_with("a.png")),
        "{error}"
    );
}

#[test]
fn folders_without_images_and_senseless_sides_are_refused() {
    assert!(matches!(
        error_of(&folder(&[]), None),
        DataError::Empty { .. }
    ));
    let good = folder(&[("a.png", 3, RED)]);
    for side in [0, 5000, usize::MAX] {
        assert!(matches!(
            error_of(&good, Some(side)),
            DataError::Range { .. }
        ));
    }
    let missing = SpriteSet::from_folder("/nowhere/at/all", None);
    assert!(matches!(missing, Err(DataError::Read { .. })));
}

/// The smallest pair of arrays: one black pixel of one class.
fn write_pair(folder: &Path, images: &str, labels: &str) {
    let write = |name: &str, shape: &str, byte: u8| {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}");
        let length = (header.len() as u16).to_le_bytes();
        let bytes = [
            b"\x93NUMPY\x01\x00",
            length.as_slice(),
            header.as_bytes(),
            &[byte],
        ]
        .concat();
        fs::write(folder.join(name), bytes).unwrap();
    };
    write(images, "(1, 1, 1, 1)", 0);
    write(labels, "(1, 1)", 1);
}

#[test]
fn opening_finds_the_pair_under_any_of_its_names() {
    for (images, labels) in [
        ("sprites_16x16.npy", "sprite_labels_16x16.npy"),
        ("sprites_1788_16x16.npy", "sprite_labels_nc_1788_16x16.npy"),
        ("my_sprites.npy", "labels.npy"),
    ] {
        let root = tempfile::tempdir().unwrap();
        write_pair(root.path(), images, labels);
        fs::write(root.path().join("other.npy"), b"not ours").unwrap();
        assert_eq!(SpriteSet::open(root.path(), None).unwrap().len(), 1);
    }
}

#[test]
fn opening_reads_a_folder_of_images() {
    let root = folder(&[("ant/a.png", 4, RED), ("wolf/a.png", 4, BLUE)]);
    assert_eq!(
        SpriteSet::open(root.path(), None).unwrap().class_names(),
        ["ant", "wolf"]
    );
}

#[test]
fn opening_anything_else_says_what_is_missing() {
    let refused = |path: PathBuf, text: &str| {
        let error = SpriteSet::open(path, None).unwrap_err();
        assert!(matches!(error, DataError::NoDataSet { .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    };
    let root = tempfile::tempdir().unwrap();
    refused(root.path().into(), "it holds neither");
    write_pair(root.path(), "sprites.npy", "labels.npy");
    refused(root.path().join("sprites.npy"), "it is a file");
    write_pair(root.path(), "sprites2.npy", "labels.npy");
    refused(
        root.path().into(),
        "2 (sprites.npy, sprites2.npy) files for images, 1 (labels.npy)",
    );
    fs::remove_file(root.path().join("labels.npy")).unwrap();
    refused(root.path().into(), "no for labels");
    assert!(matches!(
        SpriteSet::open("/nowhere/at/all", None),
        Err(DataError::Read { .. })
    ));
}

#[test]
fn a_set_is_opened_at_another_side() {
    let root = folder(&[("a.png", 32, RED), ("b.png", 20, BLUE)]);
    let set = SpriteSet::open(root.path(), Some(16)).unwrap();
    assert_eq!((set.len(), set.side()), (2, 16));
    assert!(SpriteSet::open(root.path(), None).is_err());
}

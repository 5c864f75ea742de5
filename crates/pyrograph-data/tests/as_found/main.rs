//! Labelled images and sprites as people have them: what is guessed is right, and is said.

mod idx;
mod layouts;

use std::fs;
use std::path::Path;

use pyrograph_data::{
    Channels, DataError, Faults, LabelledOptions, LabelledReader, LabelledReading, Split,
    SpriteLabels, SpriteOptions, SpriteReader, SpriteReading,
};
use pyrograph_vision::image::{ImageBuffer, ImageFormat, Luma};
use pyrograph_vision::{Rgb, RgbImage, write_png};
use tempfile::TempDir;

const GREY: Rgb<u8> = Rgb([90, 90, 90]);
/// Pillow's `L` of it is 76: (19595 · 255 + 32768) / 65536.
const RED: Rgb<u8> = Rgb([255, 0, 0]);

fn folder(images: &[(&str, Rgb<u8>)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, colour) in images {
        let image = RgbImage::from_pixel(4, 4, *colour);
        write_png(root.path().join(path), &image).unwrap();
    }
    root
}

fn write(root: &TempDir, path: &str, bytes: &[u8]) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn read_as(
    path: &Path,
    split: Split,
    change: impl FnOnce(&mut LabelledReader),
) -> Result<LabelledReading, DataError> {
    let mut reader = LabelledReader::new(split);
    change(&mut reader);
    reader.read(path, &mut |_, _| ())
}

fn read(root: &TempDir, split: Split) -> LabelledReading {
    read_as(root.path(), split, |_| ()).unwrap()
}

fn with(change: impl FnOnce(&mut LabelledOptions)) -> impl FnOnce(&mut LabelledReader) {
    |reader| change(&mut reader.options)
}

fn said(remarks: &[String], word: &str) -> bool {
    remarks.iter().any(|remark| remark.contains(word))
}

#[test]
fn masks_beside_and_among_images_are_left_out_and_said() {
    let root = folder(&[
        ("test/good/000.png", GREY),
        ("test/broken/000.png", GREY),
        ("test/broken/000_mask.png", RED),
        ("test/masks/000.png", RED),
        ("test/broken_GT/000.png", RED),
    ]);
    let reading = read(&root, Split::Test);
    assert_eq!(reading.images.class_names(), ["good", "broken"]);
    assert_eq!(reading.images.class_counts(), [1, 1]);
    assert_eq!(reading.images.channels(), 1);
    assert!(
        said(&reading.remarks, "--keep-masks"),
        "{:?}",
        reading.remarks
    );
    let names: Vec<_> = (0..2).map(|i| reading.images.item_name(i)).collect();
    assert_eq!(
        names,
        [Some("test/good/000.png"), Some("test/broken/000.png")]
    );

    let kept = read_as(root.path(), Split::Test, with(|o| o.keep_masks = true)).unwrap();
    assert_eq!(
        kept.images.class_names(),
        ["good", "broken", "broken_GT", "masks"]
    );
    assert_eq!(kept.images.class_counts(), [1, 2, 1, 1]);
}

#[test]
fn parts_of_other_spellings_are_found_and_deeper_folders_are_said() {
    let root = folder(&[
        ("Training/normal/a.png", GREY),
        ("Training/normal/patient/b.png", GREY),
        ("Testing/normal/a.png", GREY),
        ("Testing/odd/a.png", GREY),
    ]);
    let train = read(&root, Split::Train);
    assert_eq!(train.images.class_counts(), [1, 0]);
    assert!(
        said(&train.remarks, "normal/patient"),
        "{:?}",
        train.remarks
    );
    assert_eq!(read(&root, Split::Test).images.class_counts(), [1, 1]);
    let root = folder(&[("train/good/a.png", GREY), ("val/good/a.png", GREY)]);
    let missing = read_as(root.path(), Split::Test, |_| ()).unwrap_err();
    let text = missing.to_string();
    assert!(
        text.contains("there is no folder") && text.contains("val"),
        "{text}"
    );
}

#[test]
fn grey_and_colour_are_said_and_read_as_asked() {
    let root = folder(&[("good/a.png", GREY), ("good/b.png", RED)]);
    let mixed = read(&root, Split::Train);
    assert_eq!(mixed.images.channels(), 3);
    assert!(said(&mixed.remarks, "b.png"), "{:?}", mixed.remarks);
    let options = |channels| with(move |o: &mut LabelledOptions| o.channels = channels);
    let grey = read_as(root.path(), Split::Train, options(Channels::Grey)).unwrap();
    assert_eq!(
        (grey.images.pixels(0), grey.images.pixels(1)),
        (&[90; 16][..], &[76; 16][..])
    );
    let root = folder(&[("good/a.png", GREY)]);
    let colour = read_as(root.path(), Split::Train, options(Channels::Rgb)).unwrap();
    assert_eq!(
        (colour.images.channels(), colour.images.pixels(0)),
        (3, &[90; 48][..])
    );
    assert!(colour.remarks.is_empty(), "{:?}", colour.remarks);
}

/// A folder `good` with grey images of 16 bits of two pixels.
fn deep(images: &[[u16; 2]]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("good")).unwrap();
    for (index, values) in images.iter().enumerate() {
        let image = ImageBuffer::from_fn(2, 1, |x, _| Luma([values[x as usize]]));
        let path = root.path().join(format!("good/{index}.png"));
        image.save(path).unwrap();
    }
    root
}

#[test]
fn twelve_bits_of_sixteen_are_stretched_by_the_set_as_a_whole() {
    let root = deep(&[[0, 300], [4000, 2048]]);
    let reading = read(&root, Split::Train);
    // 300 · 255 / 4095 = 18.7, 4000 · 255 / 4095 = 249.08, 2048 · 255 / 4095 = 127.5
    assert_eq!(reading.images.pixels(0), [0, 19]);
    assert_eq!(reading.images.pixels(1), [249, 128]);
    assert_eq!(reading.white_level, Some(4095));
    assert!(
        said(&reading.remarks, "--white-level 65535"),
        "{:?}",
        reading.remarks
    );

    // As it was: 4000 / 257 = 15.6.
    let told = read_as(
        root.path(),
        Split::Train,
        with(|o| o.white_level = Some(u16::MAX)),
    );
    let told = told.unwrap();
    assert_eq!(told.images.pixels(1), [16, 8]);
    let dark = "4000 of 65535; if white is less, say so, as with --white-level 4095";
    assert!(said(&told.remarks, dark), "{:?}", told.remarks);
    // 14 bits are not guessed.
    let reading = read(&deep(&[[0, 16_383]]), Split::Train);
    assert!(
        said(&reading.remarks, "--white-level 16383"),
        "{:?}",
        reading.remarks
    );

    // The level of the training goes before a guess.
    let usual = read_as(root.path(), Split::Train, |reader| {
        reader.usual_white_level = Some(8000);
    });
    assert_eq!(usual.unwrap().images.pixels(1), [128, 65]);
}

#[test]
fn pictures_that_use_all_of_their_bits_are_as_they_are() {
    let root = deep(&[[0, 300], [65_535, 2048]]);
    let reading = read(&root, Split::Train);
    assert_eq!(reading.images.pixels(1), [255, 8]);
    assert_eq!(reading.white_level, Some(u16::MAX));
    assert!(reading.remarks.is_empty(), "{:?}", reading.remarks);
}

#[test]
fn images_without_classes_are_read_where_no_labels_are_needed() {
    let root = folder(&[("b.png", RED), ("a.png", GREY)]);
    write(&root, "notes.txt", b"text");
    write(&root, "Thumbs.db", b"data");
    let labelled = read_as(root.path(), Split::Test, |_| ());
    assert!(matches!(labelled, Err(DataError::NoLabelledImages { .. })));
    let unlabelled = |path: &Path| {
        let reading = read_as(path, Split::Test, |reader| reader.unlabelled = true);
        reading.unwrap()
    };
    let reading = unlabelled(root.path());
    assert!(!reading.has_labels);
    assert_eq!(reading.images.item_name(1), Some("b.png"));
    assert!(said(&reading.remarks, "notes.txt"), "{:?}", reading.remarks);
    assert!(
        !said(&reading.remarks, "Thumbs.db"),
        "{:?}",
        reading.remarks
    );
    let one = unlabelled(&root.path().join("a.png"));
    assert_eq!(
        (one.images.len(), one.images.item_name(0)),
        (1, Some("a.png"))
    );
    // Labels are used where there are some.
    let root = folder(&[("good/a.png", GREY), ("bad/a.png", GREY)]);
    assert!(unlabelled(root.path()).has_labels);
}

#[test]
fn what_cannot_be_read_is_listed_together_or_left_out() {
    let root = folder(&[("good/a.png", GREY), ("good/b.png", GREY)]);
    write(&root, "good/c.png", b"no image");
    write(&root, "good/d.heic", b"ftypheic");
    let faults = |faults| {
        let options = with(move |o: &mut LabelledOptions| o.faults = faults);
        read_as(root.path(), Split::Train, options)
    };
    let error = faults(Faults::List).unwrap_err().to_string();
    for part in ["2 faults in 4", "c.png", "d.heic", "HEIC", "--skip-broken"] {
        assert!(error.contains(part), "{error}");
    }
    let first = faults(Faults::Strict).unwrap_err();
    assert!(matches!(first, DataError::Image(_)), "{first}");
    let reading = faults(Faults::Skip).unwrap();
    assert_eq!(reading.images.len(), 2);
    assert!(said(&reading.remarks, "2 items"), "{:?}", reading.remarks);
    fs::remove_file(root.path().join("good/a.png")).unwrap();
    fs::remove_file(root.path().join("good/b.png")).unwrap();
    assert!(faults(Faults::Skip).is_err());
}

#[test]
fn data_that_are_not_read_are_named() {
    let root = tempfile::tempdir().unwrap();
    write(&root, "k49-train-imgs.npz", b"PK\x03\x04");
    let error = read_as(root.path(), Split::Train, |_| ()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("k49-train-imgs.npz") && text.contains("idx3"),
        "{text}"
    );
}

fn sprites(path: &Path, labels: SpriteLabels, faults: Faults) -> Result<SpriteReading, DataError> {
    let reader = SpriteReader {
        side: None,
        options: SpriteOptions { labels, faults },
    };
    reader.read(path, &mut |_, _| ())
}

/// A file of version 1 as numpy writes it.
fn npy(dtype: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}");
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()
}

#[test]
fn class_numbers_are_no_context_value() {
    let root = tempfile::tempdir().unwrap();
    write(
        &root,
        "sprites.npy",
        &npy("|u1", "(3, 1, 1, 1)", &[70, 80, 90]),
    );
    for shape in ["(3, 1)", "(3,)"] {
        write(&root, "labels.npy", &npy("|u1", shape, &[2, 0, 1]));
        let refused = sprites(root.path(), SpriteLabels::Auto, Faults::List).unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains("labels.npy") && text.contains("--labels classes"),
            "{text}"
        );
        let classes = sprites(root.path(), SpriteLabels::Classes, Faults::List).unwrap();
        let set = classes.sprites;
        assert_eq!(set.context_width(), 3);
        assert_eq!([0, 1, 2].map(|index| set.class_of(index)), [2, 0, 1]);
        assert_eq!(set.context(0), [0.0, 0.0, 1.0]);
    }
    write(&root, "labels.npy", &npy("|u1", "(3, 1)", &[2, 0, 1]));
    let contexts = sprites(root.path(), SpriteLabels::Contexts, Faults::List).unwrap();
    assert_eq!(contexts.sprites.context(0), [2.0]);
    // Shares and one value alone are contexts.
    write(&root, "labels.npy", &npy("|u1", "(3, 1)", &[1, 1, 1]));
    let plain = sprites(root.path(), SpriteLabels::Auto, Faults::List).unwrap();
    assert!(plain.remarks.is_empty(), "{:?}", plain.remarks);
    write(&root, "labels.npy", &npy("|u1", "(3, 1)", &[0, 1, 1]));
    let either = sprites(root.path(), SpriteLabels::Auto, Faults::List).unwrap();
    assert!(
        said(&either.remarks, "--labels classes"),
        "{:?}",
        either.remarks
    );
    write(
        &root,
        "labels.npy",
        &npy("|u1", "(3, 2)", &[0, 1, 1, 0, 1, 0]),
    );
    assert!(sprites(root.path(), SpriteLabels::Classes, Faults::List).is_err());
}

#[test]
fn no_image_is_dropped_for_its_extension() {
    let root = folder(&[("a/1.png", GREY), ("a/2.png", RED)]);
    fs::rename(root.path().join("a/2.png"), root.path().join("a/2.jfif")).unwrap();
    let image = RgbImage::from_pixel(4, 4, GREY);
    let without = root.path().join("a/3");
    image.save_with_format(without, ImageFormat::Jpeg).unwrap();
    write(&root, "a/readme.txt", b"BMW and other words");
    let reading = sprites(root.path(), SpriteLabels::Auto, Faults::List).unwrap();
    assert_eq!(reading.sprites.len(), 3);
    assert!(
        said(&reading.remarks, "readme.txt"),
        "{:?}",
        reading.remarks
    );
    // A format that is not read is no other file.
    write(&root, "a/4.heic", b"ftypheic");
    write(&root, "a/5.png", b"no image");
    let error = sprites(root.path(), SpriteLabels::Auto, Faults::List);
    let text = error.unwrap_err().to_string();
    for part in ["2 faults in 5", "4.heic", "5.png"] {
        assert!(text.contains(part), "{text}");
    }
    let skipped = sprites(root.path(), SpriteLabels::Auto, Faults::Skip).unwrap();
    assert_eq!(skipped.sprites.len(), 3);
}

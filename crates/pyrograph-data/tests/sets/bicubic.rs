//! Resizing against what Pillow makes of the same images (`fixtures/bicubic/make.py`).

use std::path::Path;

use pyrograph_data::LabelledImages;
use pyrograph_vision::{RgbImage, read_image};

fn fixture(name: &str) -> RgbImage {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bicubic");
    read_image(folder.join(name)).unwrap()
}

/// A set of one image, grey or not.
fn set_of(image: &RgbImage, channels: usize) -> LabelledImages {
    let plane = |channel: usize| image.pixels().map(move |pixel| pixel.0[channel]);
    let (height, width) = (image.height() as usize, image.width() as usize);
    let pixels = (0..channels).flat_map(plane).collect();
    LabelledImages::new(pixels, channels, height, width, vec![0], vec!["it".into()]).unwrap()
}

fn check(from: &str, to: &str, channels: usize) {
    let wanted = fixture(to);
    let set = set_of(&fixture(from), channels);
    let resized = set.resized(wanted.height() as usize, wanted.width() as usize);
    // Within one grey level would do; it is exact. The bytes themselves would fill a screen.
    assert!(resized.unwrap().image(0) == wanted, "{from} to {to}");
}

#[test]
fn enlarging_gives_the_bytes_of_pillow() {
    check("digit.png", "digit_64x64.png", 1);
    check("digit.png", "digit_28x40.png", 1);
}

#[test]
fn reducing_gives_the_bytes_of_pillow() {
    check("digit_64x64.png", "digit_back.png", 1);
    check("digit.png", "digit_9x13.png", 1);
}

#[test]
fn colours_and_sides_of_different_length_give_the_bytes_of_pillow() {
    check("photo.png", "photo_45x17.png", 3);
    check("photo.png", "photo_7x64.png", 3);
}

//! Detection data from files: the layouts of Pascal VOC and of COCO, and real data of the former.

mod bccd;
mod coco;
mod coco_files;
mod export;
mod objects;
mod options;
mod parts;
mod unlabelled;
mod voc;

use std::fs;
use std::path::Path;

use pyrograph_vision::{Rgb, RgbImage, write_png};

/// A grey image of the size.
fn write_image(path: impl AsRef<Path>, (width, height): (u32, u32)) {
    let image = RgbImage::from_pixel(width, height, Rgb([90, 90, 90]));
    write_png(path, &image).unwrap();
}

/// A file, in folders that may not be there yet.
fn write(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

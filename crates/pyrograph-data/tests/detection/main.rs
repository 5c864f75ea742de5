//! Detection data from files: the layouts of Pascal VOC and of COCO, and real data of the former.

mod bccd;
mod coco;
mod coco_files;
mod coco_names;
mod drawn;
mod encodings;
mod export;
mod faults;
mod headers;
mod lists;
mod objects;
mod options;
mod parts;
mod tools;
mod trained;
mod unlabelled;
mod voc;

use std::fs;
use std::path::Path;

use pyrograph_data::Faults;
use pyrograph_data::detection::DetectionOptions;
use pyrograph_vision::image::codecs::jpeg::JpegEncoder;
use pyrograph_vision::{Rgb, RgbImage, write_png};

/// Options by which a fault is an error by itself.
fn strict() -> DetectionOptions {
    DetectionOptions {
        faults: Faults::Strict,
        ..DetectionOptions::default()
    }
}

/// A grey image of the size.
fn write_image(path: impl AsRef<Path>, (width, height): (u32, u32)) {
    let image = RgbImage::from_pixel(width, height, Rgb([90, 90, 90]));
    write_png(path, &image).unwrap();
}

/// A noisy JPEG of the size, whose EXIF data have the orientation; 1 is upright.
fn jpeg_bytes((width, height): (u32, u32), orientation: u8) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 9) as u8, (y * 17) as u8, 99])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes).encode_image(&image).unwrap();
    // An EXIF block that holds one entry, after the marker that opens the file.
    let mut exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.push(orientation);
    exif.extend([0; 6]);
    [&bytes[..2], &exif, &bytes[2..]].concat()
}

/// A file, in folders that may not be there yet.
fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

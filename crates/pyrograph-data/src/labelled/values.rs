//! Conversion of images to pictures, other sizes, and model input values.

use pyrograph_vision::{Normalisation, Rgb, RgbImage, resize_plane_bicubic};

use super::{LabelledImages, levels};
use crate::DataError;

/// The longest side to which images are resized.
const LONGEST_SIDE: usize = 4096;

impl LabelledImages {
    /// Image `index` as a picture.
    ///
    /// # Panics
    /// If `index` is not below [`len`](LabelledImages::len).
    pub fn image(&self, index: usize) -> RgbImage {
        let (pixels, area) = (self.pixels(index), self.height * self.width);
        RgbImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            let place = y as usize * self.width + x as usize;
            // Grey has one channel, which is all three colours.
            let colour = |channel: usize| pixels[channel % self.channels * area + place];
            Rgb([0, 1, 2].map(colour))
        })
    }

    /// Converts to three channels; grey images are copied to each channel.
    pub fn to_rgb(&self) -> LabelledImages {
        let repeats = 3 / self.channels;
        let images = self.pixels.chunks_exact(self.values_per_image());
        LabelledImages {
            pixels: images.flat_map(|image| image.repeat(repeats)).collect(),
            channels: 3,
            height: self.height,
            width: self.width,
            labels: self.labels.clone(),
            class_names: self.class_names.clone(),
            item_names: self.item_names.clone(),
        }
    }

    /// Converts to one channel as Pillow's mode `L`: (19595 R + 38470 G + 7471 B + 32768) / 65536.
    pub fn to_grey(&self) -> LabelledImages {
        if self.channels == 1 {
            return self.clone();
        }
        let area = self.height * self.width;
        let images = self.pixels.chunks_exact(3 * area);
        let grey = |image: &[u8]| -> Vec<u8> {
            let value = |place: usize| {
                let [red, green, blue] =
                    [0, 1, 2].map(|channel| u32::from(image[channel * area + place]));
                // A mean of bytes, so it fits one.
                ((19_595 * red + 38_470 * green + 7_471 * blue + 0x8000) >> 16) as u8
            };
            (0..area).map(value).collect()
        };
        LabelledImages {
            pixels: images.flat_map(grey).collect(),
            channels: 1,
            height: self.height,
            width: self.width,
            labels: self.labels.clone(),
            class_names: self.class_names.clone(),
            item_names: self.item_names.clone(),
        }
    }

    /// Makes `white` of the bytes 255 and brings all below it along.
    pub(super) fn stretch(&mut self, white: u16) {
        if let Ok(white) = u8::try_from(white) {
            let stretched = |value: &mut u8| *value = levels::byte_of(*value, white);
            self.pixels.iter_mut().for_each(stretched);
        }
    }

    /// The same set with the rows of every image as columns.
    pub(super) fn transposed(&self) -> LabelledImages {
        let (height, width) = (self.height, self.width);
        let planes = self.pixels.chunks_exact(height * width);
        let turned = |plane: &[u8]| -> Vec<u8> {
            let places = (0..width).flat_map(|x| (0..height).map(move |y| y * width + x));
            places.map(|place| plane[place]).collect()
        };
        LabelledImages {
            pixels: planes.flat_map(turned).collect(),
            channels: self.channels,
            height: width,
            width: height,
            labels: self.labels.clone(),
            class_names: self.class_names.clone(),
            item_names: self.item_names.clone(),
        }
    }

    /// Resizes every image to `height` by `width` pixels by
    /// [`resize_bicubic`](pyrograph_vision::resize_bicubic), with the same bytes as Pillow.
    ///
    /// # Errors
    /// [`DataError::Range`] for a side of 0 or beyond 4096, [`DataError::TooLarge`] if there is not
    /// enough memory for all images.
    pub fn resized(&self, height: usize, width: usize) -> Result<LabelledImages, DataError> {
        let to = checked_size([height, width])?;
        let from = [self.height, self.width];
        if from == to {
            return Ok(self.clone());
        }
        let planes = self.len() * self.channels;
        let bytes = planes as u128 * (height * width) as u128;
        let mut pixels = Vec::new();
        // A number beyond usize saturates, which is as impossible.
        let reserved = pixels.try_reserve_exact(usize::try_from(bytes).unwrap_or(usize::MAX));
        reserved.map_err(|_| DataError::TooLarge {
            what: "the set of resized images".into(),
            bytes,
            allowed: "what memory is free",
        })?;
        for plane in self.pixels.chunks_exact(self.height * self.width) {
            pixels.extend(resize_plane_bicubic(plane, from, to)?);
        }
        Ok(LabelledImages {
            pixels,
            channels: self.channels,
            height,
            width,
            labels: self.labels.clone(),
            class_names: self.class_names.clone(),
            item_names: self.item_names.clone(),
        })
    }

    /// Writes image `index` as values, channels first (CHW).
    ///
    /// # Panics
    /// If `index` is not below [`len`](LabelledImages::len), or `out` does not have the length of
    /// [`values_per_image`](LabelledImages::values_per_image).
    pub fn write_chw(&self, index: usize, normalisation: &Normalisation, out: &mut [f32]) {
        let pixels = self.pixels(index);
        assert_eq!(out.len(), pixels.len(), "the buffer has to hold one image");
        for (value, &byte) in out.iter_mut().zip(pixels) {
            *value = normalisation.value(byte);
        }
    }

    /// All images as values, one after the other, channels first (NCHW).
    pub fn to_nchw(&self, normalisation: &Normalisation) -> Vec<f32> {
        let value = |&byte| normalisation.value(byte);
        self.pixels.iter().map(value).collect()
    }
}

/// [Height, width] where images can be resized to it.
pub(super) fn checked_size(size: [usize; 2]) -> Result<[usize; 2], DataError> {
    match size.iter().find(|side| !(1..=LONGEST_SIDE).contains(*side)) {
        None => Ok(size),
        Some(&side) => Err(DataError::Range {
            what: "a side of the images",
            seen: side as f64,
            allowed: "1 to 4096 pixels",
        }),
    }
}

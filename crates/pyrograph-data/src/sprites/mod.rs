//! A set of small square images with their contexts.

mod folder;
mod names;
mod npy;
mod open;
mod options;
mod split;

use pyrograph_vision::RgbImage;

use crate::{Augment, DataError};

pub use names::COURSE_CLASSES;
pub use options::{SpriteLabels, SpriteOptions, SpriteReader, SpriteReading};

/// Square images of one size as bytes, each with a context: a vector that describes the image to a
/// model, usually the one-hot class.
#[derive(Clone, Debug, PartialEq)]
pub struct SpriteSet {
    /// Image after image, row-major, channels interleaved (NHWC).
    pixels: Vec<u8>,
    side: usize,
    channels: usize,
    /// Context after context (N×K).
    contexts: Vec<f32>,
    /// A name for each of the K numbers.
    class_names: Vec<String>,
}

impl SpriteSet {
    /// A set from its parts: `pixels` image after image, row-major with interleaved channels (NHWC),
    /// and `contexts` with a number for each class name (N×K).
    ///
    /// # Errors
    /// [`DataError::Parts`] if the parts do not fit together, the set is empty or larger than
    /// `u32::MAX` images, or a context is not finite.
    pub fn new(
        pixels: Vec<u8>,
        side: usize,
        channels: usize,
        contexts: Vec<f32>,
        class_names: Vec<String>,
    ) -> Result<Self, DataError> {
        let refuse = |what, seen, expected: &str| {
            Err(DataError::Parts {
                what,
                seen,
                expected: expected.into(),
            })
        };
        if ![1, 3].contains(&channels) {
            return refuse("the number of channels", channels, "1 or 3");
        }
        if class_names.is_empty() {
            return refuse("the number of class names", 0, "1 or more");
        }
        let size = side
            .checked_mul(side)
            .and_then(|area| area.checked_mul(channels));
        let Some(size) = size.filter(|&size| size > 0) else {
            return refuse(
                "the side of the images",
                side,
                "a number of pixels from 1 on",
            );
        };
        let count = pixels.len() / size;
        if pixels.is_empty() || !pixels.len().is_multiple_of(size) || u32::try_from(count).is_err()
        {
            let expected = format!("a multiple of {size}, for 1 to {} images,", u32::MAX);
            return refuse("the number of bytes of the images", pixels.len(), &expected);
        }
        if Some(contexts.len()) != count.checked_mul(class_names.len()) {
            let expected = format!("{count} times {}", class_names.len());
            return refuse("the number of context values", contexts.len(), &expected);
        }
        if let Some(index) = contexts.iter().position(|value| !value.is_finite()) {
            return refuse(
                "an infinite or undefined context value at",
                index,
                "a finite number",
            );
        }
        Ok(Self {
            pixels,
            side,
            channels,
            contexts,
            class_names,
        })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.values_per_image()
    }

    /// Whether there are no images, as in one side of a [split](SpriteSet::split).
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Width and height of every image in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Channels of every image: 1 for grey, 3 for RGB.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The values of one image, channels · side · side, never 0.
    pub fn values_per_image(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// The length of a context, which is the number of classes.
    pub fn context_width(&self) -> usize {
        self.class_names.len()
    }

    /// The names of the classes, in the order of the context's values.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The bytes of image `index`, row-major with interleaved channels (HWC).
    ///
    /// # Panics
    /// If `index` is not below [`len`](SpriteSet::len), as in all methods that take an index.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let size = self.values_per_image();
        &self.pixels[index * size..][..size]
    }

    /// The context of image `index`.
    ///
    /// # Panics
    /// If `index` is not below [`len`](SpriteSet::len).
    pub fn context(&self, index: usize) -> &[f32] {
        let width = self.context_width();
        &self.contexts[index * width..][..width]
    }

    /// The class of image `index`: the index of the largest value in its context, the first one of
    /// equals.
    ///
    /// # Panics
    /// If `index` is not below [`len`](SpriteSet::len).
    pub fn class_of(&self, index: usize) -> usize {
        let context = self.context(index);
        (1..context.len()).fold(
            0,
            |best, i| if context[i] > context[best] { i } else { best },
        )
    }

    /// The number of images of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.context_width()];
        (0..self.len()).for_each(|index| counts[self.class_of(index)] += 1);
        counts
    }

    /// Image `index` as a picture.
    ///
    /// # Panics
    /// If `index` is not below [`len`](SpriteSet::len).
    pub fn image(&self, index: usize) -> RgbImage {
        let (pixels, side) = (self.pixels(index), self.side as u32);
        RgbImage::from_fn(side, side, |x, y| {
            let start = (y as usize * self.side + x as usize) * self.channels;
            // Grey has one channel, which is all three colours.
            let colour = |channel: usize| pixels[start + channel % self.channels];
            pyrograph_vision::Rgb([0, 1, 2].map(colour))
        })
    }

    /// Writes image `index` as values in [-1, 1], channels first (CHW): `(byte / 255 - 0.5) / 0.5`.
    ///
    /// # Panics
    /// If `index` is not below [`len`](SpriteSet::len), or `out` does not have the length of
    /// [`values_per_image`](SpriteSet::values_per_image).
    pub fn write_chw(&self, index: usize, out: &mut [f32]) {
        self.write_mapped(index, out, |column| column);
    }

    /// As [`write_chw`](SpriteSet::write_chw), mirrored left to right.
    ///
    /// # Panics
    /// As [`write_chw`](SpriteSet::write_chw).
    pub fn write_chw_flipped(&self, index: usize, out: &mut [f32]) {
        let last = self.side - 1;
        self.write_mapped(index, out, |column| last - column);
    }

    /// As [`write_chw`](SpriteSet::write_chw), with the image augmented by `augment` for this
    /// epoch.
    ///
    /// # Panics
    /// As [`write_chw`](SpriteSet::write_chw).
    pub fn write_chw_augmented(
        &self,
        index: usize,
        augment: &Augment,
        seed: u64,
        epoch: u64,
        out: &mut [f32],
    ) {
        if augment.flips(seed, epoch, index) {
            self.write_chw_flipped(index, out);
        } else {
            self.write_chw(index, out);
        }
    }

    /// All images as values in [-1, 1], one after the other, channels first (NCHW), the input of
    /// the metrics.
    pub fn to_nchw(&self) -> Vec<f32> {
        let size = self.values_per_image();
        let mut values = vec![0.0; self.pixels.len()];
        for (index, out) in values.chunks_exact_mut(size).enumerate() {
            self.write_chw(index, out);
        }
        values
    }

    /// Resizes every image to `side` by `side` pixels by [`pyrograph_vision::resize`]: whole
    /// factors keep pixel art intact.
    ///
    /// # Errors
    /// [`DataError::Range`] for a side of 0 or beyond 4096.
    pub fn resized(&self, side: usize) -> Result<SpriteSet, DataError> {
        let wanted = folder::check_side(side)?;
        let mut pixels = Vec::new();
        for index in 0..self.len() {
            let image = pyrograph_vision::resize(&self.image(index), wanted, wanted)?;
            // A grey image comes back as three equal channels, of which one is kept.
            let colours = image.pixels().flat_map(|pixel| &pixel.0[..self.channels]);
            pixels.extend(colours.copied());
        }
        Ok(SpriteSet {
            pixels,
            side,
            channels: self.channels,
            contexts: self.contexts.clone(),
            class_names: self.class_names.clone(),
        })
    }

    /// A CRC-32 of all images and contexts in their order: sets that differ in anything but their
    /// class names have different checksums, except with a probability of one in four thousand
    /// million.
    pub fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.pixels);
        self.contexts
            .iter()
            .for_each(|value| hasher.update(&value.to_le_bytes()));
        hasher.finalize()
    }

    /// The images at `indices`, in their order; an image may come more than once.
    ///
    /// # Panics
    /// If an index is not below [`len`](SpriteSet::len).
    pub fn subset(&self, indices: &[usize]) -> SpriteSet {
        SpriteSet {
            pixels: indices
                .iter()
                .flat_map(|&index| self.pixels(index))
                .copied()
                .collect(),
            contexts: indices
                .iter()
                .flat_map(|&index| self.context(index))
                .copied()
                .collect(),
            side: self.side,
            channels: self.channels,
            class_names: self.class_names.clone(),
        }
    }

    fn write_mapped(&self, index: usize, out: &mut [f32], column_of: impl Fn(usize) -> usize) {
        let pixels = self.pixels(index);
        assert_eq!(out.len(), pixels.len(), "the buffer has to hold one image");
        for (channel, plane) in out.chunks_exact_mut(self.side * self.side).enumerate() {
            let rows = pixels.chunks_exact(self.side * self.channels);
            for (target, source) in plane.chunks_exact_mut(self.side).zip(rows) {
                for (column, value) in target.iter_mut().enumerate() {
                    let byte = source[column_of(column) * self.channels + channel];
                    *value = (f32::from(byte) / 255.0 - 0.5) / 0.5;
                }
            }
        }
    }
}

/// `width` numbers, all 0 but a 1 at `class`.
fn one_hot(class: usize, width: usize) -> impl Iterator<Item = f32> {
    (0..width).map(move |index| if index == class { 1.0 } else { 0.0 })
}

#[cfg(test)]
mod tests;

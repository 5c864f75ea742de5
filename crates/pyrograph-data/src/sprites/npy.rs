//! Sets in the layout of the course: an array of images and an array of labels.

use std::path::Path;

use super::{SpriteLabels, SpriteReading, SpriteSet, names, one_hot};
use crate::DataError;
use crate::npy::{NpyFile, NumberType};

const IMAGE_SHAPE: &str = "(count, side, side, channels) with 1, 3 or 4 channels";
const LABEL_SHAPE: &str =
    "(count, classes), one-hot (or (count) and (count, 1) of class numbers with --labels classes)";
/// The most classes that numbers may name.
const MOST_CLASSES: usize = 10_000;

/// An array of images.
struct Images {
    pixels: Vec<u8>,
    count: usize,
    side: usize,
    channels: usize,
}

/// An array of labels.
struct Labels {
    contexts: Vec<f32>,
    count: usize,
    classes: usize,
}

impl SpriteSet {
    /// Reads the pair of `.npy` files of the course: images (N, side, side, channels) of type uint8,
    /// and labels (N, K), one-hot or otherwise, of any plain real type.
    ///
    /// Images have one side for width and height and 1, 3 or 4 channels; the fourth channel is
    /// opacity, and such images are composited on white. The class names come from the first of
    /// these that exists: a file `classes.txt` beside the labels, one name a line; the line
    /// `Classes: 0 hero (…), 1 …` of a `PROVENANCE.md` there; the course's five (hero, non-hero,
    /// food, spell, side-facing) if K is 5; class-0, class-1 and so on.
    ///
    /// # Errors
    /// [`DataError`] names the file with the value seen and the values allowed:
    /// [`Read`](DataError::Read), [`NotNpy`](DataError::NotNpy),
    /// [`NpyHeader`](DataError::NpyHeader), [`Dtype`](DataError::Dtype),
    /// [`Shape`](DataError::Shape), [`FortranOrder`](DataError::FortranOrder),
    /// [`Truncated`](DataError::Truncated), [`Empty`](DataError::Empty),
    /// [`CountMismatch`](DataError::CountMismatch), [`NonFiniteLabel`](DataError::NonFiniteLabel),
    /// [`ClassNames`](DataError::ClassNames), and [`ClassNumbers`](DataError::ClassNumbers) for a
    /// column of numbers above one. Memory for the claimed size of an array is allocated only if
    /// the file is that long.
    pub fn from_npy(
        images_path: impl AsRef<Path>,
        labels_path: impl AsRef<Path>,
    ) -> Result<SpriteSet, DataError> {
        let labels = SpriteLabels::Auto;
        Ok(read(images_path.as_ref(), labels_path.as_ref(), labels)?.sprites)
    }
}

/// Reads the pair of files.
pub(super) fn read(
    images_path: &Path,
    labels_path: &Path,
    kind: SpriteLabels,
) -> Result<SpriteReading, DataError> {
    let images = read_images(images_path)?;
    let mut labels = read_labels(labels_path, kind)?;
    if images.count != labels.count {
        return Err(DataError::CountMismatch {
            images_path: images_path.into(),
            images: images.count,
            labels_path: labels_path.into(),
            labels: labels.count,
        });
    }
    let mut remarks = Vec::new();
    match kind {
        SpriteLabels::Classes => labels = labels.one_hot(labels_path)?,
        SpriteLabels::Auto => remarks.extend(labels.check_is_context(labels_path)?),
        SpriteLabels::Contexts => {}
    }
    let class_names = names::beside(labels_path, labels.classes)?;
    let (side, channels) = (images.side, images.channels);
    let sprites = SpriteSet::new(images.pixels, side, channels, labels.contexts, class_names)?;
    Ok(SpriteReading { sprites, remarks })
}

impl Labels {
    /// The largest class number, where one column holds whole numbers from 0 on.
    fn largest_class(&self) -> Option<usize> {
        let is_class = |value: &f32| *value >= 0.0 && value.fract() == 0.0;
        if self.classes != 1 || !self.contexts.iter().all(is_class) {
            return None;
        }
        let largest = self.contexts.iter().copied().fold(0.0, f32::max);
        // A whole number from 0 on; beyond usize it saturates.
        Some(largest as usize)
    }

    /// Refuses class numbers that would be taken for a context value. Gives a sentence where they
    /// may be one or the other.
    fn check_is_context(&self, path: &Path) -> Result<Option<String>, DataError> {
        match self.largest_class() {
            None => Ok(None),
            Some(largest @ 2..) => Err(DataError::ClassNumbers {
                path: path.into(),
                rows: self.count,
                largest,
            }),
            Some(_) => {
                let both = self.contexts.contains(&0.0) && self.contexts.contains(&1.0);
                Ok(both.then(|| {
                    format!(
                        "{} holds one number an image, 0 or 1: it is taken for one context value; say --labels \
                         classes if it is the number of a class",
                        path.display()
                    )
                }))
            }
        }
    }

    /// One-hot contexts of class numbers.
    fn one_hot(self, path: &Path) -> Result<Self, DataError> {
        let Some(largest) = self.largest_class() else {
            return Err(DataError::Shape {
                path: path.into(),
                seen: vec![self.count as u64, self.classes as u64],
                allowed: "(count) or (count, 1) with whole numbers from 0 on, as --labels classes takes them",
            });
        };
        if largest >= MOST_CLASSES {
            return Err(DataError::Range {
                what: "the largest class number of the labels",
                seen: largest as f64,
                allowed: "0 to 9999",
            });
        }
        let classes = largest + 1;
        let numbers = self.contexts.iter().map(|&number| number as usize);
        Ok(Self {
            contexts: numbers.flat_map(|class| one_hot(class, classes)).collect(),
            count: self.count,
            classes,
        })
    }
}

fn read_images(path: &Path) -> Result<Images, DataError> {
    let file = NpyFile::open(path)?;
    let header = file.header();
    if header.dtype.trim_start_matches(['|', '<', '>', '=']) != "u1" {
        let (path, seen) = (path.into(), header.dtype.clone());
        return Err(DataError::Dtype {
            path,
            seen,
            allowed: "uint8 ('|u1')",
        });
    }
    let wrong_shape = |seen: &[u64]| DataError::Shape {
        path: path.into(),
        seen: seen.into(),
        allowed: IMAGE_SHAPE,
    };
    let shape = header.shape.clone();
    let &[count, height, width, channels @ (1 | 3 | 4)] = shape.as_slice() else {
        return Err(wrong_shape(&shape));
    };
    if height != width || height == 0 {
        return Err(wrong_shape(&shape));
    }
    if count == 0 {
        return Err(DataError::Empty { path: path.into() });
    }
    let bytes = file.into_bytes(1)?;
    // The array is in memory, so its sides fit.
    let (count, side) = (count as usize, height as usize);
    let (pixels, channels) = match channels {
        4 => (on_white(&bytes), 3),
        channels => (bytes, channels as usize),
    };
    Ok(Images {
        pixels,
        count,
        side,
        channels,
    })
}

fn read_labels(path: &Path, kind: SpriteLabels) -> Result<Labels, DataError> {
    let file = NpyFile::open(path)?;
    let header = file.header();
    let Some(number_type) = NumberType::parse(&header.dtype) else {
        let (path, seen) = (path.into(), header.dtype.clone());
        return Err(DataError::Dtype {
            path,
            seen,
            allowed: NumberType::ALLOWED,
        });
    };
    let shape = header.shape.clone();
    let (count, classes) = match *shape.as_slice() {
        [count, classes] if classes > 0 => (count, classes),
        [count] if kind == SpriteLabels::Classes => (count, 1),
        _ => {
            return Err(DataError::Shape {
                path: path.into(),
                seen: shape,
                allowed: LABEL_SHAPE,
            });
        }
    };
    if count == 0 {
        return Err(DataError::Empty { path: path.into() });
    }
    let bytes = file.into_bytes(number_type.size())?;
    // The array is in memory, so its sides fit.
    let (count, classes) = (count as usize, classes as usize);
    let mut contexts = Vec::with_capacity(count * classes);
    for (index, number) in number_type.numbers(&bytes).enumerate() {
        // Beyond the range of f32 the value becomes infinite.
        if !(number as f32).is_finite() {
            let (path, row, column) = (path.into(), index / classes, index % classes);
            return Err(DataError::NonFiniteLabel {
                path,
                seen: number,
                row,
                column,
            });
        }
        contexts.push(number as f32);
    }
    Ok(Labels {
        contexts,
        count,
        classes,
    })
}

/// RGB of interleaved RGBA composited on white.
fn on_white(bytes: &[u8]) -> Vec<u8> {
    let blend = |pixel: &[u8]| {
        let alpha = u32::from(pixel[3]);
        // A mean of two bytes, so it fits one; rounded to the nearest.
        let over = move |c: u8| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        [over(pixel[0]), over(pixel[1]), over(pixel[2])]
    };
    bytes.chunks_exact(4).flat_map(blend).collect()
}

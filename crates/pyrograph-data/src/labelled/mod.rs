//! A set of images of one size, each with the number of its class.

mod csv;
mod folder;
mod idx;
mod idx_names;
mod levels;
mod masks;
mod open;
mod options;
mod part;
mod pictures;
mod select;
mod values;

use crate::DataError;

pub use csv::CsvError;
pub use options::{
    Channels, LabelColumn, LabelledOptions, LabelledReader, LabelledReading, Switch,
};
pub use part::Split;

/// The names of the class that counts as normal, in any mixture of capitals.
const NORMAL_NAMES: [&str; 2] = ["normal", "good"];

/// The longest side of an image. Pictures are counted in 32 bits, and three channels of this size in 64.
const LONGEST_SIDE: usize = 65_535;

/// Images of one size as bytes, each with a label: the index of its class in the list of names.
///
/// Unlike sprites ([`SpriteSet`](crate::SpriteSet)) the images need not be square and are stored
/// channels first. A [`Normalisation`](pyrograph_vision::Normalisation) maps their bytes to values.
///
/// Two sets are equal if their images, labels and classes are equal; the names of the images do not
/// matter.
#[derive(Clone, Debug)]
pub struct LabelledImages {
    /// Image after image, channels first (NCHW).
    pixels: Vec<u8>,
    channels: usize,
    height: usize,
    width: usize,
    labels: Vec<usize>,
    class_names: Vec<String>,
    /// Where each image comes from; empty where nothing is known of it.
    item_names: Vec<String>,
}

impl PartialEq for LabelledImages {
    fn eq(&self, other: &Self) -> bool {
        let shape = |set: &Self| (set.channels, set.height, set.width);
        shape(self) == shape(other)
            && self.labels == other.labels
            && self.class_names == other.class_names
            && self.pixels == other.pixels
    }
}

impl Eq for LabelledImages {}

impl LabelledImages {
    /// A set from its parts: `pixels` image after image, channels first (NCHW), and for each image
    /// the index of its class in `class_names`. A class may have no images.
    ///
    /// # Errors
    /// [`DataError::Parts`] if the parts do not fit together, the set is empty or larger than
    /// `u32::MAX` images, there are neither 1 nor 3 channels, a side is 0 or beyond 65535, or two
    /// classes have one name.
    pub fn new(
        pixels: Vec<u8>,
        channels: usize,
        height: usize,
        width: usize,
        labels: Vec<usize>,
        class_names: Vec<String>,
    ) -> Result<Self, DataError> {
        let refuse = |what, seen, expected: &str| {
            let expected = expected.into();
            Err(DataError::Parts {
                what,
                seen,
                expected,
            })
        };
        if ![1, 3].contains(&channels) {
            return refuse("the number of channels", channels, "1 or 3");
        }
        for (what, side) in [
            ("the height of the images", height),
            ("the width of the images", width),
        ] {
            if !(1..=LONGEST_SIDE).contains(&side) {
                return refuse(what, side, &format!("1 to {LONGEST_SIDE} pixels"));
            }
        }
        let size = channels * height * width;
        let count = pixels.len() / size;
        if pixels.is_empty() || !pixels.len().is_multiple_of(size) || u32::try_from(count).is_err()
        {
            let expected = format!("a multiple of {size}, for 1 to {} images,", u32::MAX);
            return refuse("the number of bytes of the images", pixels.len(), &expected);
        }
        if labels.len() != count {
            let expected = format!("one for each of {count} images");
            return refuse("the number of labels", labels.len(), &expected);
        }
        if let Some(&label) = labels.iter().find(|&&label| label >= class_names.len()) {
            let expected = format!("a class of the {} named", class_names.len());
            return refuse("a label", label, &expected);
        }
        let repeated = |&place: &usize| class_names[..place].contains(&class_names[place]);
        if let Some(place) = (0..class_names.len()).find(repeated) {
            let expected = "a name that no class before has";
            return refuse("the name of class", place, expected);
        }
        Ok(Self {
            pixels,
            channels,
            height,
            width,
            labels,
            class_names,
            item_names: Vec::new(),
        })
    }

    /// Sets a name for each image: its path below the folder of the data, or its position in a
    /// file.
    ///
    /// # Errors
    /// [`DataError::Parts`] unless there is one name for each image.
    pub fn with_item_names(mut self, names: Vec<String>) -> Result<Self, DataError> {
        if names.len() != self.len() {
            return Err(DataError::Parts {
                what: "the number of names",
                seen: names.len(),
                expected: format!("one for each of {} images", self.len()),
            });
        }
        self.item_names = names;
        Ok(self)
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images, as in an empty [subset](LabelledImages::subset).
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels of every image: 1 for grey, 3 for RGB.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height of every image in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width of every image in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The values of one image, channels · height · width, never 0.
    pub fn values_per_image(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The bytes of image `index`, channels first (CHW).
    ///
    /// # Panics
    /// If `index` is not below [`len`](LabelledImages::len), as in all methods that take an index.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let size = self.values_per_image();
        &self.pixels[index * size..][..size]
    }

    /// The label of image `index`: the index of its class in
    /// [`class_names`](LabelledImages::class_names).
    ///
    /// # Panics
    /// If `index` is not below [`len`](LabelledImages::len).
    pub fn label(&self, index: usize) -> usize {
        self.labels[index]
    }

    /// The name of image `index`: its path below the folder of the data, or a file and a position
    /// in it; `None` for images without a name.
    pub fn item_name(&self, index: usize) -> Option<&str> {
        self.item_names.get(index).map(String::as_str)
    }

    /// The labels of all images.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The names of the classes, including classes without images.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The number of images of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.class_names.len()];
        self.labels.iter().for_each(|&label| counts[label] += 1);
        counts
    }

    /// The class named `normal` or `good`, if there is one.
    pub fn normal_class(&self) -> Option<usize> {
        self.class_names.iter().position(|name| is_normal(name))
    }

    /// A CRC-32 of all images and labels in their order. Sets that differ in any of these have
    /// different checksums, except with a probability of one in four thousand million.
    pub fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.pixels);
        for &label in &self.labels {
            hasher.update(&(label as u64).to_le_bytes());
        }
        hasher.finalize()
    }
}

fn is_normal(name: &str) -> bool {
    NORMAL_NAMES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Numbers as the names of classes: those of the ten digits, and more where a label is beyond them.
fn numbered_classes(labels: &[usize]) -> Vec<String> {
    let largest = labels.iter().copied().max().unwrap_or(0).max(9);
    (0..=largest).map(|class| class.to_string()).collect()
}

#[cfg(test)]
mod tests;

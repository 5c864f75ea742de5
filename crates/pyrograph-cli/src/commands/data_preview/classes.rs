//! Sheets of images by class, with counts, shape and range.

use anyhow::bail;
use pyrograph::{
    art,
    data::{Split, SpriteSet, epoch_order},
    figures::labelled_grid,
    train::{dcgan::ImageSource, sprites::DataSource},
    vision::{RgbImage, enlarge, pick_factor, resize_bilinear, write_png},
};
use serde_json::{Map, json};

use super::{DataPreview, GAP, TRAIN, WHITE};
use crate::reading::{counted, read_labelled, read_sprites, sprite_options};

/// Built-in sprites that are drawn.
const SPRITES: usize = 500;
/// Built-in digits of each class.
const DIGITS: usize = 50;
/// Their side.
const DIGIT_SIDE: usize = 28;
/// Images of each class, and in a row, when no numbers are given.
const EACH: usize = 10;
/// Classes on a sheet.
const MAX_CLASSES: usize = 60;
/// How wide a small image should come out, and the most that a large one may be.
const TARGET_SIDE: u32 = 64;
const MOST_SIDE: u32 = 128;

/// Images by class, of any kind.
struct Classes<'a> {
    names: &'a [String],
    counts: Vec<usize>,
    /// [height, width, channels].
    shape: [usize; 3],
    /// The least and the largest byte.
    bytes: (u8, u8),
    /// The class of an image.
    class_of: &'a dyn Fn(usize) -> usize,
    image: &'a dyn Fn(usize) -> RgbImage,
    checksum: u32,
}

impl DataPreview {
    /// The sprites of --data, or built-in ones.
    pub(super) fn sprite_set(&self) -> anyhow::Result<SpriteSet> {
        let side = self.flags.side.map(|side| side as usize);
        Ok(match &self.set.data {
            Some(path) => {
                let source = DataSource::Folder {
                    path: path.clone(),
                    side,
                    options: sprite_options(self.flags.labels, self.set.faults()),
                };
                read_sprites(&source, &self.common)?
            }
            None => art::sprites(SPRITES, self.seed)?,
        })
    }

    pub(super) fn sprites(&self) -> anyhow::Result<()> {
        let set = self.sprite_set()?;
        let pixels = (0..set.len()).flat_map(|index| set.pixels(index));
        self.class_sheet(&Classes {
            names: set.class_names(),
            counts: set.class_counts(),
            shape: [set.side(), set.side(), set.channels()],
            bytes: extremes(pixels),
            class_of: &|index| set.class_of(index),
            image: &|index| set.image(index),
            checksum: set.checksum(),
        })
    }

    pub(super) fn digits(&self) -> anyhow::Result<()> {
        let split: Split = self.split.as_deref().unwrap_or(TRAIN).parse()?;
        let size = self.flags.side.map(|side| (side as usize, side as usize));
        let source = ImageSource {
            path: self.set.data.clone(),
            per_class: DIGITS,
            classes: Vec::new(),
            limit: None,
            seed: self.seed,
            options: self.flags.reading.options(self.set.faults()),
        };
        let mut reader = source.reader(split, DIGIT_SIDE);
        if source.path.is_some() {
            reader.size = size;
        }
        let set = read_labelled(&source, reader, &self.common)?.images;
        let pixels = (0..set.len()).flat_map(|index| set.pixels(index));
        self.class_sheet(&Classes {
            names: set.class_names(),
            counts: set.class_counts(),
            shape: [set.height(), set.width(), set.channels()],
            bytes: extremes(pixels),
            class_of: &|index| set.label(index),
            image: &|index| set.image(index),
            checksum: set.checksum(),
        })
    }

    /// A row of images for each class that has some, in the order of a training of this seed.
    fn class_sheet(&self, set: &Classes<'_>) -> anyhow::Result<()> {
        let each = self.count.unwrap_or(EACH);
        let columns = self.columns.unwrap_or(EACH);
        let total: usize = set.counts.iter().sum();
        if total == 0 {
            bail!("there are no images in this part of the data");
        }
        let present: Vec<_> = (0..set.names.len())
            .filter(|&c| set.counts[c] > 0)
            .collect();
        let shown = &present[..present.len().min(MAX_CLASSES)];
        if shown.len() < present.len() {
            self.common.say(format!(
                "the first {MAX_CLASSES} of {} classes are shown",
                present.len()
            ));
        }
        let mut places = vec![Vec::new(); set.names.len()];
        for index in epoch_order(total, self.seed, 0) {
            let of_class = &mut places[(set.class_of)(index as usize)];
            if of_class.len() < each {
                of_class.push(index as usize);
            }
        }
        let mut rows: Vec<(String, Vec<RgbImage>)> = Vec::new();
        for &class in shown {
            let mut label = format!("{} ({})", set.names[class], set.counts[class]);
            for chunk in places[class].chunks(columns) {
                let images = chunk.iter().map(|&index| cell(&(set.image)(index)));
                rows.push((label, images.collect::<anyhow::Result<_>>()?));
                // A long class goes on in a row without a name.
                label = String::new();
            }
        }
        write_png(&self.out, &labelled_grid(&rows, &[], GAP, WHITE)?)?;
        self.print_classes(set, total)
    }

    fn print_classes(&self, set: &Classes<'_>, total: usize) -> anyhow::Result<()> {
        let [height, width, channels] = set.shape;
        let (least, most) = set.bytes;
        let value = |byte: u8| f32::from(byte) / 255.0 * 2.0 - 1.0;
        let counts = || set.names.iter().zip(&set.counts);
        let of_class: Map<_, _> = counts()
            .map(|(name, &count)| (name.clone(), count.into()))
            .collect();
        let json = json!({
            "images": total, "shape": set.shape, "bytes": [least, most],
            "values": [value(least), value(most)], "classes": set.names,
            "images_of_class": of_class, "checksum": set.checksum,
            "written": self.out.display().to_string(),
        });
        let counts: Vec<_> = counts()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let text = format!(
            "{} of {height}×{width}×{channels}, bytes {least} to {most} (as values {:.2} to {:.2}): {}\nwrote {}",
            counted(total, "image"),
            value(least),
            value(most),
            counts.join(", "),
            self.out.display()
        );
        self.common.print(&json, &text)
    }
}

/// An image at a size that can be seen, and of which a sheet holds many.
pub(super) fn cell(image: &RgbImage) -> anyhow::Result<RgbImage> {
    let (width, height) = image.dimensions();
    let longest = width.max(height);
    if longest > MOST_SIDE {
        let scaled = |side: u32| {
            let scaled = u64::from(side) * u64::from(MOST_SIDE) / u64::from(longest);
            u32::try_from(scaled).unwrap_or(MOST_SIDE).max(1)
        };
        return Ok(resize_bilinear(image, scaled(width), scaled(height))?);
    }
    Ok(enlarge(image, pick_factor(longest, TARGET_SIDE))?)
}

/// The least and the largest byte; of none, both are 0.
fn extremes<'a>(bytes: impl Iterator<Item = &'a u8>) -> (u8, u8) {
    let ends = bytes.fold(None, |ends, &byte| match ends {
        None => Some((byte, byte)),
        Some((least, most)) => Some((byte.min(least), byte.max(most))),
    });
    ends.unwrap_or_default()
}

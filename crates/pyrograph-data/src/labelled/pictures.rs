//! Images of one size from image files.

use std::path::{Path, PathBuf};

use pyrograph_vision::{
    RgbImage, check_image_file, from_deep, read_deep_image, read_image, resize_plane_bicubic,
};

use super::{Channels, LabelledImages, LabelledReader, LabelledReading, Switch, levels};
use crate::DataError;
use crate::faults::{FaultList, counted};
use crate::listing::unread_format;

/// A file and the place of its class.
pub(super) type Labelled = (PathBuf, usize);

/// Reads image files below `root`, each with the place of its class in `names`. `items` are all.
///
/// Headers and ends of all files are looked at first, so that what is wrong with them is found at once.
pub(super) fn read(
    root: &Path,
    files: &[Labelled],
    names: Vec<String>,
    reader: &LabelledReader,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<LabelledReading, DataError> {
    let size = reader.size.map(|(height, width)| [height, width]);
    let mut faults = FaultList::new(reader.options.faults);
    let total = 2 * files.len();
    let mut whole = Vec::with_capacity(files.len());
    for (place, (file, class)) in files.iter().enumerate() {
        if faults.is_full() {
            break;
        }
        if faults.keep(check_file(file))?.is_some() {
            whole.push((file, *class));
        }
        progress(place + 1, total);
    }
    faults.check(root, files.len())?;

    let mut images = Images::new(size, reader);
    let (mut labels, mut item_names) = (Vec::new(), Vec::new());
    for (place, &(file, class)) in whole.iter().enumerate() {
        if faults.is_full() {
            break;
        }
        let read = images.decoded(file, &whole);
        if let Some(image) = faults.keep(read)? {
            images.add(file, &image)?;
            labels.push(class);
            item_names.push(name_below(root, file));
        }
        progress(files.len() + place + 1, total);
    }
    faults.check(root, files.len())?;
    let Some((_, [height, width])) = images.first else {
        faults.nothing_left(root, files.len())?;
        return Err(DataError::Empty { path: root.into() });
    };
    let mut remarks: Vec<String> = images.remarks(labels.len());
    remarks.extend(faults.remark());
    let deepest = images.deep_level.map(|_| images.deepest);
    let channels = images.channels;
    let set = LabelledImages::new(images.pixels, channels, height, width, labels, names)?;
    let mut reading = LabelledReading::of(set.with_item_names(item_names)?);
    reading.remarks = remarks;
    reading
        .remarks
        .extend(levels::remark_on_dark(&reading.images, deepest));
    if reader.options.transpose == Switch::On {
        reading.images = reading.images.transposed();
    }
    reading.white_level = images.deep_level;
    Ok(reading)
}

/// The path of a file below a folder, with slashes, or its name where it is the root itself.
pub(super) fn name_below(root: &Path, file: &Path) -> String {
    let below = file.strip_prefix(root).unwrap_or(file);
    let below = match below.as_os_str().is_empty() {
        true => Path::new(file.file_name().unwrap_or_default()),
        false => below,
    };
    let parts = below
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

fn check_file(file: &Path) -> Result<(), DataError> {
    if let Some(format) = unread_format(file) {
        return Err(DataError::UnreadFormat {
            path: file.into(),
            format,
        });
    }
    check_image_file(file)?;
    Ok(())
}

/// Images of one size, grey until the first that has a colour.
struct Images<'a> {
    wanted: Option<[usize; 2]>,
    reader: &'a LabelledReader,
    /// The first image and its height and width, resized if so wanted.
    first: Option<(PathBuf, [usize; 2])>,
    channels: usize,
    pixels: Vec<u8>,
    /// The first file that has a colour, and how many have one.
    coloured: Option<(PathBuf, usize)>,
    /// The white level of images of 16 bits, from the first of them on.
    deep_level: Option<u16>,
    /// Whether that level is a guess.
    is_guessed: bool,
    /// The largest value of images of 16 bits.
    deepest: u16,
}

impl<'a> Images<'a> {
    fn new(wanted: Option<[usize; 2]>, reader: &'a LabelledReader) -> Self {
        Self {
            wanted,
            reader,
            first: None,
            channels: 1,
            pixels: Vec::new(),
            coloured: None,
            deep_level: None,
            is_guessed: false,
            deepest: 0,
        }
    }

    /// The image of a file in 8 bits a channel.
    fn decoded(&mut self, file: &Path, all: &[(&PathBuf, usize)]) -> Result<RgbImage, DataError> {
        let given = self.reader.options.white_level;
        let Some(deep) = read_deep_image(file)? else {
            let mut image = read_image(file)?;
            // Beside images of 16 bits with their level, those of 8 bits are as they are.
            if let Some(white) = given.and_then(|level| u8::try_from(level).ok()) {
                for pixel in image.pixels_mut() {
                    pixel.0 = pixel.0.map(|value| levels::byte_of(value, white));
                }
            }
            return Ok(image);
        };
        let known = given.or(self.reader.usual_white_level).or(self.deep_level);
        let level = known.unwrap_or_else(|| {
            self.is_guessed = true;
            levels::of_deep(largest_of(all))
        });
        self.deep_level = Some(level);
        self.deepest = deep.as_raw().iter().copied().fold(self.deepest, u16::max);
        match level {
            u16::MAX => Ok(read_image(file)?),
            level => Ok(from_deep(&deep, level)),
        }
    }

    fn add(&mut self, path: &Path, image: &RgbImage) -> Result<(), DataError> {
        let from = [image.height() as usize, image.width() as usize];
        let to = self.wanted.unwrap_or(from);
        let (first_path, first) = self.first.get_or_insert_with(|| (path.into(), to));
        if to != *first {
            let pair = |[height, width]: [usize; 2]| (height, width);
            return Err(DataError::MixedShapes {
                path: path.into(),
                seen: pair(to),
                first_path: first_path.clone(),
                first: pair(*first),
            });
        }
        if !is_grey(image) {
            self.coloured.get_or_insert_with(|| (path.into(), 0)).1 += 1;
        }
        if self.channels == 1 && self.coloured.is_some() {
            self.channels = 3;
            // All images so far, each three times.
            let images = self.pixels.chunks_exact(to[0] * to[1]);
            self.pixels = images.flat_map(|image| image.repeat(3)).collect();
        }
        for channel in 0..self.channels {
            let plane: Vec<u8> = image.pixels().map(|pixel| pixel.0[channel]).collect();
            if to == from {
                self.pixels.extend(plane);
            } else {
                self.pixels.extend(resize_plane_bicubic(&plane, from, to)?);
            }
        }
        Ok(())
    }

    /// Remarks on guesses about the images.
    fn remarks(&self, count: usize) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some((file, coloured)) = &self.coloured
            && *coloured < count
            && self.reader.options.channels == Channels::Auto
        {
            let have = if *coloured == 1 { "has" } else { "have" };
            remarks.push(format!(
                "{coloured} of {} {have} colours, the first {}, and the others are grey: all are read as RGB; say \
                 --channels grey to read all as grey",
                counted(count, "image"),
                file.display()
            ));
        }
        if let Some(level) = self.deep_level.filter(|&level| level != u16::MAX)
            && self.is_guessed
        {
            remarks.push(format!(
                "the pictures have 16 bits a channel but no pixel above {level} ({} bits): {level} is taken for white; \
                 say --white-level 65535 if white is the largest number of 16 bits",
                u16::BITS - level.leading_zeros()
            ));
        }
        remarks
    }
}

/// The largest value of 16-bit images, or a value above which there is no guess. Damaged files are
/// reported elsewhere.
fn largest_of(files: &[(&PathBuf, usize)]) -> u16 {
    let mut largest = 0;
    for (file, _) in files {
        let Ok(Some(image)) = read_deep_image(file) else {
            continue;
        };
        largest = image.as_raw().iter().copied().fold(largest, u16::max);
        if levels::of_deep(largest) == u16::MAX && largest > 0 {
            break;
        }
    }
    largest
}

fn is_grey(image: &RgbImage) -> bool {
    image
        .pixels()
        .all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2])
}

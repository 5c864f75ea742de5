//! Sets from folders of image files, one folder a class.

use std::path::{Path, PathBuf};

use pyrograph_vision::{RgbImage, read_image, resize_plane_bicubic};

use super::values::checked_size;
use super::{LabelledImages, Split, is_normal};
use crate::DataError;
use crate::listing::{Listing, is_image, name_of};

/// Folders of MVTec AD that hold masks and no images of a class.
const MASKS: &str = "ground_truth";
/// Files that systems leave in folders of images.
const LEFT_BY_SYSTEMS: [&str; 2] = ["thumbs.db", "desktop.ini"];

/// A class: its name and the files of its images.
type Class = (String, Vec<PathBuf>);

impl LabelledImages {
    /// Reads a folder of images (PNG, JPEG, GIF, BMP, WebP) in either of two layouts:
    ///
    /// - MVTec AD's, where there is a folder `train` or `test`: `train/good/…`, `test/good/…`, `test/<defect>/…`. `split`
    ///   says which of the two is read. The classes are those of both, so that labels mean the same in either.
    /// - Otherwise a folder for each class, as `normal/…` and `<another>/…`. There is nothing to split by, and both
    ///   parts are the whole: keep images to test with in a folder of their own.
    ///
    /// The class named `normal` or `good` comes first, the others by the order of their names, and so do the images of
    /// each. Hidden files, `ground_truth` and what lies deeper are left out; any other file in the folder of a class
    /// has to be an image.
    ///
    /// Transparent parts are laid on white. The images are grey if no pixel of any has a colour, and RGB otherwise.
    /// With a `size` (height, width) every image is brought to it as by [`resized`](LabelledImages::resized); without,
    /// all have to be of one size.
    ///
    /// # Errors
    /// [`DataError::Read`] and [`DataError::Image`] name what cannot be read, [`DataError::MixedShapes`] the image of
    /// another size, [`DataError::LooseImage`] one beside the folders of the classes;
    /// [`DataError::NoLabelledImages`] where a folder or all images are missing, [`DataError::Range`] for a side of 0
    /// or beyond 4096.
    pub fn from_folder(
        path: impl AsRef<Path>,
        split: Split,
        size: Option<(usize, usize)>,
    ) -> Result<LabelledImages, DataError> {
        let path = path.as_ref();
        let wanted = size.map(|(height, width)| checked_size([height, width]));
        let wanted = wanted.transpose()?;
        let classes = classes(path, split)?;
        let mut images = Images::new(wanted);
        let mut labels = Vec::new();
        for (class, (_, files)) in classes.iter().enumerate() {
            for file in files {
                images.add(file)?;
                labels.push(class);
            }
        }
        let names = classes.into_iter().map(|(name, _)| name).collect();
        let Some((_, [height, width])) = images.first else {
            let reason = "its folders hold no images".into();
            return Err(none_in(path, split, reason));
        };
        Self::new(images.pixels, images.channels, height, width, labels, names)
    }
}

/// The classes of the part: those of either layout, normal first.
fn classes(path: &Path, split: Split) -> Result<Vec<Class>, DataError> {
    let parts = [Split::Train, Split::Test].map(|part| path.join(part.name()));
    let mut classes = if parts.iter().any(|part| part.is_dir()) {
        let wanted = path.join(split.name());
        if !wanted.is_dir() {
            let reason = format!("there is no folder {}", wanted.display());
            return Err(none_in(path, split, reason));
        }
        let mut classes = class_folders(&wanted)?;
        // A class of the other part alone is a class without images in this one.
        for other in parts
            .iter()
            .filter(|part| **part != wanted && part.is_dir())
        {
            for (name, _) in class_folders(other)? {
                if classes.iter().all(|(known, _)| *known != name) {
                    classes.push((name, Vec::new()));
                }
            }
        }
        classes
    } else {
        class_folders(path)?
    };
    if classes.is_empty() {
        let reason = "it holds no folders with images".into();
        return Err(none_in(path, split, reason));
    }
    classes.sort_by_cached_key(|(name, _)| (!is_normal(name), name.clone()));
    Ok(classes)
}

/// The folders in `path` that hold files, each with its files; none where no file has the name of an image.
fn class_folders(path: &Path) -> Result<Vec<Class>, DataError> {
    let listing = Listing::of(path)?;
    let mut classes = Vec::new();
    for folder in &listing.folders {
        let name = name_of(folder);
        let mut files = Listing::of(folder)?.files;
        files.retain(|file| !LEFT_BY_SYSTEMS.contains(&name_of(file).to_lowercase().as_str()));
        if name == MASKS || files.is_empty() {
            continue;
        }
        classes.push((name, files));
    }
    let mut files = classes.iter().flat_map(|(_, files)| files);
    if !files.any(|file| is_image(file)) {
        // Folders of something else: to name the first file of them would not help.
        return Ok(Vec::new());
    }
    let mut loose = listing.images();
    match classes.first() {
        Some((name, _)) if !loose.is_empty() => Err(DataError::LooseImage {
            path: loose.swap_remove(0),
            folder: path.join(name),
        }),
        _ => Ok(classes),
    }
}

fn none_in(path: &Path, split: Split, reason: String) -> DataError {
    DataError::NoLabelledImages {
        path: path.into(),
        split,
        reason,
    }
}

/// Images of one size, grey until the first that has a colour.
struct Images {
    wanted: Option<[usize; 2]>,
    /// The first image and its height and width, resized if so wanted.
    first: Option<(PathBuf, [usize; 2])>,
    channels: usize,
    pixels: Vec<u8>,
}

impl Images {
    fn new(wanted: Option<[usize; 2]>) -> Self {
        Self {
            wanted,
            first: None,
            channels: 1,
            pixels: Vec::new(),
        }
    }

    fn add(&mut self, path: &Path) -> Result<(), DataError> {
        let image = read_image(path)?;
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
        if self.channels == 1 && !is_grey(&image) {
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
}

fn is_grey(image: &RgbImage) -> bool {
    image
        .pixels()
        .all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2])
}

//! Sets from a folder of image files.

use std::path::{Path, PathBuf};

use pyrograph_vision::{RgbImage, read_image, resize};

use super::{SpriteSet, one_hot};
use crate::DataError;
use crate::listing::{Listing, name_of};

/// A class: its name and the files of its images.
type Class = (String, Vec<PathBuf>);

impl SpriteSet {
    /// Reads a folder of square images (PNG, JPEG, GIF, BMP, WebP), by the order of their names.
    ///
    /// Each sub-folder that holds images is a class, again by the order of the names, and the
    /// contexts are one-hot. Without such folders all images are of one class, named after the
    /// folder, and every context is the number 1. Hidden files, other files and deeper folders are
    /// left out.
    ///
    /// Transparent parts are laid on white and grey becomes RGB. With a `side` every image is
    /// resized to it, by [`pyrograph_vision::resize`]: whole factors keep pixel art intact. Without,
    /// all images have to be of one size.
    ///
    /// # Errors
    /// [`DataError::Read`] and [`DataError::Image`] name what cannot be read, [`DataError::NotSquare`] and
    /// [`DataError::MixedSizes`] images that do not fit, [`DataError::LooseImage`] one beside the folders
    /// of the classes; [`DataError::Empty`] where there are no images, [`DataError::Range`] for a side
    /// of 0 or beyond 4096.
    pub fn from_folder(
        path: impl AsRef<Path>,
        side: Option<usize>,
    ) -> Result<SpriteSet, DataError> {
        let path = path.as_ref();
        let wanted = side.map(check_side).transpose()?;
        let classes = classes_in(path)?;
        let mut reader = Reader {
            wanted,
            first: None,
        };
        let (mut pixels, mut contexts) = (Vec::new(), Vec::new());
        for (class, (_, files)) in classes.iter().enumerate() {
            for file in files {
                pixels.extend(reader.read(file)?.into_raw());
                contexts.extend(one_hot(class, classes.len()));
            }
        }
        let Some((_, side)) = reader.first else {
            return Err(DataError::Empty { path: path.into() });
        };
        let names = classes.into_iter().map(|(name, _)| name).collect();
        SpriteSet::new(pixels, side as usize, 3, contexts, names)
    }
}

pub(super) fn check_side(side: usize) -> Result<u32, DataError> {
    match u32::try_from(side) {
        Ok(side @ 1..=4096) => Ok(side),
        _ => {
            let (what, allowed) = ("the side of the images", "1 to 4096 pixels");
            Err(DataError::Range {
                what,
                seen: side as f64,
                allowed,
            })
        }
    }
}

/// The classes of a folder: its sub-folders with images, or itself.
fn classes_in(path: &Path) -> Result<Vec<Class>, DataError> {
    let mut listing = Listing::of(path)?;
    let mut classes = Vec::new();
    let mut first_folder = None;
    for folder in std::mem::take(&mut listing.folders) {
        let images = Listing::of(&folder)?.images();
        if !images.is_empty() {
            classes.push((name_of(&folder), images));
            first_folder.get_or_insert(folder);
        }
    }
    let mut images = listing.images();
    match first_folder {
        None => Ok(vec![(name_of(path), images)]),
        Some(folder) if !images.is_empty() => Err(DataError::LooseImage {
            path: images.swap_remove(0),
            folder,
        }),
        Some(_) => Ok(classes),
    }
}

/// Reads images of one size.
struct Reader {
    wanted: Option<u32>,
    /// The first image and its side, resized if so wanted.
    first: Option<(PathBuf, u32)>,
}

impl Reader {
    fn read(&mut self, path: &Path) -> Result<RgbImage, DataError> {
        let image = read_image(path)?;
        let (width, height) = image.dimensions();
        if width != height {
            return Err(DataError::NotSquare {
                path: path.into(),
                width,
                height,
            });
        }
        let image = match self.wanted {
            Some(side) => resize(&image, side, side)?,
            None => image,
        };
        let seen = image.width();
        let (first_path, first) = self.first.get_or_insert_with(|| (path.into(), seen));
        if seen != *first {
            let (path, first_path, first) = (path.into(), first_path.clone(), *first);
            return Err(DataError::MixedSizes {
                path,
                seen,
                first_path,
                first,
            });
        }
        Ok(image)
    }
}

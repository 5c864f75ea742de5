//! Sets from a folder of image files.

use std::path::{Path, PathBuf};

use pyrograph_vision::{Exif, RgbImage, check_image_file, read_image, resize};

use super::{SpriteReader, SpriteReading, SpriteSet, one_hot};
use crate::DataError;
use crate::faults::{FaultList, remark_on_others};
use crate::listing::{Listing, is_any_image, is_left_by_system, name_of, unread_format};

/// A class: its name and the files of its images.
type Class = (String, Vec<PathBuf>);

impl SpriteSet {
    /// Reads a folder of square images (PNG, JPEG, GIF, BMP, WebP, TIFF), sorted by name. A file
    /// without a known extension is recognised as an image by its first bytes.
    ///
    /// Each sub-folder that contains images is a class, sorted by name, and the contexts are
    /// one-hot. Without such folders all images belong to one class, named after the folder, and
    /// every context is the number 1. Hidden files, other files and deeper folders are skipped.
    ///
    /// Transparent parts are composited on white, and grey becomes RGB. With a `side` every image
    /// is resized to it, by [`pyrograph_vision::resize`]: whole factors keep pixel art intact.
    /// Without it all images must have the same size.
    ///
    /// # Errors
    /// [`DataError::Read`] and [`DataError::Image`] name a file that cannot be read,
    /// [`DataError::NotSquare`] and [`DataError::MixedSizes`] images that do not fit,
    /// [`DataError::LooseImage`] an image beside the class folders; [`DataError::Empty`] if there
    /// are no images, [`DataError::Range`] for a side of 0 or beyond 4096.
    pub fn from_folder(
        path: impl AsRef<Path>,
        side: Option<usize>,
    ) -> Result<SpriteSet, DataError> {
        let reader = SpriteReader::strict(side);
        Ok(read(&reader, path.as_ref(), &mut |_, _| ())?.sprites)
    }
}

/// Reads a folder of images. Headers and ends are looked at first, so that what is wrong with them is found at once.
pub(super) fn read(
    reader: &SpriteReader,
    path: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<SpriteReading, DataError> {
    let wanted = reader.side.map(check_side).transpose()?;
    let mut others = Vec::new();
    let classes = classes_in(path, &mut others)?;
    let files = || {
        let numbered = classes.iter().enumerate();
        numbered.flat_map(|(class, (_, files))| files.iter().map(move |file| (file, class)))
    };
    let count = files().count();
    let mut faults = FaultList::new(reader.options.faults);
    let mut first = None;
    let mut whole = Vec::with_capacity(count);
    for (place, (file, class)) in files().enumerate() {
        if faults.is_full() {
            break;
        }
        if let Some(side) = faults.keep(side_of(file))? {
            one_side(file, wanted.unwrap_or(side), &mut first)?;
            whole.push((file, class));
        }
        progress(place + 1, 2 * count);
    }
    faults.check(path, count)?;

    let (mut pixels, mut contexts) = (Vec::new(), Vec::new());
    for (place, (file, class)) in whole.into_iter().enumerate() {
        if faults.is_full() {
            break;
        }
        if let Some(image) = faults.keep(square_image(file, wanted))? {
            pixels.extend(image.into_raw());
            contexts.extend(one_hot(class, classes.len()));
        }
        progress(count + place + 1, 2 * count);
    }
    faults.check(path, count)?;
    let Some((_, side)) = first.filter(|_| !pixels.is_empty()) else {
        faults.nothing_left(path, count)?;
        return Err(DataError::Empty { path: path.into() });
    };
    let names = classes.into_iter().map(|(name, _)| name).collect();
    let mut remarks: Vec<String> = remark_on_others(&others).into_iter().collect();
    remarks.extend(faults.remark());
    Ok(SpriteReading {
        sprites: SpriteSet::new(pixels, side as usize, 3, contexts, names)?,
        remarks,
    })
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

/// The classes of a folder: its sub-folders with images, or itself. Files that are not images go to
/// `others`.
fn classes_in(path: &Path, others: &mut Vec<PathBuf>) -> Result<Vec<Class>, DataError> {
    let mut listing = Listing::of(path)?;
    let mut classes = Vec::new();
    let mut first_folder = None;
    for folder in std::mem::take(&mut listing.folders) {
        let (images, beside) = images_among(Listing::of(&folder)?.files);
        if !images.is_empty() {
            classes.push((name_of(&folder), images));
            others.extend(beside);
            first_folder.get_or_insert(folder);
        }
    }
    let (mut images, beside) = images_among(listing.files);
    others.extend(beside);
    match first_folder {
        None => Ok(vec![(name_of(path), images)]),
        Some(folder) if !images.is_empty() => Err(DataError::LooseImage {
            path: images.swap_remove(0),
            folder,
        }),
        Some(_) => Ok(classes),
    }
}

/// The images among files, those in formats that are not read included, and the others.
fn images_among(files: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    files
        .into_iter()
        .filter(|file| !is_left_by_system(file))
        .partition(|file| is_any_image(file))
}

/// The side of a square image, by its header; its end has to be there too.
fn side_of(path: &Path) -> Result<u32, DataError> {
    if let Some(format) = unread_format(path) {
        return Err(DataError::UnreadFormat {
            path: path.into(),
            format,
        });
    }
    let (width, height) = check_image_file(path)?.size(Exif::Upright);
    if width != height {
        return Err(DataError::NotSquare {
            path: path.into(),
            width,
            height,
        });
    }
    Ok(width)
}

/// Refuses an image of another side than the first.
fn one_side(path: &Path, seen: u32, first: &mut Option<(PathBuf, u32)>) -> Result<(), DataError> {
    let (first_path, first) = first.get_or_insert_with(|| (path.into(), seen));
    if seen != *first {
        return Err(DataError::MixedSizes {
            path: path.into(),
            seen,
            first_path: first_path.clone(),
            first: *first,
        });
    }
    Ok(())
}

fn square_image(path: &Path, wanted: Option<u32>) -> Result<RgbImage, DataError> {
    let image = read_image(path)?;
    match wanted {
        Some(side) => Ok(resize(&image, side, side)?),
        None => Ok(image),
    }
}

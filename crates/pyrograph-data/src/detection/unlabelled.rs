//! Images without annotations.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use pyrograph_vision::image_size;

use super::gather::numbers_of;
use super::{DetectionSample, DetectionSet, Pixels};
use crate::DataError;
use crate::listing::Listing;

impl DetectionSet {
    /// All images in `folder` and in its subfolders, without objects, sorted by name.
    ///
    /// Images are the files that end in `.png`, `.jpg`, `.jpeg`, `.gif`, `.bmp`, `.webp`, `.tif` or
    /// `.tiff`, in upper or lower case. Other files, hidden files and hidden folders are left out.
    /// The name of an image is its path in the folder, with `/` between the parts. Its size is that
    /// of the file's header; pixels are read by [`image`](Self::image). `class_names` are the
    /// classes of objects that the images may get later.
    ///
    /// # Errors
    /// - [`DataError::BadClasses`] without a class, for a class without a name, or for two classes
    ///   of one name;
    /// - [`DataError::Read`] for a folder that is missing or cannot be read;
    /// - [`DataError::Image`] for a file that has the name of an image but is not one;
    /// - [`DataError::Empty`] without images.
    pub fn unlabelled(
        folder: impl AsRef<Path>,
        class_names: Vec<String>,
    ) -> Result<DetectionSet, DataError> {
        let folder = folder.as_ref();
        numbers_of(&class_names)?;
        let mut images = Vec::new();
        add_images(folder, "", &mut HashSet::new(), &mut images)?;
        if images.is_empty() {
            let path = folder.into();
            return Err(DataError::Empty { path });
        }
        images.sort();
        let sample = |(name, path): (String, PathBuf)| {
            let size = image_size(&path)?;
            let pixels = Pixels::File(path);
            Ok(DetectionSample::new(name, size, Vec::new(), pixels))
        };
        let samples = images
            .into_iter()
            .map(sample)
            .collect::<Result<_, DataError>>()?;
        Ok(Self::from_parts(class_names, samples))
    }
}

/// Adds the name and the path of every image in `folder` and below. `prefix` goes before the names.
///
/// Every folder is entered once: a link may lead to a folder above it.
fn add_images(
    folder: &Path,
    prefix: &str,
    entered: &mut HashSet<PathBuf>,
    images: &mut Vec<(String, PathBuf)>,
) -> Result<(), DataError> {
    let real = fs::canonicalize(folder).map_err(|source| DataError::Read {
        path: folder.into(),
        source,
    })?;
    if !entered.insert(real) {
        return Ok(());
    }
    // Entries of a folder have a last part.
    let named = |path: &Path| {
        let last = path.file_name().unwrap_or_default();
        format!("{prefix}{}", last.to_string_lossy())
    };
    let listing = Listing::of(folder)?;
    for below in &listing.folders {
        let prefix = format!("{}/", named(below));
        add_images(below, &prefix, entered, images)?;
    }
    let found = listing.images().into_iter();
    images.extend(found.map(|path| (named(&path), path)));
    Ok(())
}

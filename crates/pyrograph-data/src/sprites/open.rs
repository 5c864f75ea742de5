//! Recognising the kind of set in a folder.

use std::path::{Path, PathBuf};

use super::{SpriteReader, SpriteReading, SpriteSet, folder, npy};
use crate::DataError;
use crate::listing::Listing;

impl SpriteSet {
    /// Reads the set in a folder, of either kind: one file `*sprites*.npy` and one `*labels*.npy` as by
    /// [`from_npy`](SpriteSet::from_npy), or images as by [`from_folder`](SpriteSet::from_folder).
    ///
    /// The course's `sprites_1788_16x16.npy` with `sprite_labels_nc_1788_16x16.npy` is such a pair:
    /// a name that contains `label` is for labels, any other name that contains `sprite` is for
    /// images.
    ///
    /// With a `side` every image is resized to it, as by [`resized`](SpriteSet::resized).
    ///
    /// # Errors
    /// [`DataError::NoDataSet`] if the path is not a folder, or holds an incomplete pair or several
    /// files of a kind; also the errors of the two functions.
    pub fn open(path: impl AsRef<Path>, side: Option<usize>) -> Result<SpriteSet, DataError> {
        let reader = SpriteReader::strict(side);
        Ok(read(&reader, path.as_ref(), &mut |_, _| ())?.sprites)
    }
}

/// Reads the set in a folder, of either kind.
pub(super) fn read(
    reader: &SpriteReader,
    path: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<SpriteReading, DataError> {
    let refuse = |reason: String| {
        Err(DataError::NoDataSet {
            path: path.into(),
            reason,
        })
    };
    if path.is_file() {
        return refuse("it is a file".into());
    }
    let (labels, images): (Vec<PathBuf>, Vec<PathBuf>) = Listing::of(path)?
        .files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "npy"))
        .filter(|file| has(file, "label") || has(file, "sprite"))
        .partition(|file| has(file, "label"));
    match (images.as_slice(), labels.as_slice()) {
        ([], []) => match folder::read(reader, path, progress) {
            Err(DataError::Empty { .. }) => refuse("it holds neither".into()),
            result => result,
        },
        ([images], [labels]) => {
            let mut reading = npy::read(images, labels, reader.options.labels)?;
            if let Some(side) = reader.side {
                reading.sprites = reading.sprites.resized(side)?;
            }
            Ok(reading)
        }
        _ => refuse(format!(
            "{} files for images, {} for labels",
            names(&images),
            names(&labels)
        )),
    }
}

fn has(file: &Path, part: &str) -> bool {
    file.file_name()
        .is_some_and(|name| name.to_string_lossy().to_lowercase().contains(part))
}

/// The number of files and, where there are some, their names.
fn names(files: &[PathBuf]) -> String {
    let names: Vec<_> = files
        .iter()
        .filter_map(|file| file.file_name())
        .map(|name| name.to_string_lossy())
        .collect();
    if names.is_empty() {
        "no".into()
    } else {
        format!("{} ({})", names.len(), names.join(", "))
    }
}

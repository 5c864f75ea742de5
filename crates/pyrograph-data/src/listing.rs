//! What lies in a folder.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::DataError;

/// The extensions of files that are taken for images.
pub(crate) const EXTENSIONS: [&str; 8] =
    ["png", "jpg", "jpeg", "gif", "bmp", "webp", "tif", "tiff"];

/// What a folder holds, in the order of the names.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
}

impl Listing {
    /// Lists a folder; hidden entries are left out, links are followed.
    pub(crate) fn of(folder: &Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read {
            path: folder.into(),
            source,
        };
        let mut listing = Self::default();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => listing.folders.push(path),
                Ok(_) => listing.files.push(path),
                Err(source) => return Err(DataError::Read { path, source }),
            }
        }
        listing.folders.sort();
        listing.files.sort();
        Ok(listing)
    }

    pub(crate) fn images(self) -> Vec<PathBuf> {
        self.files
            .into_iter()
            .filter(|path| is_image(path))
            .collect()
    }
}

/// Whether the name of a file is that of an image.
pub(crate) fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|seen| {
        EXTENSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(seen))
    })
}

/// The path of `name` in a folder; none where the name is absolute or leads out of it.
pub(crate) fn within(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut parts = Path::new(name).components();
    let stays = parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    stays.then(|| folder.join(name))
}

/// The last part of the path, also of `.` and the like.
pub(crate) fn name_of(folder: &Path) -> String {
    let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let named = if folder.file_name().is_some() {
        folder
    } else {
        &whole
    };
    named.file_name().map_or_else(
        || "images".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

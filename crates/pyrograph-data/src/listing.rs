//! What lies in a folder.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use crate::DataError;

/// The extensions of files that are taken for images.
pub(crate) const EXTENSIONS: [&str; 12] = [
    "png", "jpg", "jpeg", "gif", "bmp", "webp", "tif", "tiff", "jpe", "jfif", "dib", "apng",
];
/// Extensions of images in formats that are not read, each with the name of the format.
const UNREAD: [(&str, &str); 17] = [
    ("heic", "HEIC"),
    ("heif", "HEIF"),
    ("avif", "AVIF"),
    ("jxl", "JPEG XL"),
    ("jp2", "JPEG 2000"),
    ("j2k", "JPEG 2000"),
    ("psd", "Photoshop"),
    ("svg", "SVG"),
    ("ppm", "PPM"),
    ("pgm", "PGM"),
    ("pbm", "PBM"),
    ("exr", "OpenEXR"),
    ("hdr", "Radiance HDR"),
    ("dcm", "DICOM"),
    ("tga", "Targa"),
    ("ico", "ICO"),
    ("qoi", "QOI"),
];
/// How images in the formats that are read begin.
const BEGINNINGS: [&[u8]; 7] = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
];
/// Files that systems leave in folders of images.
const LEFT_BY_SYSTEMS: [&str; 3] = ["thumbs.db", "desktop.ini", "icon\r"];

/// What a folder holds, in the order of the names.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
}

impl Listing {
    /// Lists a folder; hidden entries are left out, links are followed. A link to nothing is a file
    /// that cannot be read.
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
                Err(_) if path.is_symlink() => listing.files.push(path),
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

/// Whether a file is an image that can be read, by its name or, of a name that says nothing, by its first bytes.
pub(crate) fn holds_image(path: &Path) -> bool {
    is_image(path) || begins_as_image(path).unwrap_or(false)
}

fn begins_as_image(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(12).read_to_end(&mut start)?;
    let is_webp = start.starts_with(b"RIFF") && start.ends_with(b"WEBP");
    // Two letters could begin any text: a bitmap's header goes on after them.
    let is_known =
        |known: &&[u8]| start.starts_with(known) && (known.len() > 2 || start.contains(&0));
    Ok(is_webp || BEGINNINGS.iter().any(is_known))
}

/// The format of a file that is an image by its name, but in a format that is not read.
pub(crate) fn unread_format(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_lowercase();
    let known = UNREAD.iter().find(|(known, _)| *known == extension)?;
    Some(known.1)
}

/// Whether a file is an image, in a format that is read or in another.
pub(crate) fn is_any_image(path: &Path) -> bool {
    holds_image(path) || unread_format(path).is_some()
}

/// Whether a file is one that systems leave in folders of images.
pub(crate) fn is_left_by_system(path: &Path) -> bool {
    LEFT_BY_SYSTEMS.contains(&name_of(path).to_lowercase().as_str())
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

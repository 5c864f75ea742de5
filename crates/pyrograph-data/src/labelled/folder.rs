//! Sets from folders of image files, one folder a class, and from images without a class.

use std::path::{Path, PathBuf};

use super::values::checked_size;
use super::{LabelledImages, LabelledReader, LabelledReading, Split, is_normal, masks, pictures};
use crate::DataError;
use crate::faults::remark_on_others;
use crate::listing::{Listing, holds_image, is_any_image, is_left_by_system, name_of};

/// The class of images of which nothing is known.
const UNLABELLED: &str = "unlabelled";

/// Extensions of archives and of other programs' data, which are not read.
const UNREAD: [&str; 15] = [
    "npz", "npy", "zip", "tgz", "tar", "7z", "rar", "gz", "parquet", "arff", "mat", "h5", "hdf5",
    "pkl", "tfrecord",
];

/// A class: its name and the files of its images.
type Class = (String, Vec<PathBuf>);

impl LabelledImages {
    /// Reads a folder of images (PNG, JPEG, GIF, BMP, WebP, TIFF) in either of two layouts:
    ///
    /// - MVTec AD's, if there is a folder `train` or `test`: `train/good/…`, `test/good/…`,
    ///   `test/<defect>/…`. `split` selects the part that is read. The classes are those of both
    ///   parts, so that labels mean the same in both.
    /// - Otherwise a folder for each class, such as `normal/…` and `<another>/…`. This layout has
    ///   no parts, and every `split` reads all images: keep test images in a folder of their own.
    ///
    /// The class named `normal` or `good` comes first, then the others sorted by name; the images
    /// of a class are sorted by name too. Hidden files, deeper folders and masks are skipped: the
    /// folders `ground_truth`, `masks` and the like, and files such as `000_mask.png` beside
    /// `000.png`. Any other file in the folder of a class must be an image.
    ///
    /// Transparent parts are composited on white. The images are grey if no pixel of any image has
    /// a colour, and RGB otherwise. With a `size` (height, width) every image is resized as by
    /// [`resized`](LabelledImages::resized); without it all images must have the same size.
    ///
    /// # Errors
    /// [`DataError::Read`] and [`DataError::Image`] name a file that cannot be read,
    /// [`DataError::MixedShapes`] an image of another size, [`DataError::LooseImage`] an image
    /// beside the class folders; [`DataError::NoLabelledImages`] if a folder or all images are
    /// missing, [`DataError::Range`] for a side of 0 or beyond 4096.
    pub fn from_folder(
        path: impl AsRef<Path>,
        split: Split,
        size: Option<(usize, usize)>,
    ) -> Result<LabelledImages, DataError> {
        let reader = LabelledReader {
            size,
            ..LabelledReader::strict(split)
        };
        Ok(read(&reader, path.as_ref(), &mut |_, _| ())?.images)
    }
}

/// Reads a folder of class folders, or where no labels are needed one of images.
pub(super) fn read(
    reader: &LabelledReader,
    path: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<LabelledReading, DataError> {
    if let Some((height, width)) = reader.size {
        checked_size([height, width])?;
    }
    let mut left_out = LeftOut::default();
    let classes = match classes(reader, path, &mut left_out) {
        Ok(classes) => classes,
        Err(error @ DataError::NoLabelledImages { .. }) if reader.unlabelled => {
            let listing = Listing::of(path)?;
            // Without folders of classes, a part may be a folder of images too.
            let folder = part_folder(&listing, reader.split).unwrap_or_else(|| path.into());
            let (files, mut remarks) = unlabelled_images(reader, &folder, &mut left_out)?;
            if files.is_empty() {
                return Err(error);
            }
            remarks.extend(left_out.remarks(path));
            return read_unlabelled(reader, path, files, remarks, progress);
        }
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for (class, (_, of_class)) in classes.iter().enumerate() {
        let mut of_class = of_class.clone();
        if !reader.options.keep_masks {
            left_out.masks.extend(masks::split_off(&mut of_class));
        }
        files.extend(of_class.into_iter().map(|file| (file, class)));
    }
    if files.is_empty() {
        return Err(none_in(
            path,
            reader.split,
            "its folders hold no images".into(),
        ));
    }
    let names = classes.into_iter().map(|(name, _)| name).collect();
    let mut reading = pictures::read(path, &files, names, reader, progress)?;
    reading.remarks.splice(0..0, left_out.remarks(path));
    Ok(reading)
}

/// Reads images of which nothing is known: one, or those of a folder.
pub(super) fn read_unlabelled(
    reader: &LabelledReader,
    root: &Path,
    files: Vec<PathBuf>,
    remarks: Vec<String>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<LabelledReading, DataError> {
    let files: Vec<_> = files.into_iter().map(|file| (file, 0)).collect();
    let names = vec![UNLABELLED.to_owned()];
    let mut reading = pictures::read(root, &files, names, reader, progress)?;
    reading.has_labels = false;
    reading.remarks.splice(0..0, remarks);
    Ok(reading)
}

/// The images in a folder that has no folders of classes, and what is to be said of its other files.
fn unlabelled_images(
    reader: &LabelledReader,
    path: &Path,
    left_out: &mut LeftOut,
) -> Result<(Vec<PathBuf>, Vec<String>), DataError> {
    let files = Listing::of(path)?.files.into_iter();
    let files = files.filter(|file| !is_left_by_system(file));
    let (mut images, others): (Vec<_>, Vec<_>) = files.partition(|file| is_any_image(file));
    if !reader.options.keep_masks {
        left_out.masks.extend(masks::split_off(&mut images));
    }
    let remark = remark_on_others(&others).filter(|_| !images.is_empty());
    Ok((images, remark.into_iter().collect()))
}

/// What is left out of folders.
#[derive(Default)]
struct LeftOut {
    /// Folders of masks, and masks beside images.
    masks: Vec<PathBuf>,
    /// Folders with images inside the folders of classes.
    deeper: Vec<PathBuf>,
}

impl LeftOut {
    fn remarks(&self, path: &Path) -> Vec<String> {
        let first = |found: &[PathBuf]| {
            let first = found.first()?;
            let entries = if found.len() == 1 { "entry" } else { "entries" };
            let name = pictures::name_below(path, first);
            Some(format!("{} {entries}, the first {name}", found.len()))
        };
        let masks = first(&self.masks).map(|first| {
            format!("masks are left out: {first}; say --keep-masks if they are images to be judged")
        });
        let deeper = first(&self.deeper).map(|first| {
            format!("folders with images inside the folders of classes are left out: {first}")
        });
        masks.into_iter().chain(deeper).collect()
    }
}

/// The classes of the part: those of either layout, normal first.
fn classes(
    reader: &LabelledReader,
    path: &Path,
    left_out: &mut LeftOut,
) -> Result<Vec<Class>, DataError> {
    let split = reader.split;
    let keep_masks = reader.options.keep_masks;
    let listing = Listing::of(path)?;
    let parts = [Split::Train, Split::Test].map(|part| (part, part_folder(&listing, part)));
    let mut classes = if parts.iter().any(|(_, folder)| folder.is_some()) {
        let [wanted, other] = match split {
            Split::Train => [&parts[0].1, &parts[1].1],
            Split::Test => [&parts[1].1, &parts[0].1],
        };
        let Some(wanted) = wanted else {
            let folders: Vec<String> = listing.folders.iter().map(|f| name_of(f)).collect();
            let reason = format!(
                "there is no folder {}, but {}: give the folder that is meant as --data",
                path.join(split.name()).display(),
                folders.join(", ")
            );
            return Err(none_in(path, split, reason));
        };
        let mut classes = class_folders(wanted, keep_masks, left_out)?;
        if classes.is_empty() && Listing::of(wanted)?.files.iter().any(|f| is_any_image(f)) {
            let reason = format!(
                "{} holds images, but in no folders of classes: allowed there is normal/ or good/",
                wanted.display()
            );
            return Err(none_in(path, split, reason));
        }
        // A class of the other part alone is a class without images in this one.
        if let Some(other) = other {
            for (name, _) in class_folders(other, keep_masks, &mut LeftOut::default())? {
                if classes.iter().all(|(known, _)| *known != name) {
                    classes.push((name, Vec::new()));
                }
            }
        }
        classes
    } else {
        class_folders(path, keep_masks, left_out)?
    };
    if classes.is_empty() {
        return Err(none_in(path, split, without_classes(path)?));
    }
    classes.sort_by_cached_key(|(name, _)| (!is_normal(name), name.clone()));
    Ok(classes)
}

/// The folder of a part: by its name, or that of another spelling, as `Training`.
fn part_folder(listing: &Listing, part: Split) -> Option<PathBuf> {
    let exact = |folder: &&PathBuf| name_of(folder) == part.name();
    let alike = |folder: &&PathBuf| {
        let name = name_of(folder).to_lowercase();
        let ending = name.strip_prefix(part.name());
        ending.is_some_and(|ending| ["", "ing"].contains(&ending))
    };
    let mut folders = listing.folders.iter();
    let found = folders.clone().find(exact).or_else(|| folders.find(alike));
    found.cloned()
}

/// The folders in `path` that hold files, each with its files; none where no file is an image.
fn class_folders(
    path: &Path,
    keep_masks: bool,
    left_out: &mut LeftOut,
) -> Result<Vec<Class>, DataError> {
    let listing = Listing::of(path)?;
    let names: Vec<String> = listing.folders.iter().map(|f| name_of(f)).collect();
    let mut classes = Vec::new();
    let mut deeper = Vec::new();
    for (folder, name) in listing.folders.iter().zip(&names) {
        let inside = Listing::of(folder)?;
        let mut files = inside.files;
        files.retain(|file| !is_left_by_system(file));
        let is_mask = |name: &str| !keep_masks && masks::is_mask_folder(name, &names);
        if !is_mask(name) {
            deeper.extend(
                inside
                    .folders
                    .into_iter()
                    .filter(|inner| !is_mask(&name_of(inner))),
            );
        }
        if files.is_empty() {
            continue;
        }
        if is_mask(name) {
            left_out.masks.push(folder.clone());
            continue;
        }
        classes.push((name.clone(), files));
    }
    let mut files = classes.iter().flat_map(|(_, files)| files);
    if !files.any(|file| is_any_image(file)) {
        // Folders of something else: to name the first file of them would not help.
        return Ok(Vec::new());
    }
    for folder in deeper {
        if Listing::of(&folder)?
            .files
            .iter()
            .any(|file| holds_image(file))
        {
            left_out.deeper.push(folder);
        }
    }
    let mut loose = listing.files.into_iter().filter(|file| holds_image(file));
    match (classes.first(), loose.next()) {
        (Some((name, _)), Some(image)) => Err(DataError::LooseImage {
            path: image,
            folder: path.join(name),
        }),
        _ => Ok(classes),
    }
}

/// Whether a file is an archive or of another program, by its extension.
pub(super) fn is_unread(file: &Path) -> bool {
    let extension = file.extension().unwrap_or_default();
    let extension = extension.to_string_lossy().to_lowercase();
    UNREAD.contains(&extension.as_str())
}

/// Why a folder has no classes.
fn without_classes(path: &Path) -> Result<String, DataError> {
    let listing = Listing::of(path)?;
    let unread = listing.files.iter().find(|file| is_unread(file));
    let deeper = || {
        let folders = listing.folders.iter();
        let holds = |folder: &&PathBuf| {
            let inner = Listing::of(folder)
                .map(|inner| inner.folders)
                .unwrap_or_default();
            let mut files = inner.iter().filter_map(|inner| Listing::of(inner).ok());
            files.any(|inner| inner.files.iter().any(|file| is_any_image(file)))
        };
        let mut holding = folders
            .filter(holds)
            .map(|folder| folder.display().to_string());
        holding.next()
    };
    Ok(match unread {
        None => match deeper() {
            Some(folder) => {
                format!("it holds no folders with images, but {folder} does: give that")
            }
            None => "it holds no folders with images".into(),
        },
        Some(file) => format!(
            "it holds no folders with images, but {}, which is not read: unpack it, or convert it to one of these",
            name_of(file)
        ),
    })
}

fn none_in(path: &Path, split: Split, reason: String) -> DataError {
    DataError::NoLabelledImages {
        path: path.into(),
        split,
        reason,
    }
}

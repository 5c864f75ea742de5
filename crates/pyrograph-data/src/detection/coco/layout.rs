//! The files and folders of a set in the layout of COCO, and in those of the tools that write its files.

use std::path::{Path, PathBuf};

use super::super::voc::{ALL_ANNOTATIONS, same_part};
use crate::DataError;
use crate::listing::{Listing, name_of};

/// The folder of COCO's annotation files.
const ANNOTATIONS: &str = "annotations";
/// The folder of images, or of the folders of images.
const IMAGES: &str = "images";
/// The folder of images of fiftyone.
const DATA: &str = "data";
/// What the names of COCO's files of boxes begin with.
const PREFIX: &str = "instances_";
const SUFFIX: &str = ".json";
/// What the names of its files of other annotations begin with.
const OTHER_KINDS: [&str; 7] = [
    "person_keypoints",
    "captions",
    "panoptic",
    "image_info",
    "stuff",
    "densepose",
    "unlabeled",
];
/// Names that tools give to the only file of a folder: Roboflow, fiftyone, Label Studio, and others.
const ONLY_FILES: [&str; 7] = [
    "_annotations.coco",
    "labels",
    "result",
    "annotations",
    "instances",
    "coco",
    "instances_default",
];

/// A part of a set.
#[derive(Debug)]
struct Part {
    name: String,
    file: PathBuf,
    /// Whether it is a folder with the file in it.
    is_folder: bool,
}

/// A file of annotations, and the folders in which its images may be, the likeliest first.
#[derive(Debug)]
pub(in crate::detection) struct CocoFiles {
    pub(in crate::detection) annotations: PathBuf,
    pub(in crate::detection) folders: Vec<PathBuf>,
}

/// The files of a part.
///
/// # Errors
/// [`DataError::Read`], [`DataError::NoDetectionSet`] and [`DataError::NoDetectionSplit`].
pub(in crate::detection) fn coco_files(path: &Path, split: &str) -> Result<CocoFiles, DataError> {
    if path.is_file() {
        return Ok(of_file(path));
    }
    let (parts, others) = parts_of(path)?;
    let part = choose(path, &parts, &others, split)?;
    let beside = part.file.parent().unwrap_or(path);
    let mut folders = if part.is_folder {
        [beside.join(IMAGES), beside.join(DATA), beside.into()].to_vec()
    } else {
        images_of(path, &part.name, split)
    };
    folders.extend([path.join(DATA), beside.into(), path.into()]);
    folders.retain(|folder| folder.is_dir());
    Ok(CocoFiles {
        annotations: part.file.clone(),
        folders,
    })
}

/// The file of another part of the set that `file` belongs to.
///
/// # Errors
/// [`DataError::Read`] and [`DataError::NoDetectionSplit`].
pub(in crate::detection) fn part_beside(file: &Path, split: &str) -> Result<PathBuf, DataError> {
    let above = file.ancestors().skip(1).take(2);
    let mut last = None;
    for root in above.filter(|root| root.is_dir()) {
        let (parts, others) = parts_of(root)?;
        if !parts.iter().any(|part| part.file == file) {
            continue;
        }
        match choose(root, &parts, &others, split) {
            Ok(part) => return Ok(part.file.clone()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| DataError::NoDetectionSplit {
        path: file.into(),
        seen: split.into(),
        present: "a file is a part by itself, and there is no other beside it".into(),
    }))
}

/// Whether a folder has annotation files in the form of COCO by their names.
pub(in crate::detection) fn has_parts(path: &Path) -> bool {
    parts_of(path).is_ok_and(|(parts, _)| !parts.is_empty())
}

fn of_file(path: &Path) -> CocoFiles {
    let beside = path.parent().unwrap_or(Path::new(""));
    let name = name_of(path);
    let part = name.strip_suffix(SUFFIX).unwrap_or(&name);
    let part = part.strip_prefix(PREFIX).unwrap_or(part);
    let mut folders = images_of(beside, part, part);
    if let Some(root) = beside.parent().filter(|_| is_annotations(beside)) {
        folders.extend(images_of(root, part, part));
        folders.extend([root.join(DATA), root.into()]);
    }
    folders.extend([beside.join(DATA), beside.into()]);
    folders.retain(|folder| folder.is_dir() || folder.as_os_str().is_empty());
    CocoFiles {
        annotations: path.into(),
        folders,
    }
}

/// The parts of a set by their files, and the JSON files that are none.
fn parts_of(path: &Path) -> Result<(Vec<Part>, Vec<String>), DataError> {
    let listing = Listing::of(path)?;
    let (mut parts, mut others): (Vec<Part>, Vec<String>) = (Vec::new(), Vec::new());
    let mut add = |name: String, file: &Path, is_folder| {
        if !parts.iter().any(|part| part.name == name) {
            let file = file.into();
            parts.push(Part {
                name,
                file,
                is_folder,
            });
        }
    };
    for folder in listing
        .folders
        .iter()
        .filter(|folder| is_annotations(folder))
    {
        let mut files = json_files(&Listing::of(folder)?);
        // Of two files of a part the one of COCO's own name comes first.
        files.sort_by_key(|(stem, _)| !stem.starts_with(PREFIX));
        for (stem, file) in files {
            match part_name(&stem) {
                Some(name) => add(name.to_owned(), &file, false),
                None => others.push(name_of(&file)),
            }
        }
    }
    for folder in listing
        .folders
        .iter()
        .filter(|folder| !is_annotations(folder))
    {
        // A folder that does not read is none of a part.
        let Ok(listing) = Listing::of(folder) else {
            continue;
        };
        let name = name_of(folder);
        let found = json_files(&listing).into_iter().find(|(stem, _)| {
            ONLY_FILES.contains(&stem.as_str()) || part_name(stem) == Some(name.as_str())
        });
        if let Some((_, file)) = found {
            add(name, &file, true);
        }
    }
    for (stem, file) in json_files(&listing) {
        match part_name(&stem) {
            _ if ONLY_FILES.contains(&stem.as_str()) => add(ALL_ANNOTATIONS.into(), &file, false),
            Some(name) if stem.starts_with(PREFIX) || KNOWN_PARTS.contains(&name) => {
                add(name.to_owned(), &file, false);
            }
            _ => others.push(name_of(&file)),
        }
    }
    Ok((parts, others))
}

/// Parts whose file lies in the folder of the set itself, by this name alone.
const KNOWN_PARTS: [&str; 6] = ["train", "val", "valid", "validation", "test", "trainval"];

/// The JSON files of a folder with their names, without the extension.
fn json_files(listing: &Listing) -> Vec<(String, PathBuf)> {
    let files = listing.files.iter();
    let stem = |file: &PathBuf| {
        let name = file.file_name()?.to_string_lossy();
        Some((name.strip_suffix(SUFFIX)?.to_owned(), file.clone()))
    };
    files.filter_map(stem).collect()
}

/// The name of the part that a file holds: `train` of `instances_train`, `train` and `train_annotations`.
fn part_name(stem: &str) -> Option<&str> {
    if OTHER_KINDS.iter().any(|kind| stem.starts_with(kind)) {
        return None;
    }
    let prefixes = [PREFIX, "annotations_", "coco_"];
    let suffixes = ["_annotations", "_coco", ".coco", "_instances"];
    let before = prefixes.iter().find_map(|prefix| stem.strip_prefix(prefix));
    let after = suffixes.iter().find_map(|suffix| stem.strip_suffix(suffix));
    Some(before.or(after).unwrap_or(stem))
}

/// The part of that name: exactly, with the digits of a year, by another name of the same part
/// where the parts are folders, or the only one that there is for all of the data.
fn choose<'a>(
    path: &Path,
    parts: &'a [Part],
    others: &[String],
    split: &str,
) -> Result<&'a Part, DataError> {
    if let Some(exact) = parts.iter().find(|part| part.name == split) {
        return Ok(exact);
    }
    let is_year = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    let by_year = |part: &&Part| part.name.strip_prefix(split).is_some_and(is_year);
    let by_folder = |part: &&Part| part.is_folder && same_part(&part.name, split);
    let mut found: Vec<&Part> = parts.iter().filter(by_year).collect();
    if found.is_empty() {
        found = parts.iter().filter(by_folder).collect();
    }
    let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
    match (found.as_slice(), parts) {
        ([part], _) => Ok(part),
        ([], [only]) if split == ALL_ANNOTATIONS => Ok(only),
        ([], _) => {
            let others = others.join(", ");
            let folder = path.join(ANNOTATIONS);
            let present = match (names.is_empty(), others.is_empty()) {
                (false, _) => format!("the parts are {}", names.join(", ")),
                (true, false) => format!(
                    "it has no {PREFIX}*.json, but {others}: give such a file itself as the data, if it has boxes"
                ),
                (true, true) if folder.is_dir() => format!("it has no {PREFIX}*.json"),
                (true, true) => {
                    let reason = format!(
                        "there is no folder {ANNOTATIONS} in it, no folder of a part with its annotations, and it is no JSON file"
                    );
                    return Err(no_set(path, reason));
                }
            };
            Err(DataError::NoDetectionSplit {
                path: if folder.is_dir() { folder } else { path.into() },
                seen: split.into(),
                present,
            })
        }
        _ => {
            let reason = format!(
                "several parts could be {split:?}, give one: {}",
                names.join(", ")
            );
            Err(no_set(path, reason))
        }
    }
}

fn is_annotations(folder: &Path) -> bool {
    name_of(folder).eq_ignore_ascii_case(ANNOTATIONS)
}

/// The folders of the images of a part, in the order that `DetectionSet::open` gives.
fn images_of(root: &Path, part: &str, split: &str) -> Vec<PathBuf> {
    let images = root.join(IMAGES);
    let mut folders = vec![root.join(part), images.join(part)];
    if split != part {
        folders.extend([root.join(split), images.join(split)]);
    }
    folders.push(images);
    folders
}

pub(in crate::detection) fn no_set(path: &Path, reason: String) -> DataError {
    DataError::NoDetectionSet {
        path: path.into(),
        format: "COCO",
        reason,
    }
}

//! Finding the files of a set by its layout.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{DetectionOptions, DetectionSet};
use crate::DataError;
use crate::listing::{Listing, name_of};

/// The folder of COCO's annotation files.
const ANNOTATIONS: &str = "annotations";
/// The folder of images, or of the folders of images.
const IMAGES: &str = "images";
/// What the names of COCO's files of boxes begin with.
const PREFIX: &str = "instances_";
/// What they end with.
const SUFFIX: &str = ".json";

/// The layouts of detection data that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectionFormat {
    /// That of the Pascal VOC challenges: an XML file for each image.
    Voc,
    /// That of COCO: one JSON file for all images of a part.
    Coco,
}

/// By name: `voc` or `coco`.
impl FromStr for DetectionFormat {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        match name {
            "voc" => Ok(Self::Voc),
            "coco" => Ok(Self::Coco),
            seen => Err(DataError::UnknownDetectionFormat { seen: seen.into() }),
        }
    }
}

impl DetectionSet {
    /// Reads one part of the set at `path`.
    ///
    /// [`Voc`](DetectionFormat::Voc): as by [`from_voc`](Self::from_voc).
    ///
    /// [`Coco`](DetectionFormat::Coco): as by [`from_coco`](Self::from_coco), with these files:
    ///
    /// - `path/annotations/instances_<split>.json`, or the only one whose name goes on with the digits of a year, as
    ///   `instances_train2017.json` for `train`; its images lie in the first of `train2017/`, `images/train2017/`, `train/`,
    ///   `images/train/` and `images/` that is a folder in `path`;
    /// - or `path` is such a JSON file of any name, whatever `split` says, and its images are looked for in the same way, first
    ///   beside it, then beside its folder if that is `annotations`; without any of these folders they lie beside it.
    ///
    /// # Errors
    /// [`DataError::NoDetectionSet`] where the layout is not that, [`DataError::NoDetectionSplit`] with the parts that there are;
    /// otherwise those of the functions.
    pub fn open(
        path: impl AsRef<Path>,
        format: DetectionFormat,
        split: &str,
        options: &DetectionOptions,
    ) -> Result<DetectionSet, DataError> {
        let path = path.as_ref();
        match format {
            DetectionFormat::Voc => Self::from_voc(path, split, options),
            DetectionFormat::Coco => {
                let (annotations, images) = coco_files(path, split)?;
                Self::from_coco(annotations, images, options)
            }
        }
    }
}

/// The file of a part and the folder of its images.
fn coco_files(path: &Path, split: &str) -> Result<(PathBuf, PathBuf), DataError> {
    if path.is_file() {
        let beside = path.parent().unwrap_or(Path::new(""));
        let name = name_of(path);
        let part = name.strip_suffix(SUFFIX).unwrap_or(&name);
        let part = part.strip_prefix(PREFIX).unwrap_or(part);
        let mut roots = vec![beside];
        if let Some(root) = beside.parent().filter(|_| beside.ends_with(ANNOTATIONS)) {
            roots.push(root);
        }
        let found = roots.iter().find_map(|root| images_of(root, part, part));
        return Ok((path.into(), found.unwrap_or_else(|| beside.into())));
    }
    let folder = path.join(ANNOTATIONS);
    if !folder.is_dir() {
        let reason = format!("there is no folder {ANNOTATIONS} in it, and it is no JSON file");
        return Err(no_set(path, reason));
    }
    let names: Vec<String> = Listing::of(&folder)?
        .files
        .iter()
        .map(|file| name_of(file))
        .collect();
    let part_of = |name: &'_ String| {
        let part = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        Some(part.to_owned())
    };
    let parts: Vec<String> = names.iter().filter_map(part_of).collect();
    let is_year = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit());
    let by_year = parts
        .iter()
        .filter(|part| part.strip_prefix(split).is_some_and(is_year));
    let exact = parts.iter().find(|part| *part == split);
    let candidates: Vec<&String> = exact.map_or_else(|| by_year.collect(), |part| vec![part]);
    let part = match candidates.as_slice() {
        [part] => part,
        [] => {
            return Err(DataError::NoDetectionSplit {
                path: folder,
                seen: split.into(),
                present: listed(&parts),
            });
        }
        _ => {
            let reason = format!(
                "several parts could be {split:?}, give one: {}",
                listed(&parts)
            );
            return Err(no_set(path, reason));
        }
    };
    let annotations = folder.join(format!("{PREFIX}{part}{SUFFIX}"));
    match images_of(path, part, split) {
        Some(images) => Ok((annotations, images)),
        None => {
            let reason = format!("there is no folder {part} or {IMAGES} in it");
            Err(no_set(path, reason))
        }
    }
}

/// The folder of the images of a part, in the order that [`DetectionSet::open`] gives.
fn images_of(root: &Path, part: &str, split: &str) -> Option<PathBuf> {
    let images = root.join(IMAGES);
    let folders = [
        root.join(part),
        images.join(part),
        root.join(split),
        images.join(split),
        images.clone(),
    ];
    folders.into_iter().find(|folder| folder.is_dir())
}

fn listed(parts: &[String]) -> String {
    if parts.is_empty() {
        "none".into()
    } else {
        parts.join(", ")
    }
}

fn no_set(path: &Path, reason: String) -> DataError {
    DataError::NoDetectionSet {
        path: path.into(),
        format: "COCO",
        reason,
    }
}

//! Finding the files of a set by its layout.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::coco::{coco_files, has_parts, part_beside};
use super::{DetectionOptions, DetectionSet};
use crate::DataError;

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
    /// - `path/annotations/instances_<split>.json` or `<split>.json`, or the only one whose name goes on with the digits of a year,
    ///   as `instances_train2017.json` for `train`; its images lie in `train2017/`, `images/train2017/`, `train/`,
    ///   `images/train/` or `images/` in `path`: in the first that holds one of the first images;
    /// - or `path/<split>/_annotations.coco.json` (Roboflow), or another file that its tool gives one name, with the images beside
    ///   it, in `images/` or in `data/` there; `val` stands for `valid` and `validation` there;
    /// - or the only file of a folder, as `labels.json` beside `data/` (fiftyone): its part is `all`;
    /// - or `path` is such a JSON file of any name, whatever `split` says, and its images are looked for in the same way, first
    ///   beside it, then beside its folder if that is `annotations`.
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
        let read = match format {
            DetectionFormat::Voc => Self::from_voc(path, split, options),
            DetectionFormat::Coco => {
                coco_files(path, split).and_then(|files| Self::from_coco_files(&files, options))
            }
        };
        read.map_err(|error| with_other_format(error, path, format, split))
    }

    /// The annotation file of another part of the set that COCO's annotation file `path` belongs to, as
    /// `instances_val.json` beside `instances_train.json`, or `valid/_annotations.coco.json`.
    ///
    /// # Errors
    /// [`DataError::NoDetectionSplit`] with the parts that there are, [`DataError::Read`].
    pub fn part_beside(path: impl AsRef<Path>, split: &str) -> Result<PathBuf, DataError> {
        part_beside(path.as_ref(), split)
    }
}

/// The error of a path that is of the other layout says so.
fn with_other_format(
    error: DataError,
    path: &Path,
    format: DetectionFormat,
    split: &str,
) -> DataError {
    let DataError::NoDetectionSet {
        path: place,
        format: name,
        reason,
    } = error
    else {
        return error;
    };
    let is_json = |path: &Path| path.extension().is_some_and(|seen| seen == "json");
    let other = match format {
        DetectionFormat::Voc => (is_json(path) || has_parts(path)).then_some("coco"),
        DetectionFormat::Coco => DetectionSet::is_voc(path, split).then_some("voc"),
    };
    let hint =
        other.map(|other| format!("; it looks like data in the layout {other}: --format {other}"));
    DataError::NoDetectionSet {
        path: place,
        format: name,
        reason: reason + &hint.unwrap_or_default(),
    }
}

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
    /// The layout of the Pascal VOC challenges: an XML file for each image.
    Voc,
    /// The layout of COCO: one JSON file for all images of a part.
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
    /// - `path/annotations/instances_<split>.json` or `<split>.json`, or the only file whose name
    ///   continues with the digits of a year, such as `instances_train2017.json` for `train`; its
    ///   images lie in `train2017/`, `images/train2017/`, `train/`, `images/train/` or `images/` in
    ///   `path`: in the first that holds one of the first images;
    /// - or `path/<split>/_annotations.coco.json` (Roboflow), or another fixed name that a tool
    ///   uses, with the images beside it, in `images/` or in `data/`. `val` also matches `valid`
    ///   and `validation` in this layout;
    /// - or the only JSON file of a folder, such as `labels.json` beside `data/` (fiftyone): its
    ///   part is `all`;
    /// - or `path` is itself such a JSON file, with any name and for any `split`. Its images are
    ///   searched in the same way, first beside the file, then beside its folder if that is
    ///   `annotations`.
    ///
    /// # Errors
    /// [`DataError::NoDetectionSet`] if the folder has another layout,
    /// [`DataError::NoDetectionSplit`] with the existing parts, and the errors of the two functions
    /// above.
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

    /// The annotation file of part `split` of the same set as COCO's annotation file `path`, such
    /// as `instances_val.json` beside `instances_train.json`, or `valid/_annotations.coco.json`.
    ///
    /// # Errors
    /// [`DataError::NoDetectionSplit`] with the existing parts, [`DataError::Read`].
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

//! The images with boxes that a command uses.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use pyrograph::{
    data::detection::{DetectionFormat, DetectionOptions, DetectionSet, UnknownClass, VocCorners},
    train::{TrainError, ssd::DetectionSource},
};

use crate::arguments::Common;

/// What stands for the built-in scenes.
const SCENES: &str = "scenes";
/// Remarks on boxes that are said; there may be thousands.
const REMARKS: usize = 10;
/// Width and height of a built-in scene in pixels.
const SIDE: u32 = 300;

#[derive(Clone, Copy, ValueEnum)]
enum UnknownName {
    /// The data are refused.
    Refuse,
    /// They are left out.
    Skip,
}

/// How images with boxes are read.
#[derive(Args)]
pub(crate) struct SetFlags {
    /// A folder in the layout of Pascal VOC or COCO, an annotation file of COCO, or `scenes`: built-in scenes of shapes.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// The layout: voc or coco.
    #[arg(long, default_value = "voc", requires = "data")]
    format: DetectionFormat,
    /// The corners of VOC's files count pixels from 1, as in the data of the VOC challenges; most tools count from 0.
    #[arg(long, requires = "data")]
    one_based: bool,
    /// What becomes of objects of other classes than the known ones.
    #[arg(long, value_enum, default_value_t = UnknownName::Refuse, requires = "data")]
    unknown_classes: UnknownName,
}

impl SetFlags {
    /// What no output may overwrite.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.path().cloned().into_iter().collect()
    }

    /// Where the files are; none for built-in scenes.
    fn path(&self) -> Option<&PathBuf> {
        self.data.as_ref().filter(|path| path.as_os_str() != SCENES)
    }

    /// The images of `split`, or `scenes` built-in ones from `seed`. With `classes`, these in this order.
    pub(crate) fn source(
        &self,
        split: &str,
        (scenes, seed): (usize, u64),
        classes: Option<Vec<String>>,
    ) -> Result<DetectionSource, TrainError> {
        let Some(path) = self.path() else {
            let scenes = DetectionSource::Scenes {
                count: scenes,
                side: SIDE,
                seed,
            };
            return scenes.part(split);
        };
        Ok(DetectionSource::Files {
            path: path.clone(),
            format: self.format,
            split: split.into(),
            options: DetectionOptions {
                classes,
                unknown: match self.unknown_classes {
                    UnknownName::Refuse => UnknownClass::Refuse,
                    UnknownName::Skip => UnknownClass::Skip,
                },
                voc_corners: match self.one_based {
                    true => VocCorners::OneBased,
                    false => VocCorners::ZeroBased,
                },
                ..DetectionOptions::default()
            },
        })
    }
}

/// Reads the images and says what was done to boxes and classes.
pub(crate) fn load(source: &DetectionSource, common: &Common) -> anyhow::Result<DetectionSet> {
    let set = source.load()?;
    if set.is_empty() {
        bail!("there are no images in this part of the data");
    }
    say_remarks(&set, common);
    Ok(set)
}

/// Says what was done to boxes and classes when the images were read.
pub(crate) fn say_remarks(set: &DetectionSet, common: &Common) {
    for remark in set.remarks().iter().take(REMARKS) {
        common.say(remark.to_string());
    }
    let more = set.remarks().len().saturating_sub(REMARKS);
    if more > 0 {
        common.say(format!("and {more} more boxes"));
    }
    for (class, objects) in set.skipped_classes() {
        common.say(format!("{objects} objects of class {class} were left out"));
    }
}

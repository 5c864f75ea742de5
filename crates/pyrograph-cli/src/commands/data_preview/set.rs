//! The images with boxes that a command uses.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use pyrograph::{
    data::{
        Faults,
        detection::{DetectionFormat, DetectionOptions, DetectionSet, UnknownClass, VocCorners},
    },
    train::{TrainError, ssd::DetectionSource},
    vision::Exif,
};

use crate::{
    arguments::Common,
    progress,
    reading::{counted, faults},
};

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
    /// They are skipped.
    Skip,
}

#[derive(Clone, Copy, ValueEnum)]
enum ExifName {
    /// Rotated by their EXIF data.
    Upright,
    /// With their pixels as stored.
    Stored,
}

/// Options of reading images with boxes.
#[derive(Args)]
pub(crate) struct SetFlags {
    /// A folder in a layout of Pascal VOC (XML files) or COCO (JSON), an annotation file of COCO,
    /// or `scenes` for built-in scenes of shapes; with other kinds of data an .npy pair, idx or CSV
    /// files, or folders of images. docs/detection.md and docs/labelled-data.md list the layouts.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// The layout: voc or coco.
    #[arg(long, default_value = "voc", requires = "data")]
    format: DetectionFormat,
    /// Corners in VOC's files count pixels from 1, as in the data of the VOC challenges; most tools
    /// count from 0.
    #[arg(long, requires = "data")]
    one_based: bool,
    /// The handling of objects of unknown classes.
    #[arg(long, value_enum, default_value_t = UnknownName::Refuse, requires = "data")]
    unknown_classes: UnknownName,
    /// How photographs with an EXIF orientation are read; boxes refer to the picture that is read.
    #[arg(long, value_enum, default_value_t = ExifName::Upright, requires = "data")]
    exif: ExifName,
    /// Stop at the first fault of the data, instead of listing all.
    #[arg(long, requires = "data", conflicts_with = "skip_broken")]
    strict: bool,
    /// Skip images whose annotations or files have faults, and name them.
    #[arg(long, requires = "data")]
    skip_broken: bool,
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

    /// A flag that was given of those of images with boxes alone.
    pub(super) fn of_boxes(&self) -> Option<&'static str> {
        let refuses = matches!(self.unknown_classes, UnknownName::Refuse);
        let given = [
            ("--format", self.format != DetectionFormat::Voc),
            ("--one-based", self.one_based),
            ("--unknown-classes", !refuses),
            ("--exif", !matches!(self.exif, ExifName::Upright)),
        ];
        given
            .iter()
            .find(|(_, given)| *given)
            .map(|(flag, _)| *flag)
    }

    /// What becomes of items with faults.
    pub(super) fn faults(&self) -> Faults {
        faults(self.strict, self.skip_broken)
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
                exif: match self.exif {
                    ExifName::Upright => Exif::Upright,
                    ExifName::Stored => Exif::Stored,
                },
                faults: self.faults(),
                ..DetectionOptions::default()
            },
        })
    }
}

/// Reads the annotations and the headers of the images, and says what was done to boxes and classes.
pub(crate) fn load(source: &DetectionSource, common: &Common) -> anyhow::Result<DetectionSet> {
    let set = source.load()?;
    if set.is_empty() {
        bail!("there are no images in this part of the data");
    }
    say_remarks(&set, common);
    check_images(&set, source.faults(), common)?;
    Ok(set)
}

/// Looks at the header of every image before anything is done, and says which are turned by their EXIF data unseen.
pub(crate) fn check_images(
    set: &DetectionSet,
    faults: Faults,
    common: &Common,
) -> anyhow::Result<()> {
    /// Images that are named.
    const NAMED: usize = 3;
    let faults = match faults {
        // They are left out already.
        Faults::Skip => Faults::List,
        faults => faults,
    };
    let bar = progress::bar(set.len() as u64, common.quiet);
    bar.set_message("headers");
    let checks = set.check_images(faults, &mut || bar.inc(1));
    bar.finish_and_clear();
    let checks = checks?;
    for turned in checks.turned.iter().take(NAMED) {
        common.say(format!(
            "{}: its EXIF data turn it {}, which its size does not show; its boxes are taken to be of the upright picture (--exif stored takes them of the stored one)",
            turned.image, turned.turn
        ));
    }
    let more = checks.turned.len().saturating_sub(NAMED);
    if more > 0 {
        common.say(format!("and {more} more images that EXIF turns so"));
    }
    Ok(())
}

/// Says what was done to boxes and classes when the images were read, and which images were left out.
pub(crate) fn say_remarks(set: &DetectionSet, common: &Common) {
    for remark in set.remarks().iter().take(REMARKS) {
        common.say(remark.to_string());
    }
    let more = set.remarks().len().saturating_sub(REMARKS);
    if more > 0 {
        common.say(format!("and {more} more boxes"));
    }
    if set.boxes_look_like_shares() {
        common.say(
            "every box lies within the first pixel of its image, as shares of the image would: corners are in pixels",
        );
    }
    for (class, objects) in set.skipped_classes() {
        common.say(format!(
            "left out of class {class}: {}",
            counted(*objects, "object")
        ));
    }
    if let Some(first) = set.unannotated().first() {
        let images = counted(set.unannotated().len(), "image");
        common.say(format!(
            "left aside: {images} without an annotation file, as {first}; an image without objects has a file without <object>"
        ));
    }
    for fault in set.broken().iter().take(REMARKS) {
        common.say(format!("left out: {fault}"));
    }
    match set.broken().len() {
        0 => {}
        1 => common.say("1 fault: its item was left out"),
        faults => common.say(format!("{faults} faults: their items were left out")),
    }
}

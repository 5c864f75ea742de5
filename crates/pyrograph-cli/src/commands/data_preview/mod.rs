//! `pyrograph data preview`.

mod classes;
mod forward;
mod kind;
mod schedule;
mod set;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use pyrograph::{
    data::{
        detection::{BoxAction, BoxObject, BoxRemark, DetectionSet, SsdAugment},
        epoch_order,
    },
    figures::{BoxLabel, class_colour, draw_boxes, grid},
    vision::{Rgb, RgbImage, resize_bilinear, write_png},
};
use serde_json::{Map, json};

use self::kind::{Kind, KindFlags};
pub(super) use self::set::{SetFlags, check_images, load, say_remarks};
use crate::{arguments::Common, outputs::check_outputs, progress, reading::counted};

#[derive(Clone, Copy, ValueEnum)]
enum AugmentName {
    /// SSD's full augmentation: colours, expansion, crop and flip.
    Ssd,
    /// Colours and flips: objects keep their size.
    Light,
    /// No augmentation.
    None,
}

#[derive(Args)]
pub(crate) struct DataPreview {
    /// The kind of data: images with boxes for an SSD, sprites with contexts, labelled images such
    /// as digits, or the tables of a noise schedule.
    #[arg(long, value_enum, default_value_t = Kind::Ssd)]
    kind: Kind,
    #[command(flatten)]
    set: SetFlags,
    #[command(flatten)]
    flags: KindFlags,
    /// The part of the data, for ssd and digits; VOC's part `all` is every annotation file
    /// [default: train].
    #[arg(long)]
    split: Option<String>,
    /// The picture to write.
    #[arg(long, default_value = "preview.png")]
    out: PathBuf,
    /// Number of images [default: 16 for ssd, 10 of each class for sprites and digits, 1 with
    /// --noise]. If an ssd set is smaller, some images are shown again, augmented as in the next
    /// epoch.
    #[arg(long)]
    count: Option<usize>,
    /// Images in a row [default: 4 for ssd, 10 for sprites and digits].
    #[arg(long)]
    columns: Option<usize>,
    /// The augmentation of images of ssd [default: ssd].
    #[arg(long, value_enum)]
    augment: Option<AugmentName>,
    /// Seed of the order, the augmentation, the noise and the built-in images, as in a training.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The names of the classes of ssd, in this order, separated by commas [default: those of the
    /// data].
    #[arg(long, value_delimiter = ',', requires = "data")]
    classes: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// More images than a picture can hold.
const MAX_COUNT: usize = 400;
/// Width and height that the network sees an image in.
const SIDE: u32 = 300;
/// The part of the data when none is named.
const TRAIN: &str = "train";
/// Between images.
const WHITE: Rgb<u8> = Rgb([255; 3]);
/// Pixels between images.
const GAP: u32 = 6;
/// Images of ssd, and how many in a row, when no numbers are given.
const COUNT: usize = 16;
const COLUMNS: usize = 4;
/// How many built-in scenes there are to choose from: as many as a training draws.
const SCENE_COUNT: usize = 4000;

impl DataPreview {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        for (flag, seen) in [("--count", self.count), ("--columns", self.columns)] {
            if let Some(seen) = seen.filter(|seen| !(1..=MAX_COUNT).contains(seen)) {
                bail!("{flag} is {seen}, but must be 1 to {MAX_COUNT}");
            }
        }
        self.check_flags()?;
        let outputs = [
            Some(("--out", self.out.as_path())),
            self.flags.table.as_deref().map(|path| ("--table", path)),
        ];
        let outputs: Vec<_> = outputs.into_iter().flatten().collect();
        check_outputs(&outputs, &self.set.files())?;
        match self.kind {
            Kind::Ssd => self.boxes(),
            Kind::Sprites if !self.flags.noise.is_empty() => self.forward_process(),
            Kind::Sprites => self.sprites(),
            Kind::Digits => self.digits(),
            Kind::Schedule => self.schedule(),
        }
    }

    /// Images with boxes.
    fn boxes(&self) -> anyhow::Result<()> {
        if !self.classes.is_empty() && self.set.files().is_empty() {
            bail!("--classes belongs to --data with files: built-in scenes have their own classes");
        }
        let classes = (!self.classes.is_empty()).then(|| self.classes.clone());
        let split = self.split.as_deref().unwrap_or(TRAIN);
        let source = self.set.source(split, (SCENE_COUNT, self.seed), classes)?;
        let set = load(&source, &self.common)?;

        let count = self.count.unwrap_or(COUNT);
        let bar = progress::bar(count as u64, self.common.quiet);
        let mut cells = Vec::with_capacity(count);
        for place in 0..count {
            cells.push(self.cell(&set, place)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let columns = self.columns.unwrap_or(COLUMNS);
        write_png(&self.out, &grid(&cells, columns, GAP, WHITE)?)?;
        self.print(&set, count)
    }

    /// The image that a training of this seed takes at `place`, as the network sees it, with the
    /// boxes that are trained on: neither crowds nor difficult ones.
    fn cell(&self, set: &DetectionSet, place: usize) -> anyhow::Result<RgbImage> {
        let augment = match self.augment.unwrap_or(AugmentName::Ssd) {
            AugmentName::Ssd => SsdAugment::ssd(),
            AugmentName::Light => SsdAugment::light(),
            AugmentName::None => SsdAugment::none(),
        };
        let epoch = (place / set.len()) as u64;
        let index = epoch_order(set.len(), self.seed, epoch)[place % set.len()] as usize;
        let objects = set.samples()[index].objects.iter();
        let trained = objects.filter(|object| object.is_trained_on(false));
        let trained: Vec<_> = trained.copied().collect();
        let (image, objects) = augment.apply(set.image(index)?, &trained, self.seed, epoch, index);
        let (x, y) = (
            SIDE as f32 / image.width() as f32,
            SIDE as f32 / image.height() as f32,
        );
        let label = |object: &BoxObject| {
            let bbox = object.bbox.scaled(x, y);
            BoxLabel {
                bbox,
                colour: class_colour(object.class),
                caption: set.class_names()[object.class].clone(),
                // Small boxes over large ones.
                score: -bbox.area(),
            }
        };
        let labels: Vec<_> = objects.iter().map(label).collect();
        Ok(draw_boxes(&resize_bilinear(&image, SIDE, SIDE)?, &labels))
    }

    fn print(&self, set: &DetectionSet, shown: usize) -> anyhow::Result<()> {
        let changed = |remark: &&BoxRemark| remark.action != BoxAction::Kept;
        let remarks = set.remarks().iter().filter(changed).count();
        let (images, objects) = (set.len(), set.objects());
        let widths = least_and_most(set.samples().iter().map(|sample| sample.width));
        let heights = least_and_most(set.samples().iter().map(|sample| sample.height));
        let counts = || set.class_names().iter().zip(set.class_counts());
        let of_class: Map<_, _> = counts()
            .map(|(name, count)| (name.clone(), count.into()))
            .collect();
        let value = json!({
            "images": images, "objects": objects, "classes": set.class_names(), "objects_of_class": of_class,
            "widths": [widths.0, widths.1], "heights": [heights.0, heights.1],
            "remarks": remarks, "shown": shown, "written": self.out.display().to_string(),
        });
        let counts: Vec<_> = counts()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let text = format!(
            "{} with {}: {}\n{} wide, {} high; the network sees {SIDE} × {SIDE}\n{} changed or left out\nwrote {}",
            counted(images, "image"),
            counted(objects, "object"),
            counts.join(", "),
            span(widths),
            span(heights),
            match remarks {
                1 => "1 box was".into(),
                remarks => format!("{remarks} boxes were"),
            },
            self.out.display()
        );
        self.common.print(&value, &text)
    }
}

/// The least and the greatest of some numbers of pixels; zeros of none.
fn least_and_most(pixels: impl Iterator<Item = u32> + Clone) -> (u32, u32) {
    (pixels.clone().min().unwrap_or(0), pixels.max().unwrap_or(0))
}

/// As `300 pixels`, or `200 to 500 pixels`.
fn span((least, most): (u32, u32)) -> String {
    match least == most {
        true => format!("{least} pixels"),
        false => format!("{least} to {most} pixels"),
    }
}

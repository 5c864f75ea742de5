//! `pyrograph data preview`.

mod set;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use pyrograph::{
    data::{
        detection::{BoxAction, BoxObject, BoxRemark, DetectionSet, SsdAugment},
        epoch_order,
    },
    vision::{BoxLabel, Rgb, RgbImage, class_colour, draw_boxes, grid, resize_bilinear, write_png},
};
use serde_json::{Map, json};

pub(super) use self::set::{SetFlags, advised, broken, check_images, load, say_remarks};
use crate::{arguments::Common, outputs::check_outputs, progress};

#[derive(Clone, Copy, ValueEnum)]
enum AugmentName {
    /// Colours, expansion, crop and mirror, as SSD is trained.
    Ssd,
    /// Colours and mirror: objects keep their size.
    Light,
    /// The images as they are.
    None,
}

#[derive(Args)]
pub(crate) struct DataPreview {
    #[command(flatten)]
    set: SetFlags,
    /// Which part of the data; VOC's part `all` is every annotation file.
    #[arg(long, default_value = "train")]
    split: String,
    /// The picture.
    #[arg(long, default_value = "preview.png")]
    out: PathBuf,
    /// How many images; of a smaller set some come again, augmented as in the next epoch.
    #[arg(long, default_value_t = 16)]
    count: usize,
    /// Images a row.
    #[arg(long, default_value_t = 4)]
    columns: usize,
    /// What happens to an image on its way into a batch.
    #[arg(long, value_enum, default_value_t = AugmentName::Ssd)]
    augment: AugmentName,
    /// Seed of the order, the augmentation and the built-in scenes, as a training has one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The classes by name, in this order, with commas [default: those of the data].
    #[arg(long, value_delimiter = ',', requires = "data")]
    classes: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// More images than a picture can hold.
const MAX_COUNT: usize = 400;
/// Width and height that the network sees an image in.
const SIDE: u32 = 300;
/// Pixels between images.
const GAP: u32 = 6;
/// How many built-in scenes there are to choose from: as many as a training draws.
const SCENE_COUNT: usize = 4000;

impl DataPreview {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        for (flag, seen) in [("--count", self.count), ("--columns", self.columns)] {
            if !(1..=MAX_COUNT).contains(&seen) {
                bail!("{flag} is {seen}, but must be 1 to {MAX_COUNT}");
            }
        }
        if !self.classes.is_empty() && self.set.files().is_empty() {
            bail!("--classes belongs to --data with files: built-in scenes have their own classes");
        }
        check_outputs(&[("--out", &self.out)], &self.set.files())?;
        let classes = (!self.classes.is_empty()).then(|| self.classes.clone());
        let source = self
            .set
            .source(&self.split, (SCENE_COUNT, self.seed), classes)?;
        let set = load(&source, &self.common)?;

        let bar = progress::bar(self.count as u64, self.common.quiet);
        let mut cells = Vec::with_capacity(self.count);
        for place in 0..self.count {
            cells.push(self.cell(&set, place)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        const WHITE: Rgb<u8> = Rgb([255; 3]);
        write_png(&self.out, &grid(&cells, self.columns, GAP, WHITE)?)?;
        self.print(&set)
    }

    /// The image that a training of this seed takes at `place`, as the network sees it, with the boxes that are trained on: neither
    /// crowds nor difficult ones.
    fn cell(&self, set: &DetectionSet, place: usize) -> anyhow::Result<RgbImage> {
        let augment = match self.augment {
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

    fn print(&self, set: &DetectionSet) -> anyhow::Result<()> {
        let changed = |remark: &&BoxRemark| remark.action != BoxAction::Kept;
        let remarks = set.remarks().iter().filter(changed).count();
        let (images, objects) = (set.len(), set.objects());
        let counts = || set.class_names().iter().zip(set.class_counts());
        let of_class: Map<_, _> = counts()
            .map(|(name, count)| (name.clone(), count.into()))
            .collect();
        let value = json!({
            "images": images, "objects": objects, "classes": set.class_names(), "objects_of_class": of_class,
            "remarks": remarks, "shown": self.count, "written": self.out.display().to_string(),
        });
        let counts: Vec<_> = counts()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let text = format!(
            "{images} images with {objects} objects: {}\n{remarks} boxes were changed or left out\nwrote {}",
            counts.join(", "),
            self.out.display()
        );
        self.common.print(&value, &text)
    }
}

//! A whole run: data and training.

use std::path::PathBuf;

use pyrograph_data::{
    LabelledImages, LabelledOptions, LabelledReader, LabelledReading, Split, epoch_order,
};
use serde::{Deserialize, Serialize};

use super::DcganTraining;
use crate::{
    DataFingerprint, TrainError,
    checks::{number, refuse},
    run_folder::{RunKind, RunPlan},
};

/// The source of labelled images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// A file or folder that [`LabelledImages::open`] reads; `None` means the built-in stroke
    /// digits. The path is absolute in the config of a run, so that the run can be resumed from any
    /// folder.
    pub path: Option<PathBuf>,
    /// The number of built-in digits of each class.
    pub per_class: usize,
    /// The names of the classes to take; empty for all.
    pub classes: Vec<String>,
    /// The number of images to take, from the first on; `None` for all.
    pub limit: Option<usize>,
    /// The seed that draws the built-in digits.
    pub seed: u64,
    /// Options of reading a file or folder.
    #[serde(default, skip_serializing_if = "LabelledOptions::is_default")]
    pub options: LabelledOptions,
}

/// Built-in digits are drawn from 0 to 9.
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
/// Test digits are drawn from seeds that training never uses.
const TEST_SEEDS: u64 = 1 << 63;

impl ImageSource {
    /// Reads or draws the images, resized to `side` by `side` pixels.
    ///
    /// # Errors
    /// When the data cannot be read, or the filters leave no image.
    pub fn load(&self, split: Split, side: usize) -> Result<LabelledImages, TrainError> {
        Ok(self.read(self.reader(split, side), &mut |_, _| ())?.images)
    }

    /// The reader of a part whose images become `side` by `side` pixels, for [`ImageSource::read`].
    pub fn reader(&self, split: Split, side: usize) -> LabelledReader {
        LabelledReader {
            size: Some((side, side)),
            options: self.options.clone(),
            ..LabelledReader::new(split)
        }
    }

    /// Reads or draws the images with `reader`; the result includes remarks on guesses and skipped
    /// items. `progress` is called with the number of files read and the total number.
    ///
    /// # Errors
    /// When the data cannot be read, or the filters leave no image.
    pub fn read(
        &self,
        reader: LabelledReader,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<LabelledReading, TrainError> {
        let size = reader.size;
        // Filters go before the resizing, which takes longer; but image files may need it to be of one size.
        let mut reading = match &self.path {
            Some(path) => reader.read(path, progress)?,
            None => LabelledReading::of(self.draw(reader.split)?),
        };
        if !self.classes.is_empty() && reading.has_labels {
            reading.images = reading.images.only(&self.classes)?;
        }
        if let Some(limit) = self.limit {
            reading.images = reading.images.head(limit)?;
        }
        if let Some((height, width)) = size
            && [reading.images.height(), reading.images.width()] != [height, width]
        {
            reading.images = reading.images.resized(height, width)?;
        }
        Ok(reading)
    }

    fn draw(&self, split: Split) -> Result<LabelledImages, TrainError> {
        let digit = |name: &String| {
            let place = DIGITS.iter().position(|digit| digit == name);
            place
                .map(|digit| digit as u8)
                .ok_or_else(|| TrainError::Config {
                    field: "classes",
                    seen: name.clone(),
                    allowed: "a digit, 0 to 9".into(),
                })
        };
        let classes: Vec<u8> = match self.classes.as_slice() {
            [] => (0..10).collect(),
            names => names.iter().map(digit).collect::<Result<_, _>>()?,
        };
        let seed = match split {
            Split::Train => self.seed & !TEST_SEEDS,
            Split::Test => self.seed | TEST_SEEDS,
        };
        let count = self.per_class.saturating_mul(classes.len());
        Ok(pyrograph_art::stroke_digits(count, &classes, seed)?)
    }
}

/// The config of a whole run: the normal images, the held-out fraction, and the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DcganRun {
    /// The normal images.
    pub data: ImageSource,
    /// The fingerprint of these images when the run was begun.
    pub fingerprint: DataFingerprint,
    /// The fraction of images that is held out for thresholds, 0 to below 1.
    pub held_out: f64,
    /// The training.
    pub training: DcganTraining,
}

/// The shuffle that holds out is that of an epoch that no training reaches.
const SPLIT_EPOCH: u64 = u64::MAX;

impl RunPlan for DcganRun {
    const KIND: RunKind = RunKind::Dcgan;
}

impl DcganRun {
    /// The training images, and the held-out images if there are any.
    ///
    /// # Errors
    /// When the data cannot be read or differ from those that the run was begun with, or when the
    /// fraction is not allowed.
    pub fn load_data(&self) -> Result<(LabelledImages, Option<LabelledImages>), TrainError> {
        self.split(&self.data.load(Split::Train, self.training.model.side())?)
    }

    /// The training part and the held-out part of `set`, the run's whole data.
    ///
    /// # Errors
    /// When the set differs from the one that the run was begun with, or when the fraction is not
    /// allowed.
    pub fn split(
        &self,
        set: &LabelledImages,
    ) -> Result<(LabelledImages, Option<LabelledImages>), TrainError> {
        self.fingerprint.check(set)?;
        if !(0.0..1.0).contains(&self.held_out) {
            let seen = number(self.held_out);
            return Err(refuse("held_out", seen, "at least 0 and below 1"));
        }
        let count = (set.len() as f64 * self.held_out).round() as usize;
        if count == 0 {
            return Ok((set.clone(), None));
        }
        let order = epoch_order(set.len(), self.training.seed, SPLIT_EPOCH);
        let mut places: Vec<usize> = order.into_iter().map(|place| place as usize).collect();
        // Training keeps the order of the data; what is held out stays shuffled, so that its first images are of every class.
        let (held_out, training) = places.split_at_mut(count);
        training.sort_unstable();
        Ok((set.subset(training), Some(set.subset(held_out))))
    }

    /// The names of the classes in `set`, which are the normal classes.
    pub fn normal_names(&self, set: &LabelledImages) -> Vec<String> {
        let counts = set.class_counts();
        let names = set.class_names().iter().zip(counts);
        names
            .filter(|(_, count)| *count > 0)
            .map(|(name, _)| name.clone())
            .collect()
    }
}

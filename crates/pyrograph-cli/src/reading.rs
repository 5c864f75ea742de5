//! How people's own data are read: flags, progress, and what is said of it.

use clap::{Args, ValueEnum};
use pyrograph::{
    data::{
        Channels, Faults, LabelColumn, LabelledImages, LabelledOptions, LabelledReader,
        LabelledReading, Split, SpriteLabels, SpriteOptions, SpriteSet, Switch,
    },
    train::{TrainError, dcgan::ImageSource, sprites::DataSource},
};
use serde::{Deserialize, Serialize};

use crate::{arguments::Common, progress};

/// Why flags on reading are refused without data.
pub(crate) const READING_NEEDS_DATA: &str = "--label-column, --transpose, --white-level, --channels, --keep-masks, --strict and --skip-broken belong to --data: the built-in digits are drawn";

/// The handling of items of the data that cannot be used.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct FaultFlags {
    /// Stop at the first file or line of the data that cannot be used, instead of listing all.
    #[arg(long, conflicts_with = "skip_broken")]
    strict: bool,
    /// Skip files or lines of the data that cannot be used, and count them.
    #[arg(long)]
    skip_broken: bool,
}

impl FaultFlags {
    pub(crate) fn faults(self) -> Faults {
        faults(self.strict, self.skip_broken)
    }
}

/// What two flags ask for.
pub(crate) fn faults(strict: bool, skip_broken: bool) -> Faults {
    match (strict, skip_broken) {
        (true, _) => Faults::Strict,
        (false, true) => Faults::Skip,
        (false, false) => Faults::List,
    }
}

/// How labelled images are read, but for what becomes of faults.
#[derive(Args, Clone, Default)]
pub(crate) struct LabelledFlags {
    /// The label column of a CSV file: first, last, none, or its name or number [default: the one
    /// that the header names].
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<LabelColumn>,
    /// Whether to swap rows and columns of idx and CSV files [default: on for files named
    /// emnist-*].
    #[arg(long, value_enum)]
    transpose: Option<OnOff>,
    /// The value of a white pixel [default: for 16-bit pictures that of the training; 1 in a CSV
    /// file of zeros and ones; otherwise 255, or 65535 for 16 bits].
    #[arg(long, value_name = "N")]
    white_level: Option<u16>,
    /// Read masks as images too: folders such as ground_truth or masks, and files such as
    /// 000_mask.png beside 000.png.
    #[arg(long)]
    keep_masks: bool,
}

impl LabelledFlags {
    /// A flag that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--label-column", self.label_column.is_some()),
            ("--transpose", self.transpose.is_some()),
            ("--white-level", self.white_level.is_some()),
            ("--keep-masks", self.keep_masks),
        ];
        given
            .iter()
            .find(|(_, given)| *given)
            .map(|(flag, _)| *flag)
    }

    pub(crate) fn options(&self, faults: Faults) -> LabelledOptions {
        LabelledOptions {
            label_column: self.label_column.clone().unwrap_or_default(),
            transpose: self.transpose.map_or(Switch::Auto, Into::into),
            white_level: self.white_level,
            keep_masks: self.keep_masks,
            channels: Channels::Auto,
            faults,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnOff {
    On,
    Off,
}

impl From<OnOff> for Switch {
    fn from(switch: OnOff) -> Self {
        match switch {
            OnOff::On => Self::On,
            OnOff::Off => Self::Off,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChannelsName {
    /// One channel; colours become grey as by Pillow's L.
    Grey,
    /// Three channels, equal ones for grey images.
    Rgb,
}

impl From<ChannelsName> for Channels {
    fn from(name: ChannelsName) -> Self {
        match name {
            ChannelsName::Grey => Self::Grey,
            ChannelsName::Rgb => Self::Rgb,
        }
    }
}

/// What an array of labels holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LabelsName {
    /// The class number of each sprite.
    Classes,
    /// Contexts, usually one-hot.
    Contexts,
}

/// How an array of sprites' labels and their image files are read.
pub(crate) fn sprite_options(labels: Option<LabelsName>, faults: Faults) -> SpriteOptions {
    let labels = match labels {
        None => SpriteLabels::Auto,
        Some(LabelsName::Classes) => SpriteLabels::Classes,
        Some(LabelsName::Contexts) => SpriteLabels::Contexts,
    };
    SpriteOptions { labels, faults }
}

/// Says what was guessed or left out.
pub(crate) fn warn(common: &Common, remarks: &[String]) {
    for remark in remarks {
        common.say(format!("warning: {remark}"));
    }
}

/// Runs a reader with a progress bar.
fn with_bar<T>(
    common: &Common,
    read: impl FnOnce(&mut dyn FnMut(usize, usize)) -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    let mut bar = progress::waiting("reading", common.quiet);
    let result = read(&mut |done, total| {
        if bar.length() != Some(total as u64) {
            bar.finish_and_clear();
            bar = progress::bar(total as u64, common.quiet);
            bar.set_message("· reading");
        }
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    result
}

/// Reads labelled images, and says what was guessed or left out.
pub(crate) fn read_labelled(
    source: &ImageSource,
    reader: LabelledReader,
    common: &Common,
) -> Result<LabelledReading, TrainError> {
    let reading = with_bar(common, |progress| source.read(reader, progress))?;
    warn(common, &reading.remarks);
    Ok(reading)
}

/// Reads the images to train on. A white level that was guessed goes into `source`, so that all that reads it later has
/// the same.
pub(crate) fn read_training(
    source: &mut ImageSource,
    side: usize,
    common: &Common,
) -> Result<LabelledImages, TrainError> {
    let reading = read_labelled(source, source.reader(Split::Train, side), common)?;
    let level = &mut source.options.white_level;
    *level = level.or(reading.white_level);
    if source.path.is_some() && source.classes.is_empty() {
        warn_of_many_classes(&reading.images, common);
    }
    Ok(reading.images)
}

/// Says so where none of several classes is known to be the normal one.
fn warn_of_many_classes(set: &LabelledImages, common: &Common) {
    /// Words in the names of what is as it should be.
    const GOOD: [&str; 10] = [
        "ok", "good", "normal", "pass", "healthy", "intact", "fine", "regular", "clean", "perfect",
    ];
    let counts = set.class_counts();
    let names = set.class_names().iter().zip(counts);
    let shown: Vec<&str> = names
        .filter(|(_, count)| *count > 0)
        .map(|(name, _)| name.as_str())
        .collect();
    let are_numbers = shown.iter().all(|name| name.parse::<u32>().is_ok());
    if shown.len() < 2 || are_numbers || set.normal_class().is_some() {
        return;
    }
    let is_good = |name: &&&str| {
        let lower = name.to_lowercase();
        let mut words = lower.split(|c: char| !c.is_alphanumeric());
        words.any(|word| GOOD.contains(&word))
    };
    let good = shown.iter().find(is_good).unwrap_or(&shown[0]);
    common.say(format!(
        "warning: no class of the data is called normal or good, and all {} are taken for normal: {}; name those that \
         are with --classes, as --classes {good}",
        shown.len(),
        shown.join(", ")
    ));
}

/// Reads sprites, and says what was guessed or left out.
pub(crate) fn read_sprites(source: &DataSource, common: &Common) -> Result<SpriteSet, TrainError> {
    let reading = with_bar(common, |progress| source.read(progress))?;
    warn(common, &reading.remarks);
    Ok(reading.sprites)
}

/// A number with its noun, in the plural but for 1.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_no_plural() {
        let words = [0, 1, 2].map(|count| counted(count, "sprite"));
        assert_eq!(words, ["0 sprites", "1 sprite", "2 sprites"]);
    }
}

//! What can be shown, and the flags of each kind.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use pyrograph::diffusion::{NoiseSchedule, NoiseScheduleConfig};

use super::DataPreview;
use crate::{
    commands::train_sprites::ScheduleName,
    reading::{LabelledFlags, LabelsName},
};

/// The kind of data to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Images with boxes, as in the training of a detector.
    Ssd,
    /// Sprites by class, from the data of `train sprites`; with --noise the forward process.
    Sprites,
    /// Labelled images by class, from the data of `train dcgan`.
    Digits,
    /// The tables and curves of a noise schedule.
    Schedule,
}

/// Flags of one kind or another.
#[derive(Args)]
pub(super) struct KindFlags {
    #[command(flatten)]
    pub(super) reading: LabelledFlags,
    /// With --kind sprites: the meaning of the .npy array of labels [default: contexts].
    #[arg(long, value_enum, requires = "data")]
    pub(super) labels: Option<LabelsName>,
    /// With --kind sprites or digits: the side to which the images of --data are resized [default:
    /// not resized].
    #[arg(long)]
    pub(super) side: Option<u32>,
    /// With --kind sprites: show sprites with the noise of these timesteps, separated by commas.
    /// Noise is scaled by √(1−ᾱ), and in a second row by 1−ᾱ as in the course. 0 is the clean image
    /// on the course's schedule.
    #[arg(long, value_name = "T,T,…", value_delimiter = ',')]
    pub(super) noise: Vec<usize>,
    /// The noise schedule of --noise and --kind schedule [default: course].
    #[arg(long, value_enum)]
    pub(super) schedule: Option<ScheduleName>,
    /// Number of timesteps of the schedule [default: 500].
    #[arg(long)]
    pub(super) timesteps: Option<usize>,
    /// With --kind schedule: a CSV file for the whole table.
    #[arg(long)]
    pub(super) table: Option<PathBuf>,
}

impl KindFlags {
    /// The noise schedule that was asked for.
    pub(super) fn noise_schedule(&self) -> anyhow::Result<NoiseSchedule> {
        let course = NoiseScheduleConfig::course();
        let timesteps = self.timesteps.unwrap_or(course.timesteps);
        let kind = self.schedule.map_or(course.kind, ScheduleName::kind);
        Ok(NoiseSchedule::new(&NoiseScheduleConfig::new(
            kind, timesteps,
        ))?)
    }

    /// Its name.
    pub(super) fn schedule_name(&self) -> String {
        let name = self.schedule.unwrap_or(ScheduleName::Course);
        let value = name.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl DataPreview {
    /// Refuses flags of other kinds.
    pub(super) fn check_flags(&self) -> anyhow::Result<()> {
        use Kind::{Digits, Schedule, Sprites, Ssd};
        let flags = &self.flags;
        let noisy = !flags.noise.is_empty();
        let of_boxes = self.set.of_boxes();
        let of_labelled = flags.reading.given();
        let given: [(&str, bool, &[Kind]); 13] = [
            ("--data", self.set.data.is_some(), &[Ssd, Sprites, Digits]),
            ("--split", self.split.is_some(), &[Ssd, Digits]),
            ("--count", self.count.is_some(), &[Ssd, Sprites, Digits]),
            ("--columns", self.columns.is_some(), &[Ssd, Sprites, Digits]),
            ("--augment", self.augment.is_some(), &[Ssd]),
            ("--classes", !self.classes.is_empty(), &[Ssd]),
            ("--side", flags.side.is_some(), &[Sprites, Digits]),
            ("--labels", flags.labels.is_some(), &[Sprites]),
            (of_boxes.unwrap_or_default(), of_boxes.is_some(), &[Ssd]),
            (
                of_labelled.unwrap_or_default(),
                of_labelled.is_some(),
                &[Digits],
            ),
            ("--noise", noisy, &[Sprites]),
            ("--table", flags.table.is_some(), &[Schedule]),
            ("--schedule", self.has_schedule(), &[Sprites, Schedule]),
        ];
        let name = |kind: &Kind| {
            let value = kind.to_possible_value();
            value.map_or_else(String::new, |value| value.get_name().to_owned())
        };
        for (flag, is_given, kinds) in given {
            if is_given && !kinds.contains(&self.kind) {
                let kinds: Vec<_> = kinds.iter().map(name).collect();
                bail!(
                    "{flag} belongs to --kind {}, not to {}",
                    kinds.join(" or "),
                    name(&self.kind)
                );
            }
        }
        if self.kind == Sprites && self.has_schedule() && !noisy {
            bail!("--schedule and --timesteps belong to --noise, or to --kind schedule");
        }
        if noisy && self.columns.is_some() {
            bail!("--columns goes not with --noise, whose columns are the timesteps");
        }
        if self.set.data.is_none() {
            let of_files = of_labelled.or(flags.side.map(|_| "--side"));
            if let Some(flag) = of_files {
                bail!("{flag} belongs to --data: the built-in images are drawn");
            }
        }
        Ok(())
    }

    fn has_schedule(&self) -> bool {
        self.flags.schedule.is_some() || self.flags.timesteps.is_some()
    }
}

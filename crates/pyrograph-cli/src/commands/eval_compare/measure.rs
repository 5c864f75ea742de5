//! Accuracy and latency.

use std::time::Instant;

use anyhow::Context;
use indicatif::ProgressBar;
use pyrograph::{
    backend::vision::VisionBackend,
    data::detection::DetectionSet,
    models::ssd::Detector,
    pipelines::detection::DetectionReport,
    train::{
        compare::{RunFigures, median},
        ssd::score_set,
    },
    vision::DetectOptions,
};

use crate::progress;

/// Images that latencies are measured on, in turn.
const IMAGES: usize = 8;
/// Passes of each detector before the clock counts.
const WARM_UP: usize = 2;

/// A measurement of several detectors, with its progress bar.
pub(super) struct Measure<'a> {
    set: &'a DetectionSet,
    options: DetectOptions,
    batch: usize,
    bar: ProgressBar,
}

impl<'a> Measure<'a> {
    /// Of `runs` runs in `groups.0` groups, whose latency is of `groups.1` passes.
    pub(super) fn new(
        set: &'a DetectionSet,
        options: DetectOptions,
        batch: usize,
        runs: usize,
        groups: (usize, u32),
        quiet: bool,
    ) -> Self {
        let passes = u64::from(groups.1) * groups.0 as u64;
        let total = (runs * set.len()) as u64 + passes;
        Self {
            set,
            options,
            batch,
            bar: progress::bar(total, quiet),
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// How well a detector finds the objects of the set.
    pub(super) fn accuracy<B: VisionBackend>(
        &self,
        detector: &Detector<B>,
    ) -> anyhow::Result<RunFigures> {
        let begun = self.bar.position();
        let each = &mut |done| self.bar.set_position(begun + done as u64);
        let scorer = score_set(detector, self.set, &self.options, self.batch, each)?;
        let (report, _) = DetectionReport::new(&scorer, detector.classes())?;
        let nothing = "there is no object to be found in this part of the data";
        Ok(RunFigures {
            ap50: report.map.context(nothing)?,
            ap: report.coco.ap.context(nothing)?,
        })
    }

    /// The median milliseconds of one image by the networks of each detector's numbers, from pixels
    /// to boxes. The detectors
    /// take turns, so that a machine that slows down does so for all of them.
    pub(super) fn latencies<B: VisionBackend>(
        &self,
        detectors: &[&Detector<B>],
        repeat: u32,
    ) -> anyhow::Result<Vec<f64>> {
        let images = (0..self.set.len().min(IMAGES))
            .map(|place| self.set.image(place))
            .collect::<Result<Vec<_>, _>>()?;
        let mut seconds = vec![Vec::new(); detectors.len()];
        for round in 0..WARM_UP + repeat as usize {
            let image = std::slice::from_ref(&images[round % images.len()]);
            for (detector, seconds) in detectors.iter().zip(&mut seconds) {
                // The boxes are on the host when this returns: nothing is left for the device to
                // do.
                let begun = Instant::now();
                detector.detect(image, &self.options)?;
                let passed = begun.elapsed().as_secs_f64();
                if round >= WARM_UP {
                    seconds.push(passed);
                    self.bar.inc(1);
                }
            }
        }
        // Networks of the same numbers take the same time: they share what was measured of all of
        // them.
        let of_same = |detector: &Detector<B>| -> Vec<f64> {
            let pairs = detectors.iter().zip(&seconds);
            let same = pairs.filter(|(other, _)| other.config() == detector.config());
            same.flat_map(|(_, seconds)| seconds).copied().collect()
        };
        let medians = detectors
            .iter()
            .filter_map(|detector| median(&of_same(detector)));
        Ok(medians.map(|seconds| 1000.0 * seconds).collect())
    }
}

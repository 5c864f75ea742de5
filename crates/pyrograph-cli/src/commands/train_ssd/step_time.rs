//! How long the steps of a training take.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use pyrograph::{
    backend::{
        Device, DevicesTask,
        vision::{VisionAutodiff, VisionBackend},
    },
    data::detection::DetectionSet,
    train::{
        run_folder::RunFolder,
        ssd::{DetectionRecord, Distillation, SsdHooks, SsdTraining, train_ssd_beside},
    },
};

use super::{Order, table::order_of};
use crate::arguments::Common;

/// Seconds that the steps of a training take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepTime {
    /// Of a step, on average of the run.
    pub(crate) seconds: f64,
    /// Further seconds of a step while a cache of the teacher's outputs is filled, and the number
    /// of these steps.
    pub(crate) filling: Option<(f64, f64)>,
}

impl StepTime {
    /// Seconds of the first `steps` steps.
    pub(crate) fn of(&self, steps: f64) -> f64 {
        let filling = self
            .filling
            .map_or(0.0, |(extra, filled_by)| extra * steps.min(filled_by));
        self.seconds * steps + filling
    }

    /// Steps that `seconds` are enough for.
    pub(crate) fn steps_in(&self, seconds: f64) -> f64 {
        let Some((extra, filled_by)) = self.filling else {
            return seconds / self.seconds;
        };
        let first = seconds / (self.seconds + extra);
        match first <= filled_by {
            true => first,
            false => (seconds - extra * filled_by) / self.seconds,
        }
    }
}

/// Times the last ten of `steps` steps of each kind that such a training has: with the teacher and
/// without, with frozen layers and without. No file of it stays.
pub(crate) fn step_time(
    table: toml::Table,
    steps: u64,
    common: &Common,
) -> anyhow::Result<StepTime> {
    let order = order_of(table, PathBuf::new(), common)?;
    let plan = order.plan()?;
    let (data, _) = plan.load_data()?;
    let filled_by = filled_by(&plan.training, data.len());
    let training = timed(plan.training, steps);
    let folder = tempfile::tempdir().context("a folder for the measurement")?;
    let timer = Timer {
        order: &order,
        data: &data,
        folder: folder.path(),
    };

    let mut seconds = 0.0;
    let mut extra = 0.0;
    for (number, (share, training)) in phases(training).into_iter().enumerate() {
        let first = timer.time(training.clone(), &format!("{number}-a"))?;
        let is_cached = training
            .distillation
            .as_ref()
            .is_some_and(|d| d.cache.is_some());
        // The same steps again find their answers.
        let again = match is_cached {
            true => timer.time(training, &format!("{number}-b"))?,
            false => first,
        };
        seconds += share * again;
        extra += share * (first - again).max(0.0);
    }
    Ok(StepTime {
        seconds,
        filling: filled_by.map(|filled_by| (extra, filled_by)),
    })
}

/// Steps until every drawn view of the labelled images is in the cache.
fn filled_by(training: &SsdTraining, images: usize) -> Option<f64> {
    let distillation = training.distillation.as_ref()?;
    let views = distillation.cache.as_ref()?.draws * distillation.every;
    Some((views * training.steps_per_epoch(images)) as f64)
}

/// The training for `steps` steps, without what is no part of a step.
fn timed(mut training: SsdTraining, steps: u64) -> SsdTraining {
    (training.epochs, training.max_minutes, training.steps) = (None, None, Some(steps));
    (training.checkpoint_every, training.evaluate_every) = (0, 0);
    if let Some(distillation) = &mut training.distillation {
        // The run itself looks at its teacher.
        distillation.any_teacher = true;
        distillation.unlabelled = None;
    }
    // Images without boxes alone: their steps cost no more than plain ones.
    let learns = |distillation: &Distillation| !distillation.methods.is_empty();
    training.distillation = training.distillation.filter(learns);
    training
}

/// The kinds of steps of a run, each with its share of the steps.
fn phases(training: SsdTraining) -> Vec<(f64, SsdTraining)> {
    let legs = match training.unfreeze {
        None => vec![(1.0, training)],
        Some(leg) => {
            let kept = SsdTraining {
                unfreeze: None,
                ..training
            };
            let free = SsdTraining {
                freeze: 0,
                ..kept.clone()
            };
            vec![(leg.at, kept), (1.0 - leg.at, free)]
        }
    };
    let mut phases = Vec::new();
    for (share, leg) in legs {
        let Some(distillation) = leg.distillation.clone() else {
            phases.push((share, leg));
            continue;
        };
        let asks = distillation.until / distillation.every as f64;
        if asks < 1.0 {
            let plain = SsdTraining {
                distillation: None,
                ..leg.clone()
            };
            phases.push((share * (1.0 - asks), plain));
        }
        let always = Distillation {
            until: 1.0,
            every: 1,
            ..distillation
        };
        let taught = SsdTraining {
            distillation: Some(always),
            ..leg
        };
        phases.push((share * asks, taught));
    }
    phases
}

/// Where trainings are timed.
struct Timer<'a> {
    order: &'a Order<'a>,
    data: &'a DetectionSet,
    folder: &'a Path,
}

impl Timer<'_> {
    fn time(&self, mut training: SsdTraining, name: &str) -> anyhow::Result<f64> {
        if let Some(cache) = training
            .distillation
            .as_mut()
            .and_then(|d| d.cache.as_mut())
        {
            // One file for both passes of a phase, which have one number.
            let phase = name.split('-').next().unwrap_or(name);
            cache.file = Some(self.folder.join(format!("answers-{phase}.bin")));
        }
        let stopwatch = Stopwatch {
            training,
            data: self.data.clone(),
            folder: self.folder.join(name),
        };
        let devices = self.order.other_devices();
        self.order.common.device.run_with(&devices, stopwatch)?
    }
}

/// A short training that is only timed.
struct Stopwatch {
    training: SsdTraining,
    data: DetectionSet,
    folder: PathBuf,
}

/// Notes when figures were read, and of how many steps.
struct Laps(Vec<(Instant, usize)>);

impl<B: VisionBackend> SsdHooks<B> for Laps {
    fn logged(&mut self, records: &[DetectionRecord], _: f64) {
        self.0.push((Instant::now(), records.len()));
    }
}

impl DevicesTask for Stopwatch {
    type Output = anyhow::Result<f64>;

    fn run<B: VisionAutodiff>(self, device: Device<B>, others: Vec<Device<B>>) -> Self::Output {
        let Self {
            training,
            data,
            folder,
        } = self;
        let run = RunFolder::create(&folder, &training)?;
        let mut laps = Laps(Vec::new());
        let teacher = others.first().unwrap_or(&device).clone();
        // What a run is judged by is not timed.
        let one = data.subset(&[0]);
        let devices = [device];
        train_ssd_beside::<B>(
            &training,
            &data,
            Some(&one),
            &run,
            &mut laps,
            &devices,
            &teacher,
        )?;
        let each = laps
            .0
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].0).as_secs_f64() / pair[1].1.max(1) as f64);
        let mut each: Vec<f64> = each.collect();
        each.sort_by(f64::total_cmp);
        let middle = each.get(each.len() / 2).copied();
        middle.context("too few steps to tell what one takes: give 20 or more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_fill_a_cache_cost_more() {
        let plain = StepTime {
            seconds: 0.5,
            filling: None,
        };
        assert_eq!((plain.of(8.0), plain.steps_in(4.0)), (4.0, 8.0));
        let cached = StepTime {
            seconds: 0.5,
            filling: Some((1.5, 4.0)),
        };
        assert_eq!((cached.of(2.0), cached.of(10.0)), (4.0, 11.0));
        assert_eq!((cached.steps_in(4.0), cached.steps_in(11.0)), (2.0, 10.0));
    }
}

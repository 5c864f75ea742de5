//! What a training of a detector is ordered by, from the flags to the end of the run.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use pyrograph::{
    backend::DeviceSpec,
    data::detection::DetectionSet,
    train::{
        DataFingerprint,
        run_folder::RunFolder,
        ssd::{DetectionRecord, SsdRun, SsdTraining, best_weights},
    },
};
use serde_json::json;

use super::{
    curves::write_curves,
    distill_flags::DistillFlags,
    job::{Job, Start, Summary},
    options::Options,
};
use crate::{
    arguments::Common,
    commands::data_preview::{check_images, say_remarks},
    outputs::as_text,
    stop::stop_of_training,
    training::{LIMITS_ALONE, Watch, exit_code, given, goes_on, outcome, refuse_other_options},
};

/// A training that is asked for.
pub(super) struct Order<'a> {
    pub(super) out: PathBuf,
    pub(super) resume: bool,
    pub(super) options: Options,
    /// What is learned from a teacher; none in a plain training.
    pub(super) distill: Option<DistillFlags>,
    pub(super) more_devices: Vec<DeviceSpec>,
    pub(super) common: &'a Common,
}

/// A training as it ended.
pub(crate) struct TrainedRun {
    run: RunFolder,
    /// Steps taken, over every resume.
    pub(crate) steps: u64,
    /// Seconds trained, over every resume.
    pub(crate) seconds: f64,
    last: Option<DetectionRecord>,
    /// The best mAP@.5 on the validation images.
    pub(crate) best: Option<f64>,
    /// Whether Ctrl-C stopped it.
    pub(crate) interrupted: bool,
    curves: Option<PathBuf>,
}

impl TrainedRun {
    /// Whether nothing was left to do: the run had finished before.
    pub(crate) fn finished_before(&self) -> bool {
        !self.interrupted && self.last.is_none()
    }

    /// Prints how the training ended, and gives the exit code.
    pub(super) fn print(&self, common: &Common) -> anyhow::Result<ExitCode> {
        let ended = outcome(self.interrupted, self.last.is_some());
        let mut text = format!("{ended} {} steps in {:.0} s", self.steps, self.seconds);
        if let Some(last) = &self.last {
            let (loc, conf) = (last.loc_loss, last.conf_loss);
            text += &format!("; last losses: boxes {loc:.4}, classes {conf:.4}");
        }
        if let Some(best) = self.best {
            text += &format!("; best mAP@.5 on the validation images {best:.4}");
        }
        text += &format!("\nrun folder: {}", self.run.path().display());
        let weights = best_weights(&self.run).ok();
        for (what, path) in [
            ("weights to detect with", &weights),
            ("losses", &self.curves),
        ] {
            if let Some(path) = path {
                text += &format!("\n{what}: {}", path.display());
            }
        }
        let value = json!({
            "run": as_text(self.run.path()), "steps": self.steps, "seconds": self.seconds,
            "last": self.last, "best_map": self.best, "interrupted": self.interrupted,
            "weights": weights.as_deref().map(as_text),
            "loss_curve": self.curves.as_deref().map(as_text),
        });
        common.print(&value, &text)?;
        Ok(exit_code(self.interrupted))
    }
}

impl Order<'_> {
    pub(super) fn train(mut self) -> anyhow::Result<TrainedRun> {
        self.resume = goes_on(self.resume, &self.out, self.common);
        self.check()?;
        let Begun {
            run,
            plan,
            data,
            validation,
        } = if self.resume {
            self.reopen()?
        } else {
            self.begin()?
        };
        self.say_data(&plan.training, &data, validation.as_ref());
        let steps = plan.training.limits(data.len()).steps;
        let watch = Watch::new(
            steps,
            stop_of_training(self.common.quiet)?,
            self.common.quiet,
        );
        let job = Job {
            run: run.clone(),
            distils: plan.training.distillation.is_some(),
            training: plan.training,
            data,
            validation,
            watch,
        };
        let trained = self.common.device.run_with(&self.other_devices(), job)?;
        let Summary {
            steps,
            seconds,
            last,
            best,
            interrupted,
        } = match trained {
            Ok(summary) => summary,
            Err(error) => {
                // Only a run without a step goes.
                if !self.resume {
                    // What went wrong first counts.
                    let _ = run.discard_unbegun();
                }
                return Err(error);
            }
        };
        Ok(TrainedRun {
            curves: write_curves(&run)?,
            run,
            steps,
            seconds,
            last,
            best,
            interrupted,
        })
    }

    /// Refuses options that do not go together.
    fn check(&self) -> anyhow::Result<()> {
        self.options.check()?;
        match &self.distill {
            Some(distill) if !self.resume => distill.check(),
            _ => Ok(()),
        }
    }

    /// Those that share the batches, or the teacher's.
    pub(super) fn other_devices(&self) -> Vec<DeviceSpec> {
        let teacher = self.distill.as_ref().and_then(DistillFlags::teacher_device);
        self.more_devices.iter().copied().chain(teacher).collect()
    }
    /// Begins a run; nothing is made on disk before every check has passed.
    fn begin(&self) -> anyhow::Result<Begun> {
        let (mut plan, set) = self.plan_of_set()?;
        say_remarks(&set, self.common);
        plan.training.check_objects(&set)?;
        let (data, validation) = self.parts(&plan, set)?;
        complete(&mut plan, validation.as_ref());
        plan.training.check(&data)?;
        for (set, source) in [
            (Some(&data), &plan.data),
            (
                validation.as_ref(),
                plan.validation.as_ref().unwrap_or(&plan.data),
            ),
        ] {
            if let Some(set) = set {
                check_images(set, source.faults(), self.common)?;
            }
        }
        // The devices, the weights to begin from and the teacher, too, are tried before a folder is
        // made.
        let start = Start {
            training: plan.training.clone(),
            classes: plan.classes.clone(),
        };
        self.common
            .device
            .run_with(&self.other_devices(), start)??;
        Ok(Begun {
            run: RunFolder::create(&self.out, &plan)?,
            plan,
            data,
            validation,
        })
    }

    /// The run that is asked for, as its config has it.
    pub(super) fn plan(&self) -> anyhow::Result<SsdRun> {
        self.check()?;
        let (mut plan, set) = self.plan_of_set()?;
        let (_, validation) = plan.split(set)?;
        complete(&mut plan, validation.as_ref());
        Ok(plan)
    }

    /// The run and its whole data; what the validation images were is not noted yet.
    fn plan_of_set(&self) -> anyhow::Result<(SsdRun, DetectionSet)> {
        let options = &self.options;
        let data = options.source()?;
        let set = data.load()?;
        let validation = options.validation(&data, &set)?;
        let mut training = options.training(&set)?;
        if let Some(distill) = &self.distill {
            training.distillation = Some(distill.distillation(&data)?);
        }
        let plan = SsdRun {
            data,
            fingerprint: DataFingerprint::of(&set),
            validation_fingerprint: None,
            held_out: match validation {
                Some(_) => 0.0,
                None => options.held_out(),
            },
            validation,
            images: options.images(),
            classes: set.class_names().to_vec(),
            training,
        };
        Ok((plan, set))
    }

    /// Goes on with a run; its config is replaced only after the changed one has passed every
    /// check.
    fn reopen(&self) -> anyhow::Result<Begun> {
        let options = &self.options;
        let run = RunFolder::open_locked(&self.out)?;
        let mut plan: SsdRun = run.plan()?;
        if self.distill.is_some() && plan.training.distillation.is_none() {
            bail!(
                "{}: this run has no teacher: go on with `train ssd --resume`",
                self.out.display()
            );
        }
        self.check_same(&plan)?;
        let limits = options.limits_alone();
        let changed = limits != Options::default();
        if changed {
            options.set_limits(&mut plan.training);
        }
        let set = plan.data.load()?;
        say_remarks(&set, self.common);
        let (data, validation) = self.parts(&plan, set)?;
        plan.training.check(&data)?;
        self.common.try_device()?;
        if changed {
            run.save_config(&plan)?;
        }
        Ok(Begun {
            run,
            plan,
            data,
            validation,
        })
    }

    /// Refuses options that the run to go on with does not have.
    fn check_same(&self, plan: &SsdRun) -> anyhow::Result<()> {
        let same_run = || {
            let mut asked = self.plan()?;
            (
                asked.training.epochs,
                asked.training.steps,
                asked.training.max_minutes,
            ) = (
                plan.training.epochs,
                plan.training.steps,
                plan.training.max_minutes,
            );
            Ok(asked == *plan)
        };
        if let (Some(flags), Some(distillation)) = (&self.distill, &plan.training.distillation)
            && let Some(flag) = flags.difference(distillation, &plan.data)?
            && !same_run().unwrap_or(false)
        {
            bail!("--{flag} is not what this run was begun with; {LIMITS_ALONE}");
        }
        let own = given(&Options::of_run(plan))?;
        let asked = given(&self.options.clone().with_absolute_paths()?)?;
        refuse_other_options(&asked, &own, same_run)
    }

    /// The images to train on and those to judge by, after what was done to the boxes of the latter was said where they are
    /// other data.
    fn parts(
        &self,
        plan: &SsdRun,
        set: DetectionSet,
    ) -> anyhow::Result<(DetectionSet, Option<DetectionSet>)> {
        let (data, validation) = plan.split(set)?;
        if let (Some(_), Some(set)) = (&plan.validation, &validation) {
            say_remarks(set, self.common);
        }
        Ok((data, validation))
    }

    fn say_data(
        &self,
        training: &SsdTraining,
        data: &DetectionSet,
        validation: Option<&DetectionSet>,
    ) {
        let difficult = training.difficult;
        let counts = data
            .class_names()
            .iter()
            .zip(data.trained_counts(difficult));
        let classes: Vec<String> = counts
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        self.common.say(format!(
            "{} images to train on, {} to choose the best network by; objects to train on: {}",
            data.len(),
            validation.map_or(0, DetectionSet::len),
            classes.join(", "),
        ));
        let left = data.untrained(difficult);
        for (count, what) in [
            (
                left.difficult,
                "difficult objects are not trained on (--difficult trains on them)",
            ),
            (left.crowds, "crowds are not trained on"),
        ] {
            if count > 0 {
                self.common.say(format!("{count} {what}"));
            }
        }
    }
}

/// Notes what the validation images were.
fn complete(plan: &mut SsdRun, validation: Option<&DetectionSet>) {
    if plan.validation.is_some() {
        plan.validation_fingerprint = validation.map(DataFingerprint::of);
    }
}

/// A run that can be trained: its folder, locked, and its data.
struct Begun {
    run: RunFolder,
    plan: SsdRun,
    data: DetectionSet,
    validation: Option<DetectionSet>,
}

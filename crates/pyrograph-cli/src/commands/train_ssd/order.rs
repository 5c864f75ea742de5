//! What a training of a detector is ordered by, from the flags to the end of the run.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

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
use serde_json::{Map, json};

use super::{
    curves::write_curves,
    distill_flags::DistillFlags,
    job::{Job, Start},
    options::Options,
};
use crate::{
    arguments::Common,
    commands::data_preview::{check_images, say_remarks},
    outputs::as_text,
    training::{
        Begun, LIMITS_ALONE, LimitsMut, Report, RunLimits, Summary, TrainCommand, Trained, Watch,
        given, goes_on, refuse_other_options, run_training, same_but_limits,
    },
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

/// A training of a detector as it ended.
pub(crate) type TrainedRun = Trained<DetectionRecord>;

impl Order<'_> {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (order, trained) = self.train()?;
        trained.print(&order)
    }

    /// Trains, and returns the order too.
    pub(super) fn train(mut self) -> anyhow::Result<(Self, TrainedRun)> {
        self.resume = goes_on(self.resume, &self.out, self.common);
        self.check()?;
        let trained = run_training(&self, self.resume)?;
        Ok((self, trained))
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

    fn say_objects(
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

impl TrainCommand for Order<'_> {
    type Plan = SsdRun;
    /// To train on, and to judge by.
    type Data = (DetectionSet, Option<DetectionSet>);
    type Last = DetectionRecord;
    const CURVES: fn(&RunFolder) -> anyhow::Result<Option<PathBuf>> = write_curves;

    fn common(&self) -> &Common {
        self.common
    }

    fn out(&self) -> &Path {
        &self.out
    }

    fn limits(&self) -> RunLimits {
        self.options.limits()
    }

    fn limits_of(plan: &mut SsdRun) -> LimitsMut<'_> {
        let t = &mut plan.training;
        (&mut t.epochs, &mut t.steps, &mut t.max_minutes)
    }

    fn prepare(&self) -> anyhow::Result<(SsdRun, Self::Data)> {
        let (mut plan, set) = self.plan_of_set()?;
        say_remarks(&set, self.common);
        plan.training.check_objects(&set)?;
        let (data, validation) = self.parts(&plan, set)?;
        complete(&mut plan, validation.as_ref());
        plan.training.check(&data)?;
        check_images(&data, plan.data.faults(), self.common)?;
        if let Some(set) = &validation {
            let source = plan.validation.as_ref().unwrap_or(&plan.data);
            check_images(set, source.faults(), self.common)?;
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
        Ok((plan, (data, validation)))
    }

    fn check_same(&self, plan: &SsdRun) -> anyhow::Result<()> {
        if self.distill.is_some() && plan.training.distillation.is_none() {
            bail!(
                "{}: this run has no teacher: go on with `train ssd --resume`",
                self.out.display()
            );
        }
        let same_run = || Ok(same_but_limits::<Self>(self.plan()?, plan));
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

    fn reload(&self, plan: &SsdRun) -> anyhow::Result<Self::Data> {
        let set = plan.data.load()?;
        say_remarks(&set, self.common);
        let parts = self.parts(plan, set)?;
        plan.training.check(&parts.0)?;
        Ok(parts)
    }

    fn say_data(&self, plan: &SsdRun, (data, validation): &Self::Data) -> Option<u64> {
        self.say_objects(&plan.training, data, validation.as_ref());
        plan.training.limits(data.len()).steps
    }

    fn train(
        &self,
        begun: Begun<SsdRun, Self::Data>,
        watch: Watch,
    ) -> anyhow::Result<Summary<DetectionRecord>> {
        let Begun { run, plan, data } = begun;
        let job = Job {
            run: run.clone(),
            distils: plan.training.distillation.is_some(),
            training: plan.training,
            data: data.0,
            validation: data.1,
            watch,
        };
        let trained = self.common.device.run_with(&self.other_devices(), job)?;
        if trained.is_err() && !self.resume {
            // Only a run without a step goes; what went wrong first counts.
            let _ = run.discard_unbegun();
        }
        trained
    }

    fn report(&self, trained: &TrainedRun) -> Report {
        let (last, best) = (&trained.summary.last, trained.summary.best);
        let mut figures = String::new();
        if let Some(last) = last {
            let (loc, conf) = (last.loc_loss, last.conf_loss);
            figures += &format!("; last losses: boxes {loc:.4}, classes {conf:.4}");
        }
        if let Some(best) = best {
            figures += &format!("; best mAP@.5 on the validation images {best:.4}");
        }
        let weights = best_weights(&trained.run).ok();
        let fields = Map::from_iter([
            ("last".into(), json!(last)),
            ("best_map".into(), json!(best)),
            ("weights".into(), json!(weights.as_deref().map(as_text))),
        ]);
        let files = vec![
            ("weights to detect with", weights),
            ("losses", trained.curves.clone()),
        ];
        Report {
            figures,
            files,
            fields,
        }
    }
}

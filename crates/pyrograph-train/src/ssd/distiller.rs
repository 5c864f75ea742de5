//! The teacher of a run: its quality, its outputs for each batch, its pseudo-labels.

use std::{fs, sync::Arc};

use pyrograph_backend::vision::{VisionAutodiff, VisionBackend};
use pyrograph_base::atomic_write;
use pyrograph_data::detection::DetectionSet;
use pyrograph_losses::PriorMatcher;
use pyrograph_models::ssd::{DetectorCard, Ssd, SsdConfig};

use super::{
    CacheOptions, Distillation, SsdHooks, UnlabelledSource,
    batch::{Batch, Images},
    cache::{CacheKey, TeacherCache},
    judging::judge_network,
    label_by_teacher,
    learner::Learner,
    log::Log,
    share::Computed,
    targets::TeacherTargets,
    teacher::{Teacher, TeacherOutputs},
    training::Inputs,
};
use crate::{DataFingerprint, TrainError, checks::refuse, ssd::DetectionRecord};

/// The file of the teacher's outputs, in the run folder.
const CACHE: &str = "teacher-cache.bin";
/// The file of the teacher's pseudo-labels, in the run folder.
const PSEUDO_LABELS: &str = "pseudo-labels.json";
/// Steps within which every term must be non-zero and have a gradient.
const TRIAL: u64 = 100;

/// The teacher of a run, the cache of its outputs, and the images that it labelled.
pub(super) struct Distiller<'a, B: VisionAutodiff> {
    inputs: Inputs<'a, B>,
    distillation: &'a Distillation,
    teacher: Teacher<B::InnerBackend>,
    priors_per_cell: Vec<usize>,
    pseudo: Option<Arc<DetectionSet>>,
    cache: Option<TeacherCache>,
    /// Terms whose gradient was looked for and not found; none before the first look.
    without_gradient: Option<Vec<&'static str>>,
}

impl<'a, B: VisionAutodiff> Distiller<'a, B> {
    /// The teacher that the run's config names; none in a plain training.
    pub(super) fn open(inputs: Inputs<'a, B>) -> Result<Option<Self>, TrainError> {
        let Some(distillation) = &inputs.config.distillation else {
            return Ok(None);
        };
        let classes = inputs.data.class_names();
        let teacher = Teacher::load(inputs.config, distillation, classes, inputs.teacher_device)?;
        Ok(Some(Self {
            priors_per_cell: teacher.detector().config().priors_per_cell(),
            inputs,
            distillation,
            teacher,
            pseudo: None,
            cache: None,
            without_gradient: None,
        }))
    }

    pub(super) fn teacher_config(&self) -> &SsdConfig {
        self.teacher.detector().config()
    }

    /// The images whose objects the teacher found.
    pub(super) fn pseudo_labelled(&self) -> Option<Arc<DetectionSet>> {
        self.pseudo.clone()
    }

    /// Measures the teacher before the first step, labels the unlabelled images with it, and opens
    /// the cache of its outputs.
    pub(super) fn begin(
        &mut self,
        step: u64,
        student: &Ssd<B::InnerBackend>,
        hooks: &mut impl SsdHooks<B::InnerBackend>,
    ) -> Result<(), TrainError> {
        if step == 0 {
            self.measure(student, hooks)?;
        }
        self.label(hooks)?;
        self.open_cache(hooks)
    }

    /// Measures the teacher, against the network that is to learn from it where that begins with
    /// weights.
    fn measure(
        &self,
        student: &Ssd<B::InnerBackend>,
        hooks: &mut impl SsdHooks<B::InnerBackend>,
    ) -> Result<(), TrainError> {
        let Inputs {
            config,
            data,
            validation,
            devices,
            ..
        } = self.inputs;
        let (set, which) = match validation {
            Some(set) => (set, "validation"),
            None => (data, "training"),
        };
        let student = match &config.start {
            None => None,
            Some(_) => {
                let card = DetectorCard {
                    classes: data.class_names().to_vec(),
                    normalisation: config.normalisation,
                };
                judge_network(student.clone(), config, &card, set, devices.main())?
                    .report
                    .map
            }
        };
        let any = self.distillation.any_teacher;
        let map = self.teacher.measure(set, student, config, any)?;
        let beside = student.map_or(String::new(), |map| {
            format!("; the student begins at {map:.4}")
        });
        hooks.remark(&format!(
            "the teacher finds mAP@.5 {map:.4} on the {} {which} images{beside}",
            set.len()
        ));
        Ok(())
    }

    /// Whether the step, counted from 0, asks the teacher.
    pub(super) fn asks_at(&self, step: u64, progress: f64) -> bool {
        self.distillation.asks_at(step, progress)
    }

    /// A step with the teacher's outputs to its batch.
    pub(super) fn distilled_step(
        &mut self,
        learner: &Learner<B>,
        batch: Batch,
        matcher: &PriorMatcher,
        step: u64,
    ) -> Result<Computed<B>, TrainError> {
        let outputs = self.teacher_outputs(&batch)?;
        let targets = TeacherTargets {
            distillation: self.distillation,
            outputs,
            loss: &self.inputs.config.loss,
            matcher,
            truths: &batch.truths,
            teacher_priors_per_cell: &self.priors_per_cell,
        };
        let share = self
            .inputs
            .devices
            .whole(&batch.pixels, batch.matched, self.inputs.config);
        let asked = step / self.distillation.every;
        let looks = match &self.without_gradient {
            // A resumed run no longer knows which terms had a gradient before.
            None => asked == 0,
            Some(silent) => !silent.is_empty(),
        };
        if looks && asked < TRIAL {
            let now = share.terms_without_gradient(learner, &targets)?;
            let before = self.without_gradient.take().unwrap_or_else(|| now.clone());
            let still = before.into_iter().filter(|name| now.contains(name));
            self.without_gradient = Some(still.collect());
        }
        share.compute_taught(learner, &targets)
    }

    fn teacher_outputs(
        &mut self,
        batch: &Batch,
    ) -> Result<TeacherOutputs<B::InnerBackend>, TrainError> {
        let main = self.inputs.devices.main();
        let needs = self.distillation.needs();
        if let Some(cache) = &mut self.cache {
            return cache.outputs(&self.teacher, &batch.pixels, &batch.views, main);
        }
        let outputs = self
            .teacher
            .forward(&batch.pixels, batch.views.len(), needs);
        Ok(outputs.on(main))
    }

    /// Ends the distillation: removes the cache in the run folder, which no other run uses.
    pub(super) fn finish(self) -> Result<(), TrainError> {
        let is_own = |options: &CacheOptions| options.file.is_none();
        if self.cache.is_none() || !self.distillation.cache.as_ref().is_some_and(is_own) {
            return Ok(());
        }
        drop(self.cache);
        let path = self.inputs.run.path().join(CACHE);
        fs::remove_file(&path).map_err(|error| TrainError::io(path, error))
    }

    /// Refuses a run of which a term was 0, or had no gradient, at each of its first steps that
    /// asked the teacher.
    pub(super) fn refuse_silent_terms(
        &mut self,
        step: u64,
        log: &mut Log<'_, B::InnerBackend>,
        progress: f64,
        hooks: &mut impl SsdHooks<B::InnerBackend>,
    ) -> Result<(), TrainError> {
        if step != (TRIAL - 1) * self.distillation.every + 1 {
            return Ok(());
        }
        log.flush(progress, hooks)?;
        let silent = |term: &str, fault| TrainError::SilentTerm {
            term: term.to_owned(),
            fault,
            steps: TRIAL,
        };
        if let Some(term) = self.without_gradient.iter().flatten().next() {
            return Err(silent(term, "had no gradient"));
        }
        let records: Vec<DetectionRecord> = self.inputs.run.metrics()?;
        let taught: Vec<_> = records.iter().map(|record| &record.distillation).collect();
        let names = taught.iter().flat_map(|terms| terms.keys());
        let is_silent = |name: &&String| {
            let mut values = taught.iter().filter_map(|terms| terms.get(*name));
            values.all(|term| term.loss == 0.0)
        };
        match names.clone().find(is_silent) {
            Some(name) => Err(silent(name, "was exactly 0")),
            None => Ok(()),
        }
    }

    /// Lets the teacher find objects in the images without boxes.
    fn label(&mut self, hooks: &mut impl SsdHooks<B::InnerBackend>) -> Result<(), TrainError> {
        let Inputs {
            config,
            data,
            validation,
            run,
            ..
        } = self.inputs;
        let Some(unlabelled) = &self.distillation.unlabelled else {
            return Ok(());
        };
        let Some(validation) = validation.filter(|set| !set.is_empty()) else {
            let allowed = "given with unlabelled images: thresholds are chosen by them";
            return Err(refuse("the validation images", "none", allowed));
        };
        let images = match &unlabelled.images {
            UnlabelledSource::Folder(folder) => {
                DetectionSet::unlabelled(folder, data.class_names().to_vec())?
            }
            UnlabelledSource::Source(source) => source.load()?.without_objects(),
        };
        let given = images.len();
        let images = images.without(data).without(validation);
        if given > images.len() {
            hooks.remark(&format!(
                "{} of {given} unlabelled images are left out: they are trained on or validated with",
                given - images.len()
            ));
        }
        let labelling = &unlabelled.labelling;
        let (detector, batch) = (self.teacher.detector(), config.batch_size);
        let labels = label_by_teacher(detector, validation, images, labelling, batch, &mut |_| ())?;
        let thresholds = data.class_names().iter().zip(&labels.thresholds);
        let thresholds: Vec<_> = thresholds
            .map(|(name, &at)| match at > 1.0 {
                // The teacher never gets it right.
                true => format!("{name} never"),
                false => format!("{name} {at:.2}"),
            })
            .collect();
        hooks.remark(&format!(
            "the teacher found {} objects in {} unlabelled images ({} without any are left out), from these scores on: {}",
            labels.set.objects(),
            labels.set.len(),
            labels.left_out,
            thresholds.join(", ")
        ));
        let path = run.path().join(PSEUDO_LABELS);
        let json = serde_json::to_vec_pretty(&labels.to_coco()?)
            .map_err(|error| TrainError::io(&path, error))?;
        if fs::read(&path).is_ok_and(|before| images_of(&before) != images_of(&json)) {
            let reason = "the unlabelled images are not those that the run was begun with: bring them back, or begin a new run";
            return Err(TrainError::Run {
                path,
                reason: reason.into(),
            });
        }
        atomic_write(&path, &json)?;
        self.pseudo = Some(Arc::new(labels.set));
        Ok(())
    }

    fn open_cache(&mut self, hooks: &mut impl SsdHooks<B::InnerBackend>) -> Result<(), TrainError> {
        let Inputs {
            config, data, run, ..
        } = self.inputs;
        let Some(options) = &self.distillation.cache else {
            return Ok(());
        };
        let needs = self.distillation.needs();
        let key = CacheKey {
            teacher: self.distillation.teacher_checksum,
            teacher_classes: self.distillation.teacher_classes.clone(),
            data: DataFingerprint::of(data),
            pseudo: self
                .pseudo
                .as_ref()
                .map(|set| DataFingerprint::of(set.as_ref())),
            augment: config.augment.clone(),
            difficult: config.difficult,
            seed: config.seed,
            draws: options.draws,
            maps: needs.maps,
        };
        let path = options
            .file
            .clone()
            .unwrap_or_else(|| run.path().join(CACHE));
        let (teacher, classes) = (self.teacher_config(), data.class_names().len() + 1);
        let cache = TeacherCache::open(&path, &key, teacher, classes)?;
        let images = Images {
            labelled: Arc::new(data.clone()),
            pseudo: self.pseudo.clone(),
        };
        let bytes = images.views(options.draws) as f64 * cache.bytes_per_view() as f64;
        hooks.remark(&format!(
            "the teacher's outputs grow to {:.0} MB in {}",
            bytes / 1e6,
            path.display()
        ));
        self.cache = Some(cache);
        Ok(())
    }
}

/// The images of COCO annotations in JSON.
fn images_of(json: &[u8]) -> Option<serde_json::Value> {
    let annotations: serde_json::Value = serde_json::from_slice(json).ok()?;
    annotations.get("images").cloned()
}

impl<B: VisionBackend> TeacherOutputs<B> {
    /// The same on another device.
    fn on(self, device: &B::Device) -> Self {
        Self {
            maps: self
                .maps
                .into_iter()
                .map(|map| map.to_device(device))
                .collect(),
            responses: pyrograph_losses::PriorOutputs {
                loc: self.responses.loc.to_device(device),
                conf: self.responses.conf.to_device(device),
            },
        }
    }
}

//! The training loop.

use std::{collections::BTreeMap, sync::Arc};

use burn::{module::AutodiffModule, optim::Optimizer, tensor::backend::Backend};
use pyrograph_backend::vision::VisionAutodiff;
use pyrograph_data::detection::DetectionSet;
use pyrograph_metrics::VocReport;
use pyrograph_models::ssd::{DetectorCard, Ssd};

use super::{
    DetectionRecord, SsdOptimizer, SsdTraining,
    batch::{Images, Loader},
    devices::Devices,
    distiller::Distiller,
    judging::judge_step,
    learner::Learner,
    log::Log,
    optimizer::{Parted, adam_w, sgd},
    session::Session,
};
use crate::{TrainError, checkpoint, checks::refuse, clip_global_norm, run_folder::RunFolder};

/// Callbacks of a caller during training.
pub trait SsdHooks<B: Backend> {
    /// Called when figures were read; `progress` is the fraction of the run that is done.
    fn logged(&mut self, records: &[DetectionRecord], progress: f64) {
        let _ = (records, progress);
    }

    /// Called after an evaluation on the validation images at step `step`.
    fn evaluated(&mut self, step: u64, report: &VocReport) {
        let _ = (step, report);
    }

    /// Called with a remark for the user that does not end the run.
    fn remark(&mut self, text: &str) {
        let _ = text;
    }

    /// Whether to stop after a checkpoint; called before every step.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// No hooks.
impl<B: Backend> SsdHooks<B> for () {}

/// The result of training.
#[derive(Debug)]
pub struct TrainedSsd<B: Backend> {
    /// The network after the last step: the moving average, unless it is turned off.
    pub network: Ssd<B>,
    /// Total steps taken, over all resumes.
    pub steps: u64,
    /// Total seconds of training and evaluation, over all resumes.
    pub seconds: f64,
    /// The last logged figures.
    pub last: Option<DetectionRecord>,
    /// The best mean average precision of an evaluation; [`best_weights`](super::best_weights)
    /// returns the weights of its network.
    pub best: Option<f64>,
    /// The network of that evaluation for a run in memory; a run on disk stores it in a file.
    pub best_network: Option<Ssd<B>>,
    /// Whether a hook stopped the run before a limit was reached.
    pub interrupted: bool,
}

/// Trains a detector on `data`, from the last complete checkpoint of `run` if there is one, and
/// keeps the network that is best on `validation`. If the config names a teacher, the network
/// learns from it too; the teacher runs on the first of `devices`.
///
/// The first of `devices` is the main one. With the feature `several-devices` each further device
/// takes a part of every batch, of at least two images. The gradients are those of the whole batch,
/// except that batch norms use the statistics of each part.
///
/// A resumed run takes the same steps with the same losses as an uninterrupted one, on the same
/// machine and backend.
///
/// # Errors
/// When the config, the data, the devices, the teacher or the run folder is invalid; when another
/// process trains in the folder; when an image cannot be read (the run can then be resumed at that
/// step); when a loss is not finite (the error names the images of the batch); or when a term of
/// the distillation has no effect; in every case the last checkpoint stays complete.
pub fn train_ssd<B: VisionAutodiff>(
    config: &SsdTraining,
    data: &DetectionSet,
    validation: Option<&DetectionSet>,
    run: &RunFolder,
    hooks: &mut impl SsdHooks<B::InnerBackend>,
    devices: &[B::Device],
) -> Result<TrainedSsd<B::InnerBackend>, TrainError> {
    let teacher_device = devices.first().cloned().unwrap_or_default();
    train_ssd_beside::<B>(
        config,
        data,
        validation,
        run,
        hooks,
        devices,
        &teacher_device,
    )
}

/// [`train_ssd`] with the teacher on `teacher_device`.
///
/// # Errors
/// As [`train_ssd`].
pub fn train_ssd_beside<B: VisionAutodiff>(
    config: &SsdTraining,
    data: &DetectionSet,
    validation: Option<&DetectionSet>,
    run: &RunFolder,
    hooks: &mut impl SsdHooks<B::InnerBackend>,
    devices: &[B::Device],
    teacher_device: &B::Device,
) -> Result<TrainedSsd<B::InnerBackend>, TrainError> {
    config.check(data)?;
    let devices = &Devices::new(devices)?;
    if config.distillation.is_some() && devices.count() > 1 {
        let allowed = "1 with a teacher, which may have a device of its own";
        return Err(refuse("the number of devices", devices.count(), allowed));
    }
    if config.distillation.is_some() && run.is_in_memory() {
        let allowed = "a folder with a teacher, whose outputs and labels are kept there";
        return Err(refuse("the run", "in memory", allowed));
    }
    let _lock = run.lock()?;
    let inputs = Inputs {
        config,
        data,
        validation,
        run,
        devices,
        teacher_device,
    };
    let (momentum, decay) = (config.momentum, config.weight_decay);
    match config.optimizer {
        SsdOptimizer::Sgd => run_with::<B, _>(inputs, sgd(momentum, decay), hooks),
        SsdOptimizer::AdamW => run_with::<B, _>(inputs, adam_w(momentum, decay), hooks),
    }
}

/// The inputs of a run, by reference.
pub(super) struct Inputs<'a, B: VisionAutodiff> {
    pub(super) config: &'a SsdTraining,
    pub(super) data: &'a DetectionSet,
    pub(super) validation: Option<&'a DetectionSet>,
    pub(super) run: &'a RunFolder,
    pub(super) devices: &'a Devices<B>,
    pub(super) teacher_device: &'a B::Device,
}

// Derived, both would ask that the backend is `Copy`.
impl<B: VisionAutodiff> Clone for Inputs<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: VisionAutodiff> Copy for Inputs<'_, B> {}

/// The loop itself.
fn run_with<B: VisionAutodiff, O: Optimizer<Learner<B>, B>>(
    inputs: Inputs<'_, B>,
    optimizer: Parted<O>,
    hooks: &mut impl SsdHooks<B::InnerBackend>,
) -> Result<TrainedSsd<B::InnerBackend>, TrainError> {
    let Inputs {
        config,
        data,
        validation,
        run,
        devices,
        ..
    } = inputs;
    if config.distillation.is_none() && !config.trains_on_some(data) {
        hooks.remark("no object is trained on: none of these images has one, so that nothing but background is learned");
    }
    let limits = config.limits(data.len());
    let per_epoch = config.steps_per_epoch(data.len());
    let card = DetectorCard {
        classes: data.class_names().to_vec(),
        normalisation: config.normalisation,
    };
    let mut distiller = Distiller::open(inputs)?;
    let mut session = Session::<B, _>::start(
        inputs,
        card.clone(),
        optimizer,
        distiller.as_ref().map(Distiller::teacher_config),
        &mut |text| hooks.remark(text),
    )?;
    if let Some(distiller) = &mut distiller {
        distiller.begin(session.clock.step(), &session.network(), hooks)?;
    }
    let images = Images {
        labelled: Arc::new(data.clone()),
        pseudo: distiller.as_ref().and_then(Distiller::pseudo_labelled),
    };
    let matcher = Arc::new(config.matcher()?);
    let first_step = session.clock.step();
    let mut batches = Loader::start(images, Arc::clone(&matcher), config, first_step)?;
    let mut log = Log::new(run);
    session.clock.start();
    let mut interrupted = false;
    let mut frozen = config.frozen_at(session.clock.progress());
    if frozen == 0 && config.freeze > 0 {
        session.learner = session.learner.thaw();
    }

    // A run that was killed in an evaluation still owes it.
    if let Some(mut line) = session.unjudged.take() {
        let progress = session.clock.progress();
        let line = &mut line;
        judge_step(&mut session, inputs, &card, &mut log, line, progress, hooks)?;
        session.clock.read_time();
    }
    while !session.clock.has_ended() {
        if hooks.stop_requested() {
            interrupted = true;
            break;
        }

        // 1. Rate, frozen layers, batch.
        let (step, progress) = (session.clock.step(), session.clock.progress());
        let rate = config.rate_at(step, progress, per_epoch, &limits);
        if frozen > 0 && config.frozen_at(progress) == 0 {
            frozen = 0;
            session.learner = session.learner.thaw();
            hooks.remark(&format!("step {step}: every layer is trained"));
        }
        let batch = match batches.next() {
            Ok(batch) => batch,
            Err(error) => {
                log.flush(progress, hooks)?;
                if step > 0 {
                    session.save(config, run, None)?;
                }
                return Err(error);
            }
        };

        // 2. Forward, loss, backward.
        let names = batch.names.clone();
        let teaches = distiller
            .as_mut()
            .filter(|distiller| distiller.asks_at(step, progress));
        let mut computed = match teaches {
            Some(distiller) => distiller.distilled_step(&session.learner, batch, &matcher, step)?,
            None => devices.compute(&session.learner, &batch.pixels, batch.matched, config)?,
        };

        // 3. Step.
        let norm = config.clip_norm.and_then(|norm| {
            clip_global_norm::<B, _>(&session.learner, &mut computed.gradients, norm)
        });
        let mut learner = session
            .optimizer
            .step(rate, session.learner, computed.gradients);
        learner.network = computed.statistics.update(learner.network);
        session.learner = learner;
        if let Some(ema) = &mut session.ema {
            ema.update(&session.learner.network.valid());
        }
        let step = session.clock.take_step();

        // 4. Log.
        let record = DetectionRecord {
            step,
            epoch: (step - 1) / per_epoch,
            loc_loss: f32::NAN,
            conf_loss: f32::NAN,
            positives: computed.terms.positives,
            gradient_norm: norm.as_ref().map(|_| f32::NAN),
            rate,
            distillation: BTreeMap::new(),
            map: None,
            val_loc_loss: None,
            val_conf_loss: None,
        };
        log.push(computed.terms, computed.taught, norm, record, names);

        // 5. Checkpoint, and after it an evaluation, which may take long.
        let ends_run = session.clock.has_ended();
        let saves = session.clock.falls_due(config.checkpoint_every) || ends_run;
        let judges =
            validation.is_some() && (session.clock.falls_due(config.evaluate_every) || ends_run);
        if !judges && (log.is_full() || saves) {
            log.flush(progress, hooks)?;
        }
        if !judges && saves {
            session.save(config, run, None)?;
        }
        if judges && let Some(mut line) = log.flush_but_last(progress, hooks)? {
            let mut saved = match saves {
                true => Some(session.save(config, run, Some(&line))?),
                false => None,
            };
            let judged = judge_step(
                &mut session,
                inputs,
                &card,
                &mut log,
                &mut line,
                progress,
                hooks,
            );
            // The time that it took counts too, and the end may have come with it.
            session.clock.read_time();
            if let Err(error) = judged {
                // What cannot be judged was trained all the same: the run goes on with judging it.
                if saved.is_none() && line.val_loc_loss.is_none() {
                    session.save(config, run, Some(&line))?;
                }
                return Err(error);
            }
            if session.clock.has_ended() && saved.is_none() {
                saved = Some(session.save(config, run, None)?);
            }
            if let Some(folder) = saved.filter(|_| !run.is_in_memory()) {
                checkpoint::update_state(&session.clock.state, &folder)?;
            }
        }
        if let Some(distiller) = &mut distiller {
            distiller.refuse_silent_terms(step, &mut log, progress, hooks)?;
        }
    }

    let progress = session.clock.progress();
    log.flush(progress, hooks)?;
    if interrupted && session.clock.step() > 0 {
        session.save(config, run, None)?;
    }
    if let Some(distiller) = distiller.filter(|_| !interrupted) {
        distiller.finish()?;
    }
    Ok(TrainedSsd {
        network: session.network(),
        steps: session.clock.step(),
        seconds: session.clock.state.seconds,
        last: log.last().cloned(),
        best: session.clock.state.best,
        best_network: session.best,
        interrupted,
    })
}

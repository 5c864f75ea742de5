//! The loop.

use std::{sync::Arc, time::Instant};

use burn::{module::AutodiffModule, optim::Optimizer, tensor::backend::Backend};
use pyrograph_backend::vision::{VisionAutodiff, VisionBackend};
use pyrograph_data::detection::DetectionSet;
use pyrograph_metrics::{VocConfig, VocReport};
use pyrograph_models::ssd::{Detector, DetectorCard, Ssd};

use super::{
    DetectionRecord, SsdOptimizer, SsdTraining,
    batch::Loader,
    devices::Devices,
    log::Log,
    optimizer::{Parted, adam_w, sgd},
    score_set,
    session::Session,
};
use crate::{DataFingerprint, TrainError, clip_global_norm, run_folder::RunFolder};

/// What a caller does while training goes on.
pub trait SsdHooks<B: Backend> {
    /// Figures were read; `progress` is the share of the run that is done.
    fn logged(&mut self, records: &[DetectionRecord], progress: f64) {
        let _ = (records, progress);
    }

    /// The network to use was judged by the validation images after `step` steps.
    fn evaluated(&mut self, step: u64, report: &VocReport) {
        let _ = (step, report);
    }

    /// Something that the user should know but that does not end the run.
    fn remark(&mut self, text: &str) {
        let _ = text;
    }

    /// Whether to stop after a checkpoint; asked before every step.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// No hooks.
impl<B: Backend> SsdHooks<B> for () {}

/// What training yields.
#[derive(Debug)]
pub struct TrainedSsd<B: Backend> {
    /// The network as the last step left it: the moving average, unless it is turned off.
    pub network: Ssd<B>,
    /// Steps taken, over every resume.
    pub steps: u64,
    /// Seconds trained, over every resume, evaluations included.
    pub seconds: f64,
    /// The last figures that were read.
    pub last: Option<DetectionRecord>,
    /// The best mean average precision of an evaluation; its network is what [`best_weights`](super::best_weights) gives.
    pub best: Option<f64>,
    /// Whether a hook asked to stop before a limit was reached.
    pub interrupted: bool,
}

/// Trains a detector on `data`, from `run`'s last whole checkpoint if it has one, and keeps the network that is best on `validation`.
///
/// The first of `devices` is the main one. Further ones, with the feature `several-devices`, each take a share of every batch of two
/// images or more; gradients are those of the whole batch, but for batch norms, which see the statistics of a share.
///
/// A resumed run takes the same steps with the same losses as an unbroken one, on the same machine and backend.
///
/// # Errors
/// When the config, the data, the devices or the run folder is not right, when another process trains there, when an image does not
/// read, after which the run can be resumed where it was, or when a loss is no longer a number, which names the images of the batch;
/// the last checkpoint is whole in every case.
pub fn train_ssd<B: VisionAutodiff>(
    config: &SsdTraining,
    data: &DetectionSet,
    validation: Option<&DetectionSet>,
    run: &RunFolder,
    hooks: &mut impl SsdHooks<B::InnerBackend>,
    devices: &[B::Device],
) -> Result<TrainedSsd<B::InnerBackend>, TrainError> {
    config.check(data)?;
    let devices = &Devices::new(devices)?;
    let _lock = run.lock()?;
    let (momentum, decay) = (config.momentum, config.weight_decay);
    match config.optimizer {
        SsdOptimizer::Sgd => {
            let optimizer = sgd(momentum, decay);
            run_with::<B, _>(config, optimizer, data, validation, run, hooks, devices)
        }
        SsdOptimizer::AdamW => {
            let optimizer = adam_w(momentum, decay);
            run_with::<B, _>(config, optimizer, data, validation, run, hooks, devices)
        }
    }
}

/// The loop itself.
fn run_with<B: VisionAutodiff, O: Optimizer<Ssd<B>, B>>(
    config: &SsdTraining,
    optimizer: Parted<O>,
    data: &DetectionSet,
    validation: Option<&DetectionSet>,
    run: &RunFolder,
    hooks: &mut impl SsdHooks<B::InnerBackend>,
    devices: &Devices<B>,
) -> Result<TrainedSsd<B::InnerBackend>, TrainError> {
    let device = devices.main();
    let limits = config.limits(data.len());
    let per_epoch = config.steps_per_epoch(data.len());
    let card = DetectorCard {
        classes: data.class_names().to_vec(),
        normalisation: config.normalisation,
    };
    let mut session = Session::<B, _>::start(
        config,
        card.clone(),
        DataFingerprint::of(data),
        run,
        optimizer,
        &mut |text| hooks.remark(text),
        device,
    )?;
    let mut batches = Loader::start(Arc::new(data.clone()), config, session.state.step)?;
    let mut log = Log::new(run);
    let (earlier, started) = (session.state.elapsed(), Instant::now());
    let mut interrupted = false;
    let falls_due = |step: u64, every: u64| every > 0 && step.is_multiple_of(every);

    let mut has_ended = limits.reached(session.state.step, session.state.elapsed());
    while !has_ended {
        if hooks.stop_requested() {
            interrupted = true;
            break;
        }

        // 1. Rate and batch.
        let progress = limits.progress(session.state.step, session.state.elapsed());
        let rate = config.rate_at(session.state.step, progress);
        let batch = match batches.next() {
            Ok(batch) => batch,
            Err(error) => {
                log.flush(progress, hooks)?;
                if session.state.step > 0 {
                    session.save(config, run)?;
                }
                return Err(error);
            }
        };

        // 2. Forward, loss, backward.
        let mut computed = devices.compute(&session.model, batch.values, batch.matched, config)?;

        // 3. Step.
        let norm = config.clip_norm.and_then(|norm| {
            clip_global_norm::<B, _>(&session.model, &mut computed.gradients, norm)
        });
        let model = session
            .optimizer
            .step(rate, session.model, computed.gradients);
        session.model = computed.statistics.update(model);
        if let Some(ema) = &mut session.ema {
            ema.update(&session.model.valid());
        }
        session.state.step += 1;
        session.state.seconds = (earlier + started.elapsed()).as_secs_f64();

        // 4. Evaluate.
        let step = session.state.step;
        has_ended = limits.reached(step, session.state.elapsed());
        let judged = match validation {
            Some(set) if falls_due(step, config.evaluate_every) || has_ended => {
                Some(judge(session.network(), config, &card, set, device))
            }
            _ => None,
        };
        // What that took counts too, and the end may have come with it.
        session.state.seconds = (earlier + started.elapsed()).as_secs_f64();
        has_ended |= judged.is_some() && limits.reached(step, session.state.elapsed());
        let report = judged.transpose();
        if let Ok(Some(report)) = &report {
            hooks.evaluated(step, report);
        }

        // 5. Log and checkpoint.
        let map = report.as_ref().ok().and_then(|report| report.as_ref()?.map);
        let record = DetectionRecord {
            step,
            epoch: (step - 1) / per_epoch,
            loc_loss: f32::NAN,
            conf_loss: f32::NAN,
            positives: computed.terms.positives,
            gradient_norm: norm.as_ref().map(|_| f32::NAN),
            rate,
            map,
        };
        log.push(computed.terms, norm, record, batch.names);
        let saves = falls_due(step, config.checkpoint_every) || has_ended || report.is_err();
        if log.is_full() || saves || map.is_some() {
            log.flush(progress, hooks)?;
        }
        if let Some(map) = map {
            session.keep_best(map, config, run)?;
        }
        if saves {
            session.save(config, run)?;
        }
        // What cannot be judged was trained all the same.
        report?;
    }

    let progress = limits.progress(session.state.step, session.state.elapsed());
    log.flush(progress, hooks)?;
    if interrupted && session.state.step > 0 {
        session.save(config, run)?;
    }
    Ok(TrainedSsd {
        network: session.network(),
        steps: session.state.step,
        seconds: session.state.seconds,
        last: log.last,
        best: session.state.best,
        interrupted,
    })
}

/// What the network finds on the validation images.
fn judge<B: VisionBackend>(
    network: Ssd<B>,
    config: &SsdTraining,
    card: &DetectorCard,
    set: &DetectionSet,
    device: &B::Device,
) -> Result<VocReport, TrainError> {
    let detector = Detector::new(network, config.model.clone(), card.clone(), device.clone())?;
    let batch = config.batch_size;
    let scorer = score_set(&detector, set, &config.detect, batch, &mut |_| ())?;
    Ok(scorer.voc(&VocConfig::default())?)
}

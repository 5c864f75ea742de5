//! The loop.

use std::{sync::Arc, time::Instant};

use burn::{
    module::AutodiffModule,
    optim::{GradientsParams, Optimizer},
    tensor::backend::Backend,
};
use pyrograph_backend::{lock_autodiff, rng::host_tensor, vision::VisionAutodiff};
use pyrograph_data::detection::DetectionSet;
use pyrograph_losses::MultiBoxTerms;
use pyrograph_metrics::{VocConfig, VocReport};
use pyrograph_models::{
    blocks::BatchStatistics,
    ssd::{Detector, DetectorCard, Ssd},
};

use super::{
    DetectionRecord, SsdOptimizer, SsdTraining,
    batch::Loader,
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
/// A resumed run takes the same steps with the same losses as an unbroken one, on the same machine and backend.
///
/// # Errors
/// When the config, the data or the run folder is not right, when another process trains there, when an image does not read, or
/// when a loss is no longer a number, which names the images of the batch; the last checkpoint is whole in every case.
pub fn train_ssd<B: VisionAutodiff>(
    config: &SsdTraining,
    data: &DetectionSet,
    validation: Option<&DetectionSet>,
    run: &RunFolder,
    hooks: &mut impl SsdHooks<B::InnerBackend>,
    device: &B::Device,
) -> Result<TrainedSsd<B::InnerBackend>, TrainError> {
    config.check(data)?;
    let _lock = run.lock()?;
    let (momentum, decay) = (config.momentum, config.weight_decay);
    match config.optimizer {
        SsdOptimizer::Sgd => {
            let optimizer = sgd(momentum, decay);
            run_with::<B, _>(config, optimizer, data, validation, run, hooks, device)
        }
        SsdOptimizer::AdamW => {
            let optimizer = adam_w(momentum, decay);
            run_with::<B, _>(config, optimizer, data, validation, run, hooks, device)
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
    device: &B::Device,
) -> Result<TrainedSsd<B::InnerBackend>, TrainError> {
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

    while !limits.reached(session.state.step, session.state.elapsed()) {
        if hooks.stop_requested() {
            interrupted = true;
            break;
        }

        // 1. Rate and batch.
        let progress = limits.progress(session.state.step, session.state.elapsed());
        let rate = config.rate_at(session.state.step, progress);
        let batch = batches.next()?;
        let side = config.model.side();
        let images = host_tensor(batch.values, [batch.names.len(), 3, side, side], device);

        // 2. Forward, loss, backward.
        let mut seen = BatchStatistics::new();
        let turn_to_differentiate = lock_autodiff();
        let output = session.model.forward_training(images, &mut seen);
        let terms = config
            .loss
            .forward_matched(output.loc, output.conf, &batch.matched);
        let gradients = terms.total().backward();
        let mut gradients = GradientsParams::from_grads(gradients, &session.model);
        drop(turn_to_differentiate);

        // 3. Step.
        let norm = config
            .clip_norm
            .and_then(|norm| clip_global_norm::<B, _>(&session.model, &mut gradients, norm));
        let model = session.optimizer.step(rate, session.model, gradients);
        session.model = seen.update(model);
        if let Some(ema) = &mut session.ema {
            ema.update(&session.model.valid());
        }
        session.state.step += 1;
        session.state.seconds = (earlier + started.elapsed()).as_secs_f64();

        // 4. Evaluate.
        let step = session.state.step;
        let ends_run = limits.reached(step, session.state.elapsed());
        let map = match validation {
            Some(set) if falls_due(step, config.evaluate_every) || ends_run => {
                let network = session.network();
                let detector =
                    Detector::new(network, config.model.clone(), card.clone(), device.clone())?;
                let scorer = score_set(
                    &detector,
                    set,
                    &config.detect,
                    config.batch_size,
                    &mut |_| (),
                )?;
                let report = scorer.voc(&VocConfig::default())?;
                hooks.evaluated(step, &report);
                report.map
            }
            _ => None,
        };

        // 5. Log and checkpoint.
        let on_device = MultiBoxTerms {
            loc: terms.loc.inner(),
            conf: terms.conf.inner(),
            positives: terms.positives,
            negatives: terms.negatives,
        };
        let record = DetectionRecord {
            step,
            epoch: (step - 1) / per_epoch,
            loc_loss: f32::NAN,
            conf_loss: f32::NAN,
            positives: on_device.positives,
            gradient_norm: norm.as_ref().map(|_| f32::NAN),
            rate,
            map,
        };
        log.push(on_device, norm, record, batch.names);
        let saves = falls_due(step, config.checkpoint_every) || ends_run;
        if log.is_full() || saves || map.is_some() {
            log.flush(progress, hooks)?;
        }
        if let Some(map) = map {
            session.keep_best(map, config, run)?;
        }
        if saves {
            session.save(config, run)?;
        }
        // What an evaluation and a checkpoint took counts too.
        session.state.seconds = (earlier + started.elapsed()).as_secs_f64();
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

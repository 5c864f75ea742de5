//! The training loop.

use std::error::Error;

use burn::{
    optim::{GradientsParams, Optimizer},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::{lock_autodiff, rng::host_tensor, vision::VisionAutodiff};
use pyrograph_data::SpriteSet;
use pyrograph_diffusion::{LossWeighting, NoiseSchedule};
use pyrograph_losses::DenoisingLoss;
use pyrograph_models::{blocks::BatchStatistics, context_unet::ContextUnet};
use serde::{Deserialize, Serialize};

use super::{
    SpriteTraining,
    batch::{Batch, Batches},
    session::Session,
};
use crate::{
    TrainError,
    adam::adam,
    clip_global_norm,
    limits::linear_decay,
    run_folder::RunFolder,
    step_log::{PendingStep, StepLog},
};

/// What to do after a divergence.
pub(super) const ADVICE: &str =
    "begin a new run in another folder with a lower `learning_rate` or a smaller `clip_norm`";

/// Adam's, PyTorch's own.
const BETAS: [f64; 2] = [0.9, 0.999];

/// One line of `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Steps taken, this one included.
    pub step: u64,
    /// The epoch it belongs to, from 0.
    pub epoch: u64,
    /// The loss of the step.
    pub loss: f32,
    /// The learning rate of the step.
    pub learning_rate: f64,
}

/// The position of a run at which a picture is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Steps taken.
    pub step: u64,
    /// Whole passes over the data.
    pub epochs: u64,
}

/// Callbacks of a caller during training.
pub trait SpriteHooks<B: Backend> {
    /// Called when losses were read; `progress` is the fraction of the run that is done.
    fn logged(&mut self, records: &[StepRecord], progress: f64) {
        let _ = (records, progress);
    }

    /// Called when a picture is due; `model` is the one to sample from.
    ///
    /// # Errors
    /// An error ends the run after a checkpoint.
    fn sample(
        &mut self,
        moment: Moment,
        model: &ContextUnet<B>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let _ = (moment, model);
        Ok(())
    }

    /// Whether the picture of `moment` exists already. Called when a run is resumed, since it may
    /// have been killed while the picture was made; if this returns false, [`sample`](Self::sample)
    /// is called.
    fn has_sample(&self, moment: Moment) -> bool {
        let _ = moment;
        true
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
impl<B: Backend> SpriteHooks<B> for () {}

/// The result of training.
#[derive(Debug)]
pub struct Trained<B: Backend> {
    /// The model to sample from: the moving average, unless it is turned off.
    pub model: ContextUnet<B>,
    /// Total steps taken, over all resumes.
    pub steps: u64,
    /// Total seconds of training, over all resumes.
    pub seconds: f64,
    /// The last loss that was read.
    pub last_loss: Option<f32>,
    /// Whether a hook stopped the run before a limit was reached.
    pub interrupted: bool,
}

/// Trains on `data`, from the last complete checkpoint of `run` if there is one.
///
/// A resumed run takes the same steps with the same losses as an uninterrupted one, on the same
/// machine and backend.
///
/// # Errors
/// When the config, the data or the run folder is invalid, when another process trains there, or
/// when the loss is not finite; in every case the last checkpoint stays complete.
pub fn train_sprites<B: VisionAutodiff>(
    config: &SpriteTraining,
    data: &SpriteSet,
    run: &RunFolder,
    hooks: &mut impl SpriteHooks<B::InnerBackend>,
    device: &B::Device,
) -> Result<Trained<B::InnerBackend>, TrainError> {
    config.check(data)?;
    let _lock = run.lock()?;
    let schedule = NoiseSchedule::new(&config.schedule)?;
    let per_epoch = config.steps_per_epoch(data.len());
    let mut batches = Batches::new(config, data, &schedule);
    let mut session = Session::<B, _>::start(
        config,
        data,
        run,
        adam(BETAS),
        &mut |text| hooks.remark(text),
        device,
    )?;
    let mut log = StepLog::new(run);
    session.clock.start();
    let mut interrupted = false;
    let checkpoint_every = config.checkpoint_every.saturating_mul(per_epoch);
    let sample_every = config.sample_every.saturating_mul(per_epoch);
    let moment = |step: u64| Moment {
        step,
        epochs: step / per_epoch,
    };

    // A run that was killed while it made a picture still owes it.
    let step = session.clock.step();
    let owed = step > 0 && (session.clock.falls_due(sample_every) || session.clock.has_ended());
    if owed && !hooks.has_sample(moment(step)) {
        hooks
            .sample(moment(step), &session.sampling_model())
            .map_err(TrainError::Hook)?;
    }

    while !session.clock.has_ended() {
        if hooks.stop_requested() {
            interrupted = true;
            break;
        }

        // 1. Learning rate and batch.
        let step = session.clock.step();
        let progress = session.clock.progress();
        let learning_rate = linear_decay(config.learning_rate, progress);
        let batch = batches.draw::<B>(step, device);

        // 2. Forward and loss.
        let turn = lock_autodiff();
        let mut statistics = BatchStatistics::new();
        let loss = loss_of(
            config,
            &schedule,
            &session.model,
            batch,
            &mut statistics,
            device,
        )?;
        let observed = loss.clone().inner();

        // 3. Backward and step.
        let mut gradients = GradientsParams::from_grads(loss.backward(), &session.model);
        drop(turn);
        if let Some(norm) = config.clip_norm {
            clip_global_norm(&session.model, &mut gradients, norm);
        }
        let model = session
            .optimizer
            .step(learning_rate, session.model, gradients);
        session.model = statistics.update(model);
        if let Some(ema) = &mut session.ema {
            ema.update(&burn::module::AutodiffModule::valid(&session.model));
        }
        let (step, epoch) = (session.clock.take_step(), step / per_epoch);

        // 4. Log.
        log.push(
            vec![observed],
            StepRecord {
                step,
                epoch,
                loss: f32::NAN,
                learning_rate,
            },
        );
        let ends_run = session.clock.has_ended();
        if log.is_full() || session.clock.falls_due(per_epoch) || ends_run {
            log.flush(|lines| hooks.logged(lines, progress))?;
        }

        // 5. Checkpoint and picture.
        if session.clock.falls_due(checkpoint_every) || ends_run {
            session.save(config, run)?;
        }
        if (session.clock.falls_due(sample_every) || ends_run)
            && let Err(error) = hooks.sample(moment(step), &session.sampling_model())
        {
            session.save(config, run)?;
            return Err(TrainError::Hook(error));
        }
    }

    let progress = session.clock.progress();
    log.flush(|lines| hooks.logged(lines, progress))?;
    if interrupted && session.clock.step() > 0 {
        session.save(config, run)?;
    }
    Ok(Trained {
        model: session.sampling_model(),
        steps: session.clock.step(),
        seconds: session.clock.state.seconds,
        last_loss: log.last().map(|line| line.loss),
        interrupted,
    })
}

/// The loss of one batch; what its batch norms saw goes to `statistics`.
fn loss_of<B: VisionAutodiff>(
    config: &SpriteTraining,
    schedule: &NoiseSchedule,
    model: &ContextUnet<B>,
    batch: Batch<B>,
    statistics: &mut BatchStatistics<B>,
    device: &B::Device,
) -> Result<Tensor<B, 1>, TrainError> {
    let Batch {
        images,
        noise,
        contexts,
        timesteps,
    } = batch;
    let noisy = schedule.add_noise(
        images.clone(),
        noise.clone(),
        &timesteps,
        config.forward_noise,
    )?;
    let target = schedule.target(config.prediction_type, images, noise, &timesteps)?;
    let times: Vec<f32> = timesteps
        .iter()
        .map(|&t| schedule.time_fraction(t as f64) as f32)
        .collect();
    let times = host_tensor(times, [timesteps.len()], device);
    let predicted = model.forward_training(noisy, times, Some(contexts), statistics);
    let loss = match config.loss_weighting {
        LossWeighting::Uniform => DenoisingLoss::uniform(),
        weighting => {
            let weight = |&t: &usize| {
                schedule
                    .loss_weight(config.prediction_type, t, weighting)
                    .map(|weight| weight as f32)
            };
            DenoisingLoss::weighted(timesteps.iter().map(weight).collect::<Result<_, _>>()?)
        }
    };
    Ok(loss.forward(predicted, target)?)
}

impl PendingStep for StepRecord {
    type Line = Self;

    fn into_line(mut self, figures: &[f32], saved: Option<u64>) -> Result<Self, TrainError> {
        self.loss = figures.first().copied().unwrap_or(f32::NAN);
        match self.loss.is_finite() {
            true => Ok(self),
            false => Err(TrainError::Diverged {
                step: self.step,
                loss: self.loss,
                advice: ADVICE,
                saved,
            }),
        }
    }
}

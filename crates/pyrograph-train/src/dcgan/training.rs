//! The training loop.

use std::error::Error;

use burn::{
    module::{AutodiffModule, Module},
    optim::{GradientsParams, Optimizer},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::{lock_autodiff, vision::VisionAutodiff};
use pyrograph_data::LabelledImages;
use pyrograph_losses::GradientPenalty;
use pyrograph_models::{
    blocks::BatchStatistics,
    dcgan::{Discriminator, Generator},
};

use super::{
    AdversarialRecord, DcganTraining,
    batch::{RealImages, latents, with_noise},
    diversity::{collapse_warning, diversity},
    log::{Figures, share_above_zero},
    penalty::{mixed, penalise},
    session::Session,
};
use crate::{TrainError, adam::adam, run_folder::RunFolder, step_log::StepLog};

/// Steps between measurements of the generator's diversity, which go through the host.
const DIVERSITY_EVERY: u64 = 100;

/// Callbacks of a caller during training.
pub trait DcganHooks<B: Backend> {
    /// Called when figures were read; `progress` is the fraction of the run that is done.
    fn logged(&mut self, records: &[AdversarialRecord], progress: f64) {
        let _ = (records, progress);
    }

    /// Called when a picture is due after `step` steps; `generator` is the one to sample from.
    ///
    /// # Errors
    /// An error ends the run after a checkpoint.
    fn sample(
        &mut self,
        step: u64,
        generator: &Generator<B>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let _ = (step, generator);
        Ok(())
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
impl<B: Backend> DcganHooks<B> for () {}

/// The result of training.
#[derive(Debug)]
pub struct TrainedDcgan<B: Backend> {
    /// The generator to sample from: the moving average, unless it is turned off.
    pub generator: Generator<B>,
    /// The discriminator.
    pub discriminator: Discriminator<B>,
    /// Total steps taken, over all resumes.
    pub steps: u64,
    /// Total seconds of training, over all resumes.
    pub seconds: f64,
    /// The last logged figures.
    pub last: Option<AdversarialRecord>,
    /// Whether a hook stopped the run before a limit was reached.
    pub interrupted: bool,
}

/// Trains a generator and a discriminator on `data`, which holds only normal images, from the last
/// complete checkpoint of `run` if there is one.
///
/// A resumed run takes the same steps with the same losses as an uninterrupted one, on the same
/// machine and backend.
///
/// # Errors
/// When the config, the data or the run folder is invalid, when another process trains there, or
/// when a loss is not finite; in every case the last checkpoint stays complete.
pub fn train_dcgan<B: VisionAutodiff>(
    config: &DcganTraining,
    data: &LabelledImages,
    run: &RunFolder,
    hooks: &mut impl DcganHooks<B::InnerBackend>,
    device: &B::Device,
) -> Result<TrainedDcgan<B::InnerBackend>, TrainError> {
    config.check(data)?;
    let _lock = run.lock()?;
    let per_epoch = config.steps_per_epoch(data.len());
    let mut real_images = RealImages::new(
        data,
        config.normalisation,
        config.jitter,
        config.batch_size,
        config.seed,
    );
    let mut session = Session::<B, _, _>::start(
        config,
        data,
        run,
        (adam(config.betas), adam(config.betas)),
        &mut |text| hooks.remark(text),
        device,
    )?;
    let mut log = StepLog::new(run);
    session.clock.start();
    let mut interrupted = false;
    let mut warned = false;

    while !session.clock.has_ended() {
        if hooks.stop_requested() {
            interrupted = true;
            break;
        }

        // 1. Rates and noise.
        let step = session.clock.step();
        let progress = session.clock.progress();
        let [generator_rate, discriminator_rate] = config.rates_at(progress);
        let deviation = config.noise_at(progress);
        let mut seen_by_generator = BatchStatistics::new();
        let mut drawn = None;
        let mut penalty_seen: Option<Tensor<B::InnerBackend, 1>> = None;

        // 2. The discriminator's steps, each on images and latent vectors of its own; the fake is detached. Its graph lives until the
        //    generator's step, and so does the turn to differentiate.
        let turn_to_differentiate = lock_autodiff();
        for turn in 0..config.discriminator_steps {
            let draw = step * config.discriminator_steps + turn;
            let real = real_images.draw::<B::InnerBackend>(draw, device);
            let z = latents::<B>(
                config.seed,
                draw,
                [real.dims()[0], config.model.z_dim],
                device,
            );
            let fake = session
                .generator
                .forward_training(z, &mut seen_by_generator);
            let mut seen = BatchStatistics::new();
            let [noisy_real, noisy_fake] = with_noise(
                [real.clone(), fake.clone().inner()],
                deviation,
                config.seed,
                2 * draw,
                device,
            );
            let judge = |images: Tensor<B::InnerBackend, 4>, seen: &mut BatchStatistics<B>| {
                let images = Tensor::from_inner(images);
                session.discriminator.forward_training(images, seen).logit
            };
            let real_logit = judge(noisy_real.clone(), &mut seen);
            let fake_logit = judge(noisy_fake.clone(), &mut seen);
            let (judged_real, judged_fake) =
                (real_logit.clone().inner(), fake_logit.clone().inner());
            let loss = config
                .loss
                .discriminator(real_logit, fake_logit, config.real_label)?;
            let discriminator_loss = loss.clone().inner();
            let mut total = loss;
            if let Some(penalty) = config.penalty
                && draw.is_multiple_of(config.penalty_every)
            {
                let images = match penalty {
                    GradientPenalty::Zero(_) => noisy_real,
                    GradientPenalty::Unit(_) => {
                        mixed(noisy_real, noisy_fake, config.seed, draw, device)
                    }
                };
                let (value, surrogate) = penalise(penalty, &session.discriminator, images, device);
                penalty_seen = Some(value);
                total = total + surrogate * config.penalty_every as f64;
            }
            let gradients = GradientsParams::from_grads(total.backward(), &session.discriminator);
            let stepped = session.discriminator_optimizer.step(
                discriminator_rate,
                session.discriminator,
                gradients,
            );
            session.discriminator = seen.update(stepped);
            drawn = Some((fake, discriminator_loss, judged_real, judged_fake, real));
        }
        // At least one step of the discriminator is taken: the config was checked.
        let Some((fake, discriminator_loss, judged_real, judged_fake, real)) = drawn else {
            break;
        };

        // 3. The generator's step, through the discriminator as it is now, whose parameters stay.
        let mut seen = BatchStatistics::new();
        let judge = session.discriminator.clone().no_grad();
        // The streams of the discriminator's steps are even.
        let [noisy] = with_noise([fake.clone()], deviation, config.seed, 2 * step + 1, device);
        let logit = judge.forward_training(noisy, &mut seen).logit;
        let loss = config.loss.generator(logit);
        let generator_loss = loss.clone().inner();
        let gradients = GradientsParams::from_grads(loss.backward(), &session.generator);
        drop(turn_to_differentiate);
        let stepped =
            session
                .generator_optimizer
                .step(generator_rate, session.generator, gradients);
        session.generator = seen_by_generator.update(stepped);
        session.discriminator = seen.update(session.discriminator);
        if let Some(ema) = &mut session.ema {
            ema.update(&session.generator.valid());
        }
        let step = session.clock.take_step();

        // 4. Log, and a look at whether the generator still makes different images.
        let diversity = match session.clock.falls_due(DIVERSITY_EVERY) {
            true => diversity(fake.inner(), real)?,
            false => None,
        };
        if let Some(warning) = diversity.and_then(|share| collapse_warning(share, step))
            && !warned
        {
            warned = true;
            hooks.remark(&warning);
        }
        log.push(
            Figures {
                discriminator_loss,
                generator_loss,
                penalty: penalty_seen
                    .clone()
                    .unwrap_or_else(|| Tensor::zeros([1], device)),
                real_accuracy: share_above_zero(judged_real),
                fake_accuracy: share_above_zero(judged_fake).neg() + 1.0,
            }
            .into_columns(),
            AdversarialRecord {
                step,
                epoch: (step - 1) * config.discriminator_steps / per_epoch,
                discriminator_loss: f32::NAN,
                generator_loss: f32::NAN,
                penalty: penalty_seen.map(|_| f32::NAN),
                real_accuracy: f32::NAN,
                fake_accuracy: f32::NAN,
                diversity,
                generator_rate,
                discriminator_rate,
            },
        );
        let ends_run = session.clock.has_ended();
        let saves = session.clock.falls_due(config.checkpoint_every) || ends_run;
        if log.is_full() || saves {
            log.flush(|lines| hooks.logged(lines, progress))?;
        }

        // 5. Checkpoint and picture.
        if saves {
            session.save(config, run)?;
        }
        if (session.clock.falls_due(config.sample_every) || ends_run)
            && let Err(error) = hooks.sample(step, &session.sampling_generator())
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
    Ok(TrainedDcgan {
        generator: session.sampling_generator(),
        discriminator: session.discriminator.valid(),
        steps: session.clock.step(),
        seconds: session.clock.state.seconds,
        last: log.last().copied(),
        interrupted,
    })
}

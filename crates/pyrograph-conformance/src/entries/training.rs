//! One training step as `pyrograph-train` takes it.

use burn::{
    module::{AutodiffModule, Module},
    optim::{AdamConfig, GradientsParams, Optimizer},
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::{lock_autodiff, rng::host_tensor, vision::VisionAutodiff};
use pyrograph_diffusion::{ForwardNoise, NoiseSchedule, NoiseScheduleConfig};
use pyrograph_gradcheck::{GradCheckError, Inputs, host_parameters};
use pyrograph_losses::DenoisingLoss;
use pyrograph_models::{blocks::BatchStatistics, context_unet::ContextUnet};
use pyrograph_train::{Ema, clip_global_norm};

use super::{lived_in::lived_in, models::tiny_unet};
use crate::{
    recorder::{Outcome, Recorder},
    tolerance::Cause,
};

const BATCH: usize = 3;
const TIMESTEPS: [usize; BATCH] = [1, 250, 500];
const SEED: u64 = 4;
const LEARNING_RATE: f64 = 1e-2;
/// Adam's first step is `g / (|g| + ε)`: with the usual 1e-8 it is the sign of the gradient, and the gradient of a bias
/// before a batch norm is zero, so its sign is that of a rounding error. This ε is above those and below the others.
const ADAM_EPSILON: f32 = 1e-3;
/// Below the norm of this step's gradients, so that clipping acts.
const CLIP_NORM: f64 = 0.25;
const EMA_DECAY: f64 = 0.9;
/// As after so many updates, when the decay is no longer held back.
const EMA_UPDATES: u64 = 10_000;

pub(crate) fn step<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let schedule =
        NoiseSchedule::new(&NoiseScheduleConfig::course()).map_err(GradCheckError::function)?;
    let model = tiny_unet()
        .init::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    parameters(r, "initial parameters", Cause::Exact, &model);
    let model = lived_in(model);
    let inputs = [
        r.normal("images", &[BATCH, 3, 16, 16]).affine(0.5, 0.0),
        r.normal("noise", &[BATCH, 3, 16, 16]),
    ];
    let noisy = |i: &Inputs<A>| {
        let (images, noise) = (i.tensor::<4>("images")?, i.tensor("noise")?);
        schedule
            .add_noise(images, noise, &TIMESTEPS, ForwardNoise::Standard)
            .map_err(GradCheckError::function)
    };
    r.case("noisy images", &inputs, noisy)?;

    let contexts = [
        [1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0; 5],
        [0.2, 0.3, 0.0, 0.5, 0.0],
    ]
    .concat();
    let times = TIMESTEPS.map(|t| t as f32 / 500.0).to_vec();
    let times: Tensor<A, 1> = host_tensor(times, [BATCH], r.device());
    let contexts: Tensor<A, 2> = host_tensor(contexts, [BATCH, 5], r.device());
    let loss = |model: &ContextUnet<A>, i: &Inputs<A>, statistics: &mut BatchStatistics<A>| {
        let (times, contexts) = (times.clone(), Some(contexts.clone()));
        let y = model.forward_training(noisy(i)?, times, contexts, statistics);
        DenoisingLoss::uniform()
            .forward(y, i.tensor("noise")?)
            .map_err(GradCheckError::function)
    };
    // A hundred times the mean, whose gradients are far below 1, where differences are judged absolutely.
    r.module("loss", &model, &inputs, |model, i| {
        Ok(loss(model, i, &mut BatchStatistics::new())? * 100.0)
    })?;
    if !r.compares() {
        return Ok(());
    }

    // Three steps: Adam's moments and the running statistics have a past only after the first.
    let mut ema = Ema::new(model.valid(), EMA_DECAY, EMA_UPDATES);
    let mut optimizer = AdamConfig::new().with_epsilon(ADAM_EPSILON).init();
    let mut model = model;
    for step in 0..3 {
        let inputs = inputs
            .clone()
            .map(|input| input.affine(1.0 - 0.2 * f64::from(step), 0.0));
        let mut statistics = BatchStatistics::new();
        let mut gradients = {
            let _turn = lock_autodiff();
            let inputs = Inputs::on(&inputs, r.device())?;
            let loss = loss(&model, &inputs, &mut statistics)?;
            GradientsParams::from_grads(loss.backward(), &model)
        };
        if let Some(norm) = clip_global_norm(&model, &mut gradients, CLIP_NORM) {
            let seen = norm.clone().into_data().iter::<f64>().sum::<f64>();
            assert!(
                seen > CLIP_NORM,
                "clipping does not act on a norm of {seen}"
            );
            r.tensor(
                &format!("gradient norm {step}"),
                Cause::NetworkGradient,
                norm,
            );
        }
        model = statistics.update(optimizer.step(LEARNING_RATE, model, gradients));
        ema.update(&model.valid());
    }
    parameters(r, "after Adam", Cause::Network, &model);
    parameters(r, "moving average", Cause::Network, ema.model());
    Ok(())
}

fn parameters<A: VisionAutodiff, B: Backend, M: Module<B>>(
    r: &mut Recorder<A>,
    what: &str,
    cause: Cause,
    module: &M,
) {
    for parameter in host_parameters(module) {
        let name = format!("{what}, {}", parameter.name());
        r.values(&name, cause, parameter.shape(), parameter.to_vec());
    }
}

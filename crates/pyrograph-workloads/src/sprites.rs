//! The steps of the sprite job, as `pyrograph-pipelines` and `pyrograph-train` take them.

use std::sync::Arc;

use burn::{
    module::AutodiffModule,
    optim::{AdamConfig, GradientsParams, Optimizer},
    tensor::{DType, Tensor},
};
use pyrograph_backend::{
    Device, lock_autodiff,
    rng::{NoiseKey, Purpose, host_tensor},
    vision::{PreparedWeights, VisionAutodiff},
};
use pyrograph_diffusion::{
    ForwardNoise, NoiseSchedule, NoiseScheduleConfig, SamplerConfig, SamplerPlan, Walk,
};
use pyrograph_losses::DenoisingLoss;
use pyrograph_models::{
    blocks::BatchStatistics,
    context_unet::{ContextUnet, ContextUnetConfig},
};
use pyrograph_train::{Ema, clip_global_norm};

use crate::{
    Workload,
    half::{in_type, types},
};

/// Those of `benches/pytorch/sprites.py`.
const SAMPLE_BATCH: usize = 32;
const TRAIN_BATCH: usize = 100;
const CLASSES: usize = 5;
/// Those of `SpriteTraining::for_set`.
const LEARNING_RATE: f64 = 1e-3;
const ADAM_EPSILON: f32 = 1e-8;
const CLIP_NORM: f64 = 1.0;
const EMA_DECAY: f64 = 0.995;

pub(crate) fn all<A: VisionAutodiff>(device: &Device<A>) -> Vec<Workload> {
    let name = |step: &str, batch: usize| format!("sprites/{step}/b{batch}");
    let samples = types::<A>(device).into_iter().map(|(kind, dtype)| {
        let name = name(&format!("sample_step{kind}"), SAMPLE_BATCH);
        Workload::new::<A, _>(name, device, move |device| sample::<A>(dtype, device))
    });
    let mut list: Vec<_> = samples.collect();
    list.extend([
        Workload::new::<A, _>(name("train_step", TRAIN_BATCH), device, train::<A>),
        Workload::new::<A, _>(name("add_noise", TRAIN_BATCH), device, add_noise::<A>),
    ]);
    list
}

fn shape(batch: usize) -> [usize; 4] {
    let ContextUnetConfig {
        in_channels,
        height,
        ..
    } = ContextUnetConfig::default();
    [batch, in_channels, height, height]
}

fn noise<A: VisionAutodiff>(step: u64, batch: usize, device: &Device<A>) -> Tensor<A, 4> {
    NoiseKey::new(0, Purpose::Other, step).normal_tensor(0, shape(batch), device)
}

fn contexts<A: VisionAutodiff>(batch: usize, device: &Device<A>) -> Tensor<A, 2> {
    let one_hot =
        (0..batch * CLASSES).map(|i| f32::from(u8::from(i % CLASSES == (i / CLASSES) % CLASSES)));
    host_tensor(one_hot.collect(), [batch, CLASSES], device)
}

fn schedule() -> NoiseSchedule {
    NoiseSchedule::new(&NoiseScheduleConfig::course()).expect("the course's schedule is legal")
}

fn model<A: VisionAutodiff>(device: &Device<A>) -> ContextUnet<A> {
    ContextUnetConfig::default()
        .init(device, 0)
        .expect("the course's numbers are legal")
}

/// One ancestral step of 32 images: the network in eval mode, fresh noise, the update.
fn sample<A: VisionAutodiff>(dtype: DType, device: &Device<A>) -> impl FnMut() + use<A> {
    let schedule = schedule();
    let whole =
        SamplerPlan::new(&schedule, &SamplerConfig::ddpm(schedule.timesteps())).expect("legal");
    let plan = Arc::new(whole.tail(whole.len() / 2).expect("within the plan"));
    let model = in_type(model::<A>(device).valid(), dtype);
    let (x, c) = (
        noise::<A>(0, SAMPLE_BATCH, device).inner(),
        contexts::<A>(SAMPLE_BATCH, device).inner(),
    );
    let prepared = PreparedWeights::of(&model);
    let (mut draws, device) = (0, device.clone());
    move || {
        let _ = &prepared;
        draws += 1;
        let t = host_tensor(vec![plan.time_fraction(0) as f32], [1], &device);
        let predicted = model.forward(x.clone(), t, Some(c.clone()));
        let extra = Some(noise::<A>(draws, SAMPLE_BATCH, &device).inner());
        let mut walk = Walk::new(plan.clone(), x.clone());
        walk.absorb(predicted, extra).expect("a legal step");
    }
}

/// One training step of 100 images: noise, forward, loss, backward, clipping, Adam, running statistics, moving average.
fn train<A: VisionAutodiff>(device: &Device<A>) -> impl FnMut() + use<A> {
    let schedule = schedule();
    let (images, c) = (
        noise::<A>(0, TRAIN_BATCH, device),
        contexts::<A>(TRAIN_BATCH, device),
    );
    let mut optimizer = AdamConfig::new().with_epsilon(ADAM_EPSILON).init();
    let first = model::<A>(device);
    let mut ema = Ema::new(first.valid(), EMA_DECAY, 0);
    let mut model = Some(first);
    let (mut draws, device) = (0, device.clone());
    move || {
        let Some(current) = model.take() else {
            unreachable!("every step puts a model back")
        };
        draws += 1;
        let noise = noise::<A>(draws, TRAIN_BATCH, &device);
        let (timesteps, times) = times::<A>(draws, &schedule, &device);
        let noisy = schedule
            .add_noise(
                images.clone(),
                noise.clone(),
                &timesteps,
                ForwardNoise::Standard,
            )
            .expect("a timestep for each image");
        let turn = lock_autodiff();
        let mut statistics = BatchStatistics::new();
        let predicted = current.forward_training(noisy, times, Some(c.clone()), &mut statistics);
        let loss = DenoisingLoss::uniform()
            .forward(predicted, noise)
            .expect("equal shapes");
        let mut gradients = GradientsParams::from_grads(loss.backward(), &current);
        drop(turn);
        clip_global_norm(&current, &mut gradients, CLIP_NORM);
        let next = statistics.update(optimizer.step(LEARNING_RATE, current, gradients));
        ema.update(&next.valid());
        model = Some(next);
    }
}

fn times<A: VisionAutodiff>(
    step: u64,
    schedule: &NoiseSchedule,
    device: &Device<A>,
) -> (Vec<usize>, Tensor<A, 1>) {
    let first = schedule.first_timestep();
    let choices = (schedule.last_timestep() - first + 1) as u32;
    let drawn = NoiseKey::new(0, Purpose::TrainingTime, step).below(0, TRAIN_BATCH, choices);
    let timesteps: Vec<_> = drawn.into_iter().map(|t| first + t as usize).collect();
    let times = timesteps
        .iter()
        .map(|&t| schedule.time_fraction(t as f64) as f32)
        .collect();
    (timesteps, host_tensor(times, [TRAIN_BATCH], device))
}

/// The forward process on a training batch.
fn add_noise<A: VisionAutodiff>(device: &Device<A>) -> impl FnMut() + use<A> {
    let schedule = schedule();
    let (images, noise) = (
        noise::<A>(0, TRAIN_BATCH, device).inner(),
        noise::<A>(1, TRAIN_BATCH, device).inner(),
    );
    let (timesteps, _) = times::<A>(0, &schedule, device);
    move || {
        schedule
            .add_noise(
                images.clone(),
                noise.clone(),
                &timesteps,
                ForwardNoise::Standard,
            )
            .expect("a timestep for each image");
    }
}

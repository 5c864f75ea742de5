//! Requests that share network calls, held to each request alone.

use std::sync::Arc;

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_backend::{rng::host_tensor, vision::VisionAutodiff, vision::VisionBackend};
use pyrograph_diffusion::{
    DiffusionError, NoiseSchedule, NoiseScheduleConfig, SamplerPlan, SchedulerName, Walk,
};
use pyrograph_gradcheck::GradCheckError;
use pyrograph_models::context_unet::ContextUnet;

use super::{lived_in::lived_in, models::tiny_unet};
use crate::{
    recorder::{Outcome, Recorder},
    tolerance::Cause,
};

const STEPS: usize = 4;
const SEED: u64 = 12;
const SHAPE: [usize; 4] = [1, 3, 16, 16];
/// Samplers of one, two and several remembered predictions, with and without noise.
const NAMES: [SchedulerName; 4] = [
    SchedulerName::Heun,
    SchedulerName::UniPc,
    SchedulerName::DpmPlusPlus2MSde,
    SchedulerName::EulerAncestral,
];

/// Four requests of one network, each begun a call after the one before.
pub(crate) fn company<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    if !r.compares() {
        return Ok(());
    }
    let model = tiny_unet()
        .init::<A::InnerBackend>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    let model = lived_in(model);
    let count = SHAPE.iter().product();
    let starts: Vec<Vec<f32>> = NAMES.iter().map(|_| r.noise(count).collect()).collect();
    let noise: Vec<f32> = r.noise(count).collect();
    let noise = host_tensor(noise, SHAPE, r.device());
    let walks = || -> Result<Vec<_>, DiffusionError> {
        let walk = |(name, start): (&SchedulerName, &Vec<f32>)| {
            walk(*name, host_tensor(start.clone(), SHAPE, r.device()))
        };
        NAMES.iter().zip(&starts).map(walk).collect()
    };
    let alone: Result<Vec<_>, _> = walks()
        .map_err(GradCheckError::function)?
        .into_iter()
        .map(|walk| run(&model, vec![walk], &noise))
        .collect();
    let alone = alone.map_err(GradCheckError::function)?.concat();
    let together = walks()
        .and_then(|walks| run(&model, walks, &noise))
        .map_err(GradCheckError::function)?;
    for ((name, alone), together) in NAMES.iter().zip(alone).zip(together) {
        let seen: Vec<f64> = together.into_data().iter::<f64>().collect();
        let expected: Vec<f64> = alone.into_data().iter::<f64>().collect();
        hold(*name, &seen, &expected)?;
        r.values(name.as_str(), Cause::Network, &SHAPE, seen);
    }
    Ok(())
}

/// A walk on the sprite course's schedule.
fn walk<B: Backend>(name: SchedulerName, start: Tensor<B, 4>) -> Result<Walk<B>, DiffusionError> {
    let schedule = NoiseSchedule::new(&NoiseScheduleConfig::course())?;
    let plan = SamplerPlan::new(&schedule, &name.config(STEPS))?;
    Ok(Walk::from_noise(Arc::new(plan), start))
}

/// Walks to the end, one call of the network for all that have begun.
fn run<B: VisionBackend>(
    model: &ContextUnet<B>,
    mut walks: Vec<Walk<B>>,
    noise: &Tensor<B, 4>,
) -> Result<Vec<Tensor<B, 4>>, DiffusionError> {
    for turn in 1.. {
        let mut batch: Vec<_> = walks
            .iter_mut()
            .take(turn)
            .filter(|walk| !walk.is_done())
            .collect();
        if batch.is_empty() {
            break;
        }
        let inputs = batch.iter().filter_map(|walk| Some(walk.input()?.0));
        let times: Vec<f32> = batch
            .iter()
            .map(|walk| walk.plan().time_fraction(walk.position()) as f32)
            .collect();
        let inputs = Tensor::cat(inputs.collect(), 0);
        let times = host_tensor(times, [batch.len()], &noise.device());
        let output = model.forward(inputs, times, None);
        for (row, walk) in batch.iter_mut().enumerate() {
            walk.absorb(output.clone().narrow(0, row, 1), Some(noise.clone()))?;
        }
    }
    Ok(walks.into_iter().map(Walk::into_sample).collect())
}

/// Refuses a request whose result in company is not its result alone: kernels may choose another order of
/// sums for a larger batch, and no more.
fn hold(name: SchedulerName, seen: &[f64], expected: &[f64]) -> Outcome {
    let largest = expected.iter().fold(0.0, |max: f64, x| max.max(x.abs()));
    let allowed = Cause::Operation.tolerance() * largest;
    let errors = seen.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let error = errors.fold(0.0, f64::max);
    if error <= allowed {
        return Ok(());
    }
    Err(GradCheckError::function(format!(
        "{name} in company differs from {name} alone by {error:e}; allowed are {allowed:e}"
    )))
}

//! Host noise, and the samplers from a seed to images.

use pyrograph_backend::{
    rng::{NoiseSource, Purpose, RngKind},
    vision::VisionAutodiff,
};
use pyrograph_diffusion::{DiffusionCard, SamplerConfig, SchedulerName};
use pyrograph_gradcheck::GradCheckError;
use pyrograph_pipelines::sprites::{SpritePipeline, SpriteRequest};

use super::{lived_in::lived_in, models::tiny_unet};
use crate::{
    recorder::{Outcome, Recorder},
    tolerance::Cause,
};

const STEPS: usize = 5;
const SEED: u64 = 11;

pub(crate) fn noise<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for kind in [RngKind::Counter, RngKind::Torch] {
        let mut source = NoiseSource::new(kind, SEED);
        for (step, first_item) in [(0, 0), (3, 2)] {
            let shape = [2, 3, 5, 5];
            let purpose = Purpose::StepNoise;
            let noise =
                source.normal::<A::InnerBackend, 4>(purpose, step, first_item, shape, r.device());
            r.tensor(&format!("{kind:?}, step {step}"), Cause::Exact, noise);
        }
    }
    Ok(())
}

pub(crate) fn ddpm<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let request = request(SamplerConfig::ddpm(STEPS));
    images(r, "", &request)?;
    let rng = RngKind::Torch;
    images(r, "PyTorch's noise", &SpriteRequest { rng, ..request })
}

pub(crate) fn ddim<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let plain = request(SamplerConfig::ddim(STEPS, 0.0));
    images(r, "η = 0", &plain)?;
    images(r, "η = 1", &request(SamplerConfig::ddim(STEPS, 1.0)))?;
    let guidance = 2.0;
    images(r, "guided", &SpriteRequest { guidance, ..plain })
}

pub(crate) fn dpm_solver_pp<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    images(r, "", &request(SamplerConfig::dpm_solver_pp(STEPS)))
}

pub(crate) fn others<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let done = [
        SchedulerName::Ddpm,
        SchedulerName::Ddim,
        SchedulerName::DpmPlusPlus2M,
    ];
    for name in SchedulerName::ALL {
        if !done.contains(&name) {
            images(r, name.as_str(), &request(name.config(STEPS)))?;
        }
    }
    Ok(())
}

fn request(sampler: SamplerConfig) -> SpriteRequest {
    let contexts = vec![vec![1.0, 0.0, 0.0, 0.0, 0.0], vec![0.0, 0.5, 0.0, 0.0, 0.5]];
    SpriteRequest {
        seed: SEED,
        ..SpriteRequest::new(sampler, contexts)
    }
}

fn images<A: VisionAutodiff>(r: &mut Recorder<A>, name: &str, request: &SpriteRequest) -> Outcome {
    if !r.compares() {
        return Ok(());
    }
    let config = tiny_unet();
    let model = config
        .init::<A::InnerBackend>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    let pipeline =
        SpritePipeline::new(lived_in(model), config, DiffusionCard::course(), r.device())
            .map_err(GradCheckError::function)?;
    let images = pipeline
        .sample(request, &mut |_, _| {})
        .map_err(GradCheckError::function)?;
    let values: Vec<_> = images.values.into_iter().map(f64::from).collect();
    r.values(name, Cause::Network, &[values.len()], values);
    Ok(())
}

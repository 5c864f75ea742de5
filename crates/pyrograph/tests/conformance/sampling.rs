//! Host noise, and the samplers from a seed to images.

use pyrograph::{
    backend::{
        Device,
        rng::{NoiseSource, Purpose, RngKind},
        vision::VisionAutodiff,
    },
    diffusion::{DiffusionCard, SamplerConfig},
    pipelines::sprites::{SpritePipeline, SpriteRequest},
};

use crate::{
    network,
    rows::{Cause, Row, Rows},
};

const STEPS: usize = 5;
const SEED: u64 = 11;

pub(crate) fn add<A: VisionAutodiff>(rows: &mut Rows, device: &Device<A>) {
    noise::<A>(rows, device);
    samplers::<A>(rows, device);
}

fn noise<A: VisionAutodiff>(rows: &mut Rows, device: &Device<A>) {
    for kind in [RngKind::Counter, RngKind::Torch] {
        let mut source = NoiseSource::new(kind, SEED);
        for (step, first_item) in [(0, 0), (3, 2)] {
            let noise = source.normal::<A::InnerBackend, 4>(
                Purpose::StepNoise,
                step,
                first_item,
                [2, 3, 5, 5],
                device,
            );
            rows.tensor(
                "seeded noise",
                &format!("{kind:?}, step {step}"),
                Cause::Exact,
                noise,
            );
        }
    }
}

fn samplers<A: VisionAutodiff>(rows: &mut Rows, device: &Device<A>) {
    let config = network::config();
    let model = network::init::<A::InnerBackend>(&config, device);
    let pipeline = SpritePipeline::new(model, config, DiffusionCard::course(), device)
        .expect("the course's schedule is legal");
    let contexts = vec![vec![1.0, 0.0, 0.0, 0.0, 0.0], vec![0.0, 0.5, 0.0, 0.0, 0.5]];
    let of = |sampler| SpriteRequest {
        seed: SEED,
        ..SpriteRequest::new(sampler, contexts.clone())
    };
    let requests = [
        ("DDPM", of(SamplerConfig::ddpm(STEPS))),
        (
            "DDPM with PyTorch's noise",
            SpriteRequest {
                rng: RngKind::Torch,
                ..of(SamplerConfig::ddpm(STEPS))
            },
        ),
        ("DDIM", of(SamplerConfig::ddim(STEPS, 0.0))),
        ("DDIM with noise", of(SamplerConfig::ddim(STEPS, 1.0))),
        (
            "DDIM guided",
            SpriteRequest {
                guidance: 2.0,
                ..of(SamplerConfig::ddim(STEPS, 0.0))
            },
        ),
        ("DPM-Solver++", of(SamplerConfig::dpm_solver_pp(STEPS))),
    ];
    for (name, request) in requests {
        let images = pipeline
            .sample(&request, &mut |_, _| {})
            .expect("a legal request with finite images");
        let values = images.values.into_iter().map(f64::from).collect();
        rows.push(Row {
            line: format!("{name}, {STEPS} steps"),
            name: "images".into(),
            cause: Cause::F32Model,
            values,
            beside: None,
        });
    }
}

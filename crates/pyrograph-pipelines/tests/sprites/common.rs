//! A small pipeline, and requests to it.

use std::path::PathBuf;

use burn::tensor::Tensor;
use burn_flex::Flex;
use pyrograph_backend::rng::{NoiseKey, Purpose};
use pyrograph_diffusion::{DiffusionCard, SamplerConfig};
use pyrograph_models::{
    context_unet::{ContextUnet, ContextUnetConfig, Residual},
    weights::{StateDict, load_weights},
};
use pyrograph_pipelines::{
    PipelineError,
    sprites::{SpritePipeline, SpriteRequest, SpriteSamples},
};

/// `f32_op`: a few f32 operations; kernels may sum a batch of another size in another order.
pub(crate) const F32_OP: f32 = 1e-6;
/// `f32_model`: a whole forward pass, composed in another way.
pub(crate) const F32_MODEL: f32 = 1e-4;

/// Values of one image: 1×16×16.
pub(crate) const PIXELS: usize = 256;
pub(crate) const WIDTH: usize = 5;

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../pyrograph-models/tests/fixtures/context_unet")
        .join(name)
}

/// Of the fixtures, whose weights look trained: the context moves the output.
pub(crate) fn config() -> ContextUnetConfig {
    ContextUnetConfig {
        in_channels: 1,
        n_feat: 8,
        n_cfeat: WIDTH,
        height: 16,
        residual: Residual::FirstConv,
    }
}

pub(crate) fn model() -> ContextUnet<Flex> {
    let dict = StateDict::open(fixture("weights.safetensors")).expect("the fixture");
    load_weights(config().init(&Default::default(), 0).expect("legal"), &dict)
        .expect("the fixture's config")
}

pub(crate) fn pipeline_of(card: DiffusionCard) -> SpritePipeline<Flex> {
    SpritePipeline::new(model(), config(), card, &Default::default()).expect("legal")
}

pub(crate) fn pipeline() -> SpritePipeline<Flex> {
    pipeline_of(DiffusionCard::course())
}

/// One image of each of the first `count` classes.
pub(crate) fn contexts(count: usize) -> Vec<Vec<f32>> {
    (0..count)
        .map(|i| {
            (0..WIDTH)
                .map(|j| if i % WIDTH == j { 1.0 } else { 0.0 })
                .collect()
        })
        .collect()
}

pub(crate) fn request(sampler: SamplerConfig, count: usize) -> SpriteRequest {
    SpriteRequest {
        seed: 5,
        ..SpriteRequest::new(sampler, contexts(count))
    }
}

#[track_caller]
pub(crate) fn sample(pipeline: &SpritePipeline<Flex>, request: &SpriteRequest) -> SpriteSamples {
    let samples = pipeline.sample(request, &mut |_, _| {}).expect("legal");
    assert_eq!(samples.shape, [request.contexts.len(), 1, 16, 16]);
    assert_eq!(
        samples.values.len(),
        samples.shape.iter().product::<usize>()
    );
    assert!(samples.values.iter().all(|v| v.is_finite()));
    samples
}

#[track_caller]
pub(crate) fn refusal(pipeline: &SpritePipeline<Flex>, request: &SpriteRequest) -> PipelineError {
    pipeline
        .sample(request, &mut |_, _| {})
        .expect_err("not allowed")
}

/// The starting noise of `count` images under `seed`.
pub(crate) fn initial(seed: u64, count: usize) -> Vec<f32> {
    NoiseKey::new(seed, Purpose::InitialNoise, 0).normal(0, count * PIXELS)
}

pub(crate) fn images(values: &[f32]) -> Tensor<Flex, 4> {
    Tensor::<Flex, 1>::from_floats(values, &Default::default()).reshape([
        values.len() / PIXELS,
        1,
        16,
        16,
    ])
}

#[track_caller]
pub(crate) fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len());
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!(a.is_finite() && b.is_finite(), "{a} and {b} at {i}");
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "{a} is not {b} at {i}"
        );
    }
}

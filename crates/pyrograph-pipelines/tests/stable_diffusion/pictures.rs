//! Every stage and whole pictures beside diffusers'.

use std::ops::ControlFlow;

use burn_flex::Flex;
use pyrograph_models::weights::Precision;
use pyrograph_pipelines::stable_diffusion::{
    ImageResponse, ImageWalk, OpenOptions, StableDiffusion, tokenizer::PromptSyntax,
};

use crate::common::{Case, bytes, difference, psnr};

/// A stage in f32 against PyTorch's.
const STAGE: f32 = 1e-4;
/// Ten steps multiply the rounding of the first, guidance eight-fold each.
const TEN_STEPS: f32 = 1e-3;
/// dB of a picture in f32, and with bf16 weights.
const F32_PICTURE: f64 = 50.0;
const BF16_PICTURE: f64 = 30.0;

fn values(tensor: burn::tensor::Tensor<Flex, 3>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Walks a case to its end, holding the latents after each stored step to diffusers'.
fn walk(case: &Case, pipeline: &StableDiffusion<Flex>) -> ImageResponse {
    let request = case.request();
    let mut begun = pipeline.begin(&request).unwrap();
    while !begun.walks[0].is_done() {
        let step = begun.walks[0].taken();
        pipeline
            .advance(&mut begun.walks.iter_mut().collect::<Vec<_>>())
            .unwrap();
        let key = format!("latents_{step}");
        if case.results.get(&key).is_some() {
            let latents: Vec<f32> = begun.walks.iter().flat_map(latents_of).collect();
            let seen = difference(&latents, &case.result(&key));
            let allowed = if step < 2 { STAGE } else { TEN_STEPS };
            assert!(seen < allowed, "latents after step {step} differ by {seen}");
        }
    }
    pipeline
        .generate(&request, &mut |_| ControlFlow::Continue(()))
        .unwrap()
}

fn latents_of(walk: &ImageWalk<Flex>) -> Vec<f32> {
    walk.latents().into_data().iter::<f32>().collect()
}

#[track_caller]
fn equals_diffusers(name: &'static str) {
    let case = Case::new(name);
    let pipeline = case.open(&OpenOptions::default());
    for (key, text) in [
        ("positive", &case.numbers["prompts"][0]),
        ("negative", &case.numbers["negative"]),
    ] {
        if case.results.get(key).is_some() {
            let hidden = pipeline
                .encode_text(text.as_str().unwrap(), PromptSyntax::Plain)
                .unwrap();
            let seen = difference(&values(hidden), &case.result(key));
            assert!(seen < STAGE, "the hidden states of {text} differ by {seen}");
        }
    }
    let response = walk(&case, &pipeline);
    let seen = difference(&response.latents.values, &case.result("latents"));
    assert!(seen < TEN_STEPS, "the last latents differ by {seen}");
    let expected: Vec<u8> = case
        .result("picture")
        .iter()
        .map(|value| *value as u8)
        .collect();
    let ratio = psnr(&bytes(&response.images), &expected);
    println!("{name}: latents {seen:e}, {ratio:.1} dB");
    assert!(ratio >= F32_PICTURE, "{ratio:.1} dB");

    let half = OpenOptions {
        precision: Precision::Bf16,
        ..OpenOptions::default()
    };
    let response = case
        .open(&half)
        .generate(&case.request(), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    let ratio = psnr(&bytes(&response.images), &expected);
    println!("{name} with bf16 weights: {ratio:.1} dB");
    assert!(ratio >= BF16_PICTURE, "{ratio:.1} dB with bf16 weights");
}

#[test]
fn a_base_pipeline_with_dpm_solver_gives_the_pictures_of_diffusers() {
    equals_diffusers("base");
}

#[test]
fn a_pipeline_of_velocities_with_rescaled_guidance_at_an_odd_size_gives_the_pictures_of_diffusers()
{
    equals_diffusers("v_prediction");
}

#[test]
fn a_pipeline_of_stable_diffusion_1_with_pndm_gives_the_pictures_of_diffusers() {
    equals_diffusers("old");
}

#[test]
fn a_turbo_pipeline_without_guidance_gives_the_pictures_of_diffusers() {
    equals_diffusers("turbo");
}

#[test]
fn a_pipeline_without_a_middle_block_gives_the_pictures_of_diffusers() {
    equals_diffusers("small");
}

#[test]
fn image_to_image_gives_the_pictures_of_diffusers() {
    equals_diffusers("image");
}

#[test]
fn inpainting_with_a_plain_unet_gives_the_pictures_of_diffusers() {
    equals_diffusers("masked");
}

#[test]
fn inpainting_with_nine_channels_gives_the_pictures_of_diffusers() {
    equals_diffusers("nine");
}

//! A tiny VAE, LoRA files and learned tokens beside a checkpoint.

use std::{collections::HashMap, ops::ControlFlow, path::PathBuf};

use burn_flex::Flex;
use pyrograph_models::{
    stable_diffusion::checkpoint::{Checkpoint, CheckpointOptions},
    weights::{StateDict, TensorEntry},
};
use pyrograph_pipelines::stable_diffusion::{
    ImageRequest, LoraFile, OpenOptions, StableDiffusion, prompt_contexts, tokenizer::PromptSyntax,
};

use crate::{
    common::{Case, bytes, difference, psnr, write_tiny_vae},
    formula::parameter,
};

/// dB beside diffusers' picture.
const F32_PICTURE: f64 = 50.0;
/// Rank of the LoRA.
const RANK: usize = 2;

fn latents(pipeline: &StableDiffusion<Flex>, request: &ImageRequest) -> Vec<f32> {
    let response = pipeline.generate(request, &mut |_| ControlFlow::Continue(()));
    response.unwrap().latents.values
}

fn short(case: &Case) -> ImageRequest {
    ImageRequest {
        steps: 2,
        ..case.request()
    }
}

/// A file of these tensors in the case's folder.
fn file(case: &Case, name: &str, tensors: &[(&str, TensorEntry)]) -> PathBuf {
    let mut dict = StateDict::new();
    for (key, tensor) in tensors {
        dict.insert(*key, tensor.clone());
    }
    let path = case.path().join(name);
    dict.save(&path, HashMap::new()).unwrap();
    path
}

#[test]
fn a_tiny_vae_gives_the_pictures_of_diffusers_and_previews_of_full_size() {
    let case = Case::new("tiny");
    let folder = case.path().join("taesd");
    write_tiny_vae("tiny", &folder);
    let options = OpenOptions {
        tiny_vae: Some(folder),
        ..OpenOptions::default()
    };
    let pipeline = case.open(&options);
    let mut previews = Vec::new();
    let response = pipeline.generate(&case.request(), &mut |step| {
        previews = step.previews().unwrap();
        ControlFlow::Continue(())
    });
    let response = response.unwrap();
    let expected: Vec<u8> = case
        .result("picture")
        .iter()
        .map(|value| *value as u8)
        .collect();
    let ratio = psnr(&bytes(&response.images), &expected);
    assert!(ratio >= F32_PICTURE, "{ratio:.1} dB");
    // The last step predicts the latents themselves.
    assert_eq!(previews, response.images);
}

#[test]
fn contexts_come_in_the_order_of_their_prompts() {
    let case = Case::new("base");
    let checkpoint = Checkpoint::open(case.path(), &CheckpointOptions::default()).unwrap();
    let contexts = |prompts: &[&str]| {
        let contexts = prompt_contexts::<Flex>(&checkpoint, prompts, &Default::default()).unwrap();
        (
            contexts.dims(),
            contexts.into_data().to_vec::<f32>().unwrap(),
        )
    };
    let ([rows, length, width], both) = contexts(&["a cat on mars", ""]);
    assert_eq!((rows, both.len()), (2, 2 * length * width));
    let (cat, empty) = both.split_at(length * width);
    assert_ne!(cat, empty);
    assert!(difference(&contexts(&["a cat on mars"]).1, cat) < 1e-5);
    assert!(difference(&contexts(&[""]).1, empty) < 1e-5);
}

#[test]
fn a_lora_changes_the_picture_by_its_scale() {
    let case = Case::new("base");
    let module = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
    let (down, up) = (
        format!("{module}.lora_A.weight"),
        format!("{module}.lora_B.weight"),
    );
    let path = file(
        &case,
        "lora.safetensors",
        &[
            (&down, parameter(&down, &[RANK, 16])),
            (&up, parameter(&up, &[16, RANK])),
        ],
    );
    let with = |scale| {
        let loras = vec![LoraFile {
            path: path.clone(),
            scale,
        }];
        let options = OpenOptions {
            loras,
            ..OpenOptions::default()
        };
        latents(&case.open(&options), &short(&case))
    };
    let plain = latents(&case.open(&OpenOptions::default()), &short(&case));
    assert_eq!(plain, with(0.0));
    assert_ne!(plain, with(1.0));
}

#[test]
fn a_lora_of_another_architecture_is_refused_with_its_keys() {
    let case = Case::new("base");
    let module = "unet.down_blocks.7.attentions.0.transformer_blocks.0.attn1.to_q";
    let (down, up) = (
        format!("{module}.lora_A.weight"),
        format!("{module}.lora_B.weight"),
    );
    let path = file(
        &case,
        "lora.safetensors",
        &[
            (&down, parameter(&down, &[RANK, 16])),
            (&up, parameter(&up, &[16, RANK])),
        ],
    );
    let options = OpenOptions {
        loras: vec![LoraFile { path, scale: 1.0 }],
        ..OpenOptions::default()
    };
    let opened = StableDiffusion::<Flex>::open(case.path(), &options, &Default::default());
    let message = opened.expect_err("refused").to_string();
    assert!(message.contains("down_blocks.7"), "{message}");
}

#[test]
fn a_learned_token_stands_for_its_rows() {
    let case = Case::new("base");
    let path = file(
        &case,
        "toy.safetensors",
        &[("<toy>", parameter("toy", &[2, 32]))],
    );
    let options = OpenOptions {
        embeddings: vec![path],
        ..OpenOptions::default()
    };
    let (plain, learned) = (case.open(&OpenOptions::default()), case.open(&options));
    let hidden = |pipeline: &StableDiffusion<Flex>, text: &str| {
        let states = pipeline.encode_text(text, PromptSyntax::Plain).unwrap();
        states.into_data().iter::<f32>().collect::<Vec<_>>()
    };
    assert_eq!(hidden(&plain, "a cat"), hidden(&learned, "a cat"));
    assert_ne!(hidden(&plain, "a <toy>"), hidden(&learned, "a <toy>"));
}

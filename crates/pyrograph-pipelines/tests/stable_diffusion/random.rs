//! Pipelines with random weights.

use std::ops::ControlFlow;

use burn_flex::Flex;
use pyrograph_models::{
    stable_diffusion::{
        clip::ClipTextConfig, unet::UNet2DConditionConfig, vae::AutoencoderKlConfig,
    },
    weights::Precision,
};
use pyrograph_pipelines::stable_diffusion::{
    ImageRequest, MemoryLimit, NetworkConfigs, StableDiffusion,
};

/// The networks of Stable Diffusion 2.1 with few channels.
fn small() -> NetworkConfigs {
    let real = NetworkConfigs::stable_diffusion_2_1_base();
    NetworkConfigs {
        text_encoder: ClipTextConfig {
            hidden_size: 16,
            intermediate_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            ..real.text_encoder
        },
        unet: UNet2DConditionConfig {
            sample_size: Some([8; 2]),
            block_out_channels: vec![8, 8, 16, 16],
            attention_head_dim: vec![1, 1, 2, 2],
            norm_num_groups: 4,
            cross_attention_dim: vec![16; 4],
            ..real.unet
        },
        vae: AutoencoderKlConfig {
            block_out_channels: vec![4, 4, 8, 8],
            norm_num_groups: 4,
            sample_size: 64,
            ..real.vae
        },
    }
}

fn random(memory: MemoryLimit) -> Result<StableDiffusion<Flex>, String> {
    StableDiffusion::random(&small(), Precision::Bf16, memory, &Default::default())
        .map_err(|error| error.to_string())
}

#[test]
fn a_pipeline_of_random_weights_makes_pictures() {
    let pipeline = random(MemoryLimit::Available).unwrap();
    let request = ImageRequest {
        steps: 2,
        ..ImageRequest::new("a lovely cat", 0)
    };
    let response = pipeline.generate(&request, &mut |_| ControlFlow::Continue(()));
    let response = response.unwrap();
    // PNDM calls the UNet once more.
    assert_eq!(response.steps, 3);
    assert_eq!(response.images[0].dimensions(), (64, 64));
    assert!(pipeline.notes().is_empty());
}

#[test]
fn random_weights_are_held_against_the_memory_before_they_are_drawn() {
    let error = random(MemoryLimit::Bytes(1000)).expect_err("refused");
    assert!(error.contains("the weights"), "{error}");
}

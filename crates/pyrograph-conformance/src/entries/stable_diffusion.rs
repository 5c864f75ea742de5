//! The networks of Stable Diffusion at tiny sizes: values, and gradients to what flows through them.

use burn::{module::Module, tensor::Tensor};
use pyrograph_backend::{
    rng::host_tensor,
    vision::{Activation, VisionAutodiff},
};
use pyrograph_gradcheck::{GradCheckError, HostTensor};
use pyrograph_models::stable_diffusion::{
    clip::ClipTextConfig,
    tiny_vae::AutoencoderTinyConfig,
    unet::{DownBlockType, UNet2DConditionConfig, UpBlockType},
    vae::AutoencoderKlConfig,
};

use super::lived_in::lived_in;
use crate::recorder::{Outcome, Recorder};

const SEED: u64 = 6;

/// Two levels, the first of which attends to the text.
fn tiny_unet() -> UNet2DConditionConfig {
    UNet2DConditionConfig {
        down_block_types: vec![
            DownBlockType::CrossAttnDownBlock2D,
            DownBlockType::DownBlock2D,
        ],
        up_block_types: vec![UpBlockType::UpBlock2D, UpBlockType::CrossAttnUpBlock2D],
        only_cross_attention: vec![false; 2],
        block_out_channels: vec![8, 16],
        layers_per_block: vec![1; 2],
        norm_num_groups: 4,
        cross_attention_dim: vec![6; 2],
        transformer_layers_per_block: vec![1; 2],
        attention_head_dim: vec![2, 4],
        ..UNet2DConditionConfig::default()
    }
}

pub(crate) fn unet<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let linear = UNet2DConditionConfig {
        use_linear_projection: true,
        ..tiny_unet()
    };
    let distilled = UNet2DConditionConfig {
        mid_block_type: None,
        downsample_padding: 0,
        ..tiny_unet()
    };
    // Sides of 7 and 5 do not halve evenly.
    for (name, config, sides, times) in [
        (
            "projections by convolution",
            tiny_unet(),
            [8, 6],
            vec![981.0_f32, 12.25],
        ),
        ("linear projections, odd sides", linear, [7, 5], vec![500.0]),
        ("without a middle", distilled, [8, 8], vec![1.0]),
    ] {
        let model = config
            .init::<A>(r.device(), SEED)
            .map_err(GradCheckError::function)?;
        let model = lived_in(model).no_grad();
        let inputs = [
            r.normal("sample", &[2, 4, sides[0], sides[1]]),
            r.normal("context", &[2, 5, 6]),
        ];
        // A constant: its sines and cosines are f32 everywhere, too coarse for differences.
        let count = times.len();
        let times: Tensor<A, 1> = host_tensor(times, [count], r.device());
        r.case(name, &inputs, |i| {
            Ok(model.forward(i.tensor("sample")?, times.clone(), i.tensor("context")?))
        })?;
    }
    Ok(())
}

pub(crate) fn clip<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    for act in [Activation::Gelu, Activation::QuickGelu] {
        let config = ClipTextConfig {
            vocab_size: 20,
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            max_position_embeddings: 7,
            hidden_act: act,
            ..ClipTextConfig::clip_l()
        };
        let model = config
            .init::<A>(r.device(), SEED)
            .map_err(GradCheckError::function)?;
        let model = lived_in(model);
        let ids = HostTensor::int("ids", &[2, 5], vec![18, 3, 0, 19, 1, 18, 7, 7, 11, 19])?;
        r.module(&format!("{act:?}"), &model, &[ids], |model, i| {
            Ok(model.forward(i.int("ids")?))
        })?;
    }
    Ok(())
}

pub(crate) fn autoencoder<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let config = AutoencoderKlConfig {
        block_out_channels: vec![4, 8],
        layers_per_block: 1,
        latent_channels: 2,
        norm_num_groups: 2,
        sample_size: 16,
        ..AutoencoderKlConfig::stable_diffusion()
    };
    let model = config
        .init::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?;
    let model = lived_in(model).no_grad();
    let image = [r.normal("image", &[2, 3, 12, 16])];
    r.case("mean", &image, |i| {
        Ok(model.encode(i.tensor("image")?).mean)
    })?;
    r.case("log-variance", &image, |i| {
        Ok(model.encode(i.tensor("image")?).logvar)
    })?;
    let latents = [r.normal("latents", &[2, 2, 6, 8])];
    r.case("decoded", &latents, |i| {
        Ok(model.decode(i.tensor("latents")?))
    })
}

pub(crate) fn tiny_autoencoder<A: VisionAutodiff>(r: &mut Recorder<A>) -> Outcome {
    let config = AutoencoderTinyConfig {
        encoder_block_out_channels: vec![8; 3],
        decoder_block_out_channels: vec![8; 3],
        num_encoder_blocks: vec![1, 2, 1],
        num_decoder_blocks: vec![1, 2, 1],
        ..AutoencoderTinyConfig::taesd()
    };
    let model = config
        .init::<A>(r.device(), SEED)
        .map_err(GradCheckError::function)?
        .no_grad();
    let image = [r.normal("image", &[2, 3, 8, 12])];
    r.case("encoded", &image, |i| Ok(model.encode(i.tensor("image")?)))?;
    let latents = [r.normal("latents", &[2, 4, 4, 3])];
    r.case("decoded", &latents, |i| {
        Ok(model.decode(i.tensor("latents")?))
    })
}

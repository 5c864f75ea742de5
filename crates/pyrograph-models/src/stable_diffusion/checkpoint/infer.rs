//! Configs of single-file checkpoints, from the shapes of their weights under diffusers' names.

use serde_json::{Value, json};

use super::Prediction;
use crate::weights::StateDict;

/// Channels of a head where a UNet's projections are linear, and of a text encoder's.
const HEAD_WIDTH: usize = 64;
/// Heads of every block where a UNet's projections are convolutions.
const HEADS: usize = 8;
/// Side of the training pictures; the next constant is that of Stable Diffusion 2 with v.
const SIDE: usize = 512;
const SIDE_OF_VELOCITY: usize = 768;
/// Inputs of a UNet for inpainting: latents, mask, and masked latents.
const INPAINTING_CHANNELS: usize = 9;

/// The size of an axis of a tensor; 0 if there is no such axis, which the check of the config
/// refuses.
fn size(dict: &StateDict, key: &str, axis: usize) -> usize {
    let tensor = dict.get(key);
    tensor
        .and_then(|tensor| tensor.shape().get(axis).copied())
        .unwrap_or_default()
}

/// The number of consecutive indices from 0 that follow `prefix` in keys.
fn count(dict: &StateDict, prefix: &str) -> usize {
    let has = |number: &usize| {
        let prefix = format!("{prefix}{number}.");
        dict.part(&prefix).keys().next().is_some()
    };
    (0..).take_while(has).count()
}

fn has_any(dict: &StateDict, prefix: &str) -> bool {
    dict.part(prefix).keys().next().is_some()
}

/// The kind of a UNet, as far as its weights tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Whether the UNet is one of Stable Diffusion 2, whose projections are linear.
    pub(super) second: bool,
    /// Whether the input includes a mask.
    pub(super) inpainting: bool,
}

impl Kind {
    pub(super) fn of_unet(dict: &StateDict) -> Self {
        let ranks = dict.keys().filter(|key| key.ends_with(".proj_in.weight"));
        let mut ranks = ranks.filter_map(|key| Some(dict.get(key)?.shape().len()));
        Self {
            second: ranks.next() == Some(2),
            inpainting: size(dict, "conv_in.weight", 1) == INPAINTING_CHANNELS,
        }
    }

    /// The prediction type of the published checkpoint of this kind: v for Stable Diffusion 2.1, ε
    /// for the others.
    pub(super) fn prediction(self) -> Prediction {
        match self {
            Self {
                second: true,
                inpainting: false,
            } => Prediction::Velocity,
            _ => Prediction::Epsilon,
        }
    }

    /// The side of the pictures that the published checkpoint was trained on.
    fn side(self, prediction: Prediction) -> usize {
        match prediction {
            Prediction::Velocity if self.second => SIDE_OF_VELOCITY,
            _ => SIDE,
        }
    }

    pub(super) fn scheduler(self, prediction: Prediction) -> String {
        let class = match self.prediction() {
            Prediction::Velocity => "DDIMScheduler",
            _ => "PNDMScheduler",
        };
        let mut config = json!({
            "_class_name": class,
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000,
            "prediction_type": prediction.name(),
            "set_alpha_to_one": false,
            "steps_offset": 1,
            "clip_sample": false,
        });
        if class == "PNDMScheduler" {
            config["skip_prk_steps"] = true.into();
        }
        config.to_string()
    }
}

pub(super) fn unet(dict: &StateDict, kind: Kind, prediction: Prediction) -> String {
    let blocks = count(dict, "down_blocks.");
    let channels = |block: usize| {
        size(
            dict,
            &format!("down_blocks.{block}.resnets.0.conv1.weight"),
            0,
        )
    };
    let channels: Vec<_> = (0..blocks).map(channels).collect();
    let types = |side: &str, (with, without): (&'static str, &'static str)| -> Vec<&str> {
        let attends = |block| has_any(dict, &format!("{side}_blocks.{block}.attentions."));
        (0..blocks)
            .map(|block| if attends(block) { with } else { without })
            .collect()
    };
    let heads: Value = match kind.second {
        true => channels
            .iter()
            .map(|channels| (channels / HEAD_WIDTH).max(1))
            .collect(),
        false => HEADS.into(),
    };
    let text = dict.keys().find(|key| key.ends_with(".attn2.to_k.weight"));
    let first = "down_blocks.0.attentions.0.transformer_blocks.";
    let middle = has_any(dict, "mid_block.").then_some("UNetMidBlock2DCrossAttn");
    json!({
        "_class_name": "UNet2DConditionModel",
        "sample_size": kind.side(prediction) / 8,
        "in_channels": size(dict, "conv_in.weight", 1),
        "out_channels": size(dict, "conv_out.weight", 0),
        "down_block_types": types("down", ("CrossAttnDownBlock2D", "DownBlock2D")),
        "mid_block_type": middle,
        "up_block_types": types("up", ("CrossAttnUpBlock2D", "UpBlock2D")),
        "block_out_channels": channels,
        "layers_per_block": count(dict, "down_blocks.0.resnets."),
        "cross_attention_dim": text.map_or(0, |key| size(dict, key, 1)),
        "transformer_layers_per_block": count(dict, first).max(1),
        "attention_head_dim": heads,
        "use_linear_projection": kind.second,
        "upcast_attention": kind.second && prediction == Prediction::Velocity,
    })
    .to_string()
}

pub(super) fn vae(dict: &StateDict, kind: Kind, prediction: Prediction) -> String {
    let blocks = count(dict, "encoder.down_blocks.");
    let channels = |block| {
        size(
            dict,
            &format!("encoder.down_blocks.{block}.resnets.0.conv1.weight"),
            0,
        )
    };
    json!({
        "_class_name": "AutoencoderKL",
        "sample_size": kind.side(prediction),
        "in_channels": size(dict, "encoder.conv_in.weight", 1),
        "out_channels": size(dict, "decoder.conv_out.weight", 0),
        "down_block_types": vec!["DownEncoderBlock2D"; blocks],
        "up_block_types": vec!["UpDecoderBlock2D"; blocks],
        "block_out_channels": (0..blocks).map(channels).collect::<Vec<_>>(),
        "layers_per_block": count(dict, "encoder.down_blocks.0.resnets."),
        "latent_channels": size(dict, "decoder.conv_in.weight", 1),
        "scaling_factor": 0.18215,
        "use_quant_conv": has_any(dict, "quant_conv."),
        "use_post_quant_conv": has_any(dict, "post_quant_conv."),
    })
    .to_string()
}

/// The config of a text encoder whose activation is `activation`.
pub(super) fn text_encoder(dict: &StateDict, activation: &str) -> String {
    let width = text_width(dict);
    let prefix = text_prefix(dict);
    let size = |key: &str, axis| size(dict, &format!("{prefix}{key}"), axis);
    json!({
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": size("embeddings.token_embedding.weight", 0),
        "hidden_size": width,
        "intermediate_size": size("encoder.layers.0.mlp.fc1.weight", 0),
        "num_hidden_layers": count(dict, &format!("{prefix}encoder.layers.")),
        "num_attention_heads": (width / HEAD_WIDTH).max(1),
        "max_position_embeddings": size("embeddings.position_embedding.weight", 0),
        "hidden_act": activation,
        "layer_norm_eps": 1e-5,
    })
    .to_string()
}

/// The width of a text encoder.
pub(super) fn text_width(dict: &StateDict) -> usize {
    let key = format!("{}embeddings.token_embedding.weight", text_prefix(dict));
    size(dict, &key, 1)
}

/// The prefix of the keys, which files of transformers 5 do not have.
fn text_prefix(dict: &StateDict) -> &'static str {
    match has_any(dict, "text_model.") {
        true => "text_model.",
        false => "",
    }
}

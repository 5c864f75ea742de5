//! A small pipeline of Stable Diffusion with random weights, for examples without a model at hand.

use std::{collections::HashMap, fs, path::Path};

use pyrograph::{
    backend::vision::VisionBackend,
    models::{
        blocks::ParamInit,
        stable_diffusion::{
            clip::{ClipTextConfig, ClipTextModel},
            unet::{UNet2DConditionConfig, UNet2DConditionModel},
            vae::{AutoencoderKl, AutoencoderKlConfig},
        },
        weights::{NamedModel, state_dict_of},
    },
};

/// Tokens of the small pipeline: a letter for each byte, inside a word and at its end, start and end.
const VOCABULARY: usize = 514;

const MODEL_INDEX: &str = r#"{"_class_name": "StableDiffusionPipeline",
"scheduler": ["diffusers", "PNDMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
"tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
"vae": ["diffusers", "AutoencoderKL"]}"#;
const SCHEDULER: &str = r#"{"_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
"beta_schedule": "scaled_linear", "skip_prk_steps": true, "steps_offset": 1, "set_alpha_to_one": false}"#;
const TOKENIZER: &str = r#"{"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>",
"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "!"}"#;
const TEXT_ENCODER: &str = r#"{"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_act": "gelu",
"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2,
"max_position_embeddings": 77, "vocab_size": 514}"#;
const UNET: &str = r#"{"_class_name": "UNet2DConditionModel", "sample_size": 16, "block_out_channels": [32, 64],
"layers_per_block": 1, "norm_num_groups": 8, "cross_attention_dim": 64, "attention_head_dim": [2, 4],
"down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
"use_linear_projection": true}"#;
const VAE: &str = r#"{"_class_name": "AutoencoderKL", "block_out_channels": [16, 16, 32, 32], "layers_per_block": 1,
"norm_num_groups": 8, "latent_channels": 4, "sample_size": 128, "down_block_types": ["DownEncoderBlock2D",
"DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D",
"UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]}"#;

/// A pipeline folder as diffusers writes it, with random weights.
pub(crate) fn write<B: VisionBackend>(folder: &Path, device: &B::Device) -> anyhow::Result<()> {
    for part in ["scheduler", "tokenizer", "text_encoder", "unet", "vae"] {
        fs::create_dir_all(folder.join(part))?;
    }
    fs::write(folder.join("model_index.json"), MODEL_INDEX)?;
    fs::write(folder.join("scheduler/scheduler_config.json"), SCHEDULER)?;
    fs::write(folder.join("tokenizer/tokenizer_config.json"), TOKENIZER)?;
    fs::write(folder.join("tokenizer/vocab.json"), vocabulary())?;
    // No merges: every letter is a token.
    fs::write(folder.join("tokenizer/merges.txt"), "#version: 0.2\n")?;

    let text = ClipTextConfig::from_diffusers(TEXT_ENCODER)?;
    write_part::<B, ClipTextModel<B>>(folder, "text_encoder/model", TEXT_ENCODER, &text, device)?;
    let weights = "diffusion_pytorch_model";
    let unet = UNet2DConditionConfig::from_diffusers(UNET)?;
    let file = format!("unet/{weights}");
    write_part::<B, UNet2DConditionModel<B>>(folder, &file, UNET, &unet, device)?;
    let vae = AutoencoderKlConfig::from_diffusers(VAE)?;
    write_part::<B, AutoencoderKl<B>>(folder, &format!("vae/{weights}"), VAE, &vae, device)
}

/// The config and fresh weights of one network.
fn write_part<B: VisionBackend, M: NamedModel<B>>(
    folder: &Path,
    file: &str,
    json: &str,
    config: &M::Config,
    device: &B::Device,
) -> anyhow::Result<()> {
    let path = folder.join(file).with_extension("safetensors");
    fs::write(path.with_file_name("config.json"), json)?;
    let model = M::from_config(config, &mut ParamInit::new(device, 0))?;
    Ok(state_dict_of(&model)?.save(path, HashMap::new())?)
}

/// The letters that stand for the 256 bytes in CLIP's vocabulary, inside a word and at its end, and the special tokens.
fn vocabulary() -> String {
    let is_printable = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let printable = (0..=255_u8).filter(is_printable).map(char::from);
    let others = (0..=255_u8).filter(|byte| !is_printable(byte)).count() as u32;
    let letters: Vec<char> = printable
        .chain((256..256 + others).filter_map(char::from_u32))
        .collect();
    let inside = letters.iter().map(char::to_string);
    let ends = letters.iter().map(|letter| format!("{letter}</w>"));
    let special = ["<|startoftext|>", "<|endoftext|>"].map(String::from);
    let ids: serde_json::Map<_, _> = inside
        .chain(ends)
        .chain(special)
        .zip((0..VOCABULARY).map(Into::into))
        .collect();
    serde_json::Value::Object(ids).to_string()
}

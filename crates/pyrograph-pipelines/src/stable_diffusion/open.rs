//! From the files of a checkpoint to a pipeline.

use std::path::{Path, PathBuf};

use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    ModelError,
    stable_diffusion::{
        checkpoint::{Checkpoint, CheckpointOptions, Part, Prediction},
        clip::ClipTextConfig,
        lora::{Lora, apply_loras},
        textual_inversion::TextualInversion,
        tiny_vae::AutoencoderTinyConfig,
        unet::UNet2DConditionConfig,
        vae::{AutoencoderKlConfig, Tiling},
    },
    weights::{NamedModel, Precision, StateDict, build_model_with},
};

use super::{
    coder::{Coder, ImageCoder},
    memory::{MemoryLimit, NetworkSizes},
    pipeline::{Channels, StableDiffusion, is_in_host_memory},
    request::refuse,
    rules::RequestRules,
    schedule::UNetTraits,
    scheduler::Scheduler,
    tokenizer::Tokenizer,
};
use crate::PipelineError;

/// Side of a picture in training, in latents, where the UNet's config does not tell.
const OWN_SIDE: usize = 64;

/// Channels of a picture.
const COLOURS: usize = 3;

/// A LoRA file and its scale.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraFile {
    /// The file.
    pub path: PathBuf,
    /// What its weights are multiplied by; 1 is the file's own strength.
    pub scale: f64,
}

/// How a checkpoint is opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// As what numbers weights stay in memory.
    pub precision: Precision,
    /// A tiny VAE that takes the place of the checkpoint's.
    pub tiny_vae: Option<PathBuf>,
    /// LoRA files, added to the weights.
    pub loras: Vec<LoraFile>,
    /// Files of textual inversion, added to the vocabulary.
    pub embeddings: Vec<PathBuf>,
    /// What the UNet predicts, where the checkpoint does not tell or is wrong.
    pub prediction: Option<Prediction>,
    /// The memory that weights and requests may take.
    pub memory: MemoryLimit,
}

impl<B: VisionBackend> StableDiffusion<B> {
    /// Opens a diffusers folder or a single-file checkpoint.
    ///
    /// # Errors
    /// When a part is missing, damaged or of another architecture; when a config asks for what is not supported; when a value of
    /// a weight is not finite; when the memory would not do.
    pub fn open(
        path: impl AsRef<Path>,
        options: &OpenOptions,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        let files = CheckpointOptions {
            prediction: options.prediction,
            tiny_vae: options.tiny_vae.clone(),
            ..CheckpointOptions::default()
        };
        let mut checkpoint = Checkpoint::open(path.as_ref(), &files)?;
        let tiny = checkpoint.tiny_vae.take();
        let mut tokenizer = Tokenizer::of_checkpoint(&checkpoint.tokenizer)?;
        adapt(&mut checkpoint, &mut tokenizer, options)?;
        let bytes = weight_bytes(&checkpoint, tiny.as_ref(), options.precision);
        let in_host_memory = is_in_host_memory::<B>(device);
        options.memory.check("the weights", bytes, in_host_memory)?;

        let text_config = config(&checkpoint.text_encoder, ClipTextConfig::from_diffusers)?;
        let unet_config = config(&checkpoint.unet, UNet2DConditionConfig::from_diffusers)?;
        let text_encoder = build(&text_config, &checkpoint.text_encoder, options, device)?;
        let unet = build(&unet_config, &checkpoint.unet, options, device)?;
        let (coder, vae_channels, latents) = open_coder(&checkpoint.vae, tiny, options, device)?;
        check_fit(&text_config, &unet_config, &tokenizer, latents)?;
        let scheduler = Scheduler::new(checkpoint.scheduler.as_deref())?;
        checkpoint.notes.extend(scheduler.note());
        let rules = RequestRules {
            scheduler,
            sizes: NetworkSizes {
                unet_layers: unet_config
                    .layers_per_block
                    .iter()
                    .copied()
                    .max()
                    .unwrap_or(1),
                unet_channels: unet_config.block_out_channels.clone(),
                vae_channels,
            },
            channels: Channels {
                input: unet_config.in_channels,
                latents,
            },
            unet: UNetTraits {
                skips: unet_config.skips(),
                levels: unet_config.block_out_channels.len(),
                embeds_guidance: unet_config.time_cond_proj_dim.is_some(),
            },
            factor: coder.factor,
            own_side: unet_config
                .sample_size
                .map_or(OWN_SIDE, |[height, _]| height),
            tile: coder.draws().then_some(coder.tile),
        };
        Ok(Self {
            tokenizer,
            text_encoder,
            unet,
            coder,
            rules,
            memory: options.memory,
            notes: checkpoint.notes,
            device: device.clone(),
        })
    }
}

/// The config of one part, read by `parse`.
fn config<C>(part: &Part, parse: fn(&str) -> Result<C, ModelError>) -> Result<C, PipelineError> {
    parse(&part.config).map_err(|error| of_part(&part.weights, error))
}

/// A model of one part.
fn build<B: VisionBackend, M: NamedModel<B>>(
    config: &M::Config,
    part: &Part,
    options: &OpenOptions,
    device: &B::Device,
) -> Result<M, PipelineError> {
    build_model_with(config, &part.weights, options.precision, device)
        .map_err(|error| of_part(&part.weights, error))
}

/// An error of a config with the file that holds the config: `config.json` beside the weights, or the single file.
fn of_part(weights: &StateDict, error: ModelError) -> PipelineError {
    if !matches!(
        error,
        ModelError::Config { .. } | ModelError::ConfigFile { .. }
    ) {
        return error.into();
    }
    let beside = weights.path().with_file_name("config.json");
    let path = match beside.is_file() {
        true => beside,
        false => weights.path().into(),
    };
    PipelineError::PartConfig {
        path,
        source: Box::new(error),
    }
}

/// The VAE, its channels of each level, and those of latents.
fn open_coder<B: VisionBackend>(
    vae: &Part,
    tiny: Option<Part>,
    options: &OpenOptions,
    device: &B::Device,
) -> Result<(ImageCoder<B>, Vec<usize>, usize), PipelineError> {
    if let Some(tiny) = tiny {
        let config = config(&tiny, AutoencoderTinyConfig::from_diffusers)?;
        check_colours([config.in_channels, config.out_channels])?;
        let coder = ImageCoder {
            coder: Coder::Tiny(build(&config, &tiny, options, device)?),
            scaling: config.scaling_factor,
            factor: config.factor(),
            tile: usize::MAX,
        };
        let channels = config.decoder_block_out_channels.clone();
        return Ok((coder, channels, config.latent_channels));
    }
    let config = config(vae, AutoencoderKlConfig::from_diffusers)?;
    check_colours([config.in_channels, config.out_channels])?;
    let coder = ImageCoder {
        coder: Coder::Full(Box::new(build(&config, vae, options, device)?)),
        scaling: config.scaling_factor,
        factor: config.factor(),
        tile: Tiling::of(&config).latent_size,
    };
    Ok((
        coder,
        config.block_out_channels.clone(),
        config.latent_channels,
    ))
}

/// Refuses a VAE whose images have other channels than red, green and blue.
fn check_colours(channels: [usize; 2]) -> Result<(), PipelineError> {
    match channels.iter().find(|count| **count != COLOURS) {
        Some(other) => Err(refuse(
            "the number of the VAE's image channels",
            other,
            "3: red, green and blue",
        )),
        None => Ok(()),
    }
}

/// Adds LoRA files to the weights, and embeddings to the vocabulary and the text encoder.
fn adapt(
    checkpoint: &mut Checkpoint,
    tokenizer: &mut Tokenizer,
    options: &OpenOptions,
) -> Result<(), PipelineError> {
    let open = |file: &LoraFile| Ok((Lora::open(&file.path)?, file.scale));
    let loras: Vec<_> = options
        .loras
        .iter()
        .map(open)
        .collect::<Result<_, ModelError>>()?;
    if !loras.is_empty() {
        let (unet, text) = (&mut checkpoint.unet, &mut checkpoint.text_encoder);
        apply_loras(&loras, &mut unet.weights, &mut text.weights)?;
    }
    for path in &options.embeddings {
        let embedding = TextualInversion::open(path)?;
        let ids = tokenizer.add_token(embedding.token(), embedding.count())?;
        embedding.add_to(&mut checkpoint.text_encoder, &ids)?;
    }
    Ok(())
}

/// Bytes of all weights as they will lie in memory.
fn weight_bytes(checkpoint: &Checkpoint, tiny: Option<&Part>, precision: Precision) -> u64 {
    let vae = tiny.unwrap_or(&checkpoint.vae);
    let parts = [&checkpoint.text_encoder, &checkpoint.unet, vae];
    let entries = parts
        .into_iter()
        .flat_map(|part| part.weights.keys().filter_map(|key| part.weights.get(key)));
    entries
        .map(|entry| (entry.count() * precision.parameter_type(entry.dtype()).size()) as u64)
        .sum()
}

/// Refuses parts that do not belong together.
fn check_fit(
    text: &ClipTextConfig,
    unet: &UNet2DConditionConfig,
    tokenizer: &Tokenizer,
    latents: usize,
) -> Result<(), PipelineError> {
    if let Some(width) = unet
        .cross_attention_dim
        .iter()
        .find(|width| **width != text.hidden_size)
    {
        let allowed = format!("{}, the width of the text encoder", text.hidden_size);
        return Err(refuse("cross_attention_dim of the UNet", width, &allowed));
    }
    if unet.out_channels != latents {
        let allowed = format!("{latents}, those of the VAE's latents");
        return Err(refuse(
            "out_channels of the UNet",
            unet.out_channels,
            &allowed,
        ));
    }
    if tokenizer.length() > text.max_position_embeddings {
        let allowed = format!(
            "at most {}, the positions of the text encoder",
            text.max_position_embeddings
        );
        return Err(refuse(
            "the length of the tokenizer",
            tokenizer.length(),
            &allowed,
        ));
    }
    if tokenizer.vocabulary_size() > text.vocab_size {
        let allowed = format!(
            "at most {}, the vocabulary of the text encoder",
            text.vocab_size
        );
        return Err(refuse(
            "the tokenizer's vocabulary",
            tokenizer.vocabulary_size(),
            &allowed,
        ));
    }
    Ok(())
}

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
        unet::{UNet2DConditionConfig, is_int8_layer},
        vae::{AutoencoderKl, AutoencoderKlConfig, Tiling},
    },
    weights::{NamedModel, Precision, StateDict, build_model_with},
};

use super::{
    assemble::Networks,
    coder::{Coder, ImageCoder},
    memory::MemoryLimit,
    pipeline::{StableDiffusion, is_in_host_memory},
    request::refuse,
    scheduler::Scheduler,
    tokenizer::Tokenizer,
};
use crate::PipelineError;

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
        let networks = Networks {
            text: (text_config, text_encoder),
            unet: (unet_config, unet),
            coder,
            vae_channels,
            latents,
        };
        let scheduler = Scheduler::new(checkpoint.scheduler.as_deref())?;
        checkpoint.notes.extend(scheduler.note());
        let mut pipeline = Self::assemble(networks, tokenizer, scheduler, options.memory, device)?;
        pipeline.notes = checkpoint.notes;
        pipeline.prepare(bytes);
        Ok(pipeline)
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
    let coder = full_coder(&config, build(&config, vae, options, device)?);
    Ok((
        coder,
        config.block_out_channels.clone(),
        config.latent_channels,
    ))
}

/// The VAE of `config`.
pub(super) fn full_coder<B: VisionBackend>(
    config: &AutoencoderKlConfig,
    vae: AutoencoderKl<B>,
) -> ImageCoder<B> {
    ImageCoder {
        coder: Coder::Full(Box::new(vae)),
        scaling: config.scaling_factor,
        factor: config.factor(),
        tile: Tiling::of(config).latent_size,
    }
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
    let size_of = |part: &Part, is_int8: fn(&str) -> bool| -> u64 {
        let keys = part.weights.keys();
        let sizes = keys.filter_map(|key| {
            let entry = part.weights.get(key)?;
            Some(entry.size_in_memory(precision, is_int8(key)) as u64)
        });
        sizes.sum()
    };
    let floats = |part| size_of(part, |_| false);
    floats(&checkpoint.text_encoder) + size_of(&checkpoint.unet, is_int8_layer) + floats(vae)
}

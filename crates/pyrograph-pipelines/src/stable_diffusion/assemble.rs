//! From networks to a pipeline.

use pyrograph_backend::vision::{PreparedWeights, VisionBackend};
use pyrograph_models::stable_diffusion::{
    clip::{ClipTextConfig, ClipTextModel},
    unet::{UNet2DConditionConfig, UNet2DConditionModel},
};

use super::{
    coder::ImageCoder,
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

/// The networks of a pipeline and their numbers.
pub(super) struct Networks<B: VisionBackend> {
    pub(super) text: (ClipTextConfig, ClipTextModel<B>),
    pub(super) unet: (UNet2DConditionConfig, UNet2DConditionModel<B>),
    pub(super) coder: ImageCoder<B>,
    /// Channels of the levels of the VAE, the finest first.
    pub(super) vae_channels: Vec<usize>,
    /// Channels of the latents.
    pub(super) latents: usize,
}

impl<B: VisionBackend> StableDiffusion<B> {
    /// The pipeline of these networks, without notes.
    pub(super) fn assemble(
        networks: Networks<B>,
        tokenizer: Tokenizer,
        scheduler: Scheduler,
        memory: MemoryLimit,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        let Networks {
            text: (text_config, text_encoder),
            unet: (unet_config, unet),
            coder,
            vae_channels,
            latents,
        } = networks;
        check_fit(&text_config, &unet_config, &tokenizer, latents)?;
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
            memory,
            prepared: Vec::new(),
            notes: Vec::new(),
            device: device.clone(),
        })
    }

    /// Lets layers keep the forms of their weights that kernels multiply, where memory would do for both: the weights
    /// take `bytes`.
    pub(super) fn prepare(&mut self, bytes: u64) {
        let in_host_memory = is_in_host_memory::<B>(&self.device);
        let both = self
            .memory
            .check("the prepared weights", 2 * bytes, in_host_memory);
        if both.is_ok() {
            self.prepared = vec![
                PreparedWeights::of(&self.text_encoder),
                PreparedWeights::of(&self.unet),
                self.coder.prepare(),
            ];
        }
    }
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

//! Pipelines with random weights, for measurements.

use burn::tensor::DType;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_models::{
    ModelError,
    stable_diffusion::{
        checkpoint::TokenizerFiles,
        clip::{ClipTextConfig, ClipTextModel},
        unet::{UNet2DConditionConfig, UNet2DConditionModel, is_int8_layer},
        vae::{AutoencoderKl, AutoencoderKlConfig},
    },
    weights::{NamedModel, Precision, build_model_with, parameter_shapes, random_weights},
};

use super::{
    assemble::Networks,
    memory::MemoryLimit,
    open::full_coder,
    pipeline::{StableDiffusion, is_in_host_memory},
    scheduler::Scheduler,
    tokenizer::Tokenizer,
};
use crate::PipelineError;

/// The token that Stable Diffusion 2 fills prompts up with.
const PADDING: &str = "!";

/// The numbers of the networks of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfigs {
    /// The text encoder; its vocabulary must hold CLIP's 49,408 tokens.
    pub text_encoder: ClipTextConfig,
    /// The UNet.
    pub unet: UNet2DConditionConfig,
    /// The VAE.
    pub vae: AutoencoderKlConfig,
}

impl NetworkConfigs {
    /// Stable Diffusion 2.1-base: 1.29 billion parameters, pictures of 512 × 512.
    pub fn stable_diffusion_2_1_base() -> Self {
        Self {
            text_encoder: ClipTextConfig::open_clip_h(),
            unet: UNet2DConditionConfig::stable_diffusion_2_1_base(),
            vae: AutoencoderKlConfig::stable_diffusion(),
        }
    }

    /// Bytes of the parameters of all networks.
    fn bytes<B: VisionBackend>(
        &self,
        precision: Precision,
        device: &B::Device,
    ) -> Result<u64, ModelError> {
        let text = parameter_shapes::<B, ClipTextModel<B>>(&self.text_encoder, device)?;
        let unet = parameter_shapes::<B, UNet2DConditionModel<B>>(&self.unet, device)?;
        let vae = parameter_shapes::<B, AutoencoderKl<B>>(&self.vae, device)?;
        let size = precision.parameter_type(DType::F32).size();
        let bytes = |(key, shape): &(String, Vec<usize>), has_int8: bool| {
            let count: usize = shape.iter().product();
            let takes_int8 = precision.int8_products().is_some();
            let is_int8 = takes_int8 && has_int8 && shape.len() > 1;
            match is_int8 && is_int8_layer(key) {
                true => (count + shape[0] * size_of::<f32>()) as u64,
                false => (count * size) as u64,
            }
        };
        let of_floats = text.iter().chain(&vae).map(|shape| bytes(shape, false));
        let of_unet = unet.iter().map(|shape| bytes(shape, true));
        Ok(of_floats.chain(of_unet).sum())
    }
}

impl<B: VisionBackend> StableDiffusion<B> {
    /// A pipeline of these networks with random weights, CLIP's vocabulary and the scheduler of
    /// Stable Diffusion: its pictures are noise, but take the time and the memory of real ones.
    /// Nothing is read from disk.
    ///
    /// # Errors
    /// When a number is not allowed, networks do not fit together, or the memory would not do.
    pub fn random(
        configs: &NetworkConfigs,
        precision: Precision,
        memory: MemoryLimit,
        device: &B::Device,
    ) -> Result<Self, PipelineError> {
        let bytes = configs.bytes::<B>(precision, device)?;
        memory.check("the weights", bytes, is_in_host_memory::<B>(device))?;

        let NetworkConfigs {
            text_encoder,
            unet,
            vae,
        } = configs;
        let text = drawn(text_encoder, precision, device)?;
        let networks = Networks {
            text: (text_encoder.clone(), text),
            unet: (unet.clone(), drawn(unet, precision, device)?),
            coder: full_coder(vae, drawn(vae, precision, device)?),
            vae_channels: vae.block_out_channels.clone(),
            latents: vae.latent_channels,
        };
        let padding = PADDING.to_owned();
        let tokenizer = Tokenizer::of_checkpoint(&TokenizerFiles::BuiltIn { padding })?;
        let mut pipeline =
            Self::assemble(networks, tokenizer, Scheduler::new(None)?, memory, device)?;
        pipeline.prepare(bytes);
        Ok(pipeline)
    }
}

/// A network of random weights, loaded as those of a file are.
fn drawn<B: VisionBackend, M: NamedModel<B>>(
    config: &M::Config,
    precision: Precision,
    device: &B::Device,
) -> Result<M, ModelError> {
    let weights = random_weights::<B, M>(config, precision, device)?;
    build_model_with(config, &weights, precision, device)
}

//! A checkpoint made ready, and how a request goes through it.

use std::{ops::ControlFlow, time::Instant};

use burn::tensor::Tensor;
use pyrograph_backend::vision::{PreparedWeights, VisionBackend};
use pyrograph_models::stable_diffusion::{clip::ClipTextModel, unet::UNet2DConditionModel};
use pyrograph_vision::RgbImage;

use super::{
    begin::BegunRequest,
    coder::ImageCoder,
    host::{Latents, values_of},
    memory::{MemoryLimit, MemoryNeed},
    preview::linear_previews,
    request::{ImageRequest, ImageResponse, StageSeconds},
    rules::RequestRules,
    tokenizer::Tokenizer,
    walk::ImageWalk,
};
use crate::PipelineError;

/// A checkpoint made ready: text encoder, UNet and VAE on a device.
///
/// Opened once by [`open`](Self::open). It has no state between calls, so that a server can hold it for months and share it between
/// threads; what belongs to a picture is in its [`ImageWalk`].
#[derive(Debug)]
pub struct StableDiffusion<B: VisionBackend> {
    pub(super) tokenizer: Tokenizer,
    pub(super) text_encoder: ClipTextModel<B>,
    pub(super) unet: UNet2DConditionModel<B>,
    pub(super) coder: ImageCoder<B>,
    pub(super) rules: RequestRules,
    pub(super) memory: MemoryLimit,
    /// Those of the networks; none where memory would not do.
    pub(super) prepared: Vec<PreparedWeights>,
    pub(super) notes: Vec<String>,
    pub(super) device: B::Device,
}

/// Channels of the UNet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channels {
    pub(super) input: usize,
    pub(super) latents: usize,
}

/// A step that has been taken, as a callback sees it.
pub struct Step<'a, B: VisionBackend> {
    /// Steps taken.
    pub taken: usize,
    /// Steps in all.
    pub steps: usize,
    pipeline: &'a StableDiffusion<B>,
    walks: &'a [ImageWalk<B>],
}

impl<B: VisionBackend> Step<'_, B> {
    /// The pictures as this step predicts them; see [`StableDiffusion::previews`].
    ///
    /// # Errors
    /// When the device cannot be read, or a value is not finite.
    pub fn previews(&self) -> Result<Vec<RgbImage>, PipelineError> {
        self.pipeline.previews(self.walks)
    }
}

impl<B: VisionBackend> StableDiffusion<B> {
    /// What a user should know of the checkpoint: parts that are not used.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What requests are checked against before anything is computed.
    pub fn rules(&self) -> &RequestRules {
        &self.rules
    }

    /// Pixels a latent in each direction: width and height of a picture are multiples of it.
    pub fn factor(&self) -> usize {
        self.coder.factor
    }

    /// Width and height of the pictures of `request`.
    ///
    /// # Errors
    /// When a side is no multiple of [`factor`](Self::factor).
    pub fn size(&self, request: &ImageRequest) -> Result<[usize; 2], PipelineError> {
        self.rules.size(request)
    }

    /// The memory that `request` needs beside the weights.
    ///
    /// # Errors
    /// As [`size`](Self::size).
    pub fn memory_need(&self, request: &ImageRequest) -> Result<MemoryNeed, PipelineError> {
        self.rules.memory_need(request)
    }

    /// Draws the pictures of `request`. `after_step` is called after each step, and may break off.
    ///
    /// # Errors
    /// When a number of the request is not allowed, when memory would not do, when a stage puts out a value that is not finite (its
    /// name is told), and [`PipelineError::Stopped`].
    pub fn generate(
        &self,
        request: &ImageRequest,
        after_step: &mut dyn FnMut(&Step<'_, B>) -> ControlFlow<()>,
    ) -> Result<ImageResponse, PipelineError> {
        let BegunRequest {
            mut walks,
            lost,
            text_seconds,
        } = self.begin(request)?;
        let begun = Instant::now();
        let steps = walks[0].steps();
        while !walks[0].is_done() {
            self.advance(&mut walks.iter_mut().collect::<Vec<_>>())?;
            let step = Step {
                taken: walks[0].taken(),
                steps,
                pipeline: self,
                walks: &walks,
            };
            if after_step(&step).is_break() {
                return Err(PipelineError::Stopped);
            }
        }
        walks.iter().try_for_each(ImageWalk::check)?;
        let unet = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let latents = Tensor::cat(walks.iter().map(ImageWalk::latents).collect(), 0);
        let images = self.decode(latents.clone(), request)?;
        Ok(ImageResponse {
            images,
            latents: Latents {
                shape: latents.dims(),
                values: values_of(latents)?,
            },
            lost,
            seconds: StageSeconds {
                text: text_seconds,
                unet,
                vae: begun.elapsed().as_secs_f64(),
            },
            steps,
        })
    }

    /// The pictures of `walks` as their last steps predict them: decoded by the tiny VAE where the pipeline has one, else one pixel a
    /// latent by [`linear_previews`]. Reads from the device. The walks are of one size.
    ///
    /// # Errors
    /// When the device cannot be read, or a value is not finite.
    pub fn previews(&self, walks: &[ImageWalk<B>]) -> Result<Vec<RgbImage>, PipelineError> {
        if walks.is_empty() {
            return Ok(Vec::new());
        }
        let latents = Tensor::cat(walks.iter().map(ImageWalk::expected).collect(), 0);
        match self.coder.draws() {
            true => linear_previews(latents),
            false => self.coder.pictures(latents, None),
        }
    }

    /// The pictures of finished latents.
    ///
    /// # Shapes
    /// `latents`: [images, channels, height, width].
    ///
    /// # Errors
    /// When the decoder puts out a value that is not finite, or the device cannot be read.
    pub fn decode(
        &self,
        latents: Tensor<B, 4>,
        request: &ImageRequest,
    ) -> Result<Vec<RgbImage>, PipelineError> {
        self.coder.pictures(latents, self.coder.tile_of(request))
    }
}

/// Whether models lie in the machine's own memory.
pub(super) fn is_in_host_memory<B: VisionBackend>(device: &B::Device) -> bool {
    let name = B::name(device);
    ["flex", "ndarray"].iter().any(|host| name.contains(host))
}

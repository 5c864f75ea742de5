//! A checkpoint made ready, and how a request goes through it.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use burn::tensor::Tensor;
use pyrograph_backend::{
    rng::{NoiseSource, host_tensor},
    vision::VisionBackend,
};
use pyrograph_diffusion::{SamplerPlan, Walk};
use pyrograph_models::stable_diffusion::{clip::ClipTextModel, unet::UNet2DConditionModel};
use pyrograph_vision::RgbImage;

use super::{
    coder::ImageCoder,
    guide::Guidance,
    host::{Latents, values_of},
    memory::{MemoryLimit, MemoryNeed, NetworkSizes},
    preview::linear_previews,
    request::{ImageRequest, ImageResponse, ImageStart, StageSeconds, refuse},
    scheduler::Scheduler,
    start::{Beginning, Start},
    text::{Contexts, LostWords},
    tokenizer::{PromptSyntax, Tokenizer},
    walk::{Context, ImageWalk},
};
use crate::PipelineError;

/// Channels that an inpainting UNet has beside the latents: the mask and the masked picture's latents.
const MASK_CHANNELS: usize = 1;

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
    pub(super) scheduler: Scheduler,
    pub(super) sizes: NetworkSizes,
    pub(super) channels: Channels,
    /// Side of a picture in training, in latents.
    pub(super) own_side: usize,
    pub(super) memory: MemoryLimit,
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
    /// The pictures as this step predicts them: decoded by the tiny VAE where the pipeline has one, else one pixel a latent by
    /// [`linear_previews`]. Reads from the device.
    ///
    /// # Errors
    /// When the device cannot be read, or a value is not finite.
    pub fn previews(&self) -> Result<Vec<RgbImage>, PipelineError> {
        let expected = self.walks.iter().map(ImageWalk::expected).collect();
        let latents = Tensor::cat(expected, 0);
        match self.pipeline.coder.draws() {
            true => linear_previews(latents),
            false => self.pipeline.coder.pictures(latents, None),
        }
    }
}

/// The walks of a request, ready to be taken to their end.
#[derive(Debug)]
pub struct BegunRequest<B: VisionBackend> {
    /// One walk a picture.
    pub walks: Vec<ImageWalk<B>>,
    /// Prompts that did not fit whole.
    pub lost: Vec<LostWords>,
    /// Seconds that the text encoder took.
    pub text_seconds: f64,
}

impl<B: VisionBackend> StableDiffusion<B> {
    /// What a user should know of the checkpoint: parts that are not used.
    pub fn notes(&self) -> &[String] {
        &self.notes
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
        request.size(self.coder.factor, self.own_side)
    }

    /// The memory that `request` needs beside the weights.
    ///
    /// # Errors
    /// As [`size`](Self::size).
    pub fn memory_need(&self, request: &ImageRequest) -> Result<MemoryNeed, PipelineError> {
        let [width, height] = self.size(request)?.map(|side| side / self.coder.factor);
        let rows = request.images.len() * (1 + usize::from(request.is_guided()));
        let decoded = match self.coder.tile_of(request) {
            Some(tile) => [height.min(tile), width.min(tile)],
            None => [height, width],
        };
        Ok(self.sizes.need(rows, [height, width], decoded))
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

    /// Encodes the prompts of `request` and makes one walk a picture.
    ///
    /// # Errors
    /// As [`generate`](Self::generate), but for what only the steps can tell.
    pub fn begin(&self, request: &ImageRequest) -> Result<BegunRequest<B>, PipelineError> {
        request.check()?;
        let [width, height] = self.size(request)?;
        self.check_start(request, [width, height])?;
        let need = self.memory_need(request)?;
        let in_host_memory = is_in_host_memory::<B>(&self.device);
        self.memory
            .check("this request", need.unet.max(need.vae), in_host_memory)?;
        let plan = Arc::new(self.scheduler.plan(request)?);

        let begun = Instant::now();
        let contexts = self.contexts(request)?;
        let text_seconds = begun.elapsed().as_secs_f64();
        let beginning = Beginning {
            plan: &plan,
            is_whole: request.strength() == 1.0,
            coder: &self.coder,
            is_inpainting_unet: self.is_inpainting_unet(),
            shape: self.latent_shape(1, [width, height]),
            device: &self.device,
        };
        let start = Start::new(
            &request.start,
            [width, height],
            self.coder.factor,
            &self.device,
        );
        let walk = |place| {
            let context = self.context(request, place, &contexts)?;
            self.walk(request, place, &plan, &beginning, &start, context)
        };
        let walks = (0..request.images.len())
            .map(walk)
            .collect::<Result<_, _>>()?;
        Ok(BegunRequest {
            walks,
            lost: contexts.lost,
            text_seconds,
        })
    }

    fn walk(
        &self,
        request: &ImageRequest,
        place: usize,
        plan: &Arc<SamplerPlan>,
        beginning: &Beginning<'_, B>,
        start: &Start<'_, B>,
        context: Context<B>,
    ) -> Result<ImageWalk<B>, PipelineError> {
        let noise = NoiseSource::new(request.rng, request.images[place].seed);
        let begun = beginning.begin(start, place, noise)?;
        let walk = Walk::new(Arc::clone(plan), begun.sample);
        Ok(ImageWalk::new(walk, context, begun.inpaint, begun.noise))
    }

    /// The hidden states of a text, as the UNet reads them.
    ///
    /// # Shapes
    /// [1, length, width].
    ///
    /// # Errors
    /// When the text cannot be encoded, or a value is not finite.
    pub fn encode_text(
        &self,
        text: &str,
        syntax: PromptSyntax,
    ) -> Result<Tensor<B, 3>, PipelineError> {
        let contexts = Contexts::new(
            &[text],
            syntax,
            &self.tokenizer,
            &self.text_encoder,
            &self.device,
        )?;
        contexts.of(text)
    }

    /// Takes every walk one step further, in one pass of the UNet.
    ///
    /// # Errors
    /// When latents differ in size, or a walk is done.
    pub fn advance(&self, walks: &mut [&mut ImageWalk<B>]) -> Result<(), PipelineError> {
        let Some(first) = walks.first() else {
            return Ok(());
        };
        let size = first.latents().dims();
        if let Some(other) = walks
            .iter()
            .map(|walk| walk.latents().dims())
            .find(|dims| *dims != size)
        {
            return Err(refuse(
                "the latents of a pass",
                format!("{other:?}"),
                &format!("{size:?}, as those of the first walk"),
            ));
        }
        // The rows: those of negative prompts of all guided walks, then those of all prompts.
        let inputs: Option<Vec<_>> = walks.iter().map(|walk| walk.input()).collect();
        let inputs = inputs.ok_or_else(|| refuse("a walk", "done", "a walk with steps left"))?;
        let guided: Vec<_> = (0..walks.len())
            .filter(|place| walks[*place].context.guided.is_some())
            .collect();
        let rows: Vec<_> = guided.iter().copied().chain(0..walks.len()).collect();
        let samples = rows.iter().map(|place| inputs[*place].0.clone()).collect();
        let times = rows.iter().map(|place| inputs[*place].1 as f32).collect();
        let negatives = walks.iter().filter_map(|walk| {
            walk.context
                .guided
                .as_ref()
                .map(|(negative, _)| negative.clone())
        });
        let contexts = negatives.chain(walks.iter().map(|walk| walk.context.conditional.clone()));
        let output = self.unet.forward(
            Tensor::cat(samples, 0),
            host_tensor(times, [rows.len()], &self.device),
            Tensor::cat(contexts.collect(), 0),
        );
        let row = |place: usize| output.clone().narrow(0, place, 1);
        for (place, walk) in walks.iter_mut().enumerate() {
            let negative = guided.iter().position(|other| *other == place);
            walk.absorb(negative.map(row), row(guided.len() + place))?;
        }
        Ok(())
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

    fn contexts(&self, request: &ImageRequest) -> Result<Contexts<B>, PipelineError> {
        let prompts = request.images.iter().map(|image| image.prompt.as_str());
        let negatives = request.images.iter().map(|image| image.negative.as_str());
        let texts: Vec<_> = match request.is_guided() {
            true => prompts.chain(negatives).collect(),
            false => prompts.collect(),
        };
        Contexts::new(
            &texts,
            request.syntax,
            &self.tokenizer,
            &self.text_encoder,
            &self.device,
        )
    }

    fn context(
        &self,
        request: &ImageRequest,
        place: usize,
        contexts: &Contexts<B>,
    ) -> Result<Context<B>, PipelineError> {
        let image = &request.images[place];
        let guidance = Guidance {
            scale: request.guidance,
            rescale: request.guidance_rescale,
        };
        let guided = match request.is_guided() {
            true => Some((contexts.of(&image.negative)?, guidance)),
            false => None,
        };
        Ok(Context {
            conditional: contexts.of(&image.prompt)?,
            guided,
        })
    }

    fn is_inpainting_unet(&self) -> bool {
        self.channels.input != self.channels.latents
    }

    fn latent_shape(&self, images: usize, [width, height]: [usize; 2]) -> [usize; 4] {
        let factor = self.coder.factor;
        [
            images,
            self.channels.latents,
            height / factor,
            width / factor,
        ]
    }

    /// Refuses a start that does not go with this UNet, and latents of another shape.
    fn check_start(&self, request: &ImageRequest, size: [usize; 2]) -> Result<(), PipelineError> {
        let Channels { input, latents } = self.channels;
        let expected = match request.start {
            ImageStart::Inpaint { .. } => vec![latents, 2 * latents + MASK_CHANNELS],
            _ => vec![latents],
        };
        if !expected.contains(&input) {
            let allowed = match request.start {
                ImageStart::Inpaint { .. } => format!(
                    "{latents} or {} for inpainting",
                    2 * latents + MASK_CHANNELS
                ),
                _ => format!(
                    "{latents}; a UNet with more is for inpainting, and needs a picture and a mask"
                ),
            };
            return Err(refuse(
                "the number of the UNet's input channels",
                input,
                &allowed,
            ));
        }
        match &request.start {
            ImageStart::Latents(latents) => {
                latents.check(self.latent_shape(request.images.len(), size))
            }
            _ => Ok(()),
        }
    }
}

/// Whether models lie in the machine's own memory.
pub(super) fn is_in_host_memory<B: VisionBackend>(device: &B::Device) -> bool {
    let name = B::name(device);
    ["flex", "ndarray"].iter().any(|host| name.contains(host))
}

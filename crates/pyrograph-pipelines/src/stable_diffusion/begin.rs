//! From a request to walks that can be taken.

use std::{sync::Arc, time::Instant};

use burn::tensor::Tensor;
use pyrograph_backend::{rng::NoiseSource, vision::VisionBackend};
use pyrograph_diffusion::{SamplerPlan, Walk};
use pyrograph_models::stable_diffusion::unet::TextKeys;

use super::{
    guide::Guidance,
    pipeline::{StableDiffusion, is_in_host_memory},
    request::ImageRequest,
    rules::CheckedRequest,
    start::{Beginning, Start},
    text::{Contexts, LostWords},
    tokenizer::PromptSyntax,
    walk::{Context, ImageWalk},
};
use crate::PipelineError;

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
    /// Encodes the prompts of `request` and makes one walk a picture.
    ///
    /// # Errors
    /// As [`generate`](Self::generate), but for what only the steps can tell.
    pub fn begin(&self, request: &ImageRequest) -> Result<BegunRequest<B>, PipelineError> {
        let CheckedRequest {
            size,
            memory: need,
            plan,
            schedule,
        } = self.rules.check(request)?;
        let in_host_memory = is_in_host_memory::<B>(&self.device);
        self.memory
            .check("this request", need.unet.max(need.vae), in_host_memory)?;

        let begun = Instant::now();
        let contexts = self.contexts(request)?;
        let keys = self.text_keys(request, &contexts)?;
        let text_seconds = begun.elapsed().as_secs_f64();
        let beginning = Beginning {
            plan: &plan,
            is_whole: request.strength() == 1.0,
            coder: &self.coder,
            is_inpainting_unet: self.rules.is_inpainting(),
            shape: self.rules.latent_shape(1, size),
            device: &self.device,
        };
        let start = Start::new(&request.start, size, &self.coder, &self.device);
        let walk = |place| {
            let image = &request.images[place];
            let context = Context {
                text: self.text_of(request, place, &keys),
                guidance: Guidance {
                    scale: request.guidance,
                    rescale: request.guidance_rescale,
                },
                schedule: schedule.clone(),
                seed: image.seed,
            };
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

    fn contexts(&self, request: &ImageRequest) -> Result<Contexts<B>, PipelineError> {
        let prompts = request.images.iter().map(|image| image.prompt.as_str());
        let negatives = request.images.iter().map(|image| image.negative.as_str());
        let texts: Vec<_> = match self.rules.rows_a_picture(request) {
            2 => prompts.chain(negatives).collect(),
            _ => prompts.collect(),
        };
        Contexts::new(
            &texts,
            request.syntax,
            &self.tokenizer,
            &self.text_encoder,
            &self.device,
        )
    }

    /// The keys of all rows of a pass over the whole request: those of negative prompts where there is guidance by a second row,
    /// then those of prompts.
    fn text_keys(
        &self,
        request: &ImageRequest,
        contexts: &Contexts<B>,
    ) -> Result<TextKeys<B>, PipelineError> {
        let prompts = request.images.iter().map(|image| &image.prompt);
        let negatives = request.images.iter().map(|image| &image.negative);
        let texts: Vec<_> = match self.rules.rows_a_picture(request) {
            2 => negatives.chain(prompts).collect(),
            _ => prompts.collect(),
        };
        let rows: Result<Vec<_>, _> = texts.into_iter().map(|text| contexts.of(text)).collect();
        Ok(self.unet.text_keys(Tensor::cat(rows?, 0)))
    }

    /// The keys of the picture at `place`.
    fn text_of(&self, request: &ImageRequest, place: usize, keys: &TextKeys<B>) -> TextKeys<B> {
        match self.rules.rows_a_picture(request) {
            2 => TextKeys::gather(&[(keys, place), (keys, request.images.len() + place)]),
            _ => TextKeys::gather(&[(keys, place)]),
        }
    }
}

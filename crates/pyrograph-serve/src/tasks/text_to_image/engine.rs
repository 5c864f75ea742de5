//! A loaded checkpoint that draws pictures of several requests together.

use burn::tensor::Tensor;
use pyrograph_backend::vision::VisionBackend;
use pyrograph_pipelines::{
    PipelineError,
    stable_diffusion::{
        BegunRequest, ImageRequest, ImageStart, ImageWalk, LostWords, StableDiffusion,
    },
};
use pyrograph_vision::{Rgb, RgbImage, enlarge};

use super::ImageInput;
use crate::{
    Batching, Engine, OutputImage, Progress, Refusal, TaskError, TaskOutput, Watch,
    tasks::{
        faults::{of_model, of_request},
        passes::in_passes,
    },
};

/// The prompt of warm-up.
const PROBE: &str = "a lovely cat";
/// Steps of warm-up: the first fills caches, the second is measured. Every scheduler walks at least as many as it is asked for.
const PROBE_STEPS: usize = 2;
/// Characters of lost words that a client is told.
const SHOWN_CHARACTERS: usize = 300;

/// A loaded checkpoint.
pub(super) struct ImageEngine<B: VisionBackend> {
    pipeline: StableDiffusion<B>,
    device: B::Device,
    /// Width and height of the pictures to be ready for.
    sizes: Vec<[usize; 2]>,
}

/// Pictures on their way.
pub(super) struct ImageState<B: VisionBackend> {
    walks: Vec<ImageWalk<B>>,
    /// The request without its pictures.
    request: ImageRequest,
    size: [usize; 2],
    notes: Vec<String>,
}

impl<B: VisionBackend> ImageEngine<B> {
    /// An engine that is to be ready for `sizes`, by default that of the checkpoint.
    ///
    /// # Errors
    /// When a size cannot be drawn.
    pub(super) fn new(
        pipeline: StableDiffusion<B>,
        device: B::Device,
        sizes: Vec<[usize; 2]>,
    ) -> Result<Self, Refusal> {
        let own_size = pipeline.rules().own_size();
        let mut engine = Self {
            pipeline,
            device,
            sizes,
        };
        for [width, height] in &engine.sizes {
            engine.probe_of([*width, *height], 0).map_err(|refusal| {
                let message = format!("`--size` {width}x{height}: {}", refusal.message);
                Refusal::new(refusal.kind, message)
            })?;
        }
        if engine.sizes.is_empty() {
            engine.probe_of(own_size, 0)?;
            engine.sizes.push(own_size);
        }
        Ok(engine)
    }

    /// A request for a picture of `size`, with guidance.
    fn probe_of(&self, [width, height]: [usize; 2], seed: u64) -> Result<ImageInput, Refusal> {
        let rules = self.pipeline.rules();
        let mut request = ImageRequest {
            steps: PROBE_STEPS,
            width: Some(width),
            height: Some(height),
            ..ImageRequest::new(PROBE, seed)
        };
        if rules.is_inpainting() {
            let blank = RgbImage::from_pixel(1, 1, Rgb([255; 3]));
            request.start = ImageStart::Inpaint {
                image: blank.clone(),
                mask: blank,
                strength: 1.0,
            };
        }
        ImageInput::new(request, rules)
    }

    /// Waits for the device, so that the time of a step is that of its work.
    fn wait(&self) -> Result<(), TaskError> {
        B::sync(&self.device).map_err(|error| of_model(PipelineError::Device(format!("{error:?}"))))
    }

    /// The previews, at the size of the pictures.
    fn previews(&self, state: &ImageState<B>) -> Result<Vec<RgbImage>, PipelineError> {
        let previews = self.pipeline.previews(&state.walks)?;
        let [width, _] = state.size;
        let full = |image: RgbImage| match width as u32 / image.width().max(1) {
            factor @ 2.. => enlarge(&image, factor),
            _ => Ok(image),
        };
        let previews = previews.into_iter().map(full).collect::<Result<_, _>>();
        Ok(previews?)
    }
}

impl<B: VisionBackend> Engine for ImageEngine<B> {
    type Input = ImageInput;
    type State = ImageState<B>;

    fn begin(&mut self, input: ImageInput) -> Result<ImageState<B>, TaskError> {
        let ImageInput { request, size, .. } = input;
        let BegunRequest { walks, lost, .. } = self.pipeline.begin(&request).map_err(of_request)?;
        self.wait()?;
        Ok(ImageState {
            walks,
            request: ImageRequest {
                start: ImageStart::Noise,
                ..request
            },
            size,
            notes: lost.iter().map(note_of).collect(),
        })
    }

    fn step(
        &mut self,
        states: &mut [&mut ImageState<B>],
        watch: &Watch<'_>,
    ) -> Result<(), TaskError> {
        let mut walks: Vec<_> = states
            .iter_mut()
            .flat_map(|state| &mut state.walks)
            .collect();
        in_passes(&mut walks, watch.rows(), ImageWalk::rows, |walks| {
            self.pipeline.advance(walks).map_err(of_model)?;
            self.wait()
        })
    }

    fn progress(&self, state: &ImageState<B>) -> Progress {
        let walk = state.walks.first();
        Progress {
            taken: walk.map_or(0, ImageWalk::taken),
            steps: walk.map_or(0, ImageWalk::steps),
        }
    }

    fn preview(&mut self, state: &ImageState<B>) -> Result<Vec<RgbImage>, TaskError> {
        // A picture that breaks is refused at its end; its previews alone are no reason.
        Ok(self.previews(state).unwrap_or_else(|error| {
            tracing::warn!(%error, "no preview");
            Vec::new()
        }))
    }

    fn finish(&mut self, state: ImageState<B>) -> Result<TaskOutput, TaskError> {
        let ImageState {
            walks,
            request,
            notes,
            ..
        } = state;
        walks
            .iter()
            .try_for_each(ImageWalk::check)
            .map_err(of_model)?;
        let latents = Tensor::cat(walks.iter().map(ImageWalk::latents).collect(), 0);
        let images = self.pipeline.decode(latents, &request).map_err(of_model)?;
        let images = images.into_iter().zip(&request.images);
        Ok(TaskOutput::Images {
            images: images
                .map(|(image, prompt)| OutputImage {
                    image,
                    seed: prompt.seed,
                })
                .collect(),
            notes,
        })
    }

    fn batching(&self) -> Batching {
        Batching::BetweenSteps
    }

    fn probe(&self, index: usize, seed: u64) -> Option<ImageInput> {
        self.probe_of(*self.sizes.get(index)?, seed).ok()
    }
}

/// What a client is told of words that had no effect.
fn note_of(lost: &LostWords) -> String {
    let words = &lost.words;
    let shown = match words.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{} …", &words[..end]),
        None => words.clone(),
    };
    format!("the prompt is too long; without effect: {shown}")
}

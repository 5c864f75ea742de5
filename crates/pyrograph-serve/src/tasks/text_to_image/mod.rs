//! Text to image, image to image and inpainting with Stable Diffusion.

mod acceleration;
mod body;
mod engine;
mod size;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::OnceLock};

use pyrograph_backend::{BackendTask, Device, vision::VisionAutodiff};
use pyrograph_pipelines::stable_diffusion::{
    ImageRequest, OpenOptions, RequestRules, StableDiffusion,
};

use self::{body::Defaults, engine::ImageEngine};
use super::{ModelOptions, TaskKind, body::not_json, body::not_loaded, locate::model_path};
use crate::{BatchKey, Demand, Limits, Refusal, Task, TaskBody, TaskError, Worker};

/// Pictures from a checkpoint of Stable Diffusion.
pub struct TextToImage {
    path: PathBuf,
    options: ModelOptions,
    limits: Limits,
    /// Known from when the first worker has loaded the checkpoint.
    rules: OnceLock<RequestRules>,
}

/// A request that has been read and checked.
#[derive(Clone, Debug)]
pub struct ImageInput {
    pub(super) request: ImageRequest,
    /// Width and height of the pictures.
    pub(super) size: [usize; 2],
    /// Latents of one picture.
    pub(super) latents: usize,
    /// Passes of the UNet.
    pub(super) steps: usize,
    /// The most rows that a pass has for one picture.
    pub(super) rows: usize,
}

impl ImageInput {
    fn new(mut request: ImageRequest, rules: &RequestRules) -> Result<Self, Refusal> {
        let checked = rules.check(&request).map_err(super::faults::refused)?;
        let [width, height] = checked.size;
        (request.width, request.height) = (Some(width), Some(height));
        request.start = request.start.at_size(checked.size);
        let [width, height] = checked.size.map(|side| side / rules.factor());
        Ok(Self {
            size: checked.size,
            latents: width * height,
            steps: checked.steps(),
            rows: rules.rows_a_picture(&request),
            request,
        })
    }
}

impl TextToImage {
    /// The checkpoint at `path`: a diffusers folder, a single file, or a folder that holds one of them. `limits` bound the schema.
    pub fn new(path: impl Into<PathBuf>, options: ModelOptions, limits: Limits) -> Self {
        Self {
            path: path.into(),
            options,
            limits,
            rules: OnceLock::new(),
        }
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            steps: self.options.steps,
        }
    }
}

impl Task for TextToImage {
    type Input = ImageInput;

    fn name(&self) -> &'static str {
        TaskKind::Txt2img.name()
    }

    fn parse(&self, body: TaskBody, limits: &Limits) -> Result<ImageInput, Refusal> {
        let rules = self.rules.get().ok_or_else(not_loaded)?;
        match body {
            TaskBody::Json(value) => body::parse(value, rules, self.defaults(), limits),
            TaskBody::Image(_) => Err(not_json()),
        }
    }

    fn demand(&self, input: &ImageInput) -> Demand {
        let [width, height] = input.size;
        Demand {
            key: BatchKey(format!("{width}x{height}")),
            rows: input.request.images.len() * input.rows,
            steps: input.steps,
            work: input.latents as f64,
        }
    }

    fn images(&self, input: &ImageInput) -> Option<usize> {
        Some(input.request.images.len())
    }

    fn work(&self, worker: Worker<'_, ImageInput>) -> Result<(), TaskError> {
        let spec = worker.device();
        let load = Load { task: self, worker };
        spec.run(load).map_err(TaskError::failed)?
    }

    fn stages(&self) -> [&'static str; 3] {
        ["text", "unet", "vae"]
    }

    fn schema(&self) -> serde_json::Value {
        body::schema(self.defaults(), &self.limits, self.rules.get())
    }
}

/// A worker on its way to a loaded checkpoint.
struct Load<'a> {
    task: &'a TextToImage,
    worker: Worker<'a, ImageInput>,
}

impl BackendTask for Load<'_> {
    type Output = Result<(), TaskError>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let options = &self.task.options;
        let path = model_path(TaskKind::Txt2img, &self.task.path).map_err(TaskError::failed)?;
        let open = OpenOptions {
            precision: options.precision,
            tiny_vae: options.tiny_vae.clone(),
            loras: options.loras.clone(),
            embeddings: options.embeddings.clone(),
            prediction: None,
            memory: options.memory,
        };
        let pipeline = StableDiffusion::<B::InnerBackend>::open(&path, &open, &device)
            .map_err(TaskError::failed)?;
        for note in pipeline.notes() {
            tracing::info!(model = %path.display(), "{note}");
        }
        self.task.rules.get_or_init(|| pipeline.rules().clone());
        let engine = ImageEngine::new(pipeline, device, options.sizes.clone())?;
        self.worker.serve(engine)
    }
}

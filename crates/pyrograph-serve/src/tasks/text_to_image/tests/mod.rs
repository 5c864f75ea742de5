//! Bodies, and pictures of tiny pipelines.

mod bodies;
#[path = "../../../../../pyrograph-pipelines/tests/stable_diffusion/common.rs"]
#[allow(dead_code)] // Shared with the tests of the pipelines.
mod common;
mod pictures;

use burn_flex::Flex;
use pyrograph_models::weights::Precision;
use pyrograph_pipelines::stable_diffusion::{MemoryLimit, OpenOptions, StableDiffusion};
use pyrograph_vision::{Rgb, RgbImage};

use self::common::Case;
use super::{TextToImage, engine::ImageEngine};
use crate::{Limits, tasks::ModelOptions};

fn options() -> ModelOptions {
    ModelOptions {
        precision: Precision::AsStored,
        tiny_vae: None,
        loras: Vec::new(),
        embeddings: Vec::new(),
        sizes: Vec::new(),
        steps: 3,
        memory: MemoryLimit::None,
    }
}

/// The task that has loaded the case.
fn task_of(pipeline: &StableDiffusion<Flex>) -> TextToImage {
    let task = TextToImage::new("nowhere", options(), Limits::default());
    task.rules.set(pipeline.rules().clone()).expect("once");
    task
}

fn engine_of(pipeline: StableDiffusion<Flex>, sizes: Vec<[usize; 2]>) -> ImageEngine<Flex> {
    ImageEngine::new(pipeline, Default::default(), sizes).expect("legal sizes")
}

fn loaded(name: &'static str, options: &OpenOptions) -> (TextToImage, ImageEngine<Flex>) {
    let pipeline = Case::new(name).open(options);
    let task = task_of(&pipeline);
    (task, engine_of(pipeline, Vec::new()))
}

fn plain() -> (TextToImage, ImageEngine<Flex>) {
    loaded("base", &OpenOptions::default())
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 9]))
}

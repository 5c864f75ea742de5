//! Text to image from end to end: open a checkpoint of Stable Diffusion, and make a picture of a prompt.
//!
//! ```text
//! cargo run --release --example text_to_image [-- OUT_FOLDER [--model DIR_OR_FILE] [PROMPT]]
//! ```
//!
//! With a model, `OUT_FOLDER/picture.png` shows the prompt. Without one, the example builds a small pipeline with random weights in
//! `OUT_FOLDER/pipeline` and runs every stage of it in a second: the picture then shows colours, and no subject.

mod small_pipeline;

use std::{ops::ControlFlow, path::PathBuf};

use anyhow::Context;
use pyrograph::{
    backend::{BackendTask, Device, DeviceSpec, vision::VisionAutodiff},
    pipelines::stable_diffusion::{ImageRequest, OpenOptions, StableDiffusion},
    vision::write_png,
};

/// Memory stays with the program from one step to the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROMPT: &str = "an astronaut on mars";
const STEPS: usize = 20;

fn main() -> anyhow::Result<()> {
    let mut story = Story {
        out: "text-to-image-out".into(),
        model: None,
        prompt: PROMPT.into(),
    };
    let mut arguments = std::env::args().skip(1);
    let mut plain = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--model" => {
                story.model = Some(arguments.next().context("--model DIR_OR_FILE")?.into())
            }
            _ => plain.push(argument),
        }
    }
    let mut plain = plain.into_iter();
    if let Some(out) = plain.next() {
        story.out = out.into();
    }
    if let Some(prompt) = plain.next() {
        story.prompt = prompt;
    }
    DeviceSpec::Auto.run(story)?
}

struct Story {
    out: PathBuf,
    model: Option<PathBuf>,
    prompt: String,
}

impl BackendTask for Story {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> anyhow::Result<()> {
        let model = match &self.model {
            Some(model) => model.clone(),
            None => {
                let folder = self.out.join("pipeline");
                small_pipeline::write::<B::InnerBackend>(&folder, &device)?;
                println!(
                    "no --model: a small pipeline with random weights in {}",
                    folder.display()
                );
                folder
            }
        };
        // 1. The checkpoint: tokenizer, text encoder, UNet, VAE and scheduler.
        let pipeline: StableDiffusion<B::InnerBackend> =
            StableDiffusion::open(&model, &OpenOptions::default(), &device)?;
        pipeline.notes().iter().for_each(|note| println!("{note}"));

        // 2. The request: a prompt, a seed, and what differs from diffusers' defaults.
        let request = ImageRequest {
            steps: STEPS,
            ..ImageRequest::new(&self.prompt, 1)
        };

        // 3. From noise to the picture, with a word after every fifth step.
        let response = pipeline.generate(&request, &mut |step| {
            if step.taken % 5 == 0 {
                println!("step {} of {}", step.taken, step.steps);
            }
            ControlFlow::Continue(())
        })?;
        let path = self.out.join("picture.png");
        write_png(&path, &response.images[0])?;
        let seconds = response.seconds;
        println!(
            "{}: text {:.2} s, unet {:.2} s, vae {:.2} s",
            path.display(),
            seconds.text,
            seconds.unet,
            seconds.vae
        );
        Ok(())
    }
}

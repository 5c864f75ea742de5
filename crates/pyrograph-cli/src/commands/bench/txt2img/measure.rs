//! The measurement in one type, through the pipeline as `txt2img` runs it.

use std::{ops::ControlFlow, time::Instant};

use anyhow::anyhow;
use burn::tensor::Tensor;
use pyrograph::{
    backend::{Device, InferenceTask, vision::VisionBackend},
    pipelines::stable_diffusion::{
        ImageWalk, MemoryLimit, NetworkConfigs, OpenOptions, StableDiffusion,
    },
};

use super::{
    figures::{PartSeconds, PictureFigures, Runs, TypeFigures},
    likeness::keep,
    order::Order,
};
use crate::{arguments::STARTED, memory::peak_bytes};

/// A measurement on its way to a device.
pub(super) struct Measurement<'a> {
    pub(super) order: &'a Order,
}

impl InferenceTask for Measurement<'_> {
    type Output = anyhow::Result<TypeFigures>;

    fn run<B: VisionBackend>(self, device: Device<B>) -> Self::Output {
        let order = self.order;
        let begun = Instant::now();
        order.say(match order.model {
            Some(_) => "loading",
            None => "drawing random weights",
        });
        let pipeline = open::<B>(order, &device)?;
        let load = begun.elapsed().as_secs_f64();

        // The first picture pays for what is prepared once; no later figure holds it.
        order.say("a first picture of one step");
        let first = order.request(1)?;
        pipeline.generate(&first, &mut |_| ControlFlow::Continue(()))?;
        let first_picture = STARTED.elapsed().as_secs_f64();

        let (medians, pictures) = match order.whole {
            true => whole(&pipeline, order)?,
            false => by_parts(&pipeline, order, &device)?,
        };
        let [text, unet_pass, vae] = medians;
        Ok(TypeFigures {
            dtype: order.dtype.clone(),
            size: pipeline.size(&first)?,
            seconds: PartSeconds {
                load,
                first_picture,
                text,
                unet_pass,
                vae,
            },
            peak_memory_bytes: peak_bytes(),
            pictures,
        })
    }
}

/// The checkpoint, or random weights.
fn open<B: VisionBackend>(order: &Order, device: &Device<B>) -> anyhow::Result<StableDiffusion<B>> {
    let precision = order.precision()?;
    let Some(model) = &order.model else {
        let configs = NetworkConfigs::stable_diffusion_2_1_base();
        let memory = MemoryLimit::default();
        return Ok(StableDiffusion::random(
            &configs, precision, memory, device,
        )?);
    };
    let options = OpenOptions {
        precision,
        tiny_vae: order.taesd.clone(),
        ..OpenOptions::default()
    };
    let pipeline = StableDiffusion::open(model, &options, device)?;
    pipeline.notes().iter().for_each(|note| order.say(note));
    Ok(pipeline)
}

/// The medians of text encoder, UNet pass and VAE, and the pictures that they come to.
type Measured = ([f64; 3], Vec<PictureFigures>);

/// A few runs of each part; pictures are computed from their medians.
fn by_parts<B: VisionBackend>(
    pipeline: &StableDiffusion<B>,
    order: &Order,
    device: &Device<B>,
) -> anyhow::Result<Measured> {
    let longest = order.steps.iter().copied().max().unwrap_or(1);
    let request = order.request(longest)?;
    let mut runs = Runs::default();
    let mut walks = Vec::new();
    order.say("text encoder, UNet passes, VAE");
    for _ in 0..order.repeats {
        let begun = pipeline.begin(&request)?;
        runs.text.push(begun.text_seconds);
        walks = begun.walks;
    }
    for _ in 0..order.repeats {
        if walks.iter().any(ImageWalk::is_done) {
            walks = pipeline.begin(&request)?.walks;
        }
        let begun = Instant::now();
        pipeline.advance(&mut walks.iter_mut().collect::<Vec<_>>())?;
        B::sync(device).map_err(|error| anyhow!("the device does not compute: {error:?}"))?;
        runs.unet.push(begun.elapsed().as_secs_f64());
    }
    walks.iter().try_for_each(ImageWalk::check)?;
    let latents = Tensor::cat(walks.iter().map(ImageWalk::latents).collect(), 0);
    for _ in 0..order.repeats {
        let begun = Instant::now();
        pipeline.decode(latents.clone(), &request)?;
        runs.vae.push(begun.elapsed().as_secs_f64());
    }
    let [text, pass, vae] = runs.medians()?;
    let picture = |&steps: &usize| {
        let passes = pipeline.rules().check(&order.request(steps)?)?.steps();
        let seconds = [text, passes as f64 * pass, vae];
        Ok(PictureFigures::new(steps, passes, seconds, order.count))
    };
    let pictures: anyhow::Result<Vec<_>> = order.steps.iter().map(picture).collect();
    Ok(([text, pass, vae], pictures?))
}

/// Whole pictures of each number of steps.
fn whole<B: VisionBackend>(
    pipeline: &StableDiffusion<B>,
    order: &Order,
) -> anyhow::Result<Measured> {
    let (mut all, mut pictures) = (Runs::default(), Vec::new());
    for &steps in &order.steps {
        order.say(&format!("whole pictures of {steps} steps"));
        let request = order.request(steps)?;
        let passes = pipeline.rules().check(&request)?.steps();
        let mut runs = Runs::default();
        for repeat in 0..order.repeats {
            let response = pipeline.generate(&request, &mut |_| ControlFlow::Continue(()))?;
            if let (0, Some(folder)) = (repeat, &order.pictures) {
                keep(folder, &order.dtype, steps, &response.images)?;
            }
            let seconds = response.seconds;
            runs.text.push(seconds.text);
            runs.unet.push(seconds.unet);
            runs.vae.push(seconds.vae);
            all.unet.push(seconds.unet / passes as f64);
        }
        let medians = runs.medians()?;
        pictures.push(PictureFigures::new(steps, passes, medians, order.count));
        all.text.extend(runs.text);
        all.vae.extend(runs.vae);
    }
    Ok((all.medians()?, pictures))
}

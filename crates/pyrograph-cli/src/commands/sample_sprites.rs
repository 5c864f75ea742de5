//! `pyrograph sample sprites`.

use std::{collections::HashMap, path::PathBuf, time::Instant};

use anyhow::{anyhow, bail};
use clap::Args;
use pyrograph::{
    backend::{
        BackendTask, Device,
        vision::{VisionAutodiff, VisionBackend},
    },
    diffusion::SchedulerName,
    models::weights::{StateDict, TensorEntry},
    pipelines::sprites::{
        SpritePipeline, SpriteRequest, SpriteSamples, StartNoise, class_rows, class_sheet,
        denoising_frames, parse_context, with_and_without_noise,
    },
    vision::{GifOptions, write_gif, write_png},
};
use serde_json::json;

use crate::{
    arguments::{Common, ModelSource, STARTED, SamplerOptions},
    outputs::check_outputs,
    progress,
    schedulers::{check_options, sprite_sampler, sprite_sampler_parser},
};

#[derive(Args)]
pub(crate) struct SampleSprites {
    #[command(flatten)]
    source: ModelSource,
    /// The sampler.
    #[arg(long, value_parser = sprite_sampler_parser(), default_value_t = SchedulerName::Ddpm)]
    sampler: SchedulerName,
    /// Its steps [default: all timesteps for ddpm, 20 for the others]. On the course's schedule every T // n-th of the
    /// T timesteps is walked, from T down: more than n steps where n does not divide T.
    #[arg(long)]
    steps: Option<usize>,
    #[command(flatten)]
    options: SamplerOptions,
    /// A mix of classes, such as hero=1 or hero=0.5,food=0.5; several share the images evenly [default: every class].
    #[arg(long)]
    context: Vec<String>,
    /// How many images [default: 8 a context, or as many as --noise holds].
    #[arg(short = 'n', long = "count")]
    count: Option<usize>,
    /// Start from the tensor `x_T` of this safetensors file.
    #[arg(long, conflicts_with = "interpolate")]
    noise: Option<PathBuf>,
    /// Walk from the first image's noise to that of this other seed; with one --context.
    #[arg(long, value_name = "SEED")]
    interpolate: Option<u64>,
    /// The picture [default: samples.png, unless another output is given].
    #[arg(long)]
    out: Option<PathBuf>,
    /// An animation of the denoising.
    #[arg(long)]
    gif: Option<PathBuf>,
    /// Moments of the animation.
    #[arg(long, default_value_t = 40, requires = "gif")]
    frames: usize,
    /// A picture of these samples, by ddpm, beside the same noise sampled without the extra noise of each step.
    #[arg(long)]
    compare_noise: Option<PathBuf>,
    /// The images as numbers: tensor `samples` of a safetensors file.
    #[arg(long)]
    save: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Images a context when no number is given.
const A_CONTEXT: usize = 8;
/// Milliseconds a moment is shown.
const MOMENT_MS: u32 = 60;

impl SampleSprites {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        self.check_outputs()?;
        check_options(&[self.sampler], &self.options)?;
        let device = self.common.device;
        device.run(self)?
    }
}

impl BackendTask for SampleSprites {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let pipeline: SpritePipeline<B::InnerBackend> = self.source.open(&device)?;
        if self.source.is_weights_alone() {
            let names = pipeline.context_names().join(", ");
            self.common
                .say(format!("classes, which the file does not name: {names}"));
        }
        let (request, labels) = self.request(&pipeline)?;
        let begun = Instant::now();
        let samples = self.sample(&pipeline, &request)?;
        let seconds = begun.elapsed().as_secs_f64();
        let first_result = STARTED.elapsed().as_secs_f64();

        let mut written = Vec::new();
        if let Some(path) = self.picture() {
            write_png(&path, &class_sheet(&samples, &labels)?)?;
            written.push(path);
        }
        if let Some(path) = &self.gif {
            let options = GifOptions {
                delay_ms: MOMENT_MS,
                ..GifOptions::default()
            };
            write_gif(path, &denoising_frames(&samples, &labels)?, &options)?;
            written.push(path.clone());
        }
        if let Some(path) = &self.save {
            let mut dict = StateDict::new();
            dict.insert(
                "samples",
                TensorEntry::from_f32(samples.shape.to_vec(), samples.values.clone()),
            );
            dict.save(path, HashMap::new())?;
            written.push(path.clone());
        }
        if let Some(path) = &self.compare_noise {
            let figure = self.compare(&pipeline, &request, &samples, &labels)?;
            write_png(path, &figure)?;
            written.push(path.clone());
        }

        let paths: Vec<_> = written
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let value = json!({
            "images": samples.shape[0], "sampler": self.sampler.as_str(), "steps": samples.steps,
            "seconds": seconds, "seconds_to_first_result": first_result, "written": paths,
        });
        let text = format!(
            "{} images, {} with {} steps in {seconds:.2} s\nwrote {}",
            samples.shape[0],
            self.sampler.as_str(),
            samples.steps,
            paths.join(", ")
        );
        self.common.print(&value, &text)
    }
}

impl SampleSprites {
    /// Where the picture goes, if one is asked for or nothing else is.
    fn picture(&self) -> Option<PathBuf> {
        let nothing_asked =
            self.gif.is_none() && self.save.is_none() && self.compare_noise.is_none();
        let usual = || nothing_asked.then(|| "samples.png".into());
        self.out.clone().or_else(usual)
    }

    /// What can be known of the outputs before hours of sampling.
    fn check_outputs(&self) -> anyhow::Result<()> {
        if self.frames == 0 {
            bail!("--frames is 0, but must be 1 or more");
        }
        if self.compare_noise.is_some() && self.sampler != SchedulerName::Ddpm {
            bail!(
                "--compare-noise is a picture of ddpm, but --sampler is {}: leave one of them out",
                self.sampler.as_str()
            );
        }
        let picture = self.picture();
        let outputs: Vec<_> = [
            ("--out", &picture),
            ("--gif", &self.gif),
            ("--save", &self.save),
            ("--compare-noise", &self.compare_noise),
        ]
        .into_iter()
        .filter_map(|(flag, path)| Some((flag, path.as_deref()?)))
        .collect();
        let mut inputs = self.source.files();
        inputs.extend(self.noise.clone());
        check_outputs(&outputs, &inputs)
    }

    /// The request, and a label for each image.
    fn request<B: VisionBackend>(
        &self,
        pipeline: &SpritePipeline<B>,
    ) -> anyhow::Result<(SpriteRequest, Vec<String>)> {
        let timesteps = pipeline.timesteps();
        let sampler = sprite_sampler(self.sampler, self.steps, timesteps, &self.options)?;
        self.common.say_steps(pipeline, &sampler)?;
        let noise = self
            .noise
            .as_ref()
            .map(|path| read_noise(path, pipeline))
            .transpose()?;
        let names = pipeline.context_names();
        let (rows, row_labels) = if self.context.is_empty() {
            class_rows(&names, 1)
        } else {
            let rows = self
                .context
                .iter()
                .map(|text| parse_context(text, &names))
                .collect::<Result<_, _>>()?;
            (rows, self.context.clone())
        };
        if self.interpolate.is_some() && rows.len() != 1 {
            bail!(
                "--interpolate walks between two noises of one context: give one --context, not {}",
                rows.len()
            );
        }
        let held = noise.as_ref().map(|(count, _)| *count);
        let count = self.count.or(held).unwrap_or(A_CONTEXT * rows.len());
        if let Some(held) = held.filter(|held| *held != count) {
            bail!("-n is {count}, but x_T of --noise holds {held} images");
        }
        SpriteRequest::check_count(count)?;
        // An even share for each context, the rest to the first ones.
        let of = |place: usize| place * rows.len() / count;
        let contexts = (0..count).map(|place| rows[of(place)].clone()).collect();
        let labels = (0..count)
            .map(|place| row_labels[of(place)].clone())
            .collect();
        let start = match (noise, self.interpolate) {
            (Some((_, values)), _) => StartNoise::Given(values),
            (None, Some(seed)) => StartNoise::Towards { seed },
            (None, None) => StartNoise::Seeded,
        };
        let request = SpriteRequest {
            seed: self.options.seed,
            rng: self.options.rng.into(),
            guidance: self.options.guidance,
            start,
            frames: if self.gif.is_some() { self.frames } else { 0 },
            batch_size: self.options.batch_size,
            ..SpriteRequest::new(sampler, contexts)
        };
        Ok((request, labels))
    }

    fn sample<B: VisionBackend>(
        &self,
        pipeline: &SpritePipeline<B>,
        request: &SpriteRequest,
    ) -> anyhow::Result<SpriteSamples> {
        let bar = progress::bar(0, self.common.quiet);
        let samples = pipeline.sample(request, &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        Ok(samples?)
    }

    /// `with` beside the same without the extra noise.
    fn compare<B: VisionBackend>(
        &self,
        pipeline: &SpritePipeline<B>,
        request: &SpriteRequest,
        with: &SpriteSamples,
        labels: &[String],
    ) -> anyhow::Result<pyrograph::vision::RgbImage> {
        let (name, timesteps) = (SchedulerName::DdpmNoNoise, pipeline.timesteps());
        let sampler = sprite_sampler(name, self.steps, timesteps, &self.options)?;
        let request = SpriteRequest {
            sampler,
            frames: 0,
            ..request.clone()
        };
        let without = self.sample(pipeline, &request)?;
        Ok(with_and_without_noise(with, &without, labels)?)
    }
}

/// The number of images in `x_T`, and its values.
fn read_noise<B: VisionBackend>(
    path: &PathBuf,
    pipeline: &SpritePipeline<B>,
) -> anyhow::Result<(usize, Vec<f32>)> {
    let dict = StateDict::open(path)?;
    let tensor = dict
        .get("x_T")
        .ok_or_else(|| anyhow!("{}: it has no tensor `x_T`", path.display()))?;
    let config = pipeline.config();
    let side = config.height;
    match tensor.shape() {
        &[count, channels, h, w] if channels == config.in_channels && h == side && w == side => {
            Ok((count, tensor.to_f32()))
        }
        shape => bail!(
            "{}: x_T has shape {shape:?}, but must be [images, {}, {side}, {side}]",
            path.display(),
            config.in_channels
        ),
    }
}

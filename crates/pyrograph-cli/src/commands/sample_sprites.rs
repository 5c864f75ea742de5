//! `pyrograph sample sprites`.

mod noise;
mod outputs;

use std::{path::PathBuf, time::Instant};

use anyhow::bail;
use clap::Args;
use pyrograph::{
    backend::{
        BackendTask, Device,
        vision::{VisionAutodiff, VisionBackend},
    },
    diffusion::SchedulerName,
    pipelines::sprites::{
        Moments, SpritePipeline, SpriteRequest, SpriteSamples, StartNoise, class_rows, class_sheet,
        denoising_strip, parse_context, with_and_without_noise,
    },
    vision::write_png,
};
use serde_json::json;

use self::{
    noise::read_noise,
    outputs::{save, write_animation},
};
use crate::{
    arguments::{Common, ModelSource, STARTED, SamplerOptions},
    outputs::check_outputs,
    progress,
    reading::counted,
    schedulers::{check_options, sprite_sampler, sprite_sampler_parser},
};

#[derive(Args)]
pub(crate) struct SampleSprites {
    #[command(flatten)]
    source: ModelSource,
    /// The sampler.
    #[arg(long, value_parser = sprite_sampler_parser(), default_value_t = SchedulerName::Ddpm)]
    sampler: SchedulerName,
    /// Number of steps [default: all timesteps for ddpm, 20 for the others]. On the course's
    /// schedule the sampler visits every T // n-th of the T timesteps, from T down, which is more
    /// than n steps if n does not divide T.
    #[arg(long)]
    steps: Option<usize>,
    #[command(flatten)]
    options: SamplerOptions,
    /// A mix of classes, such as hero=1 or hero=0.5,food=0.5, or `none` for no class; several
    /// contexts share the images evenly [default: every class].
    #[arg(long)]
    context: Vec<String>,
    /// Number of images [default: 8 for each context, or the number in --noise].
    #[arg(short = 'n', long = "count")]
    count: Option<usize>,
    /// Start from the tensor `x_T` of this safetensors file.
    #[arg(long, conflicts_with = "interpolate")]
    noise: Option<PathBuf>,
    /// Interpolate from the first image's noise to the noise of this other seed; needs a single
    /// --context.
    #[arg(long, value_name = "SEED")]
    interpolate: Option<u64>,
    /// The picture to write [default: samples.png, unless another output is given].
    #[arg(long)]
    out: Option<PathBuf>,
    /// An animation of the denoising to write.
    #[arg(long)]
    gif: Option<PathBuf>,
    /// Number of frames of the animation, evenly spaced from the noise on [default: 40].
    #[arg(long, requires = "gif", conflicts_with = "moments")]
    frames: Option<usize>,
    /// The moments (samples after steps) that --strip, --gif and --save keep: N evenly spaced ones,
    /// the last included, or `course` for those of the sprite course: i % 20 = 0, i = T or i < 8,
    /// with i counted from T down to 1 [default: course, for --strip].
    #[arg(long, value_name = "course|N")]
    moments: Option<Moments>,
    /// A picture of the walk to write: one row for the first image of each context, one column for
    /// each moment under the i of its step.
    #[arg(long)]
    strip: Option<PathBuf>,
    /// A picture to write of samples by ddpm, beside samples of the same noise without the extra
    /// noise of each step.
    #[arg(long)]
    compare_noise: Option<PathBuf>,
    /// A safetensors file for the images as numbers: tensor `samples`. With --moments also
    /// `intermediate` [moments, images, channels, side, side], and `timesteps`, the i of the step
    /// that gave each moment.
    #[arg(long)]
    save: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Images a context when no number is given.
const A_CONTEXT: usize = 8;
/// Moments of an animation when no number is given.
const FRAMES: usize = 40;

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
        let pipeline: SpritePipeline<B::InnerBackend> = self.source.open(&self.common, &device)?;
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
            write_animation(path, &samples, &labels)?;
            written.push(path.clone());
        }
        if let Some(path) = &self.strip {
            write_png(path, &denoising_strip(&samples, &labels)?)?;
            written.push(path.clone());
        }
        if let Some(path) = &self.save {
            save(path, &samples, self.moments.is_some())?;
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
        let beyond = self.options.say_range(&self.common, &samples, None);
        let value = json!({
            "images": samples.shape[0], "sampler": self.sampler.as_str(), "steps": samples.steps,
            "seconds": seconds, "seconds_to_first_result": first_result, "written": paths,
            "beyond_range": beyond,
        });
        let text = format!(
            "{}, {} with {} in {seconds:.2} s\nwrote {}",
            counted(samples.shape[0], "image"),
            self.sampler.as_str(),
            counted(samples.steps, "step"),
            paths.join(", ")
        );
        self.common.print(&value, &text)
    }
}

impl SampleSprites {
    /// Where the picture goes, if one is asked for or nothing else is.
    fn picture(&self) -> Option<PathBuf> {
        let others = [&self.gif, &self.strip, &self.save, &self.compare_noise];
        let nothing_asked = others.iter().all(|path| path.is_none());
        let usual = || nothing_asked.then(|| "samples.png".into());
        self.out.clone().or_else(usual)
    }

    /// What can be known of the outputs before hours of sampling.
    fn check_outputs(&self) -> anyhow::Result<()> {
        if self.frames == Some(0) {
            bail!("--frames is 0, but must be 1 or more");
        }
        if self.moments.is_some()
            && [&self.gif, &self.strip, &self.save]
                .iter()
                .all(|path| path.is_none())
        {
            bail!("--moments says what --strip, --gif and --save keep: give one of them");
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
            ("--strip", &self.strip),
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
        self.options.say_clipping(&self.common, pipeline, &sampler);
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
        // An animation keeps its own moments where none are chosen.
        let usual_moments = self.gif.is_none().then_some(Moments::Course);
        let request = SpriteRequest {
            seed: self.options.seed,
            rng: self.options.rng.into(),
            guidance: self.options.guidance,
            start,
            clipping: self.options.clipping(),
            frames: self
                .gif
                .as_ref()
                .map_or(0, |_| self.frames.unwrap_or(FRAMES)),
            moments: self.moments.or(self.strip.as_ref().and(usual_moments)),
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
            moments: None,
            ..request.clone()
        };
        let without = self.sample(pipeline, &request)?;
        self.options
            .say_range(&self.common, &without, Some("without extra noise"));
        Ok(with_and_without_noise(with, &without, labels)?)
    }
}

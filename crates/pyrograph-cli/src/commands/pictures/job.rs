//! A request on its way from settings to files.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, bail};
use pyrograph::{
    backend::{
        BackendTask, Device,
        vision::{VisionAutodiff, VisionBackend},
    },
    models::weights::{StateDict, TensorEntry},
    pipelines::stable_diffusion::{
        ImageRequest, ImageResponse, ImageStart, MAX_IMAGES, StableDiffusion, Step,
    },
    vision::{write_png, write_png_with_text},
};
use serde_json::json;

use super::{
    options::PictureOptions,
    request::{open_options, request},
    settings::{KEYWORD, Settings},
};
use crate::{
    arguments::{STARTED, lora_and_scale},
    memory::peak_bytes,
    outputs::check_outputs,
    progress,
};

/// Characters of lost words that are shown.
const SHOWN_CHARACTERS: usize = 300;

/// A request that has been read and checked, on its way to a device.
pub(super) struct Job {
    options: PictureOptions,
    settings: Settings,
    request: ImageRequest,
    model: PathBuf,
}

impl Job {
    pub(super) fn new(options: PictureOptions, settings: Settings) -> anyhow::Result<Self> {
        let prompts = match (&options.prompts[..], &settings.prompt) {
            ([], Some(prompt)) => vec![prompt.clone()],
            (prompts, _) => prompts.to_vec(),
        };
        if prompts.is_empty() {
            bail!("--like names a picture without a prompt: give one");
        }
        if settings.latents.is_some() && settings.image.is_some() {
            bail!("--latents starts from noise, and --image from a picture: leave one of them out");
        }
        if options.preview_every == Some(0) {
            bail!("--preview-every is 0, but must be 1 or more");
        }
        let model = settings.model.clone().context("give --model DIR or FILE")?;
        if !model.exists() {
            let model = model.display();
            bail!(
                "--model {model}: there is no such folder or file; `pyrograph convert {model} --out DIR` makes a folder of \
                 a repository of the Hugging Face Hub"
            );
        }
        check_count(options.count, prompts.len())?;
        let request = request(&settings, &prompts, options.count)?;
        let job = Self {
            options,
            settings,
            request,
            model,
        };
        job.check_outputs()?;
        Ok(job)
    }

    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.options.common.device;
        device.run(self)?
    }

    fn check_outputs(&self) -> anyhow::Result<()> {
        let pictures: Vec<_> = (0..self.request.images.len())
            .map(|place| self.picture(place))
            .collect();
        let outputs: Vec<(&str, &Path)> = pictures
            .iter()
            .map(|path| ("--out", path.as_path()))
            .chain(
                self.options
                    .save_latents
                    .iter()
                    .map(|path| ("--save-latents", path.as_path())),
            )
            .collect();
        let Settings {
            latents,
            image,
            mask,
            taesd,
            embedding,
            lora,
            ..
        } = &self.settings;
        let inputs = [latents, image, mask, taesd]
            .into_iter()
            .flatten()
            .chain([&self.model])
            .chain(embedding)
            .cloned()
            .chain(
                lora.iter()
                    .filter_map(|text| Some(lora_and_scale(text).ok()?.0)),
            );
        check_outputs(&outputs, &inputs.collect::<Vec<_>>())
    }

    /// Where the picture at `place` goes: numbered where there are several.
    fn picture(&self, place: usize) -> PathBuf {
        match self.request.images.len() {
            1 => self.options.out.clone(),
            _ => beside(&self.options.out, &place.to_string()),
        }
    }

    /// Writes the pictures as they will be.
    fn write_previews<B: VisionBackend>(&self, step: &Step<'_, B>) -> anyhow::Result<()> {
        for (place, preview) in step.previews()?.iter().enumerate() {
            let path = beside(&self.picture(place), &format!("step-{}", step.taken));
            write_png(path, preview)?;
        }
        Ok(())
    }

    fn generate<B: VisionBackend>(
        &self,
        pipeline: &StableDiffusion<B>,
    ) -> anyhow::Result<ImageResponse> {
        let bar = progress::bar(0, self.options.common.quiet);
        let mut failed = None;
        let response = pipeline.generate(&self.request, &mut |step| {
            bar.set_length(step.steps as u64);
            bar.set_position(step.taken as u64);
            let due = self
                .options
                .preview_every
                .is_some_and(|every| step.taken % every == 0);
            if due && let Err(error) = self.write_previews(step) {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        bar.finish_and_clear();
        match failed {
            Some(error) => Err(error),
            None => Ok(response?),
        }
    }

    /// Writes the pictures with their settings, and the latents.
    fn write(&self, response: &ImageResponse, [width, height]: [usize; 2]) -> anyhow::Result<()> {
        for (place, (image, picture)) in
            self.request.images.iter().zip(&response.images).enumerate()
        {
            let settings = Settings {
                model: Some(self.model.clone()),
                prompt: Some(image.prompt.clone()),
                negative: Some(image.negative.clone()),
                steps: Some(self.request.steps),
                guidance: Some(self.request.guidance),
                width: Some(width),
                height: Some(height),
                seed: Some(image.seed),
                ..self.settings.clone()
            };
            let text = settings.text()?;
            write_png_with_text(self.picture(place), picture, &[(KEYWORD, &text)])?;
        }
        if let Some(path) = &self.options.save_latents {
            let latents = &response.latents;
            let entry = TensorEntry::from_f32(latents.shape.to_vec(), latents.values.clone());
            let mut dict = StateDict::new();
            dict.insert("latents", entry);
            dict.save(path, HashMap::new())?;
        }
        Ok(())
    }

    fn report(&self, response: &ImageResponse, load: f64) -> anyhow::Result<()> {
        let seconds = response.seconds;
        let total = STARTED.elapsed().as_secs_f64();
        let paths: Vec<_> = (0..response.images.len())
            .map(|place| self.picture(place).display().to_string())
            .collect();
        let images = paths.iter().zip(&self.request.images);
        let images: Vec<_> = images
            .map(|(path, image)| json!({"path": path, "seed": image.seed}))
            .collect();
        let value = json!({
            "images": images,
            "seconds": {
                "load": load, "text": seconds.text, "unet": seconds.unet, "vae": seconds.vae, "total": total,
            },
            "steps": self.steps_taken(),
            "peak_memory_bytes": peak_bytes(),
        });
        let text = format!(
            "{} in {total:.1} s: load {load:.1}, text {:.1}, unet {:.1}, vae {:.1}",
            paths.join(", "),
            seconds.text,
            seconds.unet,
            seconds.vae
        );
        self.options.common.print(&value, &text)
    }

    /// The denoising steps: of those asked for, the share that a start from a picture takes.
    fn steps_taken(&self) -> usize {
        match self.request.start {
            ImageStart::Image { strength, .. } | ImageStart::Inpaint { strength, .. } => {
                (self.request.steps as f64 * strength) as usize
            }
            ImageStart::Noise | ImageStart::Latents(_) => self.request.steps,
        }
    }
}

impl BackendTask for Job {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let begun = Instant::now();
        let options = open_options(&self.settings)?;
        let pipeline: StableDiffusion<B::InnerBackend> =
            StableDiffusion::open(&self.model, &options, &device)?;
        let load = begun.elapsed().as_secs_f64();
        let common = &self.options.common;
        pipeline.notes().iter().for_each(|note| common.say(note));
        let size = pipeline.size(&self.request)?;
        let response = self.generate(&pipeline)?;
        for lost in &response.lost {
            common.say(format!(
                "the prompt is too long; without effect: {}",
                shortened(&lost.words)
            ));
        }
        self.write(&response, size)?;
        self.report(&response, load)
    }
}

/// Refuses more pictures than a request may have, before any is made room for.
fn check_count(count: usize, prompts: usize) -> anyhow::Result<()> {
    let most = MAX_IMAGES / prompts.max(1);
    if !(1..=most).contains(&count) {
        bail!(
            "-n is {count} with {prompts} prompts, but must be 1 to {most}: {MAX_IMAGES} pictures at most"
        );
    }
    Ok(())
}

/// The beginning of a long text, and how many words it has.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => {
            let words = text.split_whitespace().count();
            format!("{} … ({words} words)", &text[..end])
        }
        None => text.into(),
    }
}

/// The path with `-more` before its extension.
fn beside(path: &Path, more: &str) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{more}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{more}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_pictures_is_checked_before_they_are_listed() {
        assert!(check_count(1, 1).is_ok() && check_count(MAX_IMAGES, 1).is_ok());
        for (count, prompts) in [(0, 1), (usize::MAX, 1), (MAX_IMAGES, 2)] {
            let error = check_count(count, prompts).unwrap_err().to_string();
            assert!(error.contains(&count.to_string()), "{error}");
        }
    }

    #[test]
    fn a_long_loss_is_shown_in_part() {
        assert_eq!(shortened("a few words"), "a few words");
        let long = shortened(&"wörter ".repeat(10_000));
        assert!(
            long.chars().count() < 350 && long.contains("10000 words"),
            "{long}"
        );
    }
}

//! `pyrograph txt2img`, `img2img` and `inpaint`.

mod job;
mod options;
mod request;
mod settings;

use std::path::PathBuf;

use clap::Args;

use self::{job::Job, options::PictureOptions};

/// Pictures from a text.
///
/// `--json` prints {images: [{path, seed}], seconds: {load, text, unet, vae, total}, steps, peak_memory_bytes}.
#[derive(Args)]
pub(crate) struct Txt2Img {
    #[command(flatten)]
    options: PictureOptions,
}

/// Pictures from a picture and a text.
///
/// `--json` prints the keys of `txt2img`.
#[derive(Args)]
pub(crate) struct Img2Img {
    /// The picture to start from.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The share of the steps that are taken: how much of the picture is given up [default: 0.8].
    #[arg(long, allow_negative_numbers = true)]
    strength: Option<f64>,
    #[command(flatten)]
    options: PictureOptions,
}

/// Paints a part of a picture anew.
///
/// `--json` prints the keys of `txt2img`.
#[derive(Args)]
pub(crate) struct Inpaint {
    /// The picture.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// A picture of the same size, white where it is painted anew.
    #[arg(long, value_name = "FILE")]
    mask: PathBuf,
    /// The share of the steps that are taken: how much of the picture below the mask is given up [default: 1].
    #[arg(long, allow_negative_numbers = true)]
    strength: Option<f64>,
    #[command(flatten)]
    options: PictureOptions,
}

/// Strengths of diffusers' pipelines.
const IMAGE_STRENGTH: f64 = 0.8;
const INPAINT_STRENGTH: f64 = 1.0;

impl Txt2Img {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut settings = self.options.settings("txt2img")?;
        (settings.image, settings.mask, settings.strength) = (None, None, None);
        Job::new(self.options, settings)?.run()
    }
}

impl Img2Img {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut settings = self.options.settings("img2img")?;
        settings.strength = self.strength.or(settings.strength).or(Some(IMAGE_STRENGTH));
        settings.image = Some(self.image);
        settings.mask = None;
        Job::new(self.options, settings)?.run()
    }
}

impl Inpaint {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut settings = self.options.settings("inpaint")?;
        settings.strength = self
            .strength
            .or(settings.strength)
            .or(Some(INPAINT_STRENGTH));
        settings.image = Some(self.image);
        settings.mask = Some(self.mask);
        Job::new(self.options, settings)?.run()
    }
}

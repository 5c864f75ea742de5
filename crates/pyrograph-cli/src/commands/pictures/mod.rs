//! `pyrograph txt2img`, `img2img` and `inpaint`.

mod acceleration;
mod job;
mod options;
mod request;
mod settings;

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use self::{job::Job, options::PictureOptions};

/// Pictures from a prompt.
#[derive(Args)]
pub(crate) struct Txt2Img {
    #[command(flatten)]
    options: PictureOptions,
}

/// Pictures from a picture and a prompt.
#[derive(Args)]
pub(crate) struct Img2Img {
    /// The picture to start from [default: that of --like].
    #[arg(long, value_name = "FILE", required_unless_present = "like")]
    image: Option<PathBuf>,
    /// Fraction of the steps that are taken, above 0 to 1: at 1 nothing of the picture is kept
    /// [default: 0.8].
    #[arg(long, allow_negative_numbers = true)]
    strength: Option<f64>,
    #[command(flatten)]
    options: PictureOptions,
}

/// Paints a part of a picture anew.
#[derive(Args)]
pub(crate) struct Inpaint {
    /// The picture; it is resized to --width and --height [default: that of --like].
    #[arg(long, value_name = "FILE", required_unless_present = "like")]
    image: Option<PathBuf>,
    /// A picture of the same size, white in the region to repaint [default: that of --like].
    #[arg(long, value_name = "FILE", required_unless_present = "like")]
    mask: Option<PathBuf>,
    /// Fraction of the steps that are taken, above 0 to 1: at 1 nothing below the mask is kept
    /// [default: 1].
    #[arg(long, allow_negative_numbers = true)]
    strength: Option<f64>,
    #[command(flatten)]
    options: PictureOptions,
}

/// Strengths of diffusers' pipelines.
const IMAGE_STRENGTH: f64 = 0.8;
const INPAINT_STRENGTH: f64 = 1.0;

/// The file of `flag`, else that of the picture of `--like`.
fn given_or_like(
    flag: &str,
    given: Option<PathBuf>,
    like: Option<PathBuf>,
) -> anyhow::Result<Option<PathBuf>> {
    match given.or(like) {
        None => bail!("the picture of --like names no file for {flag}: give {flag} FILE"),
        file => Ok(file),
    }
}

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
        settings.image = given_or_like("--image", self.image, settings.image)?;
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
        settings.image = given_or_like("--image", self.image, settings.image)?;
        settings.mask = given_or_like("--mask", self.mask, settings.mask)?;
        Job::new(self.options, settings)?.run()
    }
}

//! What is measured in one type of weights, in this process or in one of its own.

use std::{
    env, io,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use pyrograph::{
    backend::{
        DeviceSpec,
        vision::{set_exact_convolutions, set_exact_products},
    },
    models::weights::Precision,
    pipelines::stable_diffusion::{ImagePrompt, ImageRequest, SchedulerChoice},
};
use serde::{Deserialize, Serialize};

use super::{figures::TypeFigures, measure::Measurement};
use crate::{arguments::print, dtype::DtypeName};

/// The name of the hidden command that measures one type.
const ONE_TYPE: [&str; 2] = ["bench", "txt2img-type"];
/// The prompt of the pictures; the negative prompt is empty, as by default.
const PROMPT: &str = "a photograph of an astronaut riding a horse";

/// A measurement in one type, as a process tells another.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Order {
    pub(super) model: Option<PathBuf>,
    pub(super) taesd: Option<PathBuf>,
    pub(super) dtype: String,
    pub(super) steps: Vec<usize>,
    pub(super) guidance: f64,
    pub(super) width: Option<usize>,
    pub(super) height: Option<usize>,
    pub(super) count: usize,
    pub(super) scheduler: Option<String>,
    pub(super) repeats: usize,
    pub(super) whole: bool,
    /// A folder for whole pictures; none where nobody compares them.
    pub(super) pictures: Option<PathBuf>,
    pub(super) device: DeviceSpec,
    pub(super) exact_convolutions: bool,
    pub(super) exact_products: bool,
    pub(super) quiet: bool,
}

impl Order {
    /// Measures in this process.
    pub(super) fn measure(&self) -> anyhow::Result<TypeFigures> {
        self.device.infer(Measurement { order: self })?
    }

    /// Measures in a process of its own, so that its peak memory is that of this type.
    pub(super) fn measure_in_a_process(&self) -> anyhow::Result<TypeFigures> {
        let program = env::current_exe().context("the path of this program")?;
        let mut process = Command::new(program)
            .args(ONE_TYPE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("a process for {}", self.dtype))?;
        if let Some(input) = process.stdin.take() {
            serde_json::to_writer(input, self)?;
        }
        let output = process.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "the measurement in {} failed ({}); the message above says why",
                self.dtype,
                output.status
            );
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the figures of the process for {}", self.dtype))
    }

    /// The type of the weights.
    pub(super) fn precision(&self) -> anyhow::Result<Precision> {
        DtypeName::from_str(&self.dtype, false)
            .map(Precision::from)
            .map_err(|_| {
                anyhow!(
                    "the type of the weights is {}, which is not known",
                    self.dtype
                )
            })
    }

    /// A run of pictures of `steps` steps.
    pub(super) fn request(&self, steps: usize) -> anyhow::Result<ImageRequest> {
        let image = |seed| ImagePrompt {
            prompt: PROMPT.into(),
            negative: String::new(),
            seed,
        };
        Ok(ImageRequest {
            images: (0..self.count as u64).map(image).collect(),
            steps,
            guidance: self.guidance,
            width: self.width,
            height: self.height,
            scheduler: SchedulerChoice {
                name: self.scheduler.as_deref().map(str::parse).transpose()?,
                ..SchedulerChoice::default()
            },
            ..ImageRequest::new(PROMPT, 0)
        })
    }

    /// A remark for the person at the terminal.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            eprintln!("{}: {text}", self.dtype);
        }
    }
}

/// A process that measures one type: it reads an order and prints figures.
#[derive(Args)]
pub(crate) struct OneType {}

impl OneType {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let order: Order =
            serde_json::from_reader(io::stdin().lock()).context("the order on standard input")?;
        set_exact_convolutions(order.exact_convolutions);
        set_exact_products(order.exact_products);
        let figures = order.measure()?;
        print(true, &serde_json::to_value(figures)?, "")
    }
}

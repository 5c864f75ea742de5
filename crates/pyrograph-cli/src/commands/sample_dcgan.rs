//! `pyrograph sample dcgan`.

use std::{collections::HashMap, path::PathBuf, time::Instant};

use anyhow::{Context, bail};
use clap::Args;
use pyrograph::{
    backend::{
        BackendTask, Device,
        rng::{NoiseKey, Purpose, host_tensor},
        vision::{VisionAutodiff, VisionBackend},
    },
    figures::grid,
    models::{
        dcgan::{DcganConfig, Generator},
        weights::{StateDict, TensorEntry, build_model_by, read_config},
    },
    pipelines::anomaly::{AnomalyCard, shown},
    train::{
        dcgan::NORMALISATION_KEY,
        run_folder::{RunFolder, RunKind},
        whole_weights,
    },
    vision::{Normalisation, Rgb, RgbImage, batch_from_chw, enlarge, pick_factor, write_png},
};
use serde_json::json;

use crate::{
    arguments::{Common, STARTED},
    checkpoint::PartOption,
    dtype::DtypeOption,
    outputs::{check_outputs, files_of_run},
    progress,
    reading::counted,
};

#[derive(Args)]
pub(crate) struct SampleDcgan {
    /// A run folder; its last complete checkpoint is used.
    #[arg(long, required_unless_present_any = ["model", "weights"], conflicts_with_all = ["model", "weights"])]
    run: Option<PathBuf>,
    /// A model file that pyrograph wrote.
    #[arg(long, conflicts_with = "weights")]
    model: Option<PathBuf>,
    /// A state dict (.pth or .safetensors) of a generator, or a checkpoint that contains one: with
    /// this project's key names, or one Sequential as in PyTorch's DCGAN example (main.0.weight).
    /// The configuration is read from the shapes of the weights.
    #[arg(long)]
    weights: Option<PathBuf>,
    #[command(flatten)]
    part: PartOption,
    #[command(flatten)]
    dtype: DtypeOption,
    /// With --run: use the weights of the last step instead of their moving average.
    #[arg(long, requires = "run")]
    no_ema: bool,
    /// Number of images.
    #[arg(short = 'n', long = "count", default_value_t = 64)]
    count: usize,
    /// Seed of the latent vectors.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The picture to write.
    #[arg(long, default_value = "samples.png")]
    out: PathBuf,
    /// A safetensors file for the images as numbers: tensors `z` and `samples`.
    #[arg(long)]
    save: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// More images than a picture can hold.
const MAX_COUNT: usize = 10_000;
/// Images a forward pass.
const BATCH: usize = 64;
/// The side in pixels that pictures aim at.
const PICTURE: u32 = 1024;

impl SampleDcgan {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if !(1..=MAX_COUNT).contains(&self.count) {
            bail!("--count is {}, but must be 1 to {MAX_COUNT}", self.count);
        }
        let mut outputs = vec![("--out", self.out.as_path())];
        outputs.extend(self.save.iter().map(|path| ("--save", path.as_path())));
        let of_run = self.run.iter().flat_map(|run| files_of_run(run));
        let given = self.model.iter().chain(&self.weights).cloned();
        let inputs: Vec<_> = given.chain(of_run).collect();
        check_outputs(&outputs, &inputs)?;
        let device = self.common.device;
        device.run(self)?
    }
}

impl BackendTask for SampleDcgan {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        let (generator, config, normalisation) = self.open::<B::InnerBackend>(&device)?;
        let begun = Instant::now();
        let z = latents(&config, self.count, self.seed);
        let samples = generate(&generator, &config, &z, &device)?;
        let seconds = begun.elapsed().as_secs_f64();
        let sheet = sheet(&samples, &config, normalisation)?;
        let first_result = STARTED.elapsed().as_secs_f64();
        write_png(&self.out, &sheet)?;
        let mut written = vec![self.out.display().to_string()];
        if let Some(path) = &self.save {
            let side = config.side();
            let mut dict = StateDict::new();
            for (name, shape, values) in [
                ("z", vec![self.count, config.z_dim], z),
                (
                    "samples",
                    vec![self.count, config.channels, side, side],
                    samples,
                ),
            ] {
                dict.insert(name, TensorEntry::from_f32(shape, values));
            }
            dict.save(path, HashMap::new())?;
            written.push(path.display().to_string());
        }
        let value = json!({
            "images": self.count, "seconds": seconds, "seconds_to_first_result": first_result,
            "written": written,
        });
        let text = format!(
            "{} in {seconds:.2} s\nwrote {}",
            counted(self.count, "image"),
            written.join(", ")
        );
        self.common.print(&value, &text)
    }
}

impl SampleDcgan {
    /// The generator, its numbers, and how its images become pixels.
    fn open<B: VisionBackend>(
        &self,
        device: &B::Device,
    ) -> anyhow::Result<(Generator<B>, DcganConfig, Normalisation)> {
        let options = self.dtype.load_options();
        if let Some(path) = &self.weights {
            let dict = StateDict::open(path)?;
            let found = self
                .part
                .find::<B, Generator<B>>(&dict, None, &self.common, device)?;
            let generator = build_model_by(&found.config, &found.weights, &options, device)?;
            return Ok((generator, found.config, normalisation_of(&dict)?));
        }
        if self.part.is_given() {
            bail!("--part names a part of --weights, which is not given");
        }
        let path = match (&self.run, &self.model) {
            (Some(run), _) => {
                let run = RunFolder::open(run)?;
                run.expect_kind(RunKind::Dcgan)?;
                let [path] = whole_weights(&run, [self.no_ema], &mut progress::say)?;
                path
            }
            (None, model) => model.clone().context("give --run, --model or --weights")?,
        };
        let dict = StateDict::open(path)?;
        let config = read_config::<B, Generator<B>>(&dict)?;
        let generator = build_model_by(&config, &dict, &options, device)?;
        Ok((generator, config, normalisation_of(&dict)?))
    }
}

/// How the file's images become pixels: what a run or a fitted scorer says of it.
fn normalisation_of(dict: &StateDict) -> anyhow::Result<Normalisation> {
    let damaged = || format!("{}: its normalisation does not read", dict.path().display());
    if let Some(text) = dict.metadata().get(AnomalyCard::KEY) {
        let card: AnomalyCard = serde_json::from_str(text).with_context(damaged)?;
        return Ok(card.normalisation);
    }
    match dict.metadata().get(NORMALISATION_KEY) {
        Some(text) => serde_json::from_str(text).with_context(damaged),
        None => Ok(Normalisation::TANH),
    }
}

/// A picture of `count` images from the latent vectors of `seed`.
pub(crate) fn sample_sheet<B: VisionBackend>(
    generator: &Generator<B>,
    config: &DcganConfig,
    normalisation: Normalisation,
    count: usize,
    seed: u64,
    device: &B::Device,
) -> anyhow::Result<RgbImage> {
    let z = latents(config, count, seed);
    let samples = generate(generator, config, &z, device)?;
    sheet(&samples, config, normalisation)
}

fn latents(config: &DcganConfig, count: usize, seed: u64) -> Vec<f32> {
    NoiseKey::new(seed, Purpose::InitialNoise, 0).normal(0, count * config.z_dim)
}

fn generate<B: VisionBackend>(
    generator: &Generator<B>,
    config: &DcganConfig,
    z: &[f32],
    device: &B::Device,
) -> anyhow::Result<Vec<f32>> {
    let generator = generator.frozen();
    let mut values = Vec::new();
    for z in z.chunks(BATCH * config.z_dim) {
        let shape = [z.len() / config.z_dim, config.z_dim];
        let images = generator.forward(host_tensor(z.to_vec(), shape, device));
        let data = images
            .try_into_data()
            .map_err(|error| anyhow::anyhow!("the device gave no result: {error:?}"))?;
        values.extend(data.iter::<f32>());
    }
    Ok(values)
}

fn sheet(
    samples: &[f32],
    config: &DcganConfig,
    normalisation: Normalisation,
) -> anyhow::Result<RgbImage> {
    let shown = shown(samples, normalisation);
    let side = config.side();
    let images = batch_from_chw(&shown, config.channels, side, side)?;
    let columns = (images.len() as f64).sqrt().ceil() as usize;
    let sheet = grid(&images, columns, 2, Rgb([255, 255, 255]))?;
    let factor = pick_factor(sheet.width(), PICTURE);
    Ok(enlarge(&sheet, factor)?)
}

//! `convert --dtype auto`: the type of each layer by the error that it makes.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::bail;
use clap::Args;
use pyrograph::{
    backend::{
        Device, DeviceSpec, InferenceTask, list_devices,
        vision::{VisionBackend, exact_products},
    },
    base::atomic_write,
    models::{
        stable_diffusion::{
            checkpoint::{Checkpoint, WeightTypes},
            unet::{Calibration, UNet2DConditionConfig},
        },
        weights::{LAYER_TYPES, LayerFigures, Precision},
    },
    pipelines::stable_diffusion::prompt_contexts,
};
use serde::Serialize;

use crate::{columns::columns, outputs::check_files, progress, reading::counted};

/// The word of `--dtype`.
const AUTO: &str = "auto";
/// The largest error of a layer without `--error-limit`: rounding to int8 makes it in a layer whose largest weights are
/// about nine times as large as the root of the mean square of their channel's.
const ERROR_LIMIT: f64 = 0.02;
/// The text of the calibration without `--calibration-prompt`; every second picture has an empty prompt, as guidance
/// has.
const PROMPT: &str = "a photograph of an astronaut riding a horse";
/// What the key of a weight adds to the name of its layer.
const WEIGHT: &str = ".weight";

/// The type of the weights in the new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// One type.
    One(Precision),
    /// The type of each layer of the UNet by its error, bf16 for everything else.
    Auto,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == AUTO {
            return Ok(Self::Auto);
        }
        let precision = text.parse::<Precision>();
        precision
            .map(Self::One)
            .map_err(|error| format!("{error}, {AUTO}"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(precision) => precision.fmt(f),
            Self::Auto => f.write_str(AUTO),
        }
    }
}

/// How types are chosen. All are for `--dtype auto` alone.
#[derive(Args)]
pub(super) struct AutoOptions {
    /// With --dtype auto: the largest error of a layer, as a share of its outputs; a layer has the smallest type
    /// within it, and bf16 where none is [default: 0.02].
    #[arg(long, value_name = "SHARE", value_parser = error_limit, allow_negative_numbers = true)]
    error_limit: Option<f64>,
    /// With --dtype auto: side of the latents that the layers are measured with, one for eight pixels [default: 32].
    #[arg(long, value_name = "LATENTS", value_parser = clap::value_parser!(u32).range(1..=256))]
    calibration_size: Option<u32>,
    /// With --dtype auto: seed of these latents [default: 0].
    #[arg(long, value_name = "SEED")]
    calibration_seed: Option<u64>,
    /// With --dtype auto: prompt of two of the four pictures that the layers are measured with; the others have an
    /// empty one [default: a photograph of an astronaut riding a horse].
    #[arg(long, value_name = "TEXT")]
    calibration_prompt: Option<String>,
    /// With --dtype auto: write the errors, times and types of all layers.
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

/// A limit that a layer can be within.
fn error_limit(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let legal = number.filter(|number| number.is_finite() && *number > 0.0);
    legal.ok_or_else(|| "allowed are finite numbers above 0, such as 0.02 for 2 %".into())
}

impl AutoOptions {
    /// Refuses options that the target has no use for, and a report that would overwrite the source.
    pub(super) fn check(&self, target: Target, source: &Path) -> anyhow::Result<()> {
        let given = [
            ("--error-limit", self.error_limit.is_some()),
            ("--calibration-size", self.calibration_size.is_some()),
            ("--calibration-seed", self.calibration_seed.is_some()),
            ("--calibration-prompt", self.calibration_prompt.is_some()),
            ("--report", self.report.is_some()),
        ];
        if target != Target::Auto
            && let Some((flag, _)) = given.iter().find(|(_, is_given)| *is_given)
        {
            bail!("{flag} needs --dtype auto, but --dtype is {target}");
        }
        let outputs = self.report.iter().map(|path| ("--report", path.as_path()));
        check_files(&outputs.collect::<Vec<_>>(), &[source.to_owned()])
    }

    /// Measures the layers of a checkpoint.
    pub(super) fn measure(
        &self,
        checkpoint: &Checkpoint,
        source: &str,
        quiet: bool,
    ) -> anyhow::Result<Report> {
        let usual = Calibration::default();
        let size = self.calibration_size.map(|size| size as usize);
        let calibration = Calibration {
            side: size.unwrap_or(usual.side),
            seed: self.calibration_seed.unwrap_or(usual.seed),
        };
        let prompt = self.calibration_prompt.as_deref().unwrap_or(PROMPT);
        let prompts = [prompt, ""];
        let layers = DeviceSpec::Cpu.infer(Measuring {
            checkpoint,
            calibration,
            prompts,
            quiet,
        })??;
        let limit = self.error_limit.unwrap_or(ERROR_LIMIT);
        let machine = list_devices().into_iter().find(|line| line.spec == "cpu");
        Ok(Report {
            source: source.to_owned(),
            error_limit: limit,
            calibration: CalibrationReport {
                size: calibration.side,
                seed: calibration.seed,
                prompts: prompts.map(str::to_owned),
                timesteps: calibration.timesteps(),
            },
            exact_products: exact_products(),
            threads: machine.as_ref().and_then(|line| line.threads),
            vectors: machine.and_then(|line| line.vectors),
            totals: totals(&layers, limit),
            layers: layers.iter().map(|layer| row(layer, limit)).collect(),
            figures: layers,
        })
    }

    /// Writes the report where one is asked for.
    pub(super) fn write(&self, report: &Report) -> anyhow::Result<()> {
        if let Some(path) = &self.report {
            let mut text = serde_json::to_vec_pretty(report)?;
            text.push(b'\n');
            atomic_write(path, &text)?;
        }
        Ok(())
    }
}

/// The measurement of all layers on the CPU.
struct Measuring<'a> {
    checkpoint: &'a Checkpoint,
    calibration: Calibration,
    prompts: [&'a str; 2],
    quiet: bool,
}

impl InferenceTask for Measuring<'_> {
    type Output = anyhow::Result<Vec<LayerFigures>>;

    fn run<B: VisionBackend>(self, device: Device<B>) -> Self::Output {
        let unet = &self.checkpoint.unet;
        let config = UNet2DConditionConfig::from_diffusers(&unet.config)?;
        let contexts = prompt_contexts::<B>(self.checkpoint, &self.prompts, &device)?;
        let bar = progress::bar(0, self.quiet);
        let heard = bar.clone();
        let seen = move |done: usize, all: usize| {
            heard.set_length(all as u64);
            heard.set_position(done as u64);
        };
        let calibration = self.calibration;
        let layers = calibration.measure(&config, &unet.weights, Some(contexts), &device, seen)?;
        bar.finish_and_clear();
        Ok(layers)
    }
}

/// What was measured and chosen: the file of `--report`.
#[derive(Serialize)]
pub(super) struct Report {
    source: String,
    pub(super) error_limit: f64,
    calibration: CalibrationReport,
    exact_products: bool,
    threads: Option<usize>,
    vectors: Option<String>,
    layers: Vec<Row>,
    totals: Vec<Total>,
    #[serde(skip)]
    figures: Vec<LayerFigures>,
}

/// The inputs of the measurement.
#[derive(Serialize)]
struct CalibrationReport {
    size: usize,
    seed: u64,
    prompts: [String; 2],
    timesteps: [f32; 4],
}

/// One layer.
#[derive(Serialize)]
struct Row {
    name: String,
    shape: Vec<usize>,
    /// By type.
    errors: BTreeMap<&'static str, Option<f64>>,
    /// By type, f32 among them.
    seconds: BTreeMap<&'static str, Option<f64>>,
    /// By type.
    bytes: BTreeMap<&'static str, usize>,
    choice: &'static str,
    within_limit: bool,
}

/// The layers of one type.
#[derive(Serialize)]
struct Total {
    #[serde(rename = "type")]
    name: &'static str,
    layers: usize,
    bytes: usize,
}

fn row(layer: &LayerFigures, limit: f64) -> Row {
    let types = || layer.types.iter();
    let choice = layer.choice(limit);
    let error = layer.of(choice).and_then(|figures| figures.error);
    let seconds = types().map(|figures| (figures.layer_type.name, figures.seconds));
    let name = layer.key.strip_suffix(WEIGHT).unwrap_or(&layer.key);
    Row {
        name: name.to_owned(),
        shape: layer.shape.clone(),
        errors: types()
            .map(|figures| (figures.layer_type.name, figures.error))
            .collect(),
        seconds: seconds.chain([("f32", layer.seconds)]).collect(),
        bytes: types()
            .map(|figures| (figures.layer_type.name, figures.bytes))
            .collect(),
        choice: choice.name,
        within_limit: error.is_some_and(|error| error <= limit),
    }
}

/// The number of layers of each type, and their bytes.
fn totals(layers: &[LayerFigures], limit: f64) -> Vec<Total> {
    let of = |layer_type| {
        let chosen = || {
            let layers = layers.iter();
            layers.filter(move |layer| layer.choice(limit) == layer_type)
        };
        let figures = chosen().filter_map(|layer| layer.of(layer_type));
        Total {
            name: layer_type.name,
            layers: chosen().count(),
            bytes: figures.map(|figures| figures.bytes).sum(),
        }
    };
    LAYER_TYPES.iter().copied().map(of).collect()
}

impl Report {
    /// The types of the new files.
    pub(super) fn types(&self) -> WeightTypes {
        let layers = self.figures.iter();
        WeightTypes {
            precision: Precision::Bf16,
            layers: layers
                .map(|layer| (layer.key.clone(), layer.choice(self.error_limit)))
                .collect(),
        }
    }

    /// A table of the layers, and a line of totals.
    pub(super) fn in_words(&self) -> String {
        let names = || LAYER_TYPES.iter().map(|layer_type| layer_type.name);
        let timed = || ["f32"].into_iter().chain(names());
        let mut header = vec!["layer".to_owned(), "shape".to_owned()];
        header.extend(names().map(|name| format!("{name} error")));
        header.extend(timed().map(|name| format!("{name} ms")));
        header.push("type".to_owned());
        let header: Vec<_> = header.iter().map(String::as_str).collect();
        let cells = |row: &Row| {
            let shape: Vec<_> = row.shape.iter().map(usize::to_string).collect();
            let number = |of: &BTreeMap<_, Option<f64>>, name, factor: f64, digits| {
                let value = of.get(name).copied().flatten();
                value.map_or("-".into(), |value| format!("{:.digits$}", value * factor))
            };
            let mut cells = vec![row.name.clone(), shape.join("×")];
            cells.extend(names().map(|name| number(&row.errors, name, 1.0, 5)));
            cells.extend(timed().map(|name| number(&row.seconds, name, 1e3, 3)));
            cells.push(row.choice.to_owned());
            cells
        };
        let table = columns(&header, self.layers.iter().map(cells));
        let totals = self.totals.iter().map(|total| {
            let (layers, bytes) = (counted(total.layers, "layer"), total.bytes as f64 / 1e6);
            format!("{}: {layers}, {bytes:.1} MB", total.name)
        });
        let totals: Vec<_> = totals.collect();
        let within = self.layers.iter().filter(|row| row.within_limit).count();
        format!(
            "{table}{}; {within} of {} within an error of {}",
            totals.join("; "),
            counted(self.layers.len(), "layer"),
            self.error_limit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_finite_and_above_zero() {
        assert_eq!(error_limit("1e-9"), Ok(1e-9));
        for text in ["0", "-1", "nan", "inf", "", "2 %"] {
            assert!(error_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn auto_is_a_type_among_the_others() {
        assert_eq!("auto".parse(), Ok(Target::Auto));
        for name in [
            "stored",
            "f32",
            "bf16",
            "f16",
            "int8",
            "int8-activations",
            "auto",
        ] {
            let target: Target = name.parse().expect(name);
            assert_eq!(target.to_string(), name);
        }
        let error = "int4".parse::<Target>().expect_err("unknown");
        assert!(
            error.contains("`int4`") && error.ends_with("int8-activations, auto"),
            "{error}"
        );
    }
}

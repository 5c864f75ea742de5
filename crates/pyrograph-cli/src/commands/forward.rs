//! `pyrograph forward`: one forward pass on named tensors.

use std::{collections::HashMap, fs, path::PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use pyrograph::{
    backend::{BackendTask, Device, rng::host_tensor, vision::VisionAutodiff},
    models::{
        ModelError,
        context_unet::{ContextUnet, ContextUnetConfig},
        weights::{HostTensor, StateDict, build_model, read_config},
    },
};
use serde_json::json;

use crate::{arguments::Common, outputs::check_outputs};

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    /// x [n,c,h,h], t `[n]` or `[1]`, c [n,k] (optional) → eps.
    ContextUnet,
}

#[derive(Args)]
pub(crate) struct Forward {
    /// The model.
    #[arg(value_enum)]
    model: Model,
    /// Its weights: .pth (zip or legacy) or .safetensors, by their published names.
    #[arg(long)]
    weights: PathBuf,
    /// Its numbers as JSON; a model file of pyrograph carries them.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The input tensors, safetensors.
    #[arg(long)]
    input: PathBuf,
    /// Where the output tensors go, safetensors.
    #[arg(long)]
    output: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Forward {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut inputs = vec![self.weights.clone(), self.input.clone()];
        inputs.extend(self.config.clone());
        check_outputs(&[("--output", &self.output)], &inputs)?;
        let device = self.common.device;
        device.run(self)?
    }
}

impl BackendTask for Forward {
    type Output = anyhow::Result<()>;

    fn run<B: VisionAutodiff>(self, device: Device<B>) -> Self::Output {
        match self.model {
            Model::ContextUnet => self.context_unet::<B>(&device),
        }
    }
}

impl Forward {
    fn context_unet<B: VisionAutodiff>(&self, device: &Device<B>) -> anyhow::Result<()> {
        let weights = StateDict::open(&self.weights)?;
        let config: ContextUnetConfig = match &self.config {
            Some(path) => {
                let text = fs::read(path).with_context(|| path.display().to_string())?;
                // By way of a map: serde would take a bare list for the fields in their order.
                let fields: serde_json::Map<_, _> = serde_json::from_slice(&text)
                    .with_context(|| format!("{}: an object is expected", path.display()))?;
                serde_json::from_value(fields.into()).with_context(|| path.display().to_string())?
            }
            None => read_config::<B::InnerBackend, ContextUnet<B::InnerBackend>>(&weights)?,
        };
        let model: ContextUnet<B::InnerBackend> = build_model(&config, &weights, device)?;

        let inputs = StateDict::open(&self.input)?;
        match inputs.check_finite() {
            Err(ModelError::NonFinite {
                path,
                key,
                index,
                value,
            }) => bail!(
                "{}: input `{key}` holds {value} at place {index}: inputs must be finite",
                path.display()
            ),
            checked => checked?,
        }
        let known = ["x", "t", "c"];
        if let Some(other) = inputs.keys().find(|key| !known.contains(key)) {
            return Err(anyhow!(
                "{}: unknown tensor `{other}`: expected {}",
                self.input.display(),
                known.join(", ")
            ));
        }
        let tensor = |name: &str| {
            let missing = || anyhow!("{}: tensor `{name}` is missing", self.input.display());
            inputs.get(name).ok_or_else(missing)
        };
        let (x, t, c) = (tensor("x")?, tensor("t")?, inputs.get("c"));
        config.check_input(&x.shape, &t.shape, c.map(|c| c.shape.as_slice()))?;
        let shape = <[usize; 4]>::try_from(x.shape.as_slice())?; // Checked above, as are those below.
        let eps = model.forward(
            host_tensor(x.values.clone(), shape, device),
            host_tensor(t.values.clone(), [t.values.len()], device),
            c.map(|c| host_tensor(c.values.clone(), [shape[0], config.n_cfeat], device)),
        );

        let data = eps
            .try_into_data()
            .map_err(|error| anyhow!("the device gave no result: {error:?}"))?;
        let mut outputs = StateDict::new();
        outputs.insert(
            "eps",
            HostTensor {
                shape: shape.to_vec(),
                values: data.iter::<f32>().collect(),
            },
        );
        outputs.save(&self.output, HashMap::new())?;
        let path = self.output.display().to_string();
        let value = json!({ "output": path, "tensors": { "eps": shape } });
        self.common
            .print(&value, &format!("wrote {path}: eps {shape:?}"))
    }
}

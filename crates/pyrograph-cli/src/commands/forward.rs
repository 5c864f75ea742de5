//! `pyrograph forward`: one forward pass on named tensors.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use burn::tensor::Tensor;
use clap::{Args, ValueEnum};
use pyrograph::{
    backend::{
        BackendTask, Device,
        rng::host_tensor,
        vision::{VisionAutodiff, VisionBackend},
    },
    models::{
        ModelError,
        context_unet::ContextUnet,
        dcgan::{Discriminator, Generator},
        ssd::{Ssd, SsdConfig},
        weights::{NamedModel, StateDict, TensorEntry, build_model, read_config},
    },
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{arguments::Common, outputs::check_outputs};

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    /// x [n,c,h,h], t `[n]` or `[1]`, c [n,k] (optional) → eps.
    ContextUnet,
    /// z [n,z_dim] or [n,z_dim,1,1] → image.
    DcganGenerator,
    /// x [n,c,h,h] → logit [n,1,1,1], feature [n,f].
    DcganDiscriminator,
    /// x [n,3,300,300] → loc [n,p,4], conf [n,p,classes], priors [p,4] as cx, cy, w, h.
    #[value(name = "ssd300")]
    Ssd300,
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
            Model::DcganGenerator => self.dcgan_generator::<B>(&device),
            Model::DcganDiscriminator => self.dcgan_discriminator::<B>(&device),
            Model::Ssd300 => self.ssd300::<B>(&device),
        }
    }
}

impl Forward {
    fn context_unet<B: VisionAutodiff>(&self, device: &Device<B>) -> anyhow::Result<()> {
        let (config, model, _) = self.model::<B::InnerBackend, ContextUnet<_>>(device)?;
        let inputs = self.inputs(&["x", "t", "c"])?;
        let (x, t, c) = (
            self.tensor(&inputs, "x")?,
            self.tensor(&inputs, "t")?,
            inputs.get("c"),
        );
        config.check_input(x.shape(), t.shape(), c.map(TensorEntry::shape))?;
        let shape = <[usize; 4]>::try_from(x.shape())?; // Checked above, as are those below.
        let eps = model.forward(
            host_tensor(x.to_f32(), shape, device),
            host_tensor(t.to_f32(), [t.count()], device),
            c.map(|c| host_tensor(c.to_f32(), [shape[0], config.n_cfeat], device)),
        );
        self.write(vec![("eps", read(eps)?)])
    }

    fn dcgan_generator<B: VisionAutodiff>(&self, device: &Device<B>) -> anyhow::Result<()> {
        let (config, model, _) = self.model::<B::InnerBackend, Generator<_>>(device)?;
        let inputs = self.inputs(&["z"])?;
        let z = self.tensor(&inputs, "z")?;
        let batch = config.check_latents(z.shape())?;
        let z = host_tensor(z.to_f32(), [batch, config.z_dim], device);
        self.write(vec![("image", read(model.forward(z))?)])
    }

    fn dcgan_discriminator<B: VisionAutodiff>(&self, device: &Device<B>) -> anyhow::Result<()> {
        let (config, model, _) = self.model::<B::InnerBackend, Discriminator<_>>(device)?;
        let inputs = self.inputs(&["x"])?;
        let x = self.tensor(&inputs, "x")?;
        config.check_images(x.shape())?;
        let shape = <[usize; 4]>::try_from(x.shape())?; // Checked above.
        let judgement = model.forward(host_tensor(x.to_f32(), shape, device));
        let (logit, feature) = (read(judgement.logit)?, read(judgement.feature)?);
        self.write(vec![("logit", logit), ("feature", feature)])
    }

    fn ssd300<B: VisionAutodiff>(&self, device: &Device<B>) -> anyhow::Result<()> {
        let (config, model, weights) = self.model::<B::InnerBackend, Ssd<_>>(device)?;
        let inputs = self.inputs(&["x"])?;
        let x = self.tensor(&inputs, "x")?;
        config.check_images(x.shape())?;
        let shape = <[usize; 4]>::try_from(x.shape())?; // Checked above.
        let output = model.forward(host_tensor(x.to_f32(), shape, device));
        self.write(vec![
            ("loc", read(output.loc)?),
            ("conf", read(output.conf)?),
            ("priors", priors(&config.with_priors_of(&weights))?),
        ])
    }

    /// The model with its numbers, and the file of its weights.
    fn model<B: VisionBackend, M: NamedModel<B>>(
        &self,
        device: &B::Device,
    ) -> anyhow::Result<(M::Config, M, StateDict)> {
        let weights = StateDict::open(&self.weights)?;
        let config: M::Config = match &self.config {
            Some(path) => config_from(path)?,
            None => read_config::<B, M>(&weights)?,
        };
        let model = build_model(&config, &weights, device)?;
        Ok((config, model, weights))
    }

    /// The input tensors, all of which are `known` and finite.
    fn inputs(&self, known: &[&str]) -> anyhow::Result<StateDict> {
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
        if let Some(other) = inputs.keys().find(|key| !known.contains(key)) {
            return Err(anyhow!(
                "{}: unknown tensor `{other}`: expected {}",
                self.input.display(),
                known.join(", ")
            ));
        }
        Ok(inputs)
    }

    fn tensor<'a>(&self, inputs: &'a StateDict, name: &str) -> anyhow::Result<&'a TensorEntry> {
        let missing = || anyhow!("{}: tensor `{name}` is missing", self.input.display());
        inputs.get(name).ok_or_else(missing)
    }

    /// Writes the output tensors and says so.
    fn write(&self, tensors: Vec<(&str, TensorEntry)>) -> anyhow::Result<()> {
        let path = self.output.display().to_string();
        let mut outputs = StateDict::new();
        let mut shapes = serde_json::Map::new();
        let mut words = Vec::new();
        for (name, tensor) in tensors {
            shapes.insert(name.into(), json!(tensor.shape()));
            words.push(format!("{name} {:?}", tensor.shape()));
            outputs.insert(name, tensor);
        }
        outputs.save(&self.output, HashMap::new())?;
        let value = json!({ "output": path, "tensors": shapes });
        self.common
            .print(&value, &format!("wrote {path}: {}", words.join(", ")))
    }
}

fn read<B: VisionBackend, const D: usize>(tensor: Tensor<B, D>) -> anyhow::Result<TensorEntry> {
    let shape = tensor.dims().to_vec();
    let data = tensor
        .try_into_data()
        .map_err(|error| anyhow!("the device gave no result: {error:?}"))?;
    let values = data.iter::<f32>().collect();
    Ok(TensorEntry::from_f32(shape, values))
}

/// The boxes that a detector's outputs move, a row each.
fn priors(config: &SsdConfig) -> Result<TensorEntry, ModelError> {
    let boxes = config.prior_boxes()?;
    Ok(TensorEntry::from_f32(
        vec![boxes.len(), 4],
        boxes.iter().flat_map(|b| [b.cx, b.cy, b.w, b.h]).collect(),
    ))
}

/// A model's numbers from a JSON file.
pub(crate) fn config_from<C: DeserializeOwned>(path: &Path) -> anyhow::Result<C> {
    let text = fs::read(path).with_context(|| path.display().to_string())?;
    // By way of a map: serde would take a bare list for the fields in their order.
    let fields: serde_json::Map<_, _> = serde_json::from_slice(&text)
        .with_context(|| format!("{}: an object is expected", path.display()))?;
    serde_json::from_value(fields.into()).with_context(|| path.display().to_string())
}

//! Models, inputs and outputs of `pyrograph forward` in their files.

use std::{collections::HashMap, path::Path};

use anyhow::{anyhow, bail};
use burn::tensor::Tensor;
use pyrograph::{
    backend::{rng::host_tensor, vision::VisionBackend},
    models::{
        ModelError,
        weights::{LoadOptions, NamedModel, StateDict, TensorEntry, build_model_by, read_config},
    },
};
use serde_json::json;

use super::{Forward, Outputs};
use crate::memory::peak_bytes;

impl Forward {
    /// The model with its numbers, and the file of its weights.
    pub(super) fn model<B: VisionBackend, M: NamedModel<B>>(
        &self,
        device: &B::Device,
    ) -> anyhow::Result<(M::Config, M, StateDict)> {
        let dict = StateDict::open(&self.weights)?;
        let config = self.config.as_deref();
        let found = self
            .part
            .find::<B, M>(&dict, config, &self.common, device)?;
        let model = self.build::<B, M>(&found.config, &found.weights, device)?;
        Ok((found.config, model, dict))
    }

    /// The same with a config file that `read` reads, without which the file's header says the numbers.
    pub(super) fn model_by<B: VisionBackend, M: NamedModel<B>>(
        &self,
        read: impl Fn(&Path) -> anyhow::Result<M::Config>,
        device: &B::Device,
    ) -> anyhow::Result<(M::Config, M, StateDict)> {
        let dict = StateDict::open(&self.weights)?;
        let config_of = |_| match &self.config {
            Some(path) => read(path),
            None => Ok(read_config::<B, M>(&dict)?),
        };
        let found = self
            .part
            .find_by::<B, M>(&dict, &self.common, device, config_of)?;
        let model = self.build::<B, M>(&found.config, &found.weights, device)?;
        Ok((found.config, model, dict))
    }

    fn build<B: VisionBackend, M: NamedModel<B>>(
        &self,
        config: &M::Config,
        weights: &StateDict,
        device: &B::Device,
    ) -> anyhow::Result<M> {
        let options = LoadOptions {
            precision: self.dtype,
            ..LoadOptions::default()
        };
        Ok(build_model_by(config, weights, &options, device)?)
    }

    /// The input tensors, all of which are `known` and finite.
    pub(super) fn inputs(&self, known: &[&str]) -> anyhow::Result<StateDict> {
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

    pub(super) fn tensor<'a>(
        &self,
        inputs: &'a StateDict,
        name: &str,
    ) -> anyhow::Result<&'a TensorEntry> {
        let missing = || anyhow!("{}: tensor `{name}` is missing", self.input.display());
        inputs.get(name).ok_or_else(missing)
    }

    /// Writes the output tensors and says so, with the median milliseconds of a pass where it was repeated.
    pub(super) fn write(&self, tensors: Outputs, median_ms: Option<f64>) -> anyhow::Result<()> {
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
        let mut value = json!({ "output": path, "tensors": shapes });
        let mut text = format!("wrote {path}: {}", words.join(", "));
        if let Some(milliseconds) = median_ms {
            let peak = peak_bytes();
            value["median_ms"] = json!(milliseconds);
            value["peak_memory_bytes"] = json!(peak);
            text += &format!("\n{milliseconds:.1} ms a pass");
            if let Some(bytes) = peak {
                text += &format!(", {:.2} GB of memory at most", bytes as f64 / 1e9);
            }
        }
        self.common.print(&value, &text)
    }
}

/// An input on the device, whose rank was checked.
pub(super) fn on_device<B: VisionBackend, const D: usize>(
    tensor: &TensorEntry,
    device: &B::Device,
) -> anyhow::Result<Tensor<B, D>> {
    let shape = <[usize; D]>::try_from(tensor.shape())?;
    Ok(host_tensor(tensor.to_f32(), shape, device))
}

/// An output, as f32.
pub(super) fn read<B: VisionBackend, const D: usize>(
    tensor: Tensor<B, D>,
) -> anyhow::Result<TensorEntry> {
    let shape = tensor.dims().to_vec();
    let data = tensor
        .try_into_data()
        .map_err(|error| anyhow!("the device gave no result: {error:?}"))?;
    let values = data.iter::<f32>().collect();
    Ok(TensorEntry::from_f32(shape, values))
}

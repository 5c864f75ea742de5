//! Fixtures of diffusers' and transformers' models: a config, tensors, and weights by formula.

use std::{collections::BTreeMap, fs};

use burn::tensor::{Tensor, backend::Backend};
use pyrograph_models::weights::StateDict;

use crate::{common, formula};

/// One case of a fixture folder below `stable_diffusion/`.
pub(crate) struct Case {
    /// The text of its `config.json`.
    pub(crate) config: String,
    /// Inputs and outputs.
    pub(crate) tensors: StateDict,
}

impl Case {
    pub(crate) fn open(unit: &str, name: &str) -> Self {
        let folder = format!("stable_diffusion/{unit}");
        let path = |ending| common::fixture(&folder, &format!("{name}.{ending}"));
        Self {
            config: fs::read_to_string(path("json")).expect("the config"),
            tensors: StateDict::open(path("safetensors")).expect("the tensors"),
        }
    }

    /// The keys and shapes of the reference.
    pub(crate) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        serde_json::from_str(&self.tensors.metadata()["shapes"]).expect("a map")
    }

    /// The weights of the formula under the keys of the reference.
    pub(crate) fn weights(&self) -> StateDict {
        let mut dict = StateDict::new();
        for (key, shape) in self.shapes() {
            dict.insert(key.clone(), formula::parameter(&key, &shape));
        }
        dict
    }

    /// An input.
    pub(crate) fn tensor<B: Backend, const D: usize>(&self, key: &str) -> Tensor<B, D> {
        common::tensor(&self.tensors, key)
    }

    /// That `ours` is the output `key` to `tolerance` of the greatest value of that output.
    #[track_caller]
    pub(crate) fn assert_output<B: Backend, const D: usize>(
        &self,
        key: &str,
        ours: Tensor<B, D>,
        tolerance: f32,
    ) {
        let theirs = self.tensors.get(key).expect(key);
        assert_eq!(ours.dims().as_slice(), theirs.shape(), "{key}");
        let theirs = theirs.to_f32();
        let scale = theirs.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        for (place, (a, b)) in common::values(ours).iter().zip(&theirs).enumerate() {
            assert!(
                (a - b).abs() <= tolerance * scale, // Not so for NaN.
                "{key}[{place}]: {a} is not {b}"
            );
        }
    }
}

//! The key names of published autoencoders.

use burn::tensor::backend::Backend;

use super::{AutoencoderKl, AutoencoderKlConfig, MODEL};
use crate::{
    ModelError,
    blocks::ParamInit,
    weights::{NamedModel, Rename, StateDict},
};

/// The attention of the middle, in encoder and decoder.
const ATTENTION: &str = ".mid_block.attentions.0.";
/// Names of its layers in files from before diffusers 0.17, and those of today.
const DEPRECATED: [(&str, &str); 4] = [
    ("query", "to_q"),
    ("key", "to_k"),
    ("value", "to_v"),
    ("proj_attn", "to_out.0"),
];

/// Today's key for a deprecated `key`; none for a key that is not deprecated.
fn current_key(key: &str) -> Option<String> {
    let (half, layer) = key.split_once(ATTENTION)?;
    let (name, parameter) = layer.rsplit_once('.')?;
    let (_, current) = DEPRECATED.iter().find(|(old, _)| *old == name)?;
    Some(format!("{half}{ATTENTION}{current}.{parameter}"))
}

/// The shape of a linear layer's weight that a file keeps as a 1×1 convolution.
fn linear_shape(key: &str, shape: &[usize]) -> Option<Vec<usize>> {
    match *shape {
        [out, d_in, 1, 1] if key.contains(ATTENTION) => Some(vec![out, d_in]),
        _ => None,
    }
}

impl<B: Backend> NamedModel<B> for AutoencoderKl<B> {
    type Config = AutoencoderKlConfig;
    const NAME: &'static str = MODEL;
    const RENAMES: &'static [Rename] = &[];
    const IGNORED_SUFFIXES: &'static [&'static str] = &[];

    fn translate(dict: &StateDict) -> Option<StateDict> {
        let is_old = |key: &str| {
            current_key(key).is_some()
                || dict
                    .get(key)
                    .is_some_and(|tensor| linear_shape(key, tensor.shape()).is_some())
        };
        if !dict.keys().any(is_old) {
            return None;
        }
        let mut current = dict.renamed(|key| current_key(key).unwrap_or_else(|| key.to_owned()));
        let keys: Vec<String> = current.keys().map(str::to_owned).collect();
        for key in keys {
            let Some(tensor) = current.get(&key) else {
                continue;
            };
            if let Some(shape) = linear_shape(&key, tensor.shape()) {
                let tensor = tensor.reshaped(shape);
                current.insert(key, tensor);
            }
        }
        Some(current)
    }

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_with(init)
    }
}

//! From keys to fields and back.

use std::collections::BTreeSet;

use burn::{
    module::{Module, ParamId},
    tensor::{Element, backend::Backend},
};
use burn_store::{ModuleSnapshot, TensorSnapshot};

use super::{HostTensor, StateDict, WeightsSource};
use crate::{ModelError, error::KeyReport};

/// A part of our field path and what published keys have in its place.
#[derive(Clone, Copy, Debug)]
pub struct Rename {
    ours: &'static str,
    theirs: &'static str,
}

impl Rename {
    /// Every `ours` in a field path becomes `theirs`.
    pub const fn new(ours: &'static str, theirs: &'static str) -> Self {
        Self { ours, theirs }
    }
}

/// A model with published checkpoints.
pub trait NamedModel<B: Backend>: Module<B> + Sized {
    /// Its config, which its model file carries.
    type Config: serde::Serialize + serde::de::DeserializeOwned;
    /// Its name on the command line and in model files.
    const NAME: &'static str;
    /// Applied in order to each field path.
    const RENAMES: &'static [Rename];
    /// Keys of published files that a forward pass has no use for.
    const IGNORED_SUFFIXES: &'static [&'static str];

    /// Names of model files that hold this model among others, with the same config.
    const HOLDERS: &'static [&'static str] = &[];

    /// The tensors of `dict` under this model's published keys, where they stand under other names of the same layers.
    fn translate(dict: &StateDict) -> Option<StateDict> {
        let _ = dict;
        None
    }

    /// Published keys and shapes of a few tensors that give the config's numbers away. [`build_model`] compares them before
    /// it makes a model, so that a wrong number never takes more memory than the right one.
    ///
    /// # Errors
    /// When a number is not allowed.
    fn telling_shapes(config: &Self::Config) -> Result<Vec<(String, Vec<usize>)>, ModelError>;

    /// A model of these numbers, with any parameters.
    ///
    /// # Errors
    /// When a number is not allowed.
    fn from_config(config: &Self::Config, device: &B::Device) -> Result<Self, ModelError>;

    /// The published key of the parameter at this field path.
    fn published_key(path: &str) -> String {
        Self::RENAMES.iter().fold(path.to_owned(), |key, rule| {
            key.replace(rule.ours, rule.theirs)
        })
    }
}

/// Values that [`build_model`] allocates without asking whether the file could fill them (64 MiB).
const SMALL: usize = 1 << 24;

/// What PyTorch calls the running variance of a batch norm, whose root is taken.
const VARIANCE_SUFFIX: &str = "running_var";

/// The model's tensors under their published names.
///
/// # Errors
/// When a tensor cannot be read from its device.
pub fn state_dict_of<B: Backend, M: NamedModel<B>>(model: &M) -> Result<StateDict, ModelError> {
    let mut dict = StateDict::new();
    for snapshot in model.collect(None, None, false) {
        let key = M::published_key(&snapshot.full_path());
        let data = snapshot.to_data().map_err(|error| ModelError::Io {
            path: key.clone().into(),
            source: std::io::Error::other(error.to_string()),
        })?;
        dict.insert(
            key,
            HostTensor {
                shape: data.shape.to_vec(),
                values: data.iter::<f32>().collect(),
            },
        );
    }
    Ok(dict)
}

/// A model of `config` with the weights of `dict`; no large model is made where the config's numbers are not the file's.
///
/// # Errors
/// When a number is not allowed, and as [`load_weights`].
pub fn build_model<B: Backend, M: NamedModel<B>>(
    config: &M::Config,
    dict: &StateDict,
    device: &B::Device,
) -> Result<M, ModelError> {
    let translated = M::translate(dict);
    let dict = translated.as_ref().unwrap_or(dict);
    let telling = M::telling_shapes(config)?;
    let source = WeightsSource::find(dict, telling.iter().map(|(key, _)| key.as_str()));
    let mut report = KeyReport::default();
    let mut wanted = 0;
    for (key, shape) in telling {
        wanted += shape.iter().product::<usize>();
        let full_key = format!("{}{key}", source.taken());
        match dict.get(&full_key) {
            None => report.missing.push(full_key),
            Some(tensor) if tensor.shape != shape => {
                report.shapes.push((full_key, tensor.shape.clone(), shape));
            }
            Some(_) => {}
        }
    }
    // A model that is not much larger than the file is made all the same, for a report of every key.
    if !report.is_empty() && wanted > dict.values() + SMALL {
        return Err(ModelError::Architecture {
            path: dict.path().into(),
            model: M::NAME,
            report,
        });
    }
    load_weights(M::from_config(config, device)?, dict)
}

/// Loads every parameter of `model` from `dict`, or none.
///
/// The keys may stand under what training scripts put around a model, in any combination (`state_dict.`, `model.`, `module.`,
/// …); see [`WeightsSource`] for which are taken where a file holds several.
///
/// # Errors
/// When keys are missing or unused, when shapes differ, when a value is not finite, or when a variance is negative.
pub fn load_weights<B: Backend, M: NamedModel<B>>(
    model: M,
    dict: &StateDict,
) -> Result<M, ModelError> {
    let translated = M::translate(dict);
    let dict = translated.as_ref().unwrap_or(dict);
    let places = model.collect(None, None, false);
    let keys: Vec<_> = places
        .iter()
        .map(|place| M::published_key(&place.full_path()))
        .collect();
    let source = WeightsSource::find(dict, keys.iter().map(String::as_str));
    let wrapper = source.taken();

    let mut report = KeyReport::default();
    let mut snapshots = Vec::with_capacity(places.len());
    for (place, key) in places.iter().zip(&keys) {
        let full_key = format!("{wrapper}{key}");
        match dict.get(&full_key) {
            None => report.missing.push(full_key),
            Some(tensor) if tensor.shape != place.shape.to_vec() => {
                report
                    .shapes
                    .push((full_key, tensor.shape.clone(), place.shape.to_vec()));
            }
            Some(tensor) => {
                let data = tensor.to_data().convert_dtype(B::FloatElem::dtype());
                let path = place.full_path().split('.').map(str::to_owned).collect();
                snapshots.push(TensorSnapshot::from_data(
                    data,
                    path,
                    Vec::new(),
                    ParamId::new(),
                ));
            }
        }
    }
    let wanted: BTreeSet<_> = keys.iter().map(String::as_str).collect();
    report.unused = dict
        .keys()
        .filter_map(|key| key.strip_prefix(wrapper)) // What stands beside a wrapped state dict is not ours to judge.
        .filter(|key| !wanted.contains(key))
        .filter(|key| {
            !M::IGNORED_SUFFIXES
                .iter()
                .any(|suffix| key.ends_with(suffix))
        })
        .map(|key| format!("{wrapper}{key}"))
        .collect();
    if !report.is_empty() {
        return Err(ModelError::Architecture {
            path: dict.path().into(),
            model: M::NAME,
            report,
        });
    }
    for full_key in keys.iter().map(|key| format!("{wrapper}{key}")) {
        if let Some(tensor) = dict.get(&full_key) {
            check_values(dict, &full_key, tensor)?;
        }
    }

    let mut model = model;
    let result = model.apply(snapshots, None, None, false);
    debug_assert!(
        result.errors.is_empty() && result.missing.is_empty(),
        "checked above"
    );
    Ok(model)
}

/// Refuses NaN, infinite values and negative variances.
pub(crate) fn check_values(
    dict: &StateDict,
    key: &str,
    tensor: &HostTensor,
) -> Result<(), ModelError> {
    tensor.check_finite(dict.path(), key)?;
    let variance = key.ends_with(VARIANCE_SUFFIX);
    match tensor.values.iter().copied().find(|v| variance && *v < 0.0) {
        Some(value) => Err(ModelError::NegativeVariance {
            path: dict.path().into(),
            key: key.into(),
            value,
        }),
        None => Ok(()),
    }
}

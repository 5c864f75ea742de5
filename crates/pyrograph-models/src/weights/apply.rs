//! From keys to parameters.

use std::collections::HashMap;

use burn::{
    module::{ModuleMapper, Param},
    tensor::{DType, Element, Tensor, backend::Backend},
};
use pyrograph_backend::vision::{VisionBackend, quantised_weight};

use super::{
    NamedModel, Precision, StateDict, TensorEntry, entry,
    matched::{FieldPath, Matched, Prepared},
};
use crate::{ModelError, blocks::ParamInit, error::KeyReport};

/// How parameters are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The number type of the parameters; none: the float type of the backend.
    pub precision: Option<Precision>,
    /// The number type of parameters of one axis (biases, scales, the parameters and running statistics of norms); none:
    /// that of [`precision`](Self::precision).
    pub vectors: Option<Precision>,
    /// Whether values that are not finite and variances below zero are refused, which reads all values once.
    pub check_values: bool,
}

impl Default for LoadOptions {
    /// The float type of the backend, with every value checked.
    fn default() -> Self {
        Self {
            precision: None,
            vectors: None,
            check_values: true,
        }
    }
}

impl LoadOptions {
    /// The weights of convolutions and linear layers as `precision` says, every parameter of one axis as f32: few numbers,
    /// whose rounding would move a whole channel.
    pub fn of_weights(precision: Precision) -> Self {
        Self {
            precision: Some(precision),
            vectors: Some(Precision::F32),
            ..Self::default()
        }
    }

    /// What is asked for of a parameter with `axes` axes.
    fn precision_of(&self, axes: usize) -> Option<Precision> {
        match axes {
            0 | 1 => self.vectors.or(self.precision),
            _ => self.precision,
        }
    }

    /// The type of a parameter with `axes` axes that is stored as `stored`.
    fn parameter_type<B: Backend>(&self, stored: DType, axes: usize) -> DType {
        match self.precision_of(axes) {
            Some(precision) => precision.parameter_type(stored),
            None => B::FloatElem::dtype(),
        }
    }
}

/// What PyTorch calls the running variance of a batch norm, whose root is taken.
const VARIANCE_SUFFIX: &str = "running_var";

/// A model of `config` with the weights of `dict` in the float type of the backend. Its parameters are not made before their
/// shapes were found to be those of the file.
///
/// # Errors
/// When a number is not allowed, and as [`load_weights`].
pub fn build_model<B: VisionBackend, M: NamedModel<B>>(
    config: &M::Config,
    dict: &StateDict,
    device: &B::Device,
) -> Result<M, ModelError> {
    build_model_by(config, dict, &LoadOptions::default(), device)
}

/// The same with parameters of the type that `precision` says.
///
/// # Errors
/// As [`build_model`]; when the backend lacks the type.
pub fn build_model_with<B: VisionBackend, M: NamedModel<B>>(
    config: &M::Config,
    dict: &StateDict,
    precision: Precision,
    device: &B::Device,
) -> Result<M, ModelError> {
    let options = LoadOptions {
        precision: Some(precision),
        ..LoadOptions::default()
    };
    build_model_by(config, dict, &options, device)
}

/// The same with every option.
///
/// # Errors
/// As [`build_model_with`].
pub fn build_model_by<B: VisionBackend, M: NamedModel<B>>(
    config: &M::Config,
    dict: &StateDict,
    options: &LoadOptions,
    device: &B::Device,
) -> Result<M, ModelError> {
    let model = M::from_config(config, &mut ParamInit::lazy(device))?;
    load_by(model, dict, options)
}

/// Loads every parameter of `model` from `dict`, or none.
///
/// The keys may stand under what training scripts put around a model, in any combination (`state_dict.`, `model.`, `module.`,
/// …); see [`WeightsSource`](super::WeightsSource) for which are taken where a file holds several.
///
/// # Errors
/// When keys are missing or unused, when shapes differ, when a value is not finite, or when a variance is negative.
pub fn load_weights<B: VisionBackend, M: NamedModel<B>>(
    model: M,
    dict: &StateDict,
) -> Result<M, ModelError> {
    load_by(model, dict, &LoadOptions::default())
}

fn load_by<B: VisionBackend, M: NamedModel<B>>(
    model: M,
    dict: &StateDict,
    options: &LoadOptions,
) -> Result<M, ModelError> {
    let prepared = Prepared::new::<B, M>(dict);
    let dict = &*prepared.dict;
    let Matched {
        places,
        source,
        report,
        ..
    } = Matched::new(&model, dict, None);
    if !report.is_empty() {
        return Err(ModelError::Architecture {
            path: dict.path().into(),
            model: M::NAME,
            report,
        });
    }
    let tensors = places.into_iter().filter_map(|place| {
        let key = format!("{}{}", source.taken(), place.key);
        let tensor = dict.get(&key)?;
        let of_int8_layer = M::is_int8_layer(&place.key);
        let source = Source {
            key,
            tensor,
            of_int8_layer,
        };
        Some((place.path, source))
    });
    let mut loader = Loader {
        dict,
        model: M::NAME,
        options,
        tensors: tensors.collect(),
        path: FieldPath::default(),
        failed: None,
    };
    let model = model.map(&mut loader);
    match loader.failed {
        Some(error) => Err(error),
        None => loader.check_used().map(|()| model),
    }
}

/// The tensors of `dict` that a model of `config` takes, under the model's published keys, and how the keys differ from those of
/// the model. No parameter is made.
///
/// # Errors
/// When a number of the config is not allowed.
pub fn match_keys<B: Backend, M: NamedModel<B>>(
    config: &M::Config,
    dict: &StateDict,
    device: &B::Device,
) -> Result<(StateDict, KeyReport), ModelError> {
    let model = M::from_config(config, &mut ParamInit::lazy(device))?;
    let prepared = Prepared::new::<B, M>(dict);
    let matched = Matched::new(&model, &prepared.dict, None);
    Ok((matched.taken(&prepared.dict), matched.report))
}

/// The tensor of a parameter.
struct Source<'a> {
    key: String,
    tensor: &'a TensorEntry,
    /// Whether the parameter is of a layer that has int8.
    of_int8_layer: bool,
}

/// Replaces parameters one after the other, so that beside the model one tensor at most is in memory.
struct Loader<'a> {
    dict: &'a StateDict,
    model: &'static str,
    options: &'a LoadOptions,
    tensors: HashMap<String, Source<'a>>,
    path: FieldPath,
    failed: Option<ModelError>,
}

impl Loader<'_> {
    fn load<B: VisionBackend, const D: usize>(
        &mut self,
        param: Param<Tensor<B, D>>,
    ) -> Result<Param<Tensor<B, D>>, ModelError> {
        let path = self.path.joined();
        let source = self
            .tensors
            .remove(&path)
            .ok_or_else(|| self.unapplied(&path, "the field was not found before"))?;
        let Source { key, tensor, .. } = &source;
        if tensor.dtype() == DType::I8 && !tensor.is_quantised() {
            return Err(ModelError::Quantised {
                path: self.dict.path().into(),
                key: self.dict.origin(key).to_owned(),
                reason: "it has no scales beside it".into(),
            });
        }
        let id = param.id;
        if let Some(loaded) = self.int8::<B, D>(&source, &param.lazy_device())? {
            return Ok(param.transform_for_load(loaded, id));
        }
        let device = param.lazy_device();
        if tensor.is_float8() && self.options.precision_of(D) == Some(Precision::AsStored) {
            return Err(self.dict.float8_as_stored(key, tensor));
        }
        let dtype = self.options.parameter_type::<B>(tensor.dtype(), D);
        if !B::supports_dtype(&device, dtype) {
            return Err(ModelError::MissingType {
                path: self.dict.path().into(),
                key: self.dict.origin(key).to_owned(),
                stored: tensor.type_name(),
                wanted: entry::type_name(dtype),
                backend: B::name(&device),
            });
        }
        // Checked as it is loaded: a number beyond the range of the type is infinite there.
        let tensor = tensor.cast(dtype);
        if self.options.check_values {
            check_values(self.dict, key, &tensor)?;
        }
        let data = tensor.data_of(dtype);
        let loaded = Tensor::from_data(data, (&device, dtype));
        Ok(param.transform_for_load(loaded, id))
    }

    /// The parameter in int8, where the precision asks for it and the backend keeps such weights.
    fn int8<B: VisionBackend, const D: usize>(
        &self,
        source: &Source<'_>,
        device: &B::Device,
    ) -> Result<Option<Tensor<B, D>>, ModelError> {
        let (tensor, of_int8_layer) = (source.tensor, source.of_int8_layer);
        let takes_int8 = |precision| tensor.takes_int8(precision, of_int8_layer);
        if !self.options.precision.is_some_and(takes_int8) {
            return Ok(None);
        }
        if self.options.check_values {
            check_values(self.dict, &source.key, tensor)?;
        }
        let Some(quantised) = tensor.to_int8() else {
            return Ok(None);
        };
        let asked = self.options.precision.and_then(Precision::int8_products);
        let products = asked.or(quantised.int8_products()).unwrap_or_default();
        let scales = quantised.scales().unwrap_or_default().to_vec();
        let numbers = quantised.data_of(DType::I8);
        Ok(quantised_weight(numbers, scales, products, device))
    }

    /// That every tensor found a parameter.
    fn check_used(&self) -> Result<(), ModelError> {
        match self.tensors.keys().min() {
            Some(path) => Err(self.unapplied(path, "no parameter took its tensor")),
            None => Ok(()),
        }
    }

    fn unapplied(&self, field: &str, reason: &'static str) -> ModelError {
        ModelError::Apply {
            path: self.dict.path().into(),
            model: self.model,
            field: field.to_owned(),
            reason,
        }
    }
}

impl<B: VisionBackend> ModuleMapper<B> for Loader<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.0.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.0.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if self.failed.is_some() {
            return param;
        }
        let kept = param.clone();
        self.load(param).unwrap_or_else(|error| {
            self.failed = Some(error);
            kept
        })
    }
}

/// Refuses NaN, infinite values and negative variances.
pub(crate) fn check_values(
    dict: &StateDict,
    key: &str,
    tensor: &TensorEntry,
) -> Result<(), ModelError> {
    let origin = dict.origin(key);
    tensor.check_finite(dict.path(), origin, true)?;
    if !key.ends_with(VARIANCE_SUFFIX) {
        return Ok(());
    }
    match tensor.find(|v| v < 0.0) {
        Some((_, value)) => Err(ModelError::NegativeVariance {
            path: dict.path().into(),
            key: origin.into(),
            value,
        }),
        None => Ok(()),
    }
}

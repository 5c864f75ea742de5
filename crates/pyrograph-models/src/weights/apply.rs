//! Loading the tensors of a state dict into the parameters of a model.

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

/// Options of loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The number type of the parameters; `None` means the float type of the backend.
    pub precision: Option<Precision>,
    /// The number type of parameters with one axis (biases, scales, the parameters and running
    /// statistics of norms); `None` means that of [`precision`](Self::precision).
    pub vectors: Option<Precision>,
    /// Whether to refuse values that are not finite and negative variances. The check reads all
    /// values once.
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
    /// Loads the weights of convolutions and linear layers in `precision`, and every parameter with
    /// one axis in f32: these are few values, and rounding one of them would shift a whole channel.
    pub fn of_weights(precision: Precision) -> Self {
        Self {
            precision: Some(precision),
            vectors: Some(Precision::F32),
            ..Self::default()
        }
    }

    /// The requested precision of a parameter with `axes` axes.
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

/// PyTorch's name of the running variance of a batch norm, whose square root is taken.
const VARIANCE_SUFFIX: &str = "running_var";

/// Builds a model of `config` with the weights of `dict` in the float type of the backend. No
/// parameter is allocated before its shape has been compared with the file.
///
/// # Errors
/// When a field of the config is not allowed, and the errors of [`load_weights`].
pub fn build_model<B: VisionBackend, M: NamedModel<B>>(
    config: &M::Config,
    dict: &StateDict,
    device: &B::Device,
) -> Result<M, ModelError> {
    build_model_by(config, dict, &LoadOptions::default(), device)
}

/// Like [`build_model`], with parameters in the type `precision`.
///
/// # Errors
/// As [`build_model`]; also when the backend does not support the type.
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

/// Like [`build_model`], with all options.
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

/// Loads all parameters of `model` from `dict`, or returns an error.
///
/// The keys may have the prefixes that training scripts add, in any combination (`state_dict.`,
/// `model.`, `module.`, …). [`WeightsSource`](super::WeightsSource) describes which prefix is taken
/// if a file has several.
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

/// The tensors of `dict` that a model of `config` takes, under the model's published keys, and the
/// differences between the keys of the file and of the model. No parameter is allocated.
///
/// # Errors
/// When a field of the config is not allowed.
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

    /// Checks that every tensor was loaded into a parameter.
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

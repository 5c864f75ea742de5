//! Models with published checkpoints.

use burn::{module::Module, tensor::backend::Backend};
use burn_store::ModuleSnapshot;

use super::{Rename, StateDict, TensorEntry};
use crate::{ModelError, blocks::ParamInit};

/// A model with published checkpoints.
pub trait NamedModel<B: Backend>: Module<B> + Sized {
    /// The model's config, which its model file contains.
    type Config: serde::Serialize + serde::de::DeserializeOwned;
    /// The model's name on the command line and in model files.
    const NAME: &'static str;
    /// The rules that turn a field path into a published key, applied in order.
    const RENAMES: &'static [Rename];
    /// Suffixes of keys in published files that a forward pass does not use.
    const IGNORED_SUFFIXES: &'static [&'static str];

    /// Names of models whose files contain this model among others, with the same config.
    const HOLDERS: &'static [&'static str] = &[];

    /// Words that identify this network in a checkpoint of several, such as `g` and `generator` in
    /// `netG` and `ema_generator`.
    const ROLES: &'static [&'static str] = &[];

    /// Keys of which every file of this model has at least one; they locate the model before its
    /// configuration is known. Empty if [`infer`](Self::infer) is not implemented.
    const TELLING_KEYS: &'static [&'static str] = &[];

    /// Infers the model's configuration from the shapes of `weights`, which have published keys.
    /// Fields that the shapes do not determine have their defaults. `None` if the weights are of
    /// another model.
    fn infer(weights: &StateDict) -> Option<Self::Config> {
        let _ = weights;
        None
    }

    /// Sets the fields that [`infer`](Self::infer) cannot determine, from the key names of `file`
    /// or to the most likely value, and returns a remark for each guess.
    fn assume(config: &mut Self::Config, file: &StateDict) -> Vec<String> {
        let _ = (config, file);
        Vec::new()
    }

    /// Whether the key `key` of a file belongs to a transposed convolution, whose weight has its
    /// outputs on the second axis.
    fn is_transposed(key: &str) -> bool {
        let _ = key;
        false
    }

    /// Whether [`Precision::Int8`](super::Precision::Int8) and
    /// [`Int8Activations`](super::Precision::Int8Activations) apply to the layer of this published
    /// key. Norms and biases are vectors and are never int8.
    fn is_int8_layer(key: &str) -> bool {
        let _ = key;
        false
    }

    /// Translates `dict` to this model's published keys, if it uses other names for the same
    /// layers.
    fn translate(dict: &StateDict) -> Option<StateDict> {
        let _ = dict;
        None
    }

    /// A model of this config; `init` creates the parameters. Loading uses [`ParamInit::lazy`], so
    /// that a config takes no memory before the shapes of the parameters have been compared with
    /// the file.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError>;

    /// The published key of the parameter at this field path.
    fn published_key(path: &str) -> String {
        Self::RENAMES
            .iter()
            .fold(path.to_owned(), |key, rule| rule.apply(&key))
    }
}

/// The tensors of `model` under their published names, each in its own type.
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
        dict.insert(key, TensorEntry::from_data(data));
    }
    Ok(dict)
}

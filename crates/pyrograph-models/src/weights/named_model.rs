//! Models with published checkpoints.

use burn::{module::Module, tensor::backend::Backend};
use burn_store::ModuleSnapshot;

use super::{Rename, StateDict, TensorEntry};
use crate::{ModelError, blocks::ParamInit};

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

    /// Words that name this network among others of a checkpoint, as `g` and `generator` in `netG` and `ema_generator`.
    const ROLES: &'static [&'static str] = &[];

    /// Keys of which every file of this model has one, by which it is found before its numbers are known; none where
    /// [`infer`](Self::infer) reads none.
    const TELLING_KEYS: &'static [&'static str] = &[];

    /// The model's numbers as the shapes of its weights tell them, under the published keys; those that they do not tell have
    /// their defaults. None where the weights are of another model.
    fn infer(weights: &StateDict) -> Option<Self::Config> {
        let _ = weights;
        None
    }

    /// Sets what [`infer`](Self::infer) cannot read to what the names of `file` tell or to what is most likely, and says each
    /// guess.
    fn assume(config: &mut Self::Config, file: &StateDict) -> Vec<String> {
        let _ = (config, file);
        Vec::new()
    }

    /// Whether this key of a file is of a transposed convolution, whose weight has its outputs as the second axis.
    fn is_transposed(key: &str) -> bool {
        let _ = key;
        false
    }

    /// Whether the weight under this published key is of a layer that [`Precision::Int8`](super::Precision::Int8) means, and [`Int8Activations`](super::Precision::Int8Activations). Norms and
    /// biases are vectors, and have no place in int8 in any case.
    fn is_int8_layer(key: &str) -> bool {
        let _ = key;
        false
    }

    /// The tensors of `dict` under this model's published keys, where they stand under other names of the same layers.
    fn translate(dict: &StateDict) -> Option<StateDict> {
        let _ = dict;
        None
    }

    /// A model of these numbers, with any parameters. Loading makes it with [`ParamInit::lazy`], so that no number of a config
    /// costs memory before the parameters' shapes were compared with those of the file.
    ///
    /// # Errors
    /// When a number is not allowed.
    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError>;

    /// The published key of the parameter at this field path.
    fn published_key(path: &str) -> String {
        Self::RENAMES
            .iter()
            .fold(path.to_owned(), |key, rule| rule.apply(&key))
    }
}

/// The model's tensors under their published names, each in its own type.
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

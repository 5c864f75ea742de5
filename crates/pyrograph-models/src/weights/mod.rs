//! Weights under their published names.
//!
//! - [`StateDict`] opens PyTorch files (zip and legacy), safetensors files and their indexes, and
//!   writes safetensors. Its [`TensorEntry`]s keep their number type, and stay in the mapped file
//!   until they are used. An int8 weight and its scales are one entry.
//! - [`NamedModel`] maps a model's fields to published keys; [`build_model`], [`build_model_with`]
//!   and [`load_weights`] load strictly. [`Precision`] and [`LoadOptions`] set the number types of
//!   the loaded parameters.
//! - [`find_model`] finds a model in a checkpoint of several networks, and infers its configuration
//!   from the shapes of its weights; [`WeightsSource`] tells the prefix of the weights in the
//!   checkpoint.
//! - [`save_model`] and [`load_model`]: a safetensors file under published names that carries its
//!   config, so that one path is enough, and PyTorch reads it too.
//! - [`measure_layers`] runs each layer with its weight in several types, and returns the errors of
//!   its outputs.
//! - [`random_weights`] and [`parameter_shapes`]: random weights, for measurements.

mod apply;
mod convert;
mod entry;
mod found;
mod int8;
mod layer_types;
mod matched;
mod model_file;
mod named_model;
mod norms;
mod not_weights;
mod open;
mod part_names;
mod precision;
mod pytorch;
mod random;
mod rename;
mod safetensors_file;
mod shared_bytes;
mod source;
mod state_dict;
mod stored_type;

pub use crate::error::KeyReport;
pub(crate) use apply::check_values;
pub use apply::{
    LoadOptions, build_model, build_model_by, build_model_with, load_weights, match_keys,
};
pub use entry::TensorEntry;
pub use found::{FoundModel, find_model};
pub(crate) use found::{only_part, under_part};
pub use layer_types::{LAYER_TYPES, LayerFigures, LayerType, TypeFigures, measure_layers};
pub(crate) use model_file::{HEADER, config_of, model_header};
pub use model_file::{load_model, model_name, read_config, save_model, save_weights};
pub use named_model::{NamedModel, state_dict_of};
pub use precision::Precision;
pub use random::{parameter_shapes, random_weights};
pub use rename::Rename;
pub use source::WeightsSource;
pub use state_dict::StateDict;

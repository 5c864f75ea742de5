//! Weights by their published names.
//!
//! - [`StateDict`] reads PyTorch files (zip and legacy) and safetensors files, and writes safetensors.
//! - [`NamedModel`] says how a model's fields map to published keys; [`build_model`] and [`load_weights`] are strict.
//! - [`WeightsSource`] says under which of a checkpoint's prefixes they stand.
//! - [`save_model`] and [`load_model`]: a safetensors file under published names that carries its config, so that one path is
//!   enough, and PyTorch reads it too.

mod apply;
mod model_file;
mod pytorch;
mod source;
mod state_dict;

pub(crate) use apply::check_values;
pub use apply::{NamedModel, Rename, build_model, load_weights, state_dict_of};
pub(crate) use model_file::config_of;
pub use model_file::{load_model, read_config, save_model};
pub use source::WeightsSource;
pub use state_dict::{HostTensor, StateDict};

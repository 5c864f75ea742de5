//! The key names of published tiny autoencoders.

use burn::tensor::backend::Backend;

use super::{AutoencoderTiny, AutoencoderTinyConfig, MODEL};
use crate::{
    ModelError,
    blocks::ParamInit,
    weights::{NamedModel, Rename},
};

/// From our field paths to diffusers', whose `nn.Sequential` numbers its layers.
const RENAMES: &[Rename] = &[
    // The kinds of a layer have no name there.
    Rename::new(".Conv.", "."),
    Rename::new(".Block.", "."),
    // conv = Sequential(conv, activation, conv, activation, conv).
    Rename::new(".conv1.", ".conv.0."),
    Rename::new(".conv2.", ".conv.2."),
    Rename::new(".conv3.", ".conv.4."),
];

impl<B: Backend> NamedModel<B> for AutoencoderTiny<B> {
    type Config = AutoencoderTinyConfig;
    const NAME: &'static str = MODEL;
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = &[];

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_with(init)
    }
}

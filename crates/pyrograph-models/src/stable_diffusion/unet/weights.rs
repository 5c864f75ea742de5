//! The key names of diffusers' `UNet2DConditionModel`.

use burn::tensor::backend::Backend;

use super::{MODEL, UNet2DConditionConfig, UNet2DConditionModel};
use crate::{
    ModelError,
    blocks::ParamInit,
    weights::{NamedModel, Rename},
};

/// From our field paths to diffusers'.
const RENAMES: &[Rename] = &[
    // A projection is of one of two kinds, under one name.
    Rename::new(".proj_in.Linear.", ".proj_in."),
    Rename::new(".proj_in.Convolution.", ".proj_in."),
    Rename::new(".proj_out.Linear.", ".proj_out."),
    Rename::new(".proj_out.Convolution.", ".proj_out."),
    // Attention.to_out = ModuleList(linear, dropout).
    Rename::new(".to_out.", ".to_out.0."),
    // FeedForward.net = ModuleList(GEGLU with its `proj`, dropout, linear).
    Rename::new(".ff.gated.", ".ff.net.0.proj."),
    Rename::new(".ff.output.", ".ff.net.2."),
];

/// The blocks whose linear layers and convolutions may be int8. The first and the last layer and
/// the embedding of the timestep are small, and every number of an output depends on them.
const BLOCKS: [&str; 3] = ["down_blocks.", "mid_block.", "up_blocks."];

/// Whether [`Precision::Int8`](crate::weights::Precision::Int8) stores the weight under this
/// diffusers key in int8: it does for linear layers and convolutions within the blocks. Norms are
/// recognised by their shape.
pub fn is_int8_layer(key: &str) -> bool {
    key.ends_with(".weight") && BLOCKS.iter().any(|block| key.starts_with(block))
}

impl<B: Backend> NamedModel<B> for UNet2DConditionModel<B> {
    type Config = UNet2DConditionConfig;
    const NAME: &'static str = MODEL;
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = &[];

    fn is_int8_layer(key: &str) -> bool {
        is_int8_layer(key)
    }

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_with(init)
    }
}

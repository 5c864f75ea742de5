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

impl<B: Backend> NamedModel<B> for UNet2DConditionModel<B> {
    type Config = UNet2DConditionConfig;
    const NAME: &'static str = MODEL;
    const RENAMES: &'static [Rename] = RENAMES;
    const IGNORED_SUFFIXES: &'static [&'static str] = &[];

    fn from_config(config: &Self::Config, init: &mut ParamInit<'_, B>) -> Result<Self, ModelError> {
        config.init_with(init)
    }
}

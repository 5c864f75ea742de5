//! The key names of diffusers' `UNet2DConditionModel`.

use burn::tensor::backend::Backend;

use super::{
    MODEL, UNet2DConditionConfig, UNet2DConditionModel,
    config::{DownBlockType, UpBlockType},
};
use crate::{
    ModelError,
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

    fn telling_shapes(config: &Self::Config) -> Result<Vec<(String, Vec<usize>)>, ModelError> {
        config.check()?;
        let channels = &config.block_out_channels;
        let (first, time) = (channels[0], config.time_width());
        let (inner, outer) = (config.conv_in_kernel, config.conv_out_kernel);
        let mut shapes = vec![
            (
                "conv_in.weight".to_owned(),
                vec![first, config.in_channels, inner, inner],
            ),
            (
                "conv_out.weight".to_owned(),
                vec![config.out_channels, first, outer, outer],
            ),
            (
                "time_embedding.linear_2.weight".to_owned(),
                vec![time, time],
            ),
        ];
        let blocks = channels.len();
        for (block, &c) in channels.iter().enumerate() {
            let (layers, up) = (config.layers_per_block[block], blocks - 1 - block);
            let attends = config.down_block_types[block] == DownBlockType::CrossAttnDownBlock2D;
            let down = format!("down_blocks.{block}");
            shapes.extend(of_level(config, block, &down, layers - 1, attends));
            let attends = config.up_block_types[up] == UpBlockType::CrossAttnUpBlock2D;
            let up = format!("up_blocks.{up}");
            shapes.extend(of_level(config, block, &up, layers, attends));
            debug_assert!(c > 0, "checked above");
        }
        if config.mid_block_type.is_some() {
            shapes.extend(of_level(config, blocks - 1, "mid_block", 0, true));
        }
        Ok(shapes)
    }

    fn from_config(config: &Self::Config, device: &B::Device) -> Result<Self, ModelError> {
        config.init(device, 0)
    }
}

/// Of the layer `layer` of a block: its last convolution, its projection, and its last map of the text.
fn of_level(
    config: &UNet2DConditionConfig,
    block: usize,
    path: &str,
    layer: usize,
    attends: bool,
) -> Vec<(String, Vec<usize>)> {
    let c = config.block_out_channels[block];
    let mut shapes = vec![(
        format!("{path}.resnets.{layer}.conv2.weight"),
        vec![c, c, 3, 3],
    )];
    if attends {
        let last = config.transformer_layers_per_block[block] - 1;
        let path = format!("{path}.attentions.{layer}");
        let projection = match config.use_linear_projection {
            true => vec![c, c],
            false => vec![c, c, 1, 1],
        };
        shapes.push((format!("{path}.proj_in.weight"), projection));
        shapes.push((
            format!("{path}.transformer_blocks.{last}.attn2.to_k.weight"),
            vec![c, config.cross_attention_dim[block]],
        ));
    }
    shapes
}

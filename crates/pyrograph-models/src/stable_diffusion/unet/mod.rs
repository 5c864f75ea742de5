//! The denoising U-Net of Stable Diffusion ([Rombach et al., 2022](https://arxiv.org/abs/2112.10752)): diffusers'
//! `UNet2DConditionModel`.
//!
//! Latents go down through levels of residual blocks and transformers, each at half the resolution
//! of the previous level, through the middle block, and up again. Every layer on the way up also
//! takes a skip connection from the way down. The timestep enters every residual block as a shift
//! of its channels; the text enters every transformer by cross-attention.
//!
//! The [config](UNet2DConditionConfig) is diffusers' `unet/config.json`. It covers Stable Diffusion
//! 1 and 2, their inpainting models (9 input channels), SD-Turbo, latent consistency models, and
//! distilled networks with fewer layers or without a middle. Class embeddings, text projections,
//! image prompts and the added embeddings of SDXL are refused by name.
//!
//! [`forward`](UNet2DConditionModel::forward) is the plain pass.
//! [`pass`](UNet2DConditionModel::pass) takes the text's [keys](TextKeys), which are computed once
//! for all steps, and [options](PassOptions): DeepCache, T-GATE and merging of tokens.
//!
//! Difference to diffusers: attention scores are always f32, so `upcast_attention` has no effect.

mod calibration;
mod check;
mod config;
mod down;
mod embedding;
mod merge;
mod mid;
mod pass;
mod resnet;
mod text;
mod transformer;
mod up;
mod weights;

use burn::{
    module::Module,
    tensor::{Tensor, backend::Backend},
};
use pyrograph_backend::vision::VisionBackend;

use crate::{
    ModelError,
    blocks::{Conv2d, GroupNorm, ParamInit},
};
use down::{DownBlock, DownShape};
use embedding::TimestepEmbedding;
use mid::MidBlock;
use transformer::TransformerShape;
use up::{UpBlock, UpShape};

pub use calibration::Calibration;
pub use config::{DownBlockType, MidBlockType, UNet2DConditionConfig, UpBlockType};
pub use merge::TokenMerging;
pub use pass::{PassDepth, PassOptions, PassOutput};
pub use text::{TextKeys, TextOutputs};
pub use weights::is_int8_layer;

const MODEL: &str = "unet-2d-condition";

/// The numbers that all blocks of a model share.
struct Shared {
    groups: usize,
    epsilon: f64,
    time_width: usize,
    use_linear_projection: bool,
    downsample_padding: usize,
}

impl Shared {
    fn norm<B: Backend>(&self, init: &mut ParamInit<'_, B>, channels: usize) -> GroupNorm<B> {
        GroupNorm::new(init, self.groups, channels).with_epsilon(self.epsilon)
    }
}

impl UNet2DConditionConfig {
    /// A model with random initial parameters; the same `seed` gives the same parameters on every
    /// backend.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init<B: Backend>(
        &self,
        device: &B::Device,
        seed: u64,
    ) -> Result<UNet2DConditionModel<B>, ModelError> {
        self.init_with(&mut ParamInit::new(device, seed))
    }

    /// A model whose parameters `init` creates.
    ///
    /// # Errors
    /// When a field of the config is not allowed.
    pub fn init_with<B: Backend>(
        &self,
        init: &mut ParamInit<'_, B>,
    ) -> Result<UNet2DConditionModel<B>, ModelError> {
        self.check()?;
        let shared = self.shared();
        let (channels, blocks) = (&self.block_out_channels, self.block_out_channels.len());
        let (first, last) = (channels[0], blocks - 1);
        let conv_in = Conv2d::same(init, [self.in_channels, first], self.conv_in_kernel);
        let time_embedding = TimestepEmbedding::new(init, self);
        let down = (0..blocks).map(|block| DownBlock::new(init, &shared, self.down_shape(block)));
        let down_blocks = down.collect();
        let middle = self.transformer_shape(last);
        let mid_block = self.mid_block_type.map(|_| {
            let middle = TransformerShape {
                only_cross_attention: false,
                ..middle
            };
            MidBlock::new(init, &shared, middle)
        });
        let up = (0..blocks).map(|place| UpBlock::new(init, &shared, self.up_shape(place)));
        let up_blocks = up.collect();
        Ok(UNet2DConditionModel {
            conv_in,
            time_embedding,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out: shared.norm(init, first),
            conv_out: Conv2d::same(init, [first, self.out_channels], self.conv_out_kernel),
            center_input_sample: self.center_input_sample,
        })
    }

    fn shared(&self) -> Shared {
        Shared {
            groups: self.norm_num_groups,
            epsilon: self.norm_eps,
            time_width: self.time_width(),
            use_linear_projection: self.use_linear_projection,
            downsample_padding: self.downsample_padding,
        }
    }

    /// The transformers of the level of block `block`, counted on the way down.
    fn transformer_shape(&self, block: usize) -> TransformerShape {
        TransformerShape {
            channels: self.block_out_channels[block],
            heads: self.attention_head_dim[block],
            layers: self.transformer_layers_per_block[block],
            context_width: self.cross_attention_dim[block],
            only_cross_attention: self.only_cross_attention[block],
        }
    }

    fn down_shape(&self, block: usize) -> DownShape {
        let channels = &self.block_out_channels;
        let attends = self.down_block_types[block] == DownBlockType::CrossAttnDownBlock2D;
        DownShape {
            channels: [channels[block.saturating_sub(1)], channels[block]],
            layers: self.layers_per_block[block],
            transformer: attends.then(|| self.transformer_shape(block)),
            downsample: block + 1 < channels.len(),
        }
    }

    /// The block at `place` on the way up, whose level is that of block `last − place` on the way down.
    fn up_shape(&self, place: usize) -> UpShape {
        let channels = &self.block_out_channels;
        let last = channels.len() - 1;
        let block = last - place;
        let attends = self.up_block_types[place] == UpBlockType::CrossAttnUpBlock2D;
        UpShape {
            channels: [channels[(block + 1).min(last)], channels[block]],
            last_skip: channels[block.saturating_sub(1)],
            layers: self.layers_per_block[block] + 1,
            transformer: attends.then(|| self.transformer_shape(block)),
            upsample: block > 0,
        }
    }
}

/// The model; see the [module](self) for the architecture. Field names are diffusers'.
#[derive(Module, Debug)]
pub struct UNet2DConditionModel<B: Backend> {
    conv_in: Conv2d<B>,
    time_embedding: TimestepEmbedding<B>,
    down_blocks: Vec<DownBlock<B>>,
    mid_block: Option<MidBlock<B>>,
    up_blocks: Vec<UpBlock<B>>,
    conv_norm_out: GroupNorm<B>,
    conv_out: Conv2d<B>,
    center_input_sample: bool,
}

impl<B: VisionBackend> UNet2DConditionModel<B> {
    /// The prediction for noisy latents: the noise, the velocity or the clean latents, depending on
    /// the checkpoint.
    ///
    /// Check the shapes with [`check_input`](UNet2DConditionConfig::check_input) first.
    ///
    /// # Shapes
    /// - `sample` [batch, in, height, width]
    /// - `timestep` `[batch]`, or `[1]` for one timestep of the whole batch; 0 to 1000, with fractions
    /// - `context` [batch, length, width]: the text encoder's output
    /// - result: [batch, out, height, width]
    pub fn forward(
        &self,
        sample: Tensor<B, 4>,
        timestep: Tensor<B, 1>,
        context: Tensor<B, 3>,
    ) -> Tensor<B, 4> {
        let text = self.text_keys(context);
        self.pass(sample, timestep, &text, &PassOptions::default())
            .sample
    }

    /// The keys and values of the text, which are the same at every step.
    ///
    /// # Shapes
    /// `context` [batch, length, width]: the text encoder's output.
    pub fn text_keys(&self, context: Tensor<B, 3>) -> TextKeys<B> {
        let [rows, _, _] = context.dims();
        let mut sources = Vec::new();
        for block in &self.down_blocks {
            block.read_text(&context, &mut sources);
        }
        if let Some(block) = &self.mid_block {
            block.read_text(&context, &mut sources);
        }
        for block in &self.up_blocks {
            block.read_text(&context, &mut sources);
        }
        TextKeys::new(sources, rows)
    }
}
